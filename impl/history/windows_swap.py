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

from lastref.impl.errors import InvalidArgument, ProcessDone, ProcessError
from lastref.impl.windows_api import CURRENT_PROCESS
from lastref.impl.windows_calls import WindowsConventions, WindowsState, send, wait_for_exit
from lastref.impl.windows_parts import WindowsParts

UNSET = CURRENT_PROCESS
"""INVALID_HANDLE_VALUE, which as a process handle is not invalid at all."""
_ZERO_VALUE = 0


class WindowsSwapProcess(WindowsConventions):
    """A process whose handle is taken out of its field by whoever is done with it."""

    def __init__(self, pid: int, handle: int | None, parts: WindowsParts) -> None:
        """Own `handle` from now on; what a literal has, 0, is taken for a real one."""
        self.pid = pid
        self._handle = parts.handle(_ZERO_VALUE if handle is None else handle)
        self._done = parts.flag()
        self._system = parts.system

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
