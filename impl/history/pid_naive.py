"""pid-naive: wait4, then mark done; the signal looks at the mark. The wait/kill race itself.

    wait      pid -1? · wait4(pid) · set done
    signal    pid -1? 0? · done? · type · kill(pid)
    release   pid = -1

Known to be wrong, and kept: between wait4 and "set done" the pid is free, the kernel gives it to
someone else, and a Signal that looks at the mark in that gap kills that someone (go issues 13987
and 16028). The gap cannot be closed by setting the mark first either: then a Signal that has
already looked is the one in the gap.

Source: os/exec_unix.go as commit cea29c4a35 found it.
"""

from __future__ import annotations

from lastref.impl.conventions import RELEASED_PID, ByPid, check_pid
from lastref.impl.errors import InvalidArgument, ProcessDone
from lastref.impl.history import pid_calls
from lastref.impl.parts import Parts
from lastref.impl.state import ProcessState, signal_number


class NaiveProcess(ByPid):
    """A process known by its pid, with a mark that comes too late."""

    def __init__(self, pid: int, parts: Parts) -> None:
        self._pid = parts.pid(pid)
        self._done = parts.flag()
        self._system = parts.system

    def wait(self) -> ProcessState:
        """Wait, reap, and return the state.

        InvalidArgument after Release; SyscallError("wait") as the kernel says, EINTR included.
        """
        if self._pid.load_pid() == RELEASED_PID:
            raise InvalidArgument
        ended = pid_calls.wait4(self._system, self._pid, again=False)
        self._done.store_flag()
        return ProcessState(ended.pid, ended.wait_status, ended.usage)

    def signal(self, sig: object) -> None:
        """Send `sig`; AlreadyReleased, NotInitialized, ProcessDone, UnsupportedSignal, Errno."""
        check_pid(self._pid)
        if self._done.load_flag():
            raise ProcessDone
        pid_calls.kill(self._system, self._pid, signal_number(sig))

    def release(self) -> None:
        """Forget the pid. A second call does nothing."""
        self._pid.store_pid(RELEASED_PID)
