"""What every design offers in the same way, because the designs do not differ in it.

`Conventions` gives kill in terms of signal, the pid as a user reads it, and the context manager.
`ByPid` adds the constructors of the designs that know a process by nothing but its pid.
`check_pid` is the reading of the two pids that mean no process.
"""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from lastref.impl.cells import PidCell
from lastref.impl.errors import AlreadyReleased, NotInitialized
from lastref.impl.parts import Parts
from lastref.impl.state import ProcessState
from lastref.impl.system import Child

RELEASED_PID = -1
UNSET_PID = 0


class Conventions(ABC):
    """A process of some design. As a context manager it releases at the end."""

    _pid: PidCell

    @property
    def pid(self) -> int:
        """The public field, read as any user would: with no ordering."""
        return self._pid.load_pid()

    @abstractmethod
    def wait(self) -> ProcessState:
        """Wait for the process to end, reap it, and return its state."""

    @abstractmethod
    def signal(self, sig: object) -> None:
        """Send a signal."""

    @abstractmethod
    def release(self) -> None:
        """Give up the process without waiting for it."""

    def kill(self) -> None:
        """Send SIGKILL; errors as `signal`."""
        self.signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class ByPid(Conventions):
    """A process known by its pid alone: every way to one is the same."""

    @abstractmethod
    def __init__(self, pid: int, parts: Parts) -> None: ...

    @classmethod
    def start(cls, argv: Sequence[str], parts: Parts) -> Self:
        """Start `argv`; StartError if that fails."""
        return cls.adopt(parts.system.spawn(argv, pidfd=False), parts)

    @classmethod
    def adopt(cls, child: Child, parts: Parts) -> Self:
        """Return the process of a child just started; a pidfd of it stays the caller's."""
        return cls(child.pid, parts)

    @classmethod
    def find(cls, pid: int, parts: Parts) -> Self:
        """Return a process with that pid, whether there is one or not."""
        return cls(pid, parts)

    @classmethod
    def literal(cls, pid: int, parts: Parts) -> Self:
        """Return a process made by hand with only its pid; it works like any other."""
        return cls(pid, parts)


def check_pid(pid: PidCell) -> None:
    """Raise AlreadyReleased or NotInitialized for the pids -1 and 0.

    One read serves both comparisons. Go's source has two, of a plain field, which its compiler is
    free to make one; no outcome tells the difference.
    """
    value = pid.load_pid()
    if value == RELEASED_PID:
        raise AlreadyReleased
    if value == UNSET_PID:
        raise NotInitialized
