"""The designs before 2024 on Windows: the handle in an atomic field, swapped out, then closed.

    wait      load · WaitForSingleObject · GetExitCodeProcess · GetProcessTimes · set done ·
              release, whose outcome is lost
    signal    load, unset -> EINVAL · done -> EPD · Kill: DuplicateHandle · TerminateProcess ·
              CloseHandle(copy); else EWINDOWS
    release   swap(unset), was unset -> EINVAL · CloseHandle, whose error is returned

Known to be wrong, and kept:
  between a load and the use of its value Release may close it, and Windows hands the value out
  again at once: Kill ends somebody else's process (go issue 67641, on the other system)
  unset is -1, the pseudo-handle of the calling process: Wait after Release, and a second Wait,
  wait for this very process to end

Source: src/os/exec_windows.go from Go commit cea29c4a35 (2016) to the parent of beaf7f3282 (2024).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Self

from lastref.impl.errors import InvalidArgument, ProcessDone, ProcessError
from lastref.impl.windows_api import CURRENT_PROCESS
from lastref.impl.windows_calls import WindowsConventions, WindowsState, send, wait_for_exit
from lastref.impl.windows_parts import WindowsParts

UNSET = CURRENT_PROCESS
"""INVALID_HANDLE_VALUE, which as a process handle is not invalid at all."""


class WindowsSwapProcess(WindowsConventions):
    """A process whose handle is taken out of its field by whoever is done with it."""

    def __init__(self, pid: int, handle: int, parts: WindowsParts) -> None:
        """Own `handle` from now on; 0 is what a literal has."""
        self.pid = pid
        self._handle = parts.handle(handle)
        self._done = parts.flag()
        self._system = parts.system

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
        """Return a process made by hand with only its pid: handle 0, taken for a real one."""
        return cls(pid, 0, parts)

    def wait(self) -> WindowsState:
        """Wait for the process to end and return its state; Win32Error as Windows says.

        After Release, or a second time, this never returns.
        """
        state = wait_for_exit(self._system, self.pid, self._handle.load())
        self._done.store_flag()
        with contextlib.suppress(ProcessError):  # deferred in Go: nobody sees what it returns
            self.release()
        return state

    def signal(self, sig: object) -> None:
        """End the process for KILL; NotSupportedByWindows for any other signal.

        InvalidArgument after Release, ProcessDone between the end of a Wait and its release.
        """
        handle = self._handle.load()
        if handle == UNSET:
            raise InvalidArgument
        if self._done.load_flag():
            raise ProcessDone
        send(self._system, handle, sig)

    def release(self) -> None:
        """Close the handle; InvalidArgument if it is closed already, Win32Error("CloseHandle")."""
        handle = self._handle.swap(UNSET)
        if handle == UNSET:
            raise InvalidArgument
        self._system.close_handle(handle)
