"""Windows: the outcome table, the guard, what the calls return, on real processes."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

import lastref.impl
from lastref.impl import windows_api
from lastref.impl.errors import (
    GuardRefused,
    PlatformUnsupported,
    StartError,
    Win32Error,
    outcome,
)
from lastref.impl.guard import Mode
from lastref.impl.history.windows_go_2025 import WindowsSplitProcess
from lastref.impl.history.windows_swap import UNSET, WindowsSwapProcess
from lastref.impl.windows import WindowsProcess
from lastref.impl.windows_api import STILL_ACTIVE, WAIT_OBJECT_0, WAIT_TIMEOUT, Started
from lastref.impl.windows_calls import KILL, WindowsConventions
from lastref.impl.windows_guard import TerminationGuard
from lastref.impl.windows_job import Job
from lastref.impl.windows_parts import WindowsParts, observed_windows
from lastref.impl.windows_system import COPY_RIGHTS, FIND_RIGHTS, Kernel32

NEVER_A_PID = (1 << 31) - 1
INVALID_PARAMETER = "OpenProcess:INVALID_PARAMETER"
Design = type[WindowsProcess] | type[WindowsSwapProcess] | type[WindowsSplitProcess]
COUNTED: tuple[Design, ...] = (WindowsProcess, WindowsSplitProcess)
DESIGNS: tuple[Design, ...] = (*COUNTED, WindowsSwapProcess)


class Windows:
    """Real parts, and the suspended processes that a test started with them."""

    def __init__(self) -> None:
        self.guard = TerminationGuard()
        self.system = Kernel32(self.guard)
        self.parts = WindowsParts(self.system)
        self.job = Job()
        self._started: list[Started] = []

    def child(self) -> Started:
        """Start a process that does not run yet; it is ended after the test."""
        command = [os.environ["COMSPEC"], "/c", "exit", "7"]
        started = self.system.create(command, suspended=True)
        self.job.add(started.process)
        self._started.append(started)
        return started

    def ended(self) -> Started:
        """Start a process and end it."""
        child = self.child()
        self.guard.terminate_process(child.process, 7)
        windows_api.wait_for_single_object(child.process)
        return child

    def clean_up(self) -> None:
        """Close every handle; the job ends what still runs."""
        self.job.close()
        for child in self._started:
            windows_api.close_handle(child.thread)
            windows_api.close_handle(child.process)


@pytest.fixture
def windows() -> Iterator[Windows]:
    """Return real parts; after the test nothing that it started is left."""
    try:
        windows_api.function("OpenProcess")
    except PlatformUnsupported as missing:
        pytest.skip(str(missing))
    here = Windows()
    yield here
    here.clean_up()


def do(process: WindowsConventions, letter: str) -> str:
    """Perform one operation of a row and name its outcome."""
    operations = {
        "W": process.wait,
        "S": lambda: process.signal(0),
        "K": process.kill,
        "F": lambda: process.signal("a signal of another system"),
        "R": process.release,
    }
    return outcome(operations[letter])


ROWS = [
    # sequence, outcome of the last operation
    ("W", "ok"),
    ("WW", "EINVAL"),
    ("WS", "EINVAL"),
    ("WK", "EINVAL"),
    ("RW", "EINVAL"),
    ("RS", "EINVAL"),
    ("RK", "EINVAL"),
    ("RR", "EINVAL"),
    ("WR", "EINVAL"),
    ("WRS", "EINVAL"),
    ("WRW", "EINVAL"),
    ("RF", "EINVAL"),
    ("S", "EWINDOWS"),
    ("F", "EWINDOWS"),
    ("R", "nil"),
]


@pytest.mark.parametrize("design", COUNTED)
@pytest.mark.parametrize(("sequence", "expected"), ROWS)
def test_the_outcome_table_of_windows(
    windows: Windows, design: Design, sequence: str, expected: str
) -> None:
    """Every row of the table, on a process that has ended: after any first end, EINVAL."""
    process = design.find(windows.ended().pid, windows.parts)
    outcomes = [do(process, letter) for letter in sequence]
    assert outcomes[-1] == expected
    if len(sequence) == 1 and sequence != "W" and sequence != "R":
        process.release()


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [("W", "ok"), ("WS", "EINVAL"), ("WK", "EINVAL"), ("RS", "EINVAL"), ("RR", "EINVAL")],
)
def test_the_outcome_table_before_2024(windows: Windows, sequence: str, expected: str) -> None:
    """The same outcomes, but for the second Wait, which waits for this very process."""
    process = WindowsSwapProcess.find(windows.ended().pid, windows.parts)
    assert [do(process, letter) for letter in sequence][-1] == expected


@pytest.mark.parametrize("first", ["W", "R"])
def test_before_2024_a_wait_on_a_released_process_waits_for_ourselves(
    windows: Windows, first: str
) -> None:
    """W;W and R;W hand the pseudo-handle -1 to WaitForSingleObject: they hang."""

    class AboutToHangError(Exception):
        """Raised in place of the wait that would not end."""

    def before(name: str, arguments: tuple[object, ...]) -> None:
        if name == "WaitForSingleObject" and arguments == (UNSET,):
            raise AboutToHangError

    parts = observed_windows(windows.parts, before)
    process = WindowsSwapProcess.find(windows.ended().pid, parts)
    do(process, first)
    with pytest.raises(AboutToHangError):
        process.wait()
    assert windows_api.wait_for_single_object(UNSET, 0) == WAIT_TIMEOUT


@pytest.mark.parametrize("design", DESIGNS)
def test_kill_ends_a_running_process_and_wait_tells_how(windows: Windows, design: Design) -> None:
    """Kill gives nil and exit code 1; the state has the pid, which is kept for good."""
    child = windows.child()
    process = design.find(child.pid, windows.parts)
    assert outcome(process.kill) == "nil"
    state = process.wait()
    assert (state.pid, state.exit_code) == (child.pid, 1)
    assert state.times.exited >= state.times.created
    assert process.pid == child.pid


class Impatient(Kernel32):
    """A system whose waits time out at once, which an unlimited wait never does."""

    def wait_for_single_object(self, handle: int) -> int:
        """Ask instead of waiting."""
        return windows_api.wait_for_single_object(handle, 0)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_wait_that_did_not_see_the_end_is_an_error(windows: Windows, design: Design) -> None:
    """Nothing but WAIT_OBJECT_0 is an end; the process stays as it was, to be killed and waited."""
    child = windows.child()
    process = design.find(child.pid, WindowsParts(Impatient(windows.guard)))
    assert outcome(process.wait) == "WaitForSingleObject:error 258"
    assert outcome(process.kill) == "nil"
    windows_api.wait_for_single_object(child.process)
    assert process.wait().exit_code == 1


@pytest.mark.parametrize("design", DESIGNS)
def test_a_missing_process_is_not_found(windows: Windows, design: Design) -> None:
    """FindProcess fails where Linux gives an object that is done; so does -1."""
    for pid in (NEVER_A_PID, -1):
        assert outcome(partial(design.find, pid, windows.parts)) == INVALID_PARAMETER


def test_a_literal_panics(windows: Windows) -> None:
    """A value made by hand has no handle: every method of go-2024 panics."""
    for letter in "WSKR":
        process = WindowsProcess.literal(os.getpid(), windows.parts)
        assert do(process, letter).endswith("called in invalid mode")


def test_start_runs_a_program_and_its_exit_code_arrives(windows: Windows) -> None:
    """Start, Wait: the program's own exit code; a program that is not there is a StartError."""
    with WindowsProcess.start([os.environ["COMSPEC"], "/c", "exit", "7"], windows.parts) as process:
        assert process.wait().exit_code == 7
    with pytest.raises(StartError):
        WindowsProcess.start(["no-such-program-anywhere"], windows.parts)


