"""go-2016: wait until the child is a zombie, stop the signallers, and only then reap it.

    wait      pid -1? · waitid(P_PID, pid, WNOWAIT) · if it said ready: set done, lock and unlock
              sigMu · wait4(pid) · set done
    signal    pid -1? 0? · read lock · done? · type · kill(pid) · read unlock
    release   pid = -1

A zombie keeps its pid. So from "ready" to wait4 the pid is nobody else's, and in that time Wait
marks the process done and passes through the write lock, behind every Signal that had not seen the
mark: the race of pid-naive is gone, where waitid exists.

Known to be wrong, and kept:
  two Waits can both pass waitid; the second wait4 may reap a later child of ours (go issue 67642)
  Release writes the pid that kill reads again: kill(-1) (documented as a data race)
  on a unix without waitid the race is as before

Source: Go commit cea29c4a35.
"""

from __future__ import annotations

from lastref.impl.conventions import RELEASED_PID, ByPid, check_pid
from lastref.impl.errors import Errno, InvalidArgument, ProcessDone, SyscallError
from lastref.impl.history import pid_calls
from lastref.impl.parts import Parts
from lastref.impl.state import ProcessState, signal_number
from lastref.impl.system import P_PID, WEXITED, WNOWAIT


class WaitidProcess(ByPid):
    """A process known by its pid, reaped only when no signal is on its way."""

    has_waitid = True
    """False in a build for a unix without waitid (wait_unimp.go): Wait then goes straight on."""

    def __init__(self, pid: int, parts: Parts) -> None:
        self._pid = parts.pid(pid)
        self._done = parts.flag()
        self._sig_mu = parts.lock()
        self._system = parts.system

    def wait(self) -> ProcessState:
        """Wait, reap, and return the state.

        InvalidArgument after Release; SyscallError("waitid") or ("wait") as the kernel says, EINTR
        included. When wait4 fails, the process stays marked done.
        """
        if self._pid.load_pid() == RELEASED_PID:
            raise InvalidArgument
        if self._block_until_waitable():
            self._done.store_flag()
            self._sig_mu.lock()
            self._sig_mu.unlock()
        ended = pid_calls.wait4(self._system, self._pid, again=False)
        self._done.store_flag()
        return ProcessState(ended.pid, ended.wait_status, ended.usage)

    def signal(self, sig: object) -> None:
        """Send `sig`; AlreadyReleased, NotInitialized, ProcessDone, UnsupportedSignal, Errno."""
        check_pid(self._pid)
        self._sig_mu.rlock()
        try:
            if self._done.load_flag():
                raise ProcessDone
            pid_calls.kill(self._system, self._pid, signal_number(sig))
        finally:
            self._sig_mu.runlock()

    def release(self) -> None:
        """Forget the pid; no lock is taken. A second call does nothing."""
        self._pid.store_pid(RELEASED_PID)

    def _block_until_waitable(self) -> bool:
        # Unlike its successors: no second try on EINTR, and ENOSYS is an error.
        if not self.has_waitid:
            return False
        try:
            self._system.waitid(P_PID, self._pid.load_pid(), WEXITED | WNOWAIT)
        except Errno as error:
            raise SyscallError("waitid", error.errno) from None
        return True


class NoWaitidProcess(WaitidProcess):
    """The same design as built for a unix without waitid."""

    has_waitid = False
