"""The other shared variables of the designs: a pid field, a done flag, a handle that is swapped.

Each is an interface with one method per access, so that a scheduler can stand before it (seam.py),
and one implementation. A design says by the kind it takes how its variable is shared:

    pid     a plain field: Release overwrites it and Signal reads it with no lock between. In Go
            this is a documented data race; in CPython a single load or store is never torn, so
            exactly the interleavings remain, which is what is to be studied
    flag    an atomic boolean that only ever goes from false to true
    handle  an atomic word with load and swap; the 2023 designs keep their pidfd in it
"""

# ruff: noqa: D102 -- a method is described by the interface it implements

from __future__ import annotations

import threading
from typing import Protocol


class PidCell(Protocol):
    """The public Pid field of a process."""

    def load_pid(self) -> int:
        """Return the pid as it is now."""
        ...

    def store_pid(self, pid: int) -> None:
        """Overwrite the pid."""
        ...


class Flag(Protocol):
    """Whether the process is done."""

    def load_flag(self) -> bool:
        """Return whether the flag is set."""
        ...

    def store_flag(self) -> None:
        """Set the flag, for good."""
        ...


class HandleCell(Protocol):
    """A handle that one thread takes out while others may still be about to use it."""

    def load(self) -> int:
        """Return the handle as it is now."""
        ...

    def swap(self, value: int) -> int:
        """Store `value` and return what was there, as one step."""
        ...


class PlainPid:
    """A `PidCell` that is one attribute."""

    __slots__ = ("_pid",)

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def load_pid(self) -> int:
        return self._pid

    def store_pid(self, pid: int) -> None:
        self._pid = pid


class PlainFlag:
    """A `Flag` that is one attribute; storing a constant is atomic as it stands."""

    __slots__ = ("_set",)

    def __init__(self) -> None:
        self._set = False

    def load_flag(self) -> bool:
        return self._set

    def store_flag(self) -> None:
        self._set = True


class LockedHandle:
    """A `HandleCell` whose swap is made one step by a lock."""

    __slots__ = ("_lock", "_value")

    def __init__(self, value: int) -> None:
        self._value = value
        self._lock = threading.Lock()

    def load(self) -> int:
        return self._value

    def swap(self, value: int) -> int:
        with self._lock:
            old, self._value = self._value, value
            return old
