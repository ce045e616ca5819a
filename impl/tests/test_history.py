"""What is wrong with the older designs happens for real, and not in the design that fixed it."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from lastref.impl.cells import PlainPid
from lastref.impl.errors import Errno, GuardRefused, Panic, outcome
from lastref.impl.history import pid_calls
from lastref.impl.history.go_2016 import NoWaitidProcess, WaitidProcess
from lastref.impl.history.go_2023_find import FindProcess
from lastref.impl.history.go_2023_pidfd import SwapProcess
from lastref.impl.history.go_2023_reland import RelandProcess
from lastref.impl.history.go_2024_pid import PidProcess
from lastref.impl.history.go_2025 import (
    INCONSISTENT,
    NEGATIVE,
    RELEASED,
    TOO_MANY,
    Handle,
    SplitProcess,
)
from lastref.impl.history.go_2025_double import MISMATCH, DoubleProcess
from lastref.impl.process import Process
from lastref.impl.seam import Before, observed, observed_parts
from lastref.impl.state import ProcessLike
from lastref.impl.system import P_PIDFD

if TYPE_CHECKING:
    from lastref.impl.tests.conftest import Machine

SWAPPERS = [SwapProcess, FindProcess, RelandProcess]


def never(fd: int) -> None:
    """Fail: this was not to be called."""
    raise AssertionError(fd)


class Interposed:
    """Runs something just before the n-th operation of a name: another thread, in one place."""

    def __init__(self, name: str, then: Callable[[], object], nth: int = 1) -> None:
        self._name = name
        self._then = then
        self._left = nth

    def __call__(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Count; act at the right moment, and only once."""
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                self._then()


@pytest.mark.parametrize(
    ("design", "victim_hit"),
    [*((design, True) for design in SWAPPERS), (Process, False), (SplitProcess, False)],
)
@pytest.mark.parametrize("closer", ["release", "wait"])
def test_go_67641_a_closed_number_reaches_the_wrong_process(
    machine: Machine, design: Any, closer: str, victim_hit: bool
) -> None:
    """Between load and send the number is closed and reopened for a bystander of ours.

    The 2023 designs kill the bystander. From 2024 on the signaller's reference keeps the number
    open, so nothing can be reopened under it.
    """
    child, bystander = machine.zombie(), machine.child()
    assert child.pidfd is not None
    assert bystander.pidfd is not None
    number, other = child.pidfd, bystander.pidfd

    def interfere() -> None:
        import fcntl  # POSIX only; elsewhere the fixture has skipped this test

        getattr(process, closer)()
        with contextlib.suppress(OSError):
            given = fcntl.fcntl(other, fcntl.F_DUPFD_CLOEXEC, number)
            if given != number:
                os.close(given)

    parts = observed_parts(machine.parts, Interposed("pidfd_send_signal", interfere))
    process: ProcessLike = design.adopt(child, parts)
    assert outcome(process.kill) == ("EPD" if closer == "wait" and not victim_hit else "nil")
    process.release()
    os.close(other)
    if victim_hit:
        os.close(number)

    # A SIGKILL that was sent comes before this one, so the signal that ended it tells.
    machine.guard.kill(bystander.pid, signal.SIGTERM)
    ended = machine.parts.system.wait4(bystander.pid, 0).wait_status
    assert ended.signal == (signal.SIGKILL if victim_hit else signal.SIGTERM)


@pytest.mark.parametrize("design", [SwapProcess, FindProcess, RelandProcess])
def test_go_67641_without_reuse_is_a_bad_descriptor(machine: Machine, design: Any) -> None:
    """The same interleaving, when nobody reopened the number."""
    process: ProcessLike
    parts = observed_parts(
        machine.parts, Interposed("pidfd_send_signal", lambda: process.release())
    )
    process = design.adopt(machine.zombie(), parts)
    assert outcome(lambda: process.signal(0)) == "EBADF"


LITERAL = """
import os
from lastref.impl.errors import outcome
from lastref.impl.history.{module} import {design}
from lastref.impl.parts import Parts

process = {design}.literal(os.getpid(), Parts.linux())
print(outcome(lambda: process.signal(0)), outcome(process.wait), outcome(process.release))
try:
    os.fstat(0)
    print("open")
except OSError:
    print("closed")
"""


