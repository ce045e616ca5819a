"""What the Windows kernel model assumes of Windows, each line asked of the real one.

As :mod:`~lastref.conformance.kernel_facts` for Linux: the proofs see Windows through
`model/kernel_windows.py`, so every promise of handles that it is built on is a check here, on real
processes.  Where Wine is known to differ from Windows the line is skipped there, and strict on
Windows itself.

Source: Microsoft's documentation of processthreadsapi.h, synchapi.h and handleapi.h.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lastref.conformance.kernel_stage import NotSo, TooOld, expect
from lastref.conformance.probes_windows import ROUNDS, reused_values
from lastref.conformance.real import Found, RealTask
from lastref.conformance.results import Verdict
from lastref.conformance.stage_windows import EXIT_CODE, WindowsStage, WindowsStageProcess
from lastref.impl import windows_api
from lastref.impl.errors import ProcessError, Refusal, Win32Error
from lastref.impl.windows_api import PROCESS_QUERY_LIMITED_INFORMATION, STILL_ACTIVE, WAIT_TIMEOUT
from lastref.impl.windows_system import FIND_RIGHTS

ACCESS_DENIED, INVALID_HANDLE, INVALID_PARAMETER = 5, 6, 87
NEVER_A_PID = 0xFFFFFFF0
SYSTEM_PID = 4
MOST_SECONDS = 60
"""So long a process may be found, at most, after its last handle was closed here."""
MOST_IDS = 40_000
"""So many threads are made, at most, until a pid comes back: ids are a list that goes round."""


@dataclass(frozen=True)
class WindowsFact:
    """One line: a name, what must hold, and the check, which returns what it saw or raises."""

    id: str
    law: str
    check: Callable[[WindowsStage], str]


WINDOWS_FACTS: dict[str, WindowsFact] = {}


def fact(law: str) -> Callable[[Callable[[WindowsStage], str]], Callable[[WindowsStage], str]]:
    """Return a decorator that adds a check to `WINDOWS_FACTS`, under its name with hyphens."""

    def add(check: Callable[[WindowsStage], str]) -> Callable[[WindowsStage], str]:
        name = check.__name__.replace("_", "-")
        WINDOWS_FACTS[name] = WindowsFact(name, law, check)
        return check

    return add


def fails(code: int, call: Callable[[], object]) -> str:
    """Call, and return the error that it must fail with."""
    try:
        got = call()
    except Win32Error as error:
        expect(error.code == code, f"it failed with {error.kind}, not with error {code}")
        return f"error {code}"
    raise NotSo(f"it gave {got} instead of error {code}")


def not_under_wine(what: str) -> None:
    """Skip the line under Wine, which does ``what``."""
    version = windows_api.wine_version()
    if version is not None:
        raise TooOld(f"Wine {version} {what}; run it on Windows")


@contextlib.contextmanager
def found(child: WindowsStageProcess, rights: int = FIND_RIGHTS) -> Iterator[int]:
    """Yield a handle of the process of a pid, as FindProcess opens it."""
    handle = windows_api.open_process(rights, child.pid)
    try:
        yield handle
    finally:
        windows_api.close_handle(handle)


# ---- a process --------------------------------------------------------------------------------


@fact("a process that runs has the exit code 259, and a wait for it times out")
def process_running(stage: WindowsStage) -> str:
    """STILL_ACTIVE and WAIT_TIMEOUT."""
    with found(stage.new_process()) as handle:
        code = windows_api.get_exit_code_process(handle)
        waited = windows_api.wait_for_single_object(handle, 0)
    expect((code, waited) == (STILL_ACTIVE, WAIT_TIMEOUT), f"exit code {code}, wait {waited:#x}")
    return "259 and WAIT_TIMEOUT"


@fact("a process that has ended is waited for at once, by every handle, any number of times")
def process_ended(stage: WindowsStage) -> str:
    """There is no zombie to be reaped by one: the object tells everybody the same."""
    child = stage.new_process()
    with found(child) as one, found(child) as other:
        child.end()
        seen = {
            (windows_api.wait_for_single_object(h, 0), windows_api.get_exit_code_process(h))
            for h in (one, other, one, other)
        }
    expect(seen == {(0, EXIT_CODE)}, f"waits and exit codes were {sorted(seen)}")
    return f"WAIT_OBJECT_0 and {EXIT_CODE}, four times by two handles"


@fact("a process that chose the exit code 259 is told from one that runs by the wait alone")
def process_ended_with_259(stage: WindowsStage) -> str:
    """GetExitCodeProcess says the same of both."""
    child = stage.new_process()
    with found(child) as handle:
        stage.guard.terminate_process(child.handle, STILL_ACTIVE)
        child.await_exit()
        code = windows_api.get_exit_code_process(handle)
        waited = windows_api.wait_for_single_object(handle, 0)
    expect((code, waited) == (STILL_ACTIVE, 0), f"exit code {code}, wait {waited:#x}")
    return "259, and WAIT_OBJECT_0"


@fact("a process that has ended cannot be terminated: ACCESS_DENIED")
def process_ended_terminate(stage: WindowsStage) -> str:
    """The one answer that the model has otherwise: there it succeeds, and changes nothing."""
    not_under_wine("says success")
    child = stage.new_process()
    child.end()
    return fails(ACCESS_DENIED, lambda: stage.guard.terminate_process(child.handle, 1))


# ---- OpenProcess ------------------------------------------------------------------------------


@fact("OpenProcess of a pid that is none fails with INVALID_PARAMETER")
def open_missing(_stage: WindowsStage) -> str:
    """Of -1 too, which as a handle would be this process."""
    calls = (functools.partial(windows_api.open_process, FIND_RIGHTS, p) for p in (-1, NEVER_A_PID))
    return " and ".join(fails(INVALID_PARAMETER, call) for call in calls)


@fact("OpenProcess of the system's own process fails with ACCESS_DENIED")
def open_system(_stage: WindowsStage) -> str:
    """Not everything that exists can be opened."""
    not_under_wine("has no such process")
    return fails(ACCESS_DENIED, lambda: windows_api.open_process(FIND_RIGHTS, SYSTEM_PID))


@fact("a handle with FindProcess's rights may not terminate, and its duplicate may")
def open_rights(stage: WindowsStage) -> str:
    """Hence the duplicate in Kill."""
    child = stage.new_process()
    with found(child) as handle:
        said = fails(ACCESS_DENIED, lambda: stage.guard.terminate_process(handle, 1))
        copy = stage.system.duplicate_handle(handle)
        try:
            stage.guard.terminate_process(copy, 1)
        finally:
            windows_api.close_handle(copy)
        child.await_exit()
    return f"{said}; then the duplicate ended it"


# ---- a handle ---------------------------------------------------------------------------------


@fact("every call on a closed value fails with INVALID_HANDLE, a second close too")
def handle_closed(stage: WindowsStage) -> str:
    """Nothing remembers what a value meant."""
    with found(stage.new_process()) as handle:
        value = windows_api.duplicate_handle(handle)
    windows_api.close_handle(value)
    for call in (
        lambda: windows_api.wait_for_single_object(value, 0),
        lambda: windows_api.get_exit_code_process(value),
        lambda: windows_api.get_process_times(value),
        lambda: stage.system.duplicate_handle(value),
        lambda: windows_api.close_handle(value),
    ):
        fails(INVALID_HANDLE, call)
    return "five calls, each with error 6"


@fact("a closed value is handed out again")
def handle_reused(stage: WindowsStage) -> str:
    """At once, most often; how often is told, and no order is promised."""
    same = reused_values(stage.new_process().handle)
    expect(same > 0, f"none of {ROUNDS} closed values was the next one handed out")
    return f"{same} of {ROUNDS} closed values were the next ones handed out"


@fact("an open handle keeps the ended process, and is found by its pid")
def handle_pins_the_process(stage: WindowsStage) -> str:
    """The object, its pid and its exit code stay as long as anybody holds a handle."""
    child = stage.new_process()
    with found(child) as handle:
        child.end()
        with found(child, PROCESS_QUERY_LIMITED_INFORMATION) as later:
            told = windows_api.get_process_id(later), windows_api.get_exit_code_process(later)
        expect(told == (child.pid, EXIT_CODE), f"it is process {told[0]} with exit code {told[1]}")
        expect(windows_api.get_process_id(handle) == child.pid, "the handle has another pid")
    return "found by its pid after its end"


# ---- a pid ------------------------------------------------------------------------------------


@fact("an ended process whose handles are closed is gone: INVALID_PARAMETER")
def pid_forgotten(stage: WindowsStage) -> str:
    """Its number is free then.  Wine needs half a second, and Windows' own services may look on."""
    pid, last = _gone(stage), time.monotonic() + MOST_SECONDS
    while time.monotonic() < last:
        try:
            windows_api.close_handle(windows_api.open_process(FIND_RIGHTS, pid))
        except Win32Error as error:
            expect(error.code == INVALID_PARAMETER, f"it failed with {error.kind}")
            return f"error {INVALID_PARAMETER}"
    raise NotSo(f"it was still found after {MOST_SECONDS} s")


