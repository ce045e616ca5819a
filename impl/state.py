"""What a successful Wait returns, and the words all designs share about signals.

Source: Go's os.ProcessState and os.Signal.
"""

from __future__ import annotations

import errno
from typing import NamedTuple, Protocol

from lastref.impl.errors import Errno, ProcessDone, UnsupportedSignal
from lastref.impl.siginfo import WaitStatus
from lastref.impl.system import Usage


class ProcessState(NamedTuple):
    """The end of a process: its pid, how it ended, and what it had used."""

    pid: int
    status: WaitStatus
    usage: Usage


class ProcessLike(Protocol):
    """What every design's process offers. Errors are those of `lastref.impl.errors`."""

    @property
    def pid(self) -> int:
        """The public pid field, read without any ordering."""
        ...

    def wait(self) -> ProcessState:
        """Wait for the process to end, reap it, and return its state."""
        ...

    def signal(self, sig: object) -> None:
        """Send a signal."""
        ...

    def kill(self) -> None:
        """Send SIGKILL."""
        ...

    def release(self) -> None:
        """Give up the process; no other method may be called on it with effect."""
        ...


def signal_number(sig: object) -> int:
    """Return `sig` as a signal number: an int (signal.Signals is one).

    Anything else is a signal of some other kind of system: UnsupportedSignal. bool is an int to
    Python, but nobody means signal 1 by True.
    """
    if isinstance(sig, int) and not isinstance(sig, bool):
        return int(sig)
    raise UnsupportedSignal


def convert_esrch(error: Errno) -> Errno | ProcessDone:
    """Return ProcessDone for ESRCH, which says that the process was reaped; else the error."""
    return ProcessDone() if error.errno == errno.ESRCH else error
