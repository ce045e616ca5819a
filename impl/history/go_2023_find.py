"""go-2023-find: go-2023-pidfd, whose FindProcess opens a pidfd and can fail.

    find      pidfds not working, or osfinderr=0: as before, no handle
              pidfd_open(pid): ok -> that handle · ESRCH -> the error EPD, and no process ·
              any other error -> no handle

The added documentation speaks of ErrProcessGone; the code returns ErrProcessDone.

Known to be wrong, and kept: all of go-2023-pidfd; and no caller before had looked at the error of
FindProcess, which until then never came (go issue 65866).

Source: Go commit cdf3249d74.
"""

from __future__ import annotations

import errno
from typing import Self

from lastref.impl.errors import Errno, ProcessDone
from lastref.impl.history.go_2023_pidfd import UNSET, SwapProcess
from lastref.impl.parts import Parts


class FindProcess(SwapProcess):
    """A process of go-2023-pidfd that is looked up by pidfd."""

    @classmethod
    def find(cls, pid: int, parts: Parts, *, osfinderr: bool = True) -> Self:
        """Return the process that has `pid` now; ProcessDone if there is none.

        `osfinderr` false is the setting GODEBUG=osfinderr=0: never fail, and have no handle.
        """
        if not parts.probe.works or not osfinderr:
            return super().find(pid, parts)
        try:
            handle = parts.system.pidfd_open(pid)
        except Errno as error:
            if error.errno == errno.ESRCH:
                raise ProcessDone from None
            handle = UNSET
        return cls(pid, handle, parts)
