"""What the kernel's facts are made of: the list, how a fact fails, and small real situations.

Every situation cleans up after itself: a child that was started is ended and reaped, a descriptor
that was opened is closed, whatever the check in between found.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import select
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ParamSpec

from lastref.conformance.sandbox import Recycler
from lastref.conformance.stage import Stage, StageProcess
from lastref.impl import libc, syscall_numbers
from lastref.impl.errors import Errno, errno_name
from lastref.impl.system import P_PIDFD, WSTOPPED, WaitidResult

P = ParamSpec("P")

_PIDFD_THREAD = os.O_EXCL
_WCONTINUED = 8
# exit(2), which ends the calling thread alone.
_EXIT: dict[syscall_numbers.Architecture, int] = {
    "386": 1,
    "amd64": 60,
    "arm": 1,
    "generic": 93,
    "mips-o32": 4001,
    "mips-n64": 5058,
    "ppc64": 1,
    "s390x": 1,
}


class NotSo(Exception):
    """The kernel does not do what the model says."""


class TooOld(Exception):
    """The kernel lacks what the fact is about; the text says since when it is there."""


@dataclass(frozen=True)
class Fact:
    """One line of the checklist: a name, what must hold, and the check itself.

    The check returns what it saw, or raises NotSo or TooOld.  ``namespace`` is for those that need
    a PID namespace of their own.
    """

    id: str
    law: str
    check: Callable[[], str]
    namespace: bool = False


FACTS: dict[str, Fact] = {}


def fact(law: str, *, namespace: bool = False) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Return a decorator that adds a check to `FACTS`, under its name with hyphens."""

    def add(check: Callable[[], str]) -> Callable[[], str]:
        name = check.__name__.strip("_").replace("_", "-")
        FACTS[name] = Fact(name, law, check, namespace)
        return check

    return add


def expect(seen: bool, otherwise: str) -> None:
    """Raise NotSo with `otherwise` unless it was seen."""
    if not seen:
        raise NotSo(otherwise)


def fails(number: int, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> str:
    """Call, and return the name of the errno that it must fail with; NotSo if it does not."""
    try:
        got = call(*args, **kwargs)
    except Errno as error:
        expect(error.errno == number, f"it failed with {error.kind}, not {errno_name(number)}")
        return errno_name(number)
    raise NotSo(f"it gave {got} instead of {errno_name(number)}")


def pidfd_open(pid: int, flags: int = 0) -> int:
    """Make the call itself; the caller closes what it gives."""
    return libc.syscall("pidfd_open", pid, flags)


@contextlib.contextmanager
def opened(pid: int, flags: int = 0) -> Iterator[int]:
    """Yield a pidfd of `pid`."""
    pidfd = pidfd_open(pid, flags)
    try:
        yield pidfd
    finally:
        os.close(pidfd)


@contextlib.contextmanager
def nonblocking(pid: int) -> Iterator[int]:
    """Yield a pidfd with PIDFD_NONBLOCK; TooOld before Linux 5.10."""
    try:
        pidfd = pidfd_open(pid, os.O_NONBLOCK)
    except Errno as error:
        if error.errno == errno.EINVAL and kernel_release() < (5, 10):
            raise TooOld("PIDFD_NONBLOCK came with Linux 5.10") from None
        raise
    try:
        yield pidfd
    finally:
        os.close(pidfd)


@contextlib.contextmanager
def a_child() -> Iterator[tuple[Stage, StageProcess]]:
    """Start a process that waits for the end of its input."""
    with Stage() as stage:
        yield stage, stage.new_process()


@contextlib.contextmanager
def forked(action: Callable[[], None]) -> Iterator[tuple[Stage, StageProcess]]:
    """Fork a child that runs ``action``, which does not return."""
    with Stage() as stage:
        reader, hold = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                action()
            finally:
                os._exit(1)
        os.close(reader)
        child = StageProcess(stage.guard, stage.system, pid, os.pidfd_open(pid), hold)
        try:
            yield stage, child
        finally:
            child.close()


@contextlib.contextmanager
def recycling(stage: Stage) -> Iterator[Recycler]:
    """Yield a recycler of pids; only inside a PID namespace of our own."""
    stage.guard.enter_private_namespace()
    with Recycler(stage.guard) as recycler:
        yield recycler


@contextlib.contextmanager
def other_thread() -> Iterator[int]:
    """Run a second thread meanwhile; yield its number."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        assert thread.native_id is not None
        yield thread.native_id
    finally:
        end.set()
        thread.join()


def has_thread_flag(tid: int) -> bool:
    """Return whether a pidfd of a thread can be had: PIDFD_THREAD, Linux 6.9."""
    try:
        os.close(pidfd_open(tid, _PIDFD_THREAD))
    except Errno:
        return False
    return True


def leave_a_thread(reader: int, hold: int) -> None:
    """End this thread alone; another one stays until the pipe closes."""
    os.close(hold)

    def stay() -> None:
        os.read(reader, 1)
        os._exit(0)

    threading.Thread(target=stay).start()
    architecture = syscall_numbers.architecture_of(platform.machine(), 64)
    libc.library().syscall(_EXIT[architecture], 0, 0, 0, 0, 0, 0)


def task_state(pid: int, tid: int) -> str:
    """Return the state letter of one thread."""
    with open(f"/proc/{pid}/task/{tid}/stat", encoding="ascii") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def wait_for(stage: Stage, child: StageProcess, options: int) -> WaitidResult:
    """Wait for the child by its pidfd, once."""
    return stage.system.waitid(P_PIDFD, child.pidfd, options)


def end_and_reap(child: StageProcess) -> None:
    """Let the child end by itself, and reap it."""
    child.end()
    os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED)


def stopped_and_continued() -> tuple[str, str]:
    """Stop a child, continue it, and return what waitid said of both."""
    with a_child() as (stage, child):
        stage.system.pidfd_send_signal(child.pidfd, signal.SIGSTOP)
        stopped = wait_for(stage, child, WSTOPPED)
        stage.system.pidfd_send_signal(child.pidfd, signal.SIGCONT)
        continued = wait_for(stage, child, _WCONTINUED)
    expect((stopped.code, stopped.pid) == (os.CLD_STOPPED, child.pid), f"{stopped}")
    expect((continued.code, continued.pid) == (os.CLD_CONTINUED, child.pid), f"{continued}")
    return f"CLD_STOPPED, status {stopped.status}", f"CLD_CONTINUED, status {continued.status}"


def polled(fd: int, timeout: int | None = 0) -> int:
    """Return the events on `fd` within `timeout` milliseconds (None: for ever)."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return dict(poll.poll(timeout)).get(fd, 0)


def pid_shown(pidfd: int) -> int | None:
    """Return the pid that fdinfo shows for a pidfd, None if it shows none."""
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as lines:
        return next((int(line.split()[1]) for line in lines if line.startswith("Pid:")), None)


def kernel_release() -> tuple[int, int]:
    """Return the running kernel's version as (major, minor)."""
    major, minor = platform.release().split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)
