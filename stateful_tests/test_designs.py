"""Every design under an adversarial scheduler: the sound keep their laws, the faulty are caught."""

from dataclasses import replace

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


SOUND = [
    ("go-2024", "windows"),
    ("go-2025", "linux"),
    ("go-2025", "windows"),
    ("dotnet-safehandle", "any"),
    ("go-fdmutex", "any"),
]


@pytest.mark.parametrize("design", SOUND, ids="-".join)
def test_a_sound_design_keeps_its_laws_under_any_schedule(design: tuple[str, str]) -> None:
    """Whatever the mix of its methods, the scheduler and the kernel, no law breaks."""
    table = get(*design)
    bases = {"table": table, "calls": mixes(list(table.methods))}
    run_state_machine_as_test(type("Sound", (DesignMachine,), bases))


class Issue67641(DesignMachine):
    """go-2023-pidfd with a Kill and a Release: the signal that reaches the wrong process."""

    table = get("go-2023-pidfd")
    calls = st.just(["kill", "release"])
    only = ("no-wrong-process", "kill.send.wrong")


class ClosedHandle(Issue67641):
    """The same a step earlier: the number is closed and not yet recycled."""

    only = ("no-use-after-close", "kill.send.closed")


class KillMinusOne(Issue67641):
    """The other race of that pair: Release stores -1 where Kill is about to load the pid."""

    only = ("no-wrong-process", "kill.kill.everyone")


SEARCH = settings(
    max_examples=3000,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
)


def shortest(machine: type[DesignMachine], law: str, last: str) -> int:
    """Return the explorer's shortest run that breaks `law` by the command `last`."""
    system = System(machine.table, scenario("kill", "release"))
    others = {
        c.name: replace(c, must=()) for c in machine.table.commands if c.must and c.name != last
    }
    only = replace(
        machine.table, commands=tuple(others.get(c.name, c) for c in machine.table.commands)
    )
    found = explore(System(only, system.scenario), stop_at=law)
    return len(found.counterexamples[law].steps)


@pytest.mark.parametrize("machine", [Issue67641, ClosedHandle, KillMinusOne])
def test_hypothesis_shrinks_a_race_to_its_shortest_run(machine: type[DesignMachine]) -> None:
    """The shrunk schedule is as short as the explorer's, which is the shortest there is."""
    assert machine.only is not None
    law, last = machine.only
    with pytest.raises(AssertionError, match=f"{law} broken; replay it: lastref replay"):
        run_state_machine_as_test(machine, settings=SEARCH)
    assert len(machine.last_failure) == shortest(machine, law, last)
