"""Every design under an adversarial scheduler: the sound keep their laws, the faulty are caught."""

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test
from machines import DesignMachine, mixes

from lastref.model.designs import get
from lastref.model.explore import explore
from lastref.model.system import System, scenario

METHODS = ["wait", "signal", "kill", "foreign", "release"]


class Go2024(DesignMachine):
    """go-2024: whatever the schedule and the mix, no law breaks."""

    table = get("go-2024")
    calls = mixes(METHODS)


TestGo2024 = Go2024.TestCase


class WrongProcess(DesignMachine):
    """go-2023-pidfd with a Kill and a Release: the signal that reaches the wrong process."""

    table = get("go-2023-pidfd")
    calls = st.just(["kill", "release"])
    only = "no-wrong-process"


class ClosedHandle(WrongProcess):
    """The same with any law: the use of a closed handle comes a step before its recycling."""

    only = None


SEARCH = settings(
    max_examples=2000,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
)


@pytest.mark.parametrize(
    ("machine", "law", "steps"),
    [(WrongProcess, "no-wrong-process", 6), (ClosedHandle, "no-use-after-close", 5)],
)
def test_hypothesis_shrinks_issue_67641_to_the_shortest_run(
    machine: type[DesignMachine], law: str, steps: int
) -> None:
    """The shrunk schedule is as short as the explorer's, which is the shortest there is."""
    with pytest.raises(AssertionError, match=f"{law} broken; replay it: lastref replay"):
        run_state_machine_as_test(machine, settings=SEARCH)
    system = System(get("go-2023-pidfd"), scenario("kill", "release"))
    shortest = explore(system, stop_at=law).counterexamples[law]
    assert len(machine.last_failure) == len(shortest.steps) == steps
