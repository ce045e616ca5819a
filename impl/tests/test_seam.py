"""Each design performs exactly its steps, in its order, and each passes the seam."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from lastref.impl.atomic import LockCell
from lastref.impl.errors import Errno, outcome
from lastref.impl.history.go_2016 import NoWaitidProcess, WaitidProcess
from lastref.impl.history.go_2023_pidfd import SwapProcess
from lastref.impl.history.go_2024_pid import PidProcess
from lastref.impl.history.go_2025 import SplitProcess
from lastref.impl.history.pid_naive import NaiveProcess
from lastref.impl.process import Process
from lastref.impl.seam import ObservedWord, observed, observed_parts
from lastref.impl.state import ProcessLike
from lastref.impl.system import P_PID, P_PIDFD, WEXITED, WNOWAIT

if TYPE_CHECKING:
    from lastref.impl.tests.conftest import Machine

# Short names, so that a row below is a design's whole method on a line.
SHORT = {
    "load": "load",
    "compare_exchange": "cas",
    "swap": "swap",
    "load_pid": "pid?",
    "store_pid": "pid!",
    "load_flag": "done?",
    "store_flag": "done!",
    "pidfd_send_signal": "send",
}


class Recorder:
    """Both hooks, writing down what passes."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.results: list[tuple[str, Any]] = []

    def before(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Hear that an operation is about to happen."""
        self.steps.append(SHORT.get(name, name))

    def after(self, name: str, result: Any) -> None:
        """Hear how it ended."""
        self.results.append((name, result))

    def during(self, operation: Callable[[], object]) -> str:
        """Return the steps of one operation, as one line."""
        start = len(self.steps)
        outcome(operation)
        return " ".join(self.steps[start:])


STEPS = [
    # design, wait of a zombie, signal 0 before it, release of a fresh process
    (
        Process,
        "load cas waitid load cas load cas close",
        "load cas send load cas",
        "load cas close",
    ),
    (
        PidProcess,
        "load pid? waitid cas lock unlock pid? wait4 cas",
        "pid? rlock load pid? kill runlock",
        "pid! cas",
    ),
    (
        SplitProcess,
        "load load cas waitid load cas load cas load cas close",
        "load load cas send load cas",
        "load cas load cas close",
    ),
    (
        SwapProcess,
        "pid? load waitid done! swap close",
        "pid? load send",
        "swap close pid!",
    ),
    (
        WaitidProcess,
        "pid? pid? waitid done! lock unlock pid? wait4 done!",
        "pid? rlock done? pid? kill runlock",
        "pid!",
    ),
    (
        NoWaitidProcess,
        "pid? pid? wait4 done!",
        "pid? rlock done? pid? kill runlock",
        "pid!",
    ),
    (
        NaiveProcess,
        "pid? pid? wait4 done!",
        "pid? done? pid? kill",
        "pid!",
    ),
]
BY_PID = {PidProcess, WaitidProcess, NoWaitidProcess, NaiveProcess}


@pytest.mark.parametrize(("design", "wait", "signal", "release"), STEPS)
def test_each_method_is_exactly_its_steps(
    machine: Machine, design: Any, wait: str, signal: str, release: str
) -> None:
    """No step is missing, doubled, hidden from the scheduler, or in another place."""
    recorder = Recorder()
    parts = observed_parts(machine.parts, recorder.before, recorder.after)
    has_pidfd = design not in BY_PID
    process: ProcessLike = design.adopt(machine.zombie(pidfd=has_pidfd), parts)
    assert recorder.during(lambda: process.signal(0)) == signal
    assert recorder.during(lambda: process.wait()) == wait
    released: ProcessLike = design.adopt(machine.zombie(pidfd=has_pidfd), parts)
    assert recorder.during(lambda: released.release()) == release


def test_the_hook_stands_before_the_operation(machine: Machine) -> None:
    """What the hook changes, the operation sees: nothing happened yet."""
    cell = LockCell(1)
    seen: list[int] = []

    def before(name: str, arguments: tuple[Any, ...]) -> None:
        seen.append(cell.load())
        cell.compare_exchange(1, 7)

    word = observed(cell, before)
    assert isinstance(word, ObservedWord)
    assert not word.compare_exchange(1, 2)
    assert (seen, cell.load()) == ([1], 7)


def test_after_hears_results_and_errors(machine: Machine) -> None:
    """The arguments come before, the result or the exception after, for every operation."""
    before: list[tuple[str, tuple[Any, ...]]] = []
    recorder = Recorder()
    parts = observed_parts(
        machine.parts, lambda name, arguments: before.append((name, arguments)), recorder.after
    )
    child = machine.zombie()
    assert child.pidfd is not None
    parts.system.waitid(P_PID, child.pid, WEXITED | WNOWAIT)
    parts.system.close(child.pidfd)
    with pytest.raises(Errno):
        parts.system.waitid(P_PIDFD, child.pidfd, WEXITED)
    assert before == [
        ("waitid", (P_PID, child.pid, WEXITED | WNOWAIT)),
        ("close", (child.pidfd,)),
        ("waitid", (P_PIDFD, child.pidfd, WEXITED)),
    ]
    (_, waited), closed, (failed_call, failure) = recorder.results
    assert waited.pid == child.pid
    assert closed == ("close", None)
    assert (failed_call, failure.errno) == ("waitid", errno.EBADF)


def test_only_shared_things_have_a_seam() -> None:
    """Anything else is refused, not silently left unobserved."""
    with pytest.raises(TypeError, match="no word, handle, pid, flag, lock or system"):
        observed("a string", lambda name, arguments: None)  # type: ignore[call-overload]