@fact("a pid comes back once every handle is closed, and not while one is open")
def pid_reused(stage: WindowsStage) -> str:
    """Threads and processes share one list of ids, so threads are made until it went round."""
    free = _threads_until(_gone(stage), MOST_IDS)
    if free is None:
        raise TooOld(f"{MOST_IDS} ids were handed out and the free one was not among them")
    child = stage.new_process()
    child.end()
    pinned = _threads_until(child.pid, 2 * free)
    expect(pinned is None, f"thread {pinned} has the id of a process that a handle pins")
    return f"the {free}th id handed out when it was free; pinned, not among {2 * free}"


def _gone(stage: WindowsStage) -> int:
    """Return the pid of a process that has ended and of which no handle is open."""
    child = WindowsStageProcess(stage)
    child.close()
    return child.pid


def _threads_until(wanted: int, most: int) -> int | None:
    """Make threads one after another; return which one had the id ``wanted``, if any had."""
    for number in range(1, most + 1):
        thread = threading.Thread(target=_nothing)
        thread.start()
        thread.join()
        if thread.native_id == wanted:
            return number
    return None


def _nothing() -> None:
    pass


def windows_kernel_tasks() -> Iterator[RealTask]:
    """Yield every fact as a task for `lastref verify` and `lastref kernel`."""
    for line in WINDOWS_FACTS.values():
        work = functools.partial(examine, line)
        yield RealTask(f"kernel/{line.id}", "kernel", None, "windows", work)


def examine(line: WindowsFact) -> Found:
    """Check one fact on a stage of its own."""
    told = {"law": line.law}
    try:
        with WindowsStage() as stage:
            seen = line.check(stage)
    except NotSo as error:
        return Found(Verdict.BROKEN, 1, str(error), told)
    except TooOld as error:
        return Found(Verdict.SKIPPED, 0, str(error), told)
    except (ProcessError, Refusal) as error:
        return Found(Verdict.INCOMPLETE, 0, f"the check itself failed: {error}", told)
    return Found(Verdict.PASS, 1, "", {**told, "seen": seen})