@pytest.mark.parametrize(
    ("module", "design", "printed"),
    [
        ("go_2023_pidfd", "SwapProcess", "EBADF waitid:EBADF nil closed"),
        ("go_2023_find", "FindProcess", "EBADF waitid:EBADF nil closed"),
        ("go_2023_reland", "RelandProcess", "EBADF waitid:EBADF nil closed"),
        ("go_2024_pid", "PidProcess", "nil waitid:ECHILD nil open"),
        ("go_2025", "SplitProcess", "nil waitid:ECHILD nil open"),
    ],
)
def test_go_67634_a_literals_handle_is_standard_input(
    module: str, design: str, printed: str
) -> None:
    """In 2023 the zero handle is taken for descriptor 0, and Release closes it."""
    if sys.platform != "linux":
        pytest.skip("the implementation of pidfds is Linux's")
    ran = subprocess.run(
        [sys.executable, "-c", LITERAL.format(module=module, design=design)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout.split(), ran.stderr) == (printed.split(), "")


def test_osfinderr_off_never_fails(machine: Machine) -> None:
    """GODEBUG=osfinderr=0: a process by pid, whether there is one or not, and no handle."""
    process = FindProcess.find(machine.never_a_pid, machine.parts, osfinderr=False)
    assert outcome(lambda: process.wait()) == "waitid:ECHILD"
    assert process._handle.load() == -1


@pytest.mark.parametrize("design", [PidProcess, WaitidProcess])
def test_release_between_check_and_kill_is_kill_minus_one(machine: Machine, design: Any) -> None:
    """Signal has passed its checks; Release overwrites the pid; what leaves is kill(-1).

    The guard sees it and does not let it out.
    """
    process: ProcessLike
    after_checks = Interposed("load_pid", lambda: process.release(), nth=2)
    process = design.adopt(machine.child(pidfd=False), observed_parts(machine.parts, after_checks))
    with pytest.raises(GuardRefused, match=r"kill\(-1, 0\)"):
        process.signal(0)


def refuse(name: str, number: int, idtype: int | None = None) -> Before:
    """Return a hook that makes one call fail before it reaches the kernel, as a filter would."""

    def before(called: str, arguments: tuple[Any, ...]) -> None:
        if called == name and idtype in (None, arguments[0]):
            raise Errno(number)

    return before


@pytest.mark.parametrize(
    ("design", "number", "expected"),
    [
        (SwapProcess, errno.ENOSYS, "ok"),
        (SwapProcess, errno.EPERM, "ok"),
        (SwapProcess, errno.EINVAL, "ok"),
        (FindProcess, errno.EPERM, "ok"),
        (RelandProcess, errno.ENOSYS, "ok"),
        (RelandProcess, errno.EINVAL, "ok"),
        (RelandProcess, errno.EPERM, "waitid:EPERM"),
        (Process, errno.ENOSYS, "waitid:ENOSYS"),
        (Process, errno.EPERM, "waitid:EPERM"),
        (SplitProcess, errno.ENOSYS, "waitid:ENOSYS"),
    ],
)
def test_who_falls_back_when_the_pidfd_wait_is_refused(
    machine: Machine, design: Any, number: int, expected: str
) -> None:
    """The 2023 designs may take to the pid in the middle of a Wait; from 2024 on none does."""
    parts = observed_parts(machine.parts, refuse("waitid", number, P_PIDFD))
    process: ProcessLike = design.adopt(machine.zombie(), parts)
    assert outcome(lambda: process.wait()) == expected
    process.release()


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSYS, "nil"), (errno.EPERM, "EPERM"), (errno.ESRCH, "EPD")]
)
@pytest.mark.parametrize("design", SWAPPERS)
def test_only_enosys_makes_a_signal_fall_back(
    machine: Machine, design: Any, number: int, expected: str
) -> None:
    """Any other answer of pidfd_send_signal is the answer."""
    parts = observed_parts(machine.parts, refuse("pidfd_send_signal", number))
    process: ProcessLike = design.adopt(machine.zombie(), parts)
    assert outcome(lambda: process.signal(0)) == expected
    process.release()


@pytest.mark.parametrize(
    ("design", "expected"), [(WaitidProcess, "waitid:ENOSYS"), (PidProcess, "ok")]
)
def test_a_kernel_without_waitid(machine: Machine, design: Any, expected: str) -> None:
    """In 2016 that is an error; later Wait goes straight to wait4."""
    parts = observed_parts(machine.parts, refuse("waitid", errno.ENOSYS))
    process: ProcessLike = design.adopt(machine.zombie(pidfd=False), parts)
    assert outcome(lambda: process.wait()) == expected


