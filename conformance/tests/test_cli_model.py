"""The commands that look at the model alone: designs, explore, explain, outcomes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lastref.conformance.cli import main
from lastref.conformance.cli.drawing import print_diagram
from lastref.conformance.diagram import draw
from lastref.conformance.named_cases import named_case, named_cases
from lastref.conformance.results import validate
from lastref.model.designs import all_tables
from lastref.model.outcomes import LETTERS


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Run a command that must end with ``code``; return what it says on stdout."""
    assert main(list(arguments)) == code
    return capsys.readouterr().out


def result(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run a command with ``--json``; return its result, which fits the published schema."""
    document: dict[str, Any] = json.loads(told(capsys, *arguments, "--json", code=code))
    validate(document)
    return document


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that is refused; return the one line that says why."""
    assert main(list(arguments)) == 2
    line = capsys.readouterr().err.strip()
    assert "\n" not in line
    assert line.count(";") >= 1
    return line


def test_designs_lists_every_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Each design on each platform is a check, with what it offers."""
    checks = result(capsys, "designs")["checks"]
    assert [c["id"] for c in checks] == [f"{t.id}/{t.platform}" for t in all_tables()]
    assert all(c["methods"] and c["laws"] and c["starts"] for c in checks)


def test_designs_shows_one_as_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    """The commands of the table stand there with guard, update and outcome."""
    said = told(capsys, "designs", "go-2024/windows")
    for words in ("DuplicateHandle", "EWINDOWS", "handle-pins-pid", "has_handle", "kernel"):
        assert words in said


def test_explore_counts_the_states(capsys: pytest.CaptureFixture[str]) -> None:
    """The counts are those of the search; every law is a check; a sound design passes."""
    found = result(capsys, "explore", "go-2024", "--wait", "1", "--signal", "2", "--release", "1")
    assert (found["verdict"], found["complete"]) == ("pass", True)
    assert (found["states"], found["transitions"]) == (7130, 24165)
    assert "go-2024/linux/no-wrong-process" in {c["id"] for c in found["checks"]}


def test_explore_finds_a_race_and_draws_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A broken law ends with exit code 1, the diagram, and the command that replays it."""
    said = told(capsys, "explore", "go-2023-pidfd", "--kill", "1", "--release", "1", code=1)
    assert "186 states, 527 transitions" in said
    assert "✗ 5  pidfd_send_signal" in said
    assert "lastref replay 'go-2023-pidfd/linux:kill,release:K1.K1.R1.R1.reopen.K1'" in said


def test_explore_takes_threads_starts_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    """A thread with several calls, an object that was found missing, a word near its limit."""
    told(capsys, "explore", "go-fdmutex", "--thread", "read", "--thread", "write;close")
    assert "found-dead" not in told(
        capsys, "explore", "go-2025", "--start", "find-missing", "--wait", "1", code=1
    )
    said = told(
        capsys, "explore", "go-2024", "--set", "word=0x3fffffffffffffff", "--signal", "1", code=1
    )
    assert "2^62 - 1" in said


def test_a_search_that_is_given_up_is_incomplete(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2: nothing is said to hold that was not searched to the end."""
    found = result(
        capsys, "explore", "go-2024", "--wait", "2", "--kill", "2", "--limit", "100", code=2
    )
    assert found["verdict"] == "incomplete"
    assert not found["complete"]
    held = {c["kind"] for c in found["checks"] if c["verdict"] == "pass"}
    assert held <= {"sometimes"}


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("explore", "go-2024"), "nobody calls anything"),
        (("explore", "go-2030", "--wait", "1"), "there is no design 'go-2030'"),
        (("explore", "go-2024", "--platform", "beos", "--wait", "1"), "it is on linux"),
        (("explore", "go-2024", "--thread", "fly"), "has no method 'fly'"),
        (("explore", "go-2024", "--wait", "1", "--set", "pid=-1"), "no shared variable 'pid'"),
        (("explore", "go-2024", "--wait", "1", "--set", "word=x"), "'x' is no value of word"),
        (("explore", "go-2024", "--wait", "1", "--start", "thin-air"), "no start 'thin-air'"),
        (("explore", "go-2023-find", "--wait", "1", "--start", "find-missing"), "makes no object"),
        (("explain", "go-1"), "there is no case 'go-1'"),
        (("designs", "--platform", "beos"), "no design is on 'beos'"),
        (("outcomes", "go-fdmutex"), "has no outcome table"),
        (("outcomes", "go-2024", "--start", "x"), "no start 'x'"),
    ],
)
def test_what_does_not_exist_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], part: str
) -> None:
    """The line says the fault, the reason with what there is, and the remedy."""
    assert part in complaint(capsys, *arguments)


def test_explain_lists_the_cases(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a case every one is named."""
    said = told(capsys, "explain")
    assert all(case_id in said for case_id in named_cases())


@pytest.mark.parametrize("case_id", list(named_cases()))
def test_explain_tells_a_case_in_a_hundred_columns(
    capsys: pytest.CaptureFixture[str], case_id: str
) -> None:
    """Every actor has a column, the last step is marked, and nothing is wider than the page."""
    case = named_case(case_id)
    lines = told(capsys, "explain", case_id).splitlines()
    replay = next(line for line in lines if line.startswith("lastref replay"))
    assert all(len(line) <= 100 for line in lines if line is not replay)
    marked = [line for line in lines if line.lstrip().startswith("✗")]
    assert len(marked) == 1
    assert f"✗ {len(case.schedule)}" in marked[0]
    for label in ("breaks", "why", "mended"):
        assert sum(line.startswith(label) for line in lines) == 1
    assert case.trace().schedule in replay


def test_explain_go_67641_reads_as_the_story_that_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Load, swap, close, reopen, use: in this order, each in the column of who does it."""
    said = told(capsys, "explain", "go-67641")
    words = ("load_pid", "load", "swap", "close", "reopen", "pidfd_send_signal")
    places = [said.index(f" {number}  ") for number in range(1, 7)]
    assert places == sorted(places)
    for place, word in zip(places, words, strict=True):
        assert word in said[place : said.index("\n", place)]
    assert "handle: closed → reused" in said
    assert "bystander: alive → killed" in said
    assert "absent in go-2024/linux" in said


def test_the_readme_draws_go_67641_as_the_program_does(capsys: pytest.CaptureFixture[str]) -> None:
    """The picture in the README is the program's, line by line."""
    drawn = [line.rstrip() for line in told(capsys, "explain", "go-67641").splitlines()]
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("a column for each thread:\n\n")[2].partition("\n\n")[0].splitlines()
    assert len(shown) == 9
    assert [line.removeprefix("    ") for line in shown] == drawn[3:12]


def test_explain_gives_the_trace_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON has the trace as a document, and every judgement as a check."""
    document = result(capsys, "explain", "wait4-minus-one")
    assert document["trace"] == named_case("wait4-minus-one").trace().document()
    assert document["verdict"] == "pass"
    assert {c["id"].split("/")[1] for c in document["checks"]} == {
        "found",
        "also",
        "replayed",
        "absent",
    }


@pytest.mark.parametrize("case_id", ["go-67641", "go-71564", "word-overflow", "go-13987"])
def test_the_word_stands_at_every_step(case_id: str) -> None:
    """What the design keeps is shown after each step, and what changes beside it."""
    case = named_case(case_id)
    diagram = draw(case.system(), case.run(), breaks_at=len(case.schedule))
    assert diagram.keeps
    assert all(line.kept for line in diagram.lines)
    assert [line.broken for line in diagram.lines] == [False] * (len(diagram.lines) - 1) + [True]


def test_a_call_that_is_one_of_several_is_named_where_it_begins() -> None:
    """In a thread that calls three methods each one's first step says which it is."""
    case = named_case("wait4-minus-one")
    begun = [line.call for line in draw(case.system(), case.run()).lines if line.call]
    assert begun == ["wait", "release", "wait"]


def test_outcomes_prints_a_column_for_each_start(capsys: pytest.CaptureFixture[str]) -> None:
    """A Wait after a Wait is done in go-2024; a law that breaks on the way has a star."""
    said = told(capsys, "outcomes", "go-2024")
    row = next(line for line in said.splitlines() if line.startswith("W;W "))
    assert row.split()[1] == "EPD"
    assert "nil*" in said
    assert "find-missing: no object, EPD" in told(capsys, "outcomes", "go-2023-find")


def test_outcomes_writes_every_sequence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With --json all 780 sequences of up to four calls are there, whatever is printed."""
    file = tmp_path / "outcomes.json"
    told(capsys, "outcomes", "go-2024", "--length", "1", "--json", str(file))
    document = json.loads(file.read_text(encoding="utf-8"))
    validate(document)
    start = next(c for c in document["checks"] if c["start"] == "start")
    assert start["count"] == len(start["outcomes"]) == 780
    assert start["outcomes"]["W;R;S"] == {"last": "EPD", "broken": []}
    assert start["letters"] == LETTERS


def test_a_plain_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the encoding has no line drawing the diagram is in ASCII."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=stream, width=100)
    case = named_case("go-67641")
    print_diagram(draw(case.system(), case.run(), breaks_at=6), console)
    stream.flush()
    said = stream.buffer.getvalue().decode("ascii")
    assert "X 6" in said
    assert "closed -> reused" in said
