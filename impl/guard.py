"""The one place from which this project sends a signal.

A suite about signalling the wrong process must never do so by accident. So kill, tgkill and
pidfd_send_signal are called here and nowhere else (a test reads the sources for it), and each call
is admitted first:

    target            strict                             library         own PID namespace
    pid > 0           registered as started by us        any             any
    pid <= 0          refused                            refused         see below
    pidfd             its process registered, or gone    any             any

Strict is the default and is for the suite: `register` a process when it is started; `forget` it
when it is reaped, since from then on the number may belong to anyone. Two harmless exceptions keep
the outcome tables possible: signal 0, which is only a question, and a number above any the kernel
hands out, which is nobody's. Library is for programs that use `Process` on processes they did not
start.

A pid of -1 means every process, so it is admitted only inside a PID namespace of our own, where
"every process" is a handful of ours. The guard does not take that on trust: it compares its
namespace with the one in which the program started. A pid of 0 means our process group, which can
reach out of the namespace when its leader is outside: then it stays refused.

The pidfd is resolved through /proc/self/fdinfo. Between the look and the call another thread could
reopen the number; for that the suite relies on every process in a stress run being its own.

Source: kill(2), pidfd_send_signal(2), pid_namespaces(7), proc_pid_fdinfo(5).
"""

from __future__ import annotations

import enum
import errno
import os
import stat

from lastref.impl import libc
from lastref.impl.errors import GuardRefused

PID_LIMIT = 1 << 22
"""No Linux kernel hands out a pid of this value or above (PID_MAX_LIMIT, proc_sys_kernel(5))."""

_GONE = -1
_UNTOLD = 0
_NAMESPACE = "/proc/self/ns/pid"


class Mode(enum.Enum):
    """Whom a guard lets a signal reach (see the module's table)."""

    STRICT = "strict"
    LIBRARY = "library"


def _namespace() -> str | None:
    try:
        return os.readlink(_NAMESPACE)
    except OSError:
        return None


# Read when the program starts. A child that moves to a namespace of its own inherits this value by
# fork, so there the two differ. Code that first imports this module inside the namespace sees no
# difference and is refused, which is the safe side to err on.
_NAMESPACE_AT_START = _namespace()


class Guard:
    """Admits or refuses each signal, then sends it."""

    def __init__(self, mode: Mode = Mode.STRICT) -> None:
        self._mode = mode
        self._started: set[int] = set()
        self._private = False

    def register(self, pid: int) -> None:
        """Note that `pid` is a process we started and have not reaped."""
        self._started.add(pid)

    def forget(self, pid: int) -> None:
        """Note that `pid` was reaped: the number is no longer ours. Unknown pids are fine."""
        self._started.discard(pid)

    def enter_private_namespace(self) -> None:
        """Admit any target, pid -1 included, because this is a PID namespace of our own.

        Raises GuardRefused unless the namespace provably differs from the program's first one.
        """
        now = _namespace()
        if now is None or _NAMESPACE_AT_START is None or now == _NAMESPACE_AT_START:
            raise GuardRefused(
                "signals to every process",
                f"this is not a PID namespace of our own ({now or 'no /proc to tell by'})",
                "unshare a PID namespace, fork into it, and call this there",
            )
        self._private = True

    def kill(self, pid: int, sig: int) -> None:
        """Send `sig` to `pid` as kill(2); Errno on failure, GuardRefused if not admitted."""
        self._admit_pid(pid, sig)
        libc.checked(libc.library().kill(pid, sig))

    def tgkill(self, tgid: int, tid: int, sig: int) -> None:
        """Send `sig` to thread `tid` of process `tgid`; errors as `kill`."""
        if tgid <= 0 or tid <= 0:
            raise self._refusal(f"tgkill({tgid}, {tid}, {sig})", "a thread has a positive number")
        self._admit_pid(tgid, sig)
        libc.syscall("tgkill", tgid, tid, sig)

    def pidfd_send_signal(self, pidfd: int, sig: int) -> None:
        """Send `sig` to the process of `pidfd`; errors as `kill`."""
        self._admit_pidfd(pidfd, sig)
        libc.syscall("pidfd_send_signal", pidfd, sig, 0, 0)

    def _admit_pid(self, pid: int, sig: int) -> None:
        asked = f"kill({pid}, {sig})"
        if pid <= 0:
            self._admit_group(pid, asked)
        elif not (self._anyone() or self._ours(pid, sig)):
            raise self._refusal(asked, f"process {pid} was not started here, or is already reaped")

    def _admit_group(self, pid: int, asked: str) -> None:
        if not self._private:
            raise self._refusal(asked, "it would reach every process, or a whole group")
        if pid == 0 and os.getpgrp() == 0:
            raise self._refusal(asked, "our process group has members outside the namespace")

    def _admit_pidfd(self, pidfd: int, sig: int) -> None:
        if self._anyone():
            return
        target = _target(pidfd)
        # Not ours at the first look may mean: reaped and forgotten by another thread in between.
        # Then the second look finds the process gone, and the kernel will say ESRCH.
        if self._reachable(target, sig) or self._reachable(_target(pidfd), sig):
            return
        raise self._refusal(
            f"pidfd_send_signal({pidfd}, {sig})",
            f"it refers to process {target}, which was not started here"
            if target != _UNTOLD
            else "its process cannot be told",
        )

    def _reachable(self, target: int | None, sig: int) -> bool:
        return target is None or target == _GONE or self._ours(target, sig)

    def _ours(self, pid: int, sig: int) -> bool:
        return pid in self._started or pid >= PID_LIMIT or (sig == 0 and pid > 0)

    def _anyone(self) -> bool:
        return self._private or self._mode is Mode.LIBRARY

    def _refusal(self, fault: str, reason: str) -> GuardRefused:
        return GuardRefused(
            fault,
            reason,
            "start the process through this suite, or use Guard(Mode.LIBRARY) for one process, "
            "or a PID namespace of our own for all",
        )


def _target(pidfd: int) -> int | None:
    """Return the pid behind a pidfd: -1 if reaped, 0 if it cannot be told, None if no process.

    None means that the number is closed, or open on something the kernel answers with EBADF.
    """
    try:
        # A /proc/<pid> directory is the one other thing that pidfd_send_signal accepts.
        if stat.S_ISDIR(os.fstat(pidfd).st_mode):
            return _UNTOLD
        with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("Pid:"):
                    return int(line.split()[1])
    except OSError as error:
        # Closed is harmless. No /proc, or no descriptor left to look with, is not knowing.
        return None if error.errno == errno.EBADF else _UNTOLD
    return None
