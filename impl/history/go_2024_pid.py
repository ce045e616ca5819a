"""go-2024 in PID mode: what is left when pidfds do not work, and what a literal always is.

    wait      released? · waitid(P_PID, pid, WNOWAIT) · if it said ready: mark done, lock and
              unlock sigMu · wait4(pid) · mark done
    signal    type · pid 0? · read lock · done? released? · kill(pid) · read unlock
    release   pid = -1 · mark released

Here the word holds only the status: 0, DONE or RELEASED, and whoever is first wins. The pid stays a
zombie's until wait4, every Signal that read "ok" holds the read lock, and Wait takes the write lock
between "done" and wait4: so no Signal can hit a recycled pid.

Known to be wrong, and kept:
  two Waits can both pass waitid; the second wait4 may reap a later child of ours (go issue 67642)
  the check for pid -1 was lost: find(-1) or literal(-1), then signal, is kill(-1) (go issue 68496)
  Release writes the pid that kill reads again: kill(-1) (documented as a data race)
  without waitid, Wait, Release, Wait is wait4(-1), which reaps any child

Source: Go commit beaf7f3282, os/exec_unix.go and wait_waitid.go.
"""

from __future__ import annotations

from lastref.impl.conventions import RELEASED_PID, UNSET_PID, ByPid
from lastref.impl.errors import AlreadyReleased, InvalidArgument, NotInitialized, ProcessDone
from lastref.impl.history import pid_calls
from lastref.impl.parts import Parts
from lastref.impl.state import ProcessState, signal_number
from lastref.impl.word import DONE, OK, RELEASED, pid_deactivate, pid_status


class PidProcess(ByPid):
    """A process addressed by its pid."""

    def __init__(self, pid: int, parts: Parts, *, status: int = OK) -> None:
        """Address `pid`; other starting words than OK are of go-2025-double and tests."""
        self._pid = parts.pid(pid)
        self._word = parts.word64(status)
        self._sig_mu = parts.lock()
        self._system = parts.system

    def wait(self) -> ProcessState:
        """Wait for the process to end, reap it, and return its state.

        InvalidArgument after Release, SyscallError("waitid") or ("wait") as the kernel says. A
        process already waited for is not noticed: the kernel says ECHILD, or finds another child.
        """
        if pid_status(self._word) == RELEASED:
            raise InvalidArgument
        if pid_calls.block_until_waitable(self._system, self._pid):
            # From here on no new Signal passes its check ...
            pid_deactivate(self._word, DONE)
            # ... and here those that had passed are waited for.
            self._sig_mu.lock()
            self._sig_mu.unlock()
        ended = pid_calls.wait4(self._system, self._pid)
        pid_deactivate(self._word, DONE)
        return ProcessState(ended.pid, ended.wait_status, ended.usage)

    def signal(self, sig: object) -> None:
        """Send `sig`; UnsupportedSignal, NotInitialized, ProcessDone, AlreadyReleased, Errno."""
        number = signal_number(sig)
        if self._pid.load_pid() == UNSET_PID:
            raise NotInitialized
        self._sig_mu.rlock()
        try:
            status = pid_status(self._word)
            if status == DONE:
                raise ProcessDone
            if status == RELEASED:
                raise AlreadyReleased
            pid_calls.kill(self._system, self._pid, number)
        finally:
            self._sig_mu.runlock()

    def release(self) -> None:
        """Give up the process without waiting for it. A second call does nothing."""
        self._pid.store_pid(RELEASED_PID)
        pid_deactivate(self._word, RELEASED)
