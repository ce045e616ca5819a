"""The outcome table of go-2024 on Windows, row by row: the table, the model, the real thing.

Source: Go commit beaf7f3282, exec.go and exec_windows.go, and its own tests.
"""

from __future__ import annotations

import os

import pytest

from lastref.conformance.replay import replay
from lastref.conformance.sequences import replay_from
from lastref.conformance.stage_windows import WindowsStage
from lastref.conformance.subjects_windows import WINDOWS_SUBJECTS
from lastref.conformance.trace import parse
from lastref.impl import windows_api
from lastref.impl.errors import outcome
from lastref.impl.history.windows_go_2025 import WindowsSplitProcess
from lastref.impl.history.windows_swap import WindowsSwapProcess
from lastref.impl.windows import WindowsProcess
from lastref.impl.windows_calls import KILL, WindowsConventions
from lastref.impl.windows_parts import WindowsParts
from lastref.model import designs
from lastref.model.designs import way_in
from lastref.model.outcomes import LETTERS, run, sequences

ACQUIRE = "panic:handleTransientAcquire called in invalid mode"
RELEASE = "panic:handlePersistentRelease called in invalid mode"
METHODS = {letter: method for method, letter in LETTERS.items()}
NEVER_A_PID = 0xFFFFFFF0
MADE: dict[str, type[WindowsProcess | WindowsSplitProcess | WindowsSwapProcess]] = {
    "go-2016": WindowsSwapProcess,
    "go-2024": WindowsProcess,
    "go-2025": WindowsSplitProcess,
}

ROWS = [
    # calls on a process that has ended, outcome of the last one
    ("W;W", "EINVAL"),
    ("W;S", "EINVAL"),
    ("W;K", "EINVAL"),
    ("R;W", "EINVAL"),
    ("R;S", "EINVAL"),
    ("R;K", "EINVAL"),
    ("R;R", "EINVAL"),
    ("W;R", "EINVAL"),
    ("W;R;S", "EINVAL"),
    ("W;R;W", "EINVAL"),
    ("R;F", "EINVAL"),
    ("S", "EWINDOWS"),
    ("F", "EWINDOWS"),
    ("K", "nil"),
    ("W", "ok"),
    ("R", "nil"),
]
LITERAL_ROWS = [
    # calls on a process object made by hand, outcome of the first one: no other is made after it
    ("W", ACQUIRE),
    ("S", ACQUIRE),
    ("K", ACQUIRE),
    ("F", ACQUIRE),
    ("R", RELEASE),
]


def called(process: WindowsConventions, letter: str) -> str:
    """Make a call and name its outcome."""
    calls = {
        "W": process.wait,
        "S": lambda: process.signal(0),
        "K": lambda: process.signal(KILL),
        "F": lambda: process.signal("a signal of another system"),
        "R": process.release,
    }
    return outcome(calls[letter])


@pytest.mark.parametrize(("row", "expected"), ROWS)
@pytest.mark.parametrize("design", ["go-2024", "go-2025"])
def test_a_row_on_a_process_that_has_ended(
    windows_stage: WindowsStage, design: str, row: str, expected: str
) -> None:
    """The model says what the table says, and the real calls return it."""
    calls = tuple(METHODS[letter] for letter in row.split(";"))
    assert run(designs.get(design, "windows"), {"exited": 1}, calls).last == expected
    if row == "K" and windows_api.wine_version() is None:
        # Where nothing else follows from it, the model says what Wine says: success.
        expected = "TerminateProcess:ACCESS_DENIED"
    made = MADE[design]
    child = windows_stage.new_process()
    child.end()
    with made.find(child.pid, WindowsParts(windows_stage.system)) as process:
        assert [called(process, letter) for letter in row.split(";")][-1] == expected


@pytest.mark.parametrize(("row", "expected"), LITERAL_ROWS)
def test_a_row_on_a_process_made_by_hand(
    windows_stage: WindowsStage, row: str, expected: str
) -> None:
    """Literals of this process, of a child, of 0 and of -1 panic, as in the model."""
    table = designs.get("go-2024", "windows")
    assert run(table, table.starts["literal"], (METHODS[row],)).outcomes == (expected,)
    for pid in (os.getpid(), windows_stage.new_process().pid, 0, -1):
        process = WindowsProcess.literal(pid, WindowsParts(windows_stage.system))
        assert called(process, row) == expected


@pytest.mark.parametrize("design", ["go-2016", "go-2024", "go-2025"])
@pytest.mark.parametrize(("start", "pid"), [("find-missing", NEVER_A_PID), ("find-minus-one", -1)])
def test_a_process_that_is_not_there_is_no_object(
    windows_stage: WindowsStage, design: str, start: str, pid: int
) -> None:
    """FindProcess returns OpenProcess's error, where Linux gives an object that is done."""
    made = MADE[design]
    expected = way_in(designs.get(design, "windows"), start).outcome
    assert expected == "OpenProcess:INVALID_PARAMETER"
    assert outcome(lambda: made.find(pid, WindowsParts(windows_stage.system))) == expected


def test_every_row_is_there() -> None:
    """The columns of Windows, as the designs' table has them: none is compared by halves."""
    told = {row for row, _ in ROWS}
    assert told >= {"W;W", "W;S", "W;K", "R;W", "R;S", "R;R", "W;R", "W;R;S", "W;R;W", "R;F", "S"}
    assert {row for row, _ in LITERAL_ROWS} == set(LETTERS.values())


@pytest.mark.parametrize("start", ["start", "literal"])
@pytest.mark.parametrize("design", ["go-2016", "go-2024", "go-2025"])
def test_every_short_sequence_returns_what_the_model_says(
    windows_stage: WindowsStage, design: str, start: str
) -> None:
    """Up to two calls, every step compared; what hangs or panics ends its sequence and is left."""
    table = designs.get(design, "windows")
    if start not in table.starts:
        pytest.skip(f"{design} on Windows has no start '{start}' in the model")
    found = replay_from(table, (start,), windows_stage, WINDOWS_SUBJECTS[design, "windows"], 2)
    assert found.first is None
    assert found.replayed + found.hung == len(list(sequences(2)))
    runs = [run(table, table.starts[start], calls) for calls in sequences(2)]
    assert found.replayed == sum(r.complete for r in runs)


@pytest.mark.parametrize(
    "schedule",
    [
        "go-2024/windows?has_handle=false:wait:W1",
        "go-2024/windows?has_handle=false:kill:K1",
        "go-2024/windows?has_handle=false:release:R1",
        "go-2016/windows?handle=unopened:release:R1.R1",
    ],
)
def test_a_literal_replays(windows_stage: WindowsStage, schedule: str) -> None:
    """A process made by hand does, step by step, what its model does."""
    trace = parse(schedule)
    done = replay(trace, WINDOWS_SUBJECTS[trace.design, "windows"], windows_stage)
    assert done.divergence is None, str(done.divergence)
    assert done.steps == len(trace.steps)
