"""Adapter for CPython's os.pidfd_open with signal.pidfd_send_signal and os.waitid(P_PIDFD).

The standard library has the calls and no class around them; this is the short one that a program
would write: a file descriptor that is closed once and for all by ``release``.

Source: https://docs.python.org/3/library/os.html#os.pidfd_open
"""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Sequence
from typing import Any

from lastref.conformance.adapters.serve import About, Failed, kind_of, serve

_CLOSED = -1


class Subject:
    """A pidfd."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)

    @classmethod
    def start(cls, argv: Sequence[str]) -> Subject:
        """Start a process; as our unreaped child its pid is certain."""
        return cls(os.posix_spawnp(argv[0], list(argv), os.environ))

    @classmethod
    def find(cls, pid: int) -> Subject:
        """Open a pidfd of a process."""
        return cls(pid)

    def wait(self) -> dict[str, Any]:
        """Wait, and reap."""
        try:
            info = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        except OSError as error:
            raise Failed(kind_of(error, "waitid"), str(error)) from error
        assert info is not None, "without WNOHANG there is a result"
        exited = info.si_code == os.CLD_EXITED
        return {"outcome": "ok", "exit_code" if exited else "exit_signal": info.si_status}

    def signal(self, number: int) -> None:
        """Send a signal."""
        signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.signal(signal.SIGKILL)

    def release(self) -> None:
        """Close the descriptor, once."""
        pidfd, self._pidfd = self._pidfd, _CLOSED
        if pidfd != _CLOSED:
            os.close(pidfd)

    def reap(self) -> dict[str, Any]:
        """Reap the child as another part of the program would."""
        os.waitpid(self.pid, 0)
        return {"outcome": "ok"}

    def drop(self) -> None:
        """Close what is still open."""
        self.release()


ABOUT = About(
    "cpython os.pidfd_open",
    platform.python_version(),
    (
        *("start", "find", "wait", "signal", "kill", "release"),
        *("reap", "exit-status", "concurrent", "pidfd"),
    ),
)

if __name__ == "__main__":
    serve(Subject, ABOUT)
