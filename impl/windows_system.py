"""The calls that every design makes on Windows, as one interface, and that interface for real.

As with `ProcessSystem` a design reaches its operating system no other way, so a wrapper sees all it
does there (windows_parts.py). Each call is made exactly once, and raises `Win32Error` when it
fails, `GuardRefused` when a termination is not admitted.

Source: src/os/exec_windows.go at Go commit beaf7f3282 for the rights.
"""

# ruff: noqa: D102 -- a method is described by the interface it implements

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Protocol

from lastref.impl import windows_api
from lastref.impl.errors import StartError, Win32Error
from lastref.impl.windows_api import (
    PROCESS_QUERY_INFORMATION,
    PROCESS_QUERY_LIMITED_INFORMATION,
    PROCESS_TERMINATE,
    STANDARD_RIGHTS_READ,
    SYNCHRONIZE,
    ProcessTimes,
    Started,
)
from lastref.impl.windows_guard import TerminationGuard

FIND_RIGHTS = STANDARD_RIGHTS_READ | PROCESS_QUERY_INFORMATION | SYNCHRONIZE
"""What FindProcess asks for. Not the right to terminate, hence the duplicate in Kill."""

COPY_RIGHTS = PROCESS_TERMINATE | PROCESS_QUERY_LIMITED_INFORMATION
"""What Kill's duplicate has: Go's one right, and the guard's to see whom it is about to end."""

_FILE_NOT_FOUND, _PATH_NOT_FOUND = 2, 3


class WindowsSystem(Protocol):
    """Windows as the designs see it. Handles are ints."""

    def spawn(self, argv: Sequence[str]) -> tuple[int, int]:
        """Start `argv`; return its pid and a handle that the caller must close, or StartError."""
        ...

    def open_process(self, pid: int) -> int:
        """Return a new handle of `pid`: INVALID_PARAMETER if there is no such process."""
        ...

    def wait_for_single_object(self, handle: int) -> int:
        """Wait, without a limit, until the process of `handle` has ended; return WAIT_OBJECT_0."""
        ...

    def get_exit_code_process(self, handle: int) -> int:
        """Return the exit code; 259 while the process runs, and also if it chose that number."""
        ...

    def get_process_times(self, handle: int) -> ProcessTimes:
        """Return when the process began and ended, and its processor time."""
        ...

    def duplicate_handle(self, handle: int) -> int:
        """Return another handle of the process, with the right to terminate it."""
        ...

    def terminate_process(self, handle: int, exit_code: int) -> None:
        """End the process of `handle`, which must have the right to."""
        ...

    def close_handle(self, handle: int) -> None:
        """Close a handle; its value may mean another object from then on."""
        ...


class Kernel32:
    """A `WindowsSystem` on the running Windows (or Wine). Every call releases the GIL."""

    def __init__(self, guard: TerminationGuard | None = None) -> None:
        """Use `guard` for terminations; by default a strict one of its own."""
        self.guard = TerminationGuard() if guard is None else guard

    def create(self, argv: Sequence[str], *, suspended: bool = False) -> Started:
        """Start `argv` and tell the guard; the caller closes both handles."""
        started = windows_api.create_process(argv, suspended=suspended)
        self.guard.register(started.pid)
        return started

    def spawn(self, argv: Sequence[str]) -> tuple[int, int]:
        if not argv:
            raise StartError("", errno.EINVAL)
        try:
            started = self.create(argv)
        except Win32Error as error:
            missing = error.code in (_FILE_NOT_FOUND, _PATH_NOT_FOUND)
            raise StartError(argv[0], errno.ENOENT if missing else errno.EACCES) from error
        windows_api.close_handle(started.thread)
        return started.pid, started.process

    def open_process(self, pid: int) -> int:
        return windows_api.open_process(FIND_RIGHTS, pid)

    def wait_for_single_object(self, handle: int) -> int:
        return windows_api.wait_for_single_object(handle)

    def get_exit_code_process(self, handle: int) -> int:
        return windows_api.get_exit_code_process(handle)

    def get_process_times(self, handle: int) -> ProcessTimes:
        return windows_api.get_process_times(handle)

    def duplicate_handle(self, handle: int) -> int:
        return windows_api.duplicate_handle(handle, COPY_RIGHTS)

    def terminate_process(self, handle: int, exit_code: int) -> None:
        self.guard.terminate_process(handle, exit_code)

    def close_handle(self, handle: int) -> None:
        windows_api.close_handle(handle)
