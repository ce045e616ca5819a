"""The one place from which this project terminates a process on Windows.

A suite about terminating the wrong process must never do so by accident. TerminateProcess is called
here and nowhere else (a test reads the sources for it), and each call is admitted first:

    handle                        strict                        library
    -1, the pseudo-handle         refused: it is this process   refused
    of a process                  registered as started by us   any but this process
    of anything else, or closed   Windows' to refuse            Windows' to refuse

The handle that is looked at is the very one that is used, and it stays open in between, so no other
thread can put another process behind it. That is why a copy made for termination also has the right
to be asked for its pid (windows_system.py).

`register` a process when it is started; `forget` it when no handle pins its pid any more.

Source: TerminateProcess and GetProcessId in Microsoft's documentation of processthreadsapi.h.
"""

from __future__ import annotations

import os

from lastref.impl import windows_api
from lastref.impl.errors import GuardRefused, Win32Error
from lastref.impl.guard import Mode
from lastref.impl.windows_api import CURRENT_PROCESS

_PSEUDO = {CURRENT_PROCESS, CURRENT_PROCESS & 0xFFFFFFFF, CURRENT_PROCESS & (1 << 64) - 1}


class TerminationGuard:
    """Admits or refuses each termination, then performs it."""

    def __init__(self, mode: Mode = Mode.STRICT) -> None:
        self._mode = mode
        self._started: set[int] = set()

    def register(self, pid: int) -> None:
        """Note that `pid` is a process we started, and that a handle pins it."""
        self._started.add(pid)

    def forget(self, pid: int) -> None:
        """Note that nothing pins `pid` any more. Unknown pids are fine."""
        self._started.discard(pid)

    def terminate_process(self, handle: int, exit_code: int) -> None:
        """End the process of `handle`; Win32Error on failure, GuardRefused if not admitted."""
        asked = f"TerminateProcess({handle}, {exit_code})"
        if handle in _PSEUDO:
            raise _refusal(asked, "that handle stands for this very process")
        try:
            pid = windows_api.get_process_id(handle)
        except Win32Error as error:
            # No process is behind it, so none can be hit: the caller gets Windows' own answer.
            raise Win32Error("TerminateProcess", error.code) from None
        if pid == os.getpid():
            raise _refusal(asked, "it refers to this very process")
        if self._mode is Mode.STRICT and pid not in self._started:
            raise _refusal(asked, f"it refers to process {pid}, which was not started here")
        if not windows_api.function("TerminateProcess")(handle, exit_code):
            raise windows_api.last_error("TerminateProcess")


def _refusal(fault: str, reason: str) -> GuardRefused:
    return GuardRefused(
        fault, reason, "start the process through this suite, or use Mode.LIBRARY for others"
    )
