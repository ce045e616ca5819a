"""What a specification makes of a history: the word beside each event, and the commands taken."""

from __future__ import annotations

import pytest

from lastref.conformance.explained import explain
from lastref.conformance.suite import all_cases
from lastref.model import designs
from lastref.model.word import DONE, RELEASED

GO_2024 = "go-2024/linux"
OVER = (RELEASED, RELEASED)


@pytest.mark.parametrize(
    ("case", "events", "words"),
    [
        ("child/wait", "wait? exit wait→ok", (1, 2, DONE, DONE)),
        ("child/signal.release", "signal? signal→nil release? release→nil", (1, 1, 1, *OVER)),
        ("child/release.signal", "release? release→nil signal? signal→REL", (1, *OVER, *OVER)),
        ("zombie/wait", "wait? wait→ok", (1, DONE, DONE)),
        ("child/kill.wait", "kill? kill→nil wait? wait→ok exit", (1, 1, 1, *[DONE] * 3)),
    ],
)
def test_each_event_has_the_word_that_the_specification_has_there(
    case: str, events: str, words: tuple[int, ...]
) -> None:
    """One call after the other: acquired while it waits, done or released in one step with that."""
    found = explain(GO_2024, case, [e.replace("→", " → ") for e in events.split()])
    assert found is not None
    assert found.words == words


def test_calls_under_way_have_come_as_far_as_they_can() -> None:
    """Two Waits hold a reference each while they wait; the decoy's Wait at the end is another's."""
    events = ["wait?", "wait?", "exit", "wait → ok", "wait → waitid:ECHILD"]
    events += ["wait?", "wait → ok"]
    found = explain(GO_2024, "overlap/wait", events)
    assert found is not None
    assert found.words == (1, 2, 3, *[DONE] * 5)


def test_only_commands_that_every_explanation_takes_count() -> None:
    """A Signal that returned nil acquired, sent and gave back; nothing of a Wait was done."""
    found = explain(GO_2024, "child/signal", ["signal?", "signal → nil"])
    assert found is not None
    table = designs.get("go-2024", "linux")
    methods = {str(table.by_name[name].at).split(".")[0] for name in found.commands}
    assert methods == {"signal", "free"}
    assert len(found.commands) > 3


@pytest.mark.parametrize(
    ("specification", "case", "events"),
    [
        (GO_2024, "child/wait.wait", ["wait?", "exit", "wait → ok", "wait?", "wait → ok"]),
        (GO_2024, "child/signal", ["signal?", "signal → EINVAL"]),
        (GO_2024, "gate/go-67641", ["a:wait?", "a:wait → ok"]),
        (GO_2024, "child/signal", ["observe?", "observe → ok"]),
        ("go-2016/linux-pid", "literal/wait", ["wait?"]),
    ],
)
def test_what_the_specification_does_not_allow_has_no_word(
    specification: str, case: str, events: list[str]
) -> None:
    """A history that no run explains, and one of another kind, stay without."""
    found = explain(specification, case, events)
    assert found is None or set(found.words) == {None}


def test_a_foreign_signal_is_told_from_a_signal_by_its_case() -> None:
    """Both are seen as a signal; only the case says which of them was foreign."""
    found = explain(GO_2024, "child/foreign.signal", ["signal?", "signal → UNSUP"])
    assert found is not None
    assert found.commands
    assert explain(GO_2024, "child/signal", ["signal?", "signal → UNSUP"]) is None


def test_the_situations_of_the_suite_are_known() -> None:
    """No case makes trouble: each is explained or left alone, whatever its situation."""
    for case in all_cases():
        explain(GO_2024, case.id, ["signal?", "signal → nil"])
