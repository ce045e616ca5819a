"""go-2025 on Windows (Go 1.25 to 1.27): a 32-bit status, and the references in the handle itself.

    wait      acquire: done -> EPD, released -> EINVAL · WaitForSingleObject ·
              GetExitCodeProcess · GetProcessTimes · do_release(RELEASED) · release of the handle
    signal    acquire: the same · Kill: DuplicateHandle · TerminateProcess · CloseHandle(copy);
              else EWINDOWS · release of the handle
    release   do_release(RELEASED); EINVAL if it was released before. The pid is kept

The two words are those of go_2025.py. A Wait records *released* here, not *done*, as in 2024.

Source: Go 1.25 os/exec.go and exec_windows.go.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Self

from lastref.impl.errors import InvalidArgument, Panic, ProcessDone, Win32Error
from lastref.impl.history.go_2025 import DONE, INCONSISTENT, OK, RELEASED, Handle
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


class WindowsSplitProcess(WindowsConventions):
    """A process whose status and references are two words."""

    def __init__(self, pid: int, handle: int | None, parts: WindowsParts) -> None:
        """Own `handle` from now on; None is what a literal has."""
        self.pid = pid
        self._handle = None if handle is None else WindowsHandle(handle, parts)
        self._status = parts.word32(OK)
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
        """Return a process made by hand with only its pid: wait and signal panic."""
        return cls(pid, None, parts)

    def wait(self) -> WindowsState:
        """Wait for the process to end and return its state.

        InvalidArgument after Release or an earlier Wait; Win32Error as Windows says.
        """
        handle = self._acquire()
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
        handle = self._acquire()
        try:
            send(self._system, handle.fd, sig)
        finally:
            handle.release()

    def release(self) -> None:
        """Give up the process without waiting for it; InvalidArgument if it was given up before."""
        if self._do_release(RELEASED) == RELEASED:
            raise InvalidArgument

    def _do_release(self, status: int) -> int:
        """Set the status if it is ok, and drop the process's reference; return what it was."""
        while True:
            found = self._status.load()
            if found != OK:
                return found
            if self._status.compare_exchange(found, status):
                break
        if self._handle is not None:
            self._handle.release()
        return OK

    def _acquire(self) -> WindowsHandle:
        """Take a reference, or raise what the status says."""
        if self._handle is None:
            raise Panic(ACQUIRE_MODE)
        status = self._status.load()
        if status == OK:
            if self._handle.acquire():
                return self._handle
            # Closed between the two reads. A status is always set before the last reference goes.
            status = self._status.load()
            if status == OK:
                raise Panic(INCONSISTENT)
        raise ProcessDone if status == DONE else InvalidArgument
