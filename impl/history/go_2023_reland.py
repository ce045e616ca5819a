"""go-2023-reland: go-2023-pidfd as it stood just before the overhaul of 2024.

    find      pidfd_open(pid): ok -> that handle · ESRCH -> a process whose pid is -2 ·
              any other error, or pidfds not working -> no handle
    wait      pid -2? -> EPD · then as before, but no PID path on EPERM
    signal    pid -2? -> EPD, before the type is looked at · then as before

The error of go-2023-find had broken callers, so FindProcess never fails again and a missing process
says so later. (That the handle is closed directly after "done", not deferred, changes no step.)

Known to be wrong, and kept: the swap of go-2023-pidfd (go issue 67641) and its handle 0 (67634);
and callers that read the pid of a missing process now see -2 (go issue 67640).

Source: the parent of Go commit beaf7f3282.
"""

from __future__ import annotations

import errno
from typing import Self

from lastref.impl.conventions import RELEASED_PID, UNSET_PID
from lastref.impl.errors import (
    AlreadyReleased,
    Errno,
    InvalidArgument,
    NotInitialized,
    ProcessDone,
)
from lastref.impl.history.go_2023_pidfd import UNSET, SwapProcess
from lastref.impl.parts import Parts

DONE_PID = -2
"""The pid of a process that was not there when it was looked for."""


class RelandProcess(SwapProcess):
    """A process of go-2023-pidfd with a third pid that means no process."""

    _fall_back_on = frozenset({errno.ENOSYS})

    @classmethod
    def find(cls, pid: int, parts: Parts) -> Self:
        """Return the process that has `pid` now, or one that is done. Never fails."""
        if not parts.probe.works:
            return super().find(pid, parts)
        try:
            handle = parts.system.pidfd_open(pid)
        except Errno as error:
            return cls(DONE_PID if error.errno == errno.ESRCH else pid, UNSET, parts)
        return cls(pid, handle, parts)

    def _check_before_wait(self) -> None:
        pid = self._pid.load_pid()
        if pid == DONE_PID:
            raise ProcessDone
        if pid == RELEASED_PID:
            raise InvalidArgument

    def _check_before_signal(self) -> None:
        pid = self._pid.load_pid()
        if pid == DONE_PID:
            raise ProcessDone
        if pid == RELEASED_PID:
            raise AlreadyReleased
        if pid == UNSET_PID:
            raise NotInitialized
