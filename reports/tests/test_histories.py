"""Histories: each run once, its schedule as the suite writes it, drawn step for step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lastref.reports.histories import histories, rerun, schedule_of, schedules, seen
from lastref.reports.lamport import BIT, STATUS_GAP, bits_path, lay_out, show_word
from lastref.reports.reading import read

Check = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
SCHEDULE = "go-2023-pidfd/linux:kill,release:K1.K1.R1.R1.reopen.K1"


@pytest.fixture
def trace(data: Path) -> dict[str, Any]:
    """Return the trace of go issue 67641 as the suite wrote it."""
    document: dict[str, Any] = json.loads((data / "go-67641.json").read_text(encoding="utf-8"))
    return document


def test_a_trace_has_the_schedule_that_replays_it(trace: dict[str, Any]) -> None:
    """The string worked out from a trace is the one that the suite was given."""
    assert schedule_of(trace) == SCHEDULE


def test_initial_values_are_part_of_the_schedule(trace: dict[str, Any]) -> None:
    """Flags are lower case, as in the string that the suite parses."""
    given = {**trace, "initial": {"exited": True, "handle": "closed"}}
    head = schedule_of(given).split(":")[0]
    assert head == "go-2023-pidfd/linux?exited=true&handle=closed"


def test_a_run_that_many_checks_name_is_one_history(
    write: Write, check: Check, trace: dict[str, Any]
) -> None:
    """A document, a schedule string and the id of a replay mean the same run."""
    path = write(
        check("a", "broken", trace=trace),
        check("b", counterexample=SCHEDULE),
        check(SCHEDULE),
    )
    (only,) = histories(read([path]))
    assert [c.id for c in only.checks] == ["a", "b", SCHEDULE]
    assert only.document == trace
    assert only.breaks == "no-wrong-process"
    assert only.replay == f"lastref replay {SCHEDULE}"


def test_the_command_in_a_reason_names_a_history(write: Write, check: Check) -> None:
    """A schedule that a reason tells to replay is one to draw, quoted or not."""
    other = "go-2024/linux:kill:K1.K1"
    reasons = (f"6 steps: lastref replay '{SCHEDULE}'", f"see lastref replay {other}.")
    path = write(*(check(r[:3], "broken", reason=r) for r in reasons))
    assert schedules(read([path])) == (SCHEDULE, other)


def test_a_schedule_without_its_trace_is_asked_for(data: Path) -> None:
    """Whoever renders is told which schedules lack a document, and a trace beside answers."""
    assert schedules(read([data / "replay.json"])) == (SCHEDULE,)
    assert schedules(read([data / "replay.json", data / "go-67641.json"])) == ()


def test_failures_come_first(write: Write, check: Check) -> None:
    """The history of a broken check stands before that of one that passed."""
    held, broke = "go-2024/linux:release:R1.R1.R1", "go-2024/linux:kill:K1.K1"
    path = write(check("a", trace=held), check("b", "broken", trace=broke))
    assert [h.schedule for h in histories(read([path]))] == [broke, held]


def test_a_failure_comes_with_the_command_that_shows_it_again(write: Write, check: Check) -> None:
    """What the check says replays it; else its schedule; else the command that ran it."""
    report = read(
        [
            write(
                check("a", "broken", replay="lastref replay x.json"),
                check("b", "broken", counterexample="go-2024/linux?word=0x1:kill:K1"),
                check("c", "incomplete"),
                check("d"),
            )
        ]
    )
    assert [rerun(c, report.named) for c in report.checks] == [
        "lastref replay x.json",
        "lastref replay 'go-2024/linux?word=0x1:kill:K1'",
        "lastref check",
        None,
    ]


def test_the_diagram_has_a_row_for_each_step_and_a_column_for_each_actor(
    trace: dict[str, Any],
) -> None:
    """Threads in their order, the kernel last; the breaking step is marked, calls are bars."""
    drawn = lay_out(trace)
    assert [lane.name for lane in drawn.lanes] == ["K1", "R1", "kernel"]
    assert [row.label for row in drawn.rows] == [s["command"] for s in trace["steps"]]
    assert [row.number for row in drawn.rows if row.breaks] == [6]
    assert drawn.rows[4].changes == "handle reused"
    at = {lane.name: lane.x for lane in drawn.lanes}
    assert [row.x for row in drawn.rows] == [at[s["actor"]] for s in trace["steps"]]
    kill, release = drawn.bars
    assert kill.returned
    assert not release.returned


def test_calls_that_overlap_stand_in_columns_of_their_own(write: Write, check: Check) -> None:
    """A call takes the first free column; the suite's own doing is the kernel's."""
    events = ["wait?", "kill?", "kill → nil", "signal?", "exit", "wait → ok", "signal → EPD"]
    (only,) = histories(read([write(check("a", "broken", history=events))]))
    assert only.document is not None
    drawn = lay_out(only.document)
    assert [(lane.name, lane.calls) for lane in drawn.lanes] == [
        ("call 1", "wait"),
        ("call 2", "kill; signal"),
        ("kernel", ""),
    ]
    at = {lane.x: lane.name[-1] for lane in drawn.lanes}
    assert "".join(at[row.x] for row in drawn.rows) == "1222l12"
    assert [row.outcome for row in drawn.rows if row.outcome] == [" → nil", " → ok", " → EPD"]
    assert len(drawn.bars) == 3
    assert all(bar.returned for bar in drawn.bars)


def test_histories_that_passed_are_kept_once(write: Write, check: Check) -> None:
    """Equal histories of many cells are one; one of a failure is drawn instead."""
    events = ["wait?", "wait → ok"]
    report = read(
        [
            write(
                check("a", history=events),
                check("b", history=events),
                check("c", "broken", history=["kill?", "kill → nil"]),
            )
        ]
    )
    assert seen(report) == {(("wait?", "wait → ok"), ()): "seen-1"}
    assert [h.schedule for h in histories(report)] == ["c"]


def test_what_the_gate_found_is_drawn_and_belongs_to_its_check(
    data: Path, write: Write, check: Check
) -> None:
    """A real record of CPython killing a recycled pid: its steps, its law, its replay command."""
    record = data / "gate.json"
    scenario, schedule = "start|wait,kill", "W1.K1.exit(a).W1.K1"
    gate = write(
        check("gate/wait-kill", "broken", kind="gate", scenario=scenario, schedules=[schedule]),
        check("gate/other", "broken", kind="gate", scenario=scenario, schedules=["K1.W1"]),
        name="result.json",
    )
    (only,) = histories(read([gate, record]))
    assert [c.id for c in only.checks] == ["gate/wait-kill"]
    assert only.breaks == "wrong process signalled"
    assert only.replay.startswith("lastref replay ")
    assert only.document is not None
    drawn = lay_out(only.document)
    assert [lane.name for lane in drawn.lanes] == ["W1", "K1", "kernel"]
    assert [row.number for row in drawn.rows if row.breaks] == [len(drawn.rows)]
    assert "pid(a) is free" in {row.changes for row in drawn.rows}


def test_only_system_calls_have_an_arrow_to_the_kernel(trace: dict[str, Any]) -> None:
    """Loads and swaps stay in memory; close and pidfd_send_signal go to the kernel."""
    arrows = [row.label for row in lay_out(trace).rows if row.arrow]
    assert arrows == ["release.close", "kill.send.wrong"]


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        (1, "ok 1"),
        (1 << 62, "done 0"),
        ((1 << 63) + 2, "released 2"),
        ((3 << 62) + 1, "reserved 1"),
        ((1 << 62) - 1, "ok 0x3fffffffffffffff"),
    ],
)
def test_a_word_is_shown_by_its_fields(word: int, shown: str) -> None:
    """The status and the references, a large count in hexadecimal."""
    assert show_word(word) == shown


@pytest.mark.parametrize("word", [0, 1, 1 << 61, 1 << 62, 1 << 63, (1 << 64) - 1])
def test_every_bit_that_is_set_is_drawn_in_its_place(word: int) -> None:
    """Bit 63 stands leftmost, the two status bits apart from the rest."""
    drawn = [float(part.split()[0]) for part in bits_path(word, 0, 0).split("M")[1:]]
    bits = [b for b in range(63, -1, -1) if word >> b & 1]
    assert drawn == pytest.approx(
        [(63 - b) * BIT + (STATUS_GAP if b < 62 else 0) for b in bits], abs=0.06
    )
