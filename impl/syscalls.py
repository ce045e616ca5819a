"""The Linux kernel, through ctypes: `LinuxSystem`.

waitid is made as a raw system call because the kernel's has a fifth argument, the resource usage,
that libc's waitid leaves out. The pidfd calls are made by number too (syscall_numbers.py). Signals
go through the guard (guard.py), which also hears what is started and reaped.

Source: waitid(2), wait4(2), pidfd_open(2), pidfd_send_signal(2), getrusage(2).
"""

# ruff: noqa: D102 -- a method is described by the interface it implements

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

from lastref.impl import libc, spawn
from lastref.impl.guard import Guard
from lastref.impl.siginfo import Siginfo, WaitStatus
from lastref.impl.system import WNOWAIT, Child, Usage, Wait4Result, WaitidResult

_ENDED = frozenset({1, 2, 3})  # CLD_EXITED, CLD_KILLED, CLD_DUMPED: after these the child is reaped


class _Timeval(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("microseconds", ctypes.c_long)]

    seconds: int
    microseconds: int


class _Rusage(ctypes.Structure):
    """struct rusage: two times, then fourteen longs of which the first is the peak memory."""

    _fields_ = [
        ("user", _Timeval),
        ("system", _Timeval),
        ("max_rss", ctypes.c_long),
        ("_others", ctypes.c_long * 13),
    ]

    user: _Timeval
    system: _Timeval
    max_rss: int

    def usage(self) -> Usage:
        return Usage(
            self.user.seconds + self.user.microseconds / 1e6,
            self.system.seconds + self.system.microseconds / 1e6,
            self.max_rss,
        )


class LinuxSystem:
    """A `ProcessSystem` on the running Linux kernel. Every call releases the GIL."""

    def __init__(self, guard: Guard | None = None) -> None:
        """Use `guard` for signals; by default a strict one of its own."""
        self.guard = Guard() if guard is None else guard

    def spawn(self, argv: Sequence[str], *, pidfd: bool) -> Child:
        return spawn.spawn(argv, pidfd=pidfd, guard=self.guard)

    def getpid(self) -> int:
        return os.getpid()

    def pidfd_open(self, pid: int, flags: int = 0) -> int:
        return libc.syscall("pidfd_open", pid, flags)

    def pidfd_send_signal(self, pidfd: int, sig: int) -> None:
        self.guard.pidfd_send_signal(pidfd, sig)

    def kill(self, pid: int, sig: int) -> None:
        self.guard.kill(pid, sig)

    def waitid(self, idtype: int, ident: int, options: int) -> WaitidResult:
        info = Siginfo()
        rusage = _Rusage()
        libc.syscall(
            "waitid", idtype, ident, ctypes.addressof(info), options, ctypes.addressof(rusage)
        )
        if info.code in _ENDED and not options & WNOWAIT:
            self.guard.forget(info.pid)
        return WaitidResult(info.pid, info.uid, info.code, info.status, rusage.usage())

    def wait4(self, pid: int, options: int) -> Wait4Result:
        status = ctypes.c_int()
        rusage = _Rusage()
        found = libc.checked(
            libc.library().wait4(pid, ctypes.byref(status), options, ctypes.byref(rusage))
        )
        wait_status = WaitStatus(status.value if found else 0)
        if found and (wait_status.exited or wait_status.signaled):
            self.guard.forget(found)
        return Wait4Result(found, wait_status, rusage.usage())

    def close(self, fd: int) -> None:
        libc.checked(libc.library().close(fd))
