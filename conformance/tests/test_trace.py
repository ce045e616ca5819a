"""A trace is one string and one document, and neither is believed without the model."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from lastref.conformance.errors import UserError
from lastref.conformance.interleavings import interleavings
from lastref.conformance.trace import from_document, load, parse, record, walk
from lastref.model.designs import get
from lastref.model.system import System, scenario

RELEASE = "go-2024/linux:release:R1.R1.R1"
ISSUE_67641 = "go-2023-pidfd/linux:kill,release:K1.K1.R1.R1.reopen.K1"


def test_string_and_document_say_the_same() -> None:
    """Every inequivalent interleaving survives the way to a string, to a document, and back."""
    system = System(get("go-2024"), scenario("wait", "release", urgent=["reopen"]))
    count = 0
    for schedule in interleavings(system):
        trace = record(system, schedule)
        assert parse(trace.schedule) == trace
        assert from_document(json.loads(json.dumps(trace.document()))) == trace
        count += 1
    assert count == 10


def test_the_word_the_handle_and_the_outcome_are_in_every_step() -> None:
    """A trace says what must be seen: here of Release alone, step by step."""
    trace = parse(RELEASE)
    assert [s.state["word"] for s in trace.steps] == [
        "0x1",
        "0x8000000000000000",
        "0x8000000000000000",
    ]
    assert [s.state["handle"] for s in trace.steps] == ["ours", "ours", "closed"]
    assert [s.outcome for s in trace.steps] == [None, "nil", None]
    assert [s.returns for s in trace.steps] == [False, False, True]


def test_a_trace_names_the_law_that_it_breaks() -> None:
    """Go issue 67641 ends with the signal that reaches the wrong process."""
    trace = parse(ISSUE_67641)
    assert trace.broken == "no-wrong-process"
    assert trace.steps[-1].command == "kill.send.wrong"


def test_initial_values_are_part_of_the_string() -> None:
    """What does not start at the table's value is said, and comes back."""
    trace = parse("go-2024/linux?exited=true&word=0x2:wait:W1.W1.W1")
    assert trace.start["exited"] is True
    assert trace.start["word"] == "0x2"
    assert parse(trace.schedule) == trace


def test_a_thread_that_calls_twice_returns_twice() -> None:
    """The step with which each call returns is marked, also for calls in turn."""
    trace = parse("go-2024/linux:release;release:R1.R1.R1.R1")
    assert [s.returns for s in trace.steps] == [False, False, True, True]


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("nonsense", "is no schedule"),
        ("go-2024/linux:release:", "is no schedule"),
        ("go-1999/linux:release:R1", "there is no design 'go-1999'"),
        ("go-2024/linux:fly:F1", "has no method 'fly'"),
        ("go-2024/linux:release:R2", "the actors are R1"),
        ("go-2024/linux:release:R1.R1.R1.R1", "it is not enabled there"),
        ("go-2024/linux:release:reopen", "it is not enabled there"),
        ("go-2024/linux?speed=1:release:R1", "has no variable 'speed'"),
        ("go-2024/linux?word=fast:release:R1", "is no value of word"),
        ("go-2024/linux?handle=0x9:release:R1", "is no value of handle"),
    ],
)
def test_a_bad_schedule_is_refused_in_one_line(schedule: str, said: str) -> None:
    """Fault, reason and remedy; nothing is guessed."""
    with pytest.raises(UserError, match=said.replace("(", r"\(")) as caught:
        parse(schedule)
    assert caught.value.remedy
    assert caught.value.exit_code == 2


def corrupt(document: dict[str, Any], way: str) -> None:
    """Change one thing in a trace document."""
    match way:
        case "word":
            document["steps"][1]["state"]["word"] = "0x0"
        case "outcome":
            document["steps"][1]["outcome"] = "EPD"
        case "command":
            document["steps"][1]["command"] = "release.cas"
        case "start":
            document["start"]["exited"] = True
        case "breaks":
            document["steps"][0]["breaks"] = "no-panic"


@pytest.mark.parametrize("way", ["word", "outcome", "command", "start", "breaks"])
def test_a_document_that_disagrees_with_the_model_is_refused(way: str) -> None:
    """A stored trace is checked, never trusted."""
    document = parse(RELEASE).document()
    changed = copy.deepcopy(document)
    corrupt(changed, way)
    assert changed != document
    with pytest.raises(UserError, match="disagrees with the model"):
        from_document(changed)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {**parse(RELEASE).document(), "schema": "lastref-trace-2"},
        {**parse(RELEASE).document(), "steps": []},
        {**parse(RELEASE).document(), "more": 1},
    ],
)
def test_a_document_of_another_form_is_refused(document: object) -> None:
    """What does not fit the published schema is named before anything is run."""
    with pytest.raises(UserError, match="is no lastref-trace-1 document"):
        from_document(document)


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    """A missing or unreadable file is a user's error, not a traceback."""
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "missing.json")
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "bad.json")


def test_walk_takes_kernel_commands_by_their_names() -> None:
    """A lower-case actor is a command of the kernel."""
    system = System(get("go-2024"), scenario("wait"))
    assert [s.name for s in walk(system, ["exit", "W1"])] == ["exit", "wait.load"]
