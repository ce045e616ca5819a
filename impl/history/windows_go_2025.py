"""go-2025 on Windows (Go 1.25 to 1.27): a 32-bit status, and the references in the handle itself.

    wait      acquire: done -> EPD, released -> EINVAL · WaitForSingleObject ·
              GetExitCodeProcess · GetProcessTimes · do_release(RELEASED) · release of the handle
    signal    acquire: the same · Kill: DuplicateHandle · TerminateProcess · CloseHandle(copy);
              else EWINDOWS · release of the handle
    release   do_release(RELEASED); EINVAL if it was released before. The pid is kept

The two words, with acquire and do_release, are those of go_2025.py. A Wait records *released* here,
not *done*, as in 2024.

Source: Go 1.25 os/exec.go and exec_windows.go.
"""

from __future__ import annotations

import contextlib

from lastref.impl.errors import InvalidArgument, Panic, ProcessDone, Win32Error
from lastref.impl.history.go_2025 import OK, RELEASED, Handle, TwoWords
from lastref.impl.windows import ACQUIRE_MODE
from lastref.impl.windows_calls import WindowsConventions, WindowsState, send, wait_for_exit
from lastref.impl.windows_parts import WindowsParts


class WindowsHandle(Handle):
    """A process handle with its own reference count; it is closed when the count reaches zero."""

    def __init__(self, handle: int, parts: WindowsParts) -> None:
        """Own `handle`."""
        self.fd = handle
        self._refs = parts.word32(1)
        self._windows = parts.system

    def _close(self) -> None:
        with contextlib.suppress(Win32Error):
            self._windows.close_handle(self.fd)


class WindowsSplitProcess(TwoWords, WindowsConventions):
    """A process whose status and references are two words."""

    def __init__(self, pid: int, handle: int | None, parts: WindowsParts) -> None:
        """Own `handle` from now on; None is what a literal has."""
        self.pid = pid
        self._handle = None if handle is None else WindowsHandle(handle, parts)
        self._status = parts.word32(OK)
        self._system = parts.system

    def wait(self) -> WindowsState:
        """Wait for the process to end and return its state.

        InvalidArgument after Release or an earlier Wait; Win32Error as Windows says.
        """
        handle = self._acquired()
        try:
            state = wait_for_exit(self._system, self.pid, handle.fd)
            self._do_release(RELEASED)
        finally:
            handle.release()
        return state

    def signal(self, sig: object) -> None:
        """End the process for KILL; NotSupportedByWindows for any other signal.

        InvalidArgument after Release or Wait, whatever the signal.
        """
        handle = self._acquired()
        try:
            send(self._system, handle.fd, sig)
        finally:
            handle.release()

    def release(self) -> None:
        """Give up the process without waiting for it; InvalidArgument if it was given up before."""
        if self._do_release(RELEASED) == RELEASED:
            raise InvalidArgument

    def _acquired(self) -> Handle:
        """Take a reference of the handle, or raise what the status says."""
        if self._handle is None:
            raise Panic(ACQUIRE_MODE)
        self._acquire(self._handle, InvalidArgument(), ProcessDone())
        return self._handle
