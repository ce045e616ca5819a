"""go-2024 on Windows: the same word, around a process handle that its last user closes.

    start, find of a live pid    a handle, word = 1
    find of a missing pid        OpenProcess:INVALID_PARAMETER
    literal                      the wrong mode: every method panics

    wait      acquire · WaitForSingleObject · GetExitCodeProcess · GetProcessTimes ·
              persistent release(RELEASED) · transient release
    signal    acquire · Kill: DuplicateHandle · TerminateProcess · CloseHandle(copy)
              else EWINDOWS · transient release
    release   persistent release(RELEASED); InvalidArgument if it was released before

What differs from Linux: a Wait ends with a Release of its own, so the status is never DONE, and
whatever follows a Wait gives InvalidArgument, although the commit's message promises ProcessDone;
the pid is kept; the type of a signal is looked at last.

Handle values are handed out again as soon as they are free, so the word is needed here too.

Source: src/os/exec.go and exec_windows.go at Go commit beaf7f3282.
"""

from __future__ import annotations

import contextlib

from lastref.impl.errors import InvalidArgument, Panic, ProcessDone, Win32Error
from lastref.impl.windows_calls import WindowsConventions, WindowsState, send, wait_for_exit
from lastref.impl.windows_parts import WindowsParts
from lastref.impl.word import DONE, OK, PERSISTENT, RELEASED, HandleWord

ACQUIRE_MODE = "handleTransientAcquire called in invalid mode"
RELEASE_MODE = "handlePersistentRelease called in invalid mode"


class WindowsProcess(WindowsConventions):
    """A process addressed by its handle."""

    def __init__(
        self, pid: int, handle: int | None, parts: WindowsParts, *, word: int = PERSISTENT
    ) -> None:
        """Own `handle` from now on: the last user will close it. None is a literal's mode."""
        self.pid = pid
        self._handle = handle
        self._system = parts.system
        self._word = HandleWord(parts.word64(word), self._close_handle)

    def wait(self) -> WindowsState:
        """Wait for the process to end and return its state.

        InvalidArgument after Release or an earlier Wait; Win32Error as Windows says.
        """
        handle = self._acquire()
        try:
            state = wait_for_exit(self._system, self.pid, handle)
            # Go defers a Release of its own here and drops its result: that of a second one too.
            self._word.persistent_release(RELEASED)
        finally:
            self._word.transient_release()
        return state

    def signal(self, sig: object) -> None:
        """End the process for KILL; NotSupportedByWindows for any other signal.

        InvalidArgument after Release or Wait, whatever the signal.
        """
        handle = self._acquire()
        try:
            send(self._system, handle, sig)
        finally:
            self._word.transient_release()

    def release(self) -> None:
        """Give up the process without waiting for it; InvalidArgument if it was given up before."""
        if self._handle is None:
            raise Panic(RELEASE_MODE)
        if self._word.persistent_release(RELEASED) == RELEASED:
            raise InvalidArgument

    def _acquire(self) -> int:
        if self._handle is None:
            raise Panic(ACQUIRE_MODE)
        status = self._word.transient_acquire()
        if status == DONE:
            raise ProcessDone
        if status != OK:
            raise InvalidArgument
        return self._handle

    def _close_handle(self) -> None:
        # Go ignores the result. It could only fail for a value that is not open.
        if self._handle is not None:
            with contextlib.suppress(Win32Error):
                self._system.close_handle(self._handle)
