"""What all designs on Windows do in the same way: the wait, the kill, the ways to a process.

    wait_for_exit   WaitForSingleObject · GetExitCodeProcess · GetProcessTimes
    terminate       DuplicateHandle(+PROCESS_TERMINATE) · TerminateProcess(1) · CloseHandle(copy)

The copy is needed because FindProcess does not ask for the right to terminate. From the duplicate
on nothing depends on the handle's value any more: the copy is this thread's own. So the value is
used for the last time, and is right or wrong for good, in DuplicateHandle.

Source: src/os/exec_windows.go at Go commit beaf7f3282.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Self

from lastref.impl.errors import NotSupportedByWindows, ProcessError, Win32Error
from lastref.impl.windows_api import WAIT_OBJECT_0, ProcessTimes
from lastref.impl.windows_parts import WindowsParts
from lastref.impl.windows_system import WindowsSystem

KILL = 9
"""Go's os.Kill: the one signal that exists on Windows. (CPython there has no SIGKILL to name.)"""

_EXIT_CODE = 1  # what a killed process exits with; Go's choice


class WindowsState(NamedTuple):
    """The end of a process: its pid, its exit code, and its times."""

    pid: int
    exit_code: int
    times: ProcessTimes


def wait_for_exit(system: WindowsSystem, pid: int, handle: int) -> WindowsState:
    """Wait until the process has ended and return its state; Win32Error as Windows says."""
    result = system.wait_for_single_object(handle)
    if result != WAIT_OBJECT_0:
        raise Win32Error("WaitForSingleObject", result)
    exit_code = system.get_exit_code_process(handle)
    return WindowsState(pid, exit_code, system.get_process_times(handle))


def terminate(system: WindowsSystem, handle: int) -> None:
    """End the process of `handle`; Win32Error as Windows says."""
    copy = system.duplicate_handle(handle)
    try:
        system.terminate_process(copy, _EXIT_CODE)
    finally:
        with contextlib.suppress(Win32Error):
            system.close_handle(copy)


def send(system: WindowsSystem, handle: int, sig: object) -> None:
    """Do what `sig` asks for: end the process for KILL, else NotSupportedByWindows."""
    if sig != KILL or isinstance(sig, bool):
        raise NotSupportedByWindows
    terminate(system, handle)


class WindowsConventions(ABC):
    """A process of some design on Windows. As a context manager it releases at the end.

    Its pid stays what it was for good, also after Release.
    """

    pid: int

    @abstractmethod
    def __init__(self, pid: int, handle: int | None, parts: WindowsParts) -> None:
        """Own `handle` from now on; None is what a literal has."""

    @classmethod
    def start(cls, argv: Sequence[str], parts: WindowsParts) -> Self:
        """Start `argv`; StartError if that fails."""
        return cls(*parts.system.spawn(argv), parts)

    @classmethod
    def adopt(cls, pid: int, handle: int, parts: WindowsParts) -> Self:
        """Return the process of a child just started, and own its handle."""
        return cls(pid, handle, parts)

    @classmethod
    def find(cls, pid: int, parts: WindowsParts) -> Self:
        """Return the process that has `pid` now; Win32Error("OpenProcess") if none has."""
        return cls(pid, parts.system.open_process(pid), parts)

    @classmethod
    def literal(cls, pid: int, parts: WindowsParts) -> Self:
        """Return a process made by hand with only its pid: it has no handle."""
        return cls(pid, None, parts)

    @abstractmethod
    def wait(self) -> WindowsState:
        """Wait for the process to end and return its state."""

    @abstractmethod
    def signal(self, sig: object) -> None:
        """Send a signal; only KILL exists."""

    @abstractmethod
    def release(self) -> None:
        """Give up the process without waiting for it; InvalidArgument the second time."""

    def kill(self) -> None:
        """End the process; errors as `signal`."""
        self.signal(KILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A Wait has released already, and then a second release is an error.
        with contextlib.suppress(ProcessError):
            self.release()
