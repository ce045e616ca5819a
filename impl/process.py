"""go-2024 in handle mode: a process behind a pidfd that its last user closes.

    start, find of a live pid      a pidfd, word = 1
    find of a missing pid          no pidfd, word = DONE
    either, pidfds not working     PidProcess (history/go_2024_pid.py)
    literal                        PidProcess, always

    wait      acquire · waitid(P_PIDFD), again on EINTR · persistent release(DONE) ·
              transient release
    signal    acquire · pidfd_send_signal · transient release
    release   pid = -1 · persistent release(RELEASED)

Every use of the pidfd is between an acquire and a transient release, so the number cannot be closed
and reopened for another process meanwhile, which is what went wrong before (go issue 67641). A Wait
that is already blocked when Release runs still succeeds, and then it is Wait that closes.

The mode is chosen once, when the process object is made, and never changes.

Source: Go commit beaf7f3282, os/exec.go, exec_unix.go and pidfd_linux.go.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Sequence
from typing import Self

from lastref.impl.cells import PlainPid
from lastref.impl.conventions import RELEASED_PID, Conventions
from lastref.impl.errors import (
    AlreadyReleased,
    Errno,
    InvalidArgument,
    ProcessDone,
    SyscallError,
)
from lastref.impl.history.go_2024_pid import PidProcess
from lastref.impl.parts import Parts
from lastref.impl.state import ProcessState, convert_esrch, signal_number
from lastref.impl.system import P_PIDFD, WEXITED, Child, WaitidResult
from lastref.impl.word import DONE, OK, PERSISTENT, RELEASED, HandleWord

_NO_HANDLE = -1


class Process(Conventions):
    """A process addressed by its pidfd."""

    def __init__(self, pid: int, handle: int, parts: Parts, *, word: int = PERSISTENT) -> None:
        """Own `handle`, a pidfd of `pid`, from now on: the last user will close it.

        `word` is the starting word; only `find` of a missing process and tests need another.
        """
        # Release overwrites the field, but with a handle nothing reads it: no shared access.
        self._pid = PlainPid(pid)
        self._handle = handle
        self._system = parts.system
        self._word = self._handle_word(parts, word)

    def _handle_word(self, parts: Parts, word: int) -> HandleWord:
        return HandleWord(parts.word64(word), self._close_handle)

    @classmethod
    def start(cls, argv: Sequence[str], parts: Parts) -> Self | PidProcess:
        """Start `argv`; StartError if that fails. PID mode if pidfds do not work here."""
        return cls.adopt(parts.system.spawn(argv, pidfd=parts.probe.works), parts)

    @classmethod
    def adopt(cls, child: Child, parts: Parts) -> Self | PidProcess:
        """Return the process of a child just started, and own its pidfd if it has one."""
        if child.pidfd is None:
            return PidProcess(child.pid, parts)
        return cls(child.pid, child.pidfd, parts)

    @classmethod
    def find(cls, pid: int, parts: Parts) -> Self | PidProcess:
        """Return the process that has `pid` now. Never fails: a missing one is already done.

        When pidfd_open fails for any other reason (no descriptor left, say), PID mode.
        """
        if not parts.probe.works:
            return PidProcess(pid, parts)
        try:
            handle = parts.system.pidfd_open(pid)
        except Errno as error:
            if error.errno != errno.ESRCH:
                return PidProcess(pid, parts)
            return cls._missing(pid, parts)
        return cls(pid, handle, parts)

    @classmethod
    def _missing(cls, pid: int, parts: Parts) -> Self | PidProcess:
        # Nothing will ever acquire from DONE, so the handle's value does not matter, and there is
        # no persistent reference because there is nothing to close.
        return cls(pid, _NO_HANDLE, parts, word=DONE)

    @classmethod
    def literal(cls, pid: int, parts: Parts) -> PidProcess:
        """Return a process made by hand with only its pid: always in PID mode."""
        return PidProcess(pid, parts)

    def wait(self) -> ProcessState:
        """Wait for the process to end, reap it, and return its state.

        ProcessDone after an earlier Wait, InvalidArgument after Release, SyscallError("waitid")
        when it is no child of ours or someone else reaped it; the word is then as before.
        """
        self._acquire(InvalidArgument)
        try:
            ended = self._reap()
            # Drops the process's own reference beside the one taken above. If Release was faster,
            # it did that and this changes nothing.
            self._word.persistent_release(DONE)
        finally:
            self._word.transient_release()
        return ProcessState(ended.pid, ended.wait_status, ended.usage)

    def signal(self, sig: object) -> None:
        """Send `sig`, a signal number.

        UnsupportedSignal for anything else, before all other checks; ProcessDone when the process
        was reaped, by us or by others; AlreadyReleased after Release; Errno as the kernel says.
        """
        number = signal_number(sig)
        self._acquire(AlreadyReleased)
        try:
            self._send(number)
        finally:
            self._word.transient_release()

    def release(self) -> None:
        """Give up the process without waiting for it. A second call does nothing."""
        self._pid.store_pid(RELEASED_PID)
        self._word.persistent_release(RELEASED)

    def _acquire(self, released: type[AlreadyReleased | InvalidArgument]) -> None:
        status = self._word.transient_acquire()
        if status == DONE:
            raise ProcessDone
        if status != OK:
            raise released

    def _reap(self) -> WaitidResult:
        while True:
            try:
                return self._system.waitid(P_PIDFD, self._handle, WEXITED)
            except Errno as error:
                if error.errno != errno.EINTR:
                    raise SyscallError("waitid", error.errno) from None

    def _send(self, number: int) -> None:
        try:
            self._system.pidfd_send_signal(self._handle, number)
        except Errno as error:
            raise convert_esrch(error) from None

    def _close_handle(self) -> None:
        # Go ignores the result, and so does this: EINTR and EIO close the descriptor too.
        with contextlib.suppress(Errno):
            self._system.close(self._handle)