def test_an_exit_code_of_259_is_told_as_it_is(windows: Windows) -> None:
    """STILL_ACTIVE by choice: the wait knows that the process has ended, the code does not say."""
    command = [os.environ["COMSPEC"], "/c", "exit", str(STILL_ACTIVE)]
    for design in DESIGNS:
        process = design.start(command, windows.parts)
        assert process.wait().exit_code == STILL_ACTIVE
        assert outcome(process.kill) == "EINVAL"


@pytest.mark.parametrize("wine", ["8.0", None])
@pytest.mark.parametrize("code", [1359, 5])
def test_only_wines_own_refusal_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, wine: str | None, code: int
) -> None:
    """Error 1359 under Wine, once, and counted; Windows' own errors and a second one pass on."""
    started = Started(7, 8, 9)
    answers: list[Started | Win32Error] = []

    def create(_argv: Sequence[str], _suspended: bool) -> Started:
        answer = answers.pop()
        if isinstance(answer, Win32Error):
            raise answer
        return answer

    error = Win32Error("CreateProcessW", code)
    monkeypatch.setattr(windows_api, "_create_process", create)
    monkeypatch.setattr(windows_api, "wine_version", lambda: wine)
    monkeypatch.setattr(windows_api, "REFUSALS", [])
    again = wine is not None and code == 1359
    answers[:] = [started, error]
    if again:
        assert windows_api.create_process(["a", "b c"]) == started
    else:
        with pytest.raises(Win32Error):
            windows_api.create_process(["a", "b c"])
    answers[:] = [started, error, error]
    with pytest.raises(Win32Error):
        windows_api.create_process(["d"])
    refused = windows_api.REFUSALS
    assert refused == (['a "b c"', "d"] if again else [])


def test_a_running_process_reports_259(windows: Windows) -> None:
    """The exit code before the exit is STILL_ACTIVE, and the wait times out."""
    child = windows.child()
    assert windows_api.get_exit_code_process(child.process) == STILL_ACTIVE
    assert windows_api.wait_for_single_object(child.process, 0) == WAIT_TIMEOUT