@pytest.mark.parametrize(
    ("design", "waited_for_all"),
    [(PidProcess, True), (SplitProcess, True), (WaitidProcess, False), (SwapProcess, False)],
)
def test_wait4_minus_one(machine: Machine, design: Any, waited_for_all: bool) -> None:
    """Without waitid, Wait, Release, Wait: done, not released, and the pid is -1 by now.

    Nothing is left to check it, so the last Wait is wait4(-1). Here it stops before the kernel.
    """
    waits: list[int] = []

    def before(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "waitid":
            raise Errno(errno.ENOSYS)
        if name == "wait4":
            waits.append(arguments[0])
            if arguments[0] == -1:
                raise Errno(errno.ECHILD)

    child = machine.zombie(pidfd=False)
    if design is WaitidProcess:
        design = NoWaitidProcess
    process: ProcessLike = design.adopt(child, observed_parts(machine.parts, before))
    process.wait()
    process.release()
    assert outcome(lambda: process.wait()) == ("wait:ECHILD" if waited_for_all else "EINVAL")
    assert waits == [child.pid] + [-1] * waited_for_all


@pytest.mark.parametrize(("again", "kind"), [(True, "wait:ECHILD"), (False, "wait:EINTR")])
def test_wait4_is_repeated_from_2023_on(machine: Machine, again: bool, kind: str) -> None:
    """An interrupted wait4 is an error of the old designs, and a second try of the new ones."""
    failures = iter([errno.EINTR, errno.ECHILD])

    def before(name: str, arguments: tuple[Any, ...]) -> None:
        raise Errno(next(failures))

    system = observed(machine.parts.system, before)
    pid = PlainPid(machine.never_a_pid)
    assert outcome(lambda: pid_calls.wait4(system, pid, again=again)) == kind


@pytest.mark.parametrize(
    ("refs", "method", "text"),
    [(-1, "acquire", NEGATIVE), (0, "release", TOO_MANY), (-1, "release", TOO_MANY)],
)
def test_go_2025_counts_that_cannot_be_panic(
    machine: Machine, refs: int, method: str, text: str
) -> None:
    """The handle's count is an int32, and below zero it is nobody's doing but a bug's."""
    handle = Handle(-1, machine.parts, refs=refs)
    with pytest.raises(Panic, match=text):
        getattr(handle, method)()


def test_go_2025_a_closed_handle_without_a_status_panics(machine: Machine) -> None:
    """The status is set before the last reference goes; else the two words contradict."""
    process = SplitProcess.adopt(machine.zombie(), machine.parts)
    assert process._handle is not None
    process._handle.release()
    assert outcome(lambda: process.signal(0)) == f"panic:{INCONSISTENT}"


def test_go_2025_acquire_can_succeed_after_release_set_its_status(machine: Machine) -> None:
    """Two words: the status was read before, and another reference keeps the handle open."""
    process: SplitProcess
    during_acquire = Interposed("compare_exchange", lambda: process.release(), nth=2)
    process = SplitProcess.adopt(machine.zombie(), observed_parts(machine.parts, during_acquire))
    assert process._handle is not None
    handle = process._handle
    assert handle.acquire()  # another user
    assert handle.acquire()  # ours, and in the middle of it Release
    assert process._status.load() == RELEASED
    handle.release()
    os.fstat(handle.fd)
    handle.release()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle.fd)


def test_go_71564_two_counts_of_one_thing_disagree(machine: Machine) -> None:
    """Acquire has counted itself in the word; Release closes by the handle's count; panic."""
    process: Any
    between_the_counts = Interposed("load", lambda: process.release(), nth=2)
    process = DoubleProcess.adopt(
        machine.zombie(), observed_parts(machine.parts, between_the_counts)
    )
    assert outcome(lambda: process.signal(0)) == f"panic:{MISMATCH}"


def test_go_71564_does_not_happen_with_one_count(machine: Machine) -> None:
    """The same place in go-2024 and go-2025: the signal or an error, and no panic."""
    for design in (Process, SplitProcess):
        for nth in (1, 2, 3):
            process: Any
            interfering = Interposed("load", lambda: process.release(), nth=nth)  # noqa: B023
            process = design.adopt(machine.zombie(), observed_parts(machine.parts, interfering))
            assert outcome(lambda: process.signal(0)) in {"nil", "REL"}  # noqa: B023
            process.release()


def test_go_2025_with_handle(machine: Machine) -> None:
    """The pidfd is open during the call; without one, or after the end, the error says which."""
    process = SplitProcess.adopt(machine.zombie(), machine.parts)
    seen: list[os.stat_result] = []
    process.with_handle(lambda fd: seen.append(os.fstat(fd)))
    assert len(seen) == 1
    process.wait()
    assert outcome(lambda: process.with_handle(never)) == "EPD"
    other = SplitProcess.adopt(machine.zombie(), machine.parts)
    other.release()
    assert outcome(lambda: other.with_handle(never)) == "REL"
    literal = SplitProcess.literal(os.getpid(), machine.parts)
    assert outcome(lambda: literal.with_handle(never)) == "ErrNoHandle"
