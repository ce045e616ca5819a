"""The calls that every design makes on its operating system, as one interface.

A design never reaches the kernel any other way, so a wrapper of this interface sees all it does
there (seam.py). Each call is made exactly once: no retry on EINTR, no translation of errors. What a
failed call means is for the design to say, and the designs differ in it.

Every method raises `Errno` when the call fails and `GuardRefused` when a signal is not admitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from lastref.impl.siginfo import WaitStatus

P_PID = 1
P_PIDFD = 3

WNOHANG = 0x00000001
WUNTRACED = WSTOPPED = 0x00000002
WEXITED = 0x00000004
WCONTINUED = 0x00000008
WNOWAIT = 0x01000000


class Usage(NamedTuple):
    """What a process used: processor time in seconds, peak resident memory in kibibytes."""

    user_time: float
    system_time: float
    max_rss: int


class WaitidResult(NamedTuple):
    """A child's change as waitid tells it; `pid` 0 means that WNOHANG found none."""

    pid: int
    uid: int
    code: int
    status: int
    usage: Usage

    @property
    def wait_status(self) -> WaitStatus:
        """The same as wait4 would pack it."""
        return WaitStatus.from_siginfo(self.code, self.status)


class Wait4Result(NamedTuple):
    """A child's change as wait4 tells it; `pid` 0 means that WNOHANG found none."""

    pid: int
    wait_status: WaitStatus
    usage: Usage


class Child(NamedTuple):
    """A process just started: its pid and, if asked for, a pidfd that the caller must close."""

    pid: int
    pidfd: int | None


class ProcessSystem(Protocol):
    """The operating system as the designs see it."""

    def spawn(self, argv: Sequence[str], *, pidfd: bool) -> Child:
        """Start `argv` (argv[0] is looked up on PATH); StartError if that fails."""
        ...

    def getpid(self) -> int:
        """Return the caller's own pid."""
        ...

    def pidfd_open(self, pid: int, flags: int = 0) -> int:
        """Return a new pidfd of `pid`: ESRCH if there is no such process."""
        ...

    def pidfd_send_signal(self, pidfd: int, sig: int) -> None:
        """Signal the process of `pidfd`: ESRCH once it was reaped, EBADF if it is no pidfd."""
        ...

    def kill(self, pid: int, sig: int) -> None:
        """Signal whatever process has `pid` now: ESRCH if none has."""
        ...

    def waitid(self, idtype: int, ident: int, options: int) -> WaitidResult:
        """Wait for a change of a child: ECHILD if there is none such, EINTR on a signal."""
        ...

    def wait4(self, pid: int, options: int) -> Wait4Result:
        """Wait for a child and reap it: ECHILD if there is none such, EINTR on a signal."""
        ...

    def close(self, fd: int) -> None:
        """Close a file descriptor: EBADF if it is not open."""
        ...