def test_find_gives_no_right_to_terminate(windows: Windows) -> None:
    """The seed's rights wait and query; only the duplicate may end the process."""
    child = windows.child()
    handle = windows_api.open_process(FIND_RIGHTS, child.pid)
    with pytest.raises(Win32Error) as refused:
        windows.guard.terminate_process(handle, 1)
    assert refused.value.kind == "TerminateProcess:ACCESS_DENIED"
    copy = windows_api.duplicate_handle(handle, COPY_RIGHTS)
    windows.guard.terminate_process(copy, 1)
    assert windows_api.wait_for_single_object(handle) == WAIT_OBJECT_0
    for used in (handle, copy):
        windows_api.close_handle(used)


def test_a_closed_handle_is_invalid_for_every_call(windows: Windows) -> None:
    """Any use of a closed value, and a second close, is error 6."""
    child = windows.child()
    handle = windows_api.open_process(FIND_RIGHTS, child.pid)
    windows_api.close_handle(handle)
    for call in (
        windows_api.wait_for_single_object,
        windows_api.get_exit_code_process,
        windows_api.get_process_times,
        windows.system.duplicate_handle,
        windows_api.close_handle,
        lambda value: windows.guard.terminate_process(value, 1),
    ):
        assert outcome(partial(call, handle)).endswith(":INVALID_HANDLE")


def test_an_open_handle_pins_the_pid(windows: Windows) -> None:
    """A process that has ended is still found by its pid while somebody holds a handle."""
    child = windows.ended()
    handle = windows_api.open_process(FIND_RIGHTS, child.pid)
    assert windows_api.get_process_id(handle) == child.pid
    windows_api.close_handle(handle)


@pytest.mark.parametrize("pseudo", [-1, 0xFFFFFFFF, (1 << 64) - 1])
@pytest.mark.parametrize("mode", Mode)
def test_the_guard_never_ends_this_process(pseudo: int, mode: Mode) -> None:
    """The pseudo-handle, however it is written, is refused before any call, in any mode."""
    with pytest.raises(GuardRefused, match="this very process"):
        TerminationGuard(mode).terminate_process(pseudo, 1)


def test_the_guard_never_ends_this_process_through_a_real_handle(windows: Windows) -> None:
    """A handle that OpenProcess gives for our own pid is refused, even in library mode."""
    handle = windows_api.open_process(COPY_RIGHTS, os.getpid())
    with pytest.raises(GuardRefused, match="this very process"):
        TerminationGuard(Mode.LIBRARY).terminate_process(handle, 1)
    windows_api.close_handle(handle)


def test_the_guard_refuses_a_process_that_was_not_started_here(windows: Windows) -> None:
    """Strict admits what was registered and not forgotten; library admits it all the same."""
    child = windows.child()
    with pytest.raises(GuardRefused, match="not started here"):
        TerminationGuard().terminate_process(child.process, 1)
    windows.guard.forget(child.pid)
    with pytest.raises(GuardRefused, match="not started here"):
        windows.guard.terminate_process(child.process, 1)
    assert windows_api.wait_for_single_object(child.process, 0) == WAIT_TIMEOUT
    TerminationGuard(Mode.LIBRARY).terminate_process(child.process, 1)


def test_signal_9_is_the_only_signal(windows: Windows) -> None:
    """True is no signal, and neither is any number but KILL's."""
    child = windows.child()
    process = WindowsProcess.find(child.pid, windows.parts)
    for other in (0, 1, 15, True, "9", 9.5, None):
        assert outcome(partial(process.signal, other)) == "EWINDOWS"
    assert windows_api.wait_for_single_object(child.process, 0) == WAIT_TIMEOUT
    assert outcome(lambda: process.signal(KILL)) == "nil"
    process.release()


def test_a_terminated_process_cannot_be_terminated_again(windows: Windows) -> None:
    """Windows denies it (5). Wine does not, so there is nothing to check under Wine."""
    if windows_api.wine_version() is not None:
        pytest.skip(f"Wine {windows_api.wine_version()} says success, Windows says error 5")
    child = windows.ended()
    process = WindowsProcess.find(child.pid, windows.parts)
    assert outcome(process.kill) == "TerminateProcess:ACCESS_DENIED"
    process.release()


def test_only_the_guard_terminates() -> None:
    """No other file of the implementation names TerminateProcess in a call or a subscript."""
    folder = Path(lastref.impl.__path__[0])
    callers = set()
    for source in folder.rglob("*.py"):
        if "tests" in source.parts:
            continue
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                named = [a.value for a in node.args if isinstance(a, ast.Constant)]
                target = node.func.attr if isinstance(node.func, ast.Attribute) else ""
                fetched = target == "function" and "TerminateProcess" in named
                if fetched or target == "TerminateProcess":
                    callers.add(source.name)
    assert callers == {"windows_guard.py"}
