"""Whether pidfds work here: asked once per program, by using each call on ourselves.

    1  pidfd_open(own pid)              gives a descriptor
    2  waitid(P_PIDFD, it, WEXITED)     must say ECHILD: nobody is its own child
    3  pidfd_send_signal(it, 0)         succeeds
    4  close

Any other answer (an old kernel, a seccomp filter, no descriptor left) means that pidfds do not
work, for the whole life of the program: a design must not change its mind half-way.

Source: Go's checkPidfd (commit 750738b5d1).
"""

from __future__ import annotations

import contextlib
import errno
import threading

from lastref.impl.errors import Errno, SyscallError
from lastref.impl.system import P_PIDFD, WEXITED, ProcessSystem


class PidfdProbe:
    """The answer for one system, found at the first question and kept."""

    def __init__(self, system: ProcessSystem) -> None:
        self._system = system
        self._asking = threading.Lock()
        self._asked = False
        self._failure: SyscallError | None = None

    @property
    def failure(self) -> SyscallError | None:
        """The first step that failed, or None if pidfds work."""
        with self._asking:
            if not self._asked:
                self._failure = _check(self._system)
                self._asked = True
        return self._failure

    @property
    def works(self) -> bool:
        """Whether pidfds work."""
        return self.failure is None


def _check(system: ProcessSystem) -> SyscallError | None:
    try:
        pidfd = system.pidfd_open(system.getpid())
    except Errno as error:
        return SyscallError("pidfd_open", error.errno)
    try:
        waited = _errno_of_wait(system, pidfd)
        if waited != errno.ECHILD:
            return SyscallError("pidfd_wait", waited)
        system.pidfd_send_signal(pidfd, 0)
    except Errno as error:
        return SyscallError("pidfd_send_signal", error.errno)
    finally:
        with contextlib.suppress(Errno):
            system.close(pidfd)
    return None


def _errno_of_wait(system: ProcessSystem, pidfd: int) -> int:
    """Return the errno of the wait on ourselves, 0 if it absurdly succeeded."""
    while True:
        try:
            system.waitid(P_PIDFD, pidfd, WEXITED)
        except Errno as error:
            if error.errno != errno.EINTR:
                return error.errno
        else:
            return 0
