"""go-2025 (Go 1.25 to 1.27): a 32-bit status, and the references in the handle itself.

    Process   pid · status: 0 ok, 1 done, 2 released · sigMu · handle, or none: PID mode
    handle    fd · refs, starts at 1

    acquire   status not ok -> that · loop { refs < 0 panic · refs 0 -> status again · +1 }
    release   of the handle: loop { refs <= 0 panic · -1 } · it was 1 -> close
    wait      acquire: done -> wait:ECHILD, released -> EINVAL · waitid(P_PIDFD) ·
              do_release(done) · release
    signal    type · acquire: EPD, REL · pidfd_send_signal · release
    release   pid = -1 · do_release(released)

Two words instead of one: an acquire that has read "ok" can still succeed after Release set its
status, as long as another reference is alive. That is harmless, because the handle is open exactly
while refs > 0. In PID mode the steps are those of go-2024, with the check for pid -1 restored.

Known to be wrong, and kept:
  find of a missing pid is marked done but has no handle, so Wait takes the PID path, which does not
  look at "done", and reaps a child that reused the pid (found-dead-wait)
  in PID mode everything else that is wrong with go-2024 there, except go issue 68496

Go also releases a handle that nobody released when the process is garbage collected. This does not:
a hidden release at an unknown moment is what no schedule could replay. Use the context manager.

Source: Go 1.25 os/exec.go, exec_unix.go, pidfd_linux.go; WithHandle is of 1.26.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Sequence
from typing import Self

from lastref.impl.atomic import AtomicWord
from lastref.impl.cells import PlainPid
from lastref.impl.conventions import RELEASED_PID, Conventions, check_pid
from lastref.impl.errors import (
    AlreadyReleased,
    Errno,
    InvalidArgument,
    NoHandle,
    Panic,
    ProcessDone,
    ProcessError,
    SyscallError,
)
from lastref.impl.history import pid_calls
from lastref.impl.parts import Parts
from lastref.impl.state import ProcessState, convert_esrch, signal_number
from lastref.impl.system import P_PIDFD, WEXITED, Child, WaitidResult

OK, DONE, RELEASED = 0, 1, 2

INCONSISTENT = "inconsistent process status"
NEGATIVE = "internal error: negative process handle reference count"
TOO_MANY = "internal error: too many releases of process handle"

_MASK = (1 << 32) - 1


def _signed(word: int) -> int:
    """Return a 32-bit word as the int32 that Go's refs is."""
    return word - (1 << 32) if word >> 31 else word


class Handle:
    """A pidfd with its own reference count; it is closed when the count reaches zero."""

    def __init__(self, fd: int, parts: Parts, *, refs: int = 1) -> None:
        """Own `fd`; other counts than 1 are for tests."""
        self.fd = fd
        self._refs = parts.word32(refs & _MASK)
        self._system = parts.system

    def acquire(self) -> bool:
        """Take a reference; False if the handle is closed; Panic if the count is negative."""
        while True:
            word = self._refs.load()
            refs = _signed(word)
            if refs < 0:
                raise Panic(NEGATIVE)
            if refs == 0:
                return False
            if self._refs.compare_exchange(word, (word + 1) & _MASK):
                return True

    def release(self) -> None:
        """Give a reference back; the last one closes.  Panic if there was none to give back."""
        while True:
            word = self._refs.load()
            refs = _signed(word)
            if refs <= 0:
                raise Panic(TOO_MANY)
            if self._refs.compare_exchange(word, word - 1):
                if refs == 1:
                    self._close()
                return

    def _close(self) -> None:
        with contextlib.suppress(Errno):
            self._system.close(self.fd)


class TwoWords:
    """The status of a process beside its counted handle, on every platform; None is no handle."""

    _status: AtomicWord
    _handle: Handle | None

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

    def _acquire(self, handle: Handle, released: ProcessError, done: ProcessError) -> None:
        """Take a reference, or raise what the caller says for the status that forbids it."""
        status = self._status.load()
        if status == OK:
            if handle.acquire():
                return
            # Closed between the two reads. A status is always set before the last reference goes.
            status = self._status.load()
            if status == OK:
                raise Panic(INCONSISTENT)
        raise done if status == DONE else released


class SplitProcess(TwoWords, Conventions):
    """A process whose status and references are two words."""

    def __init__(self, pid: int, handle: int | None, parts: Parts, *, status: int = OK) -> None:
        """Own `handle`, a pidfd of `pid`; None means PID mode."""
        self._handle = None if handle is None else Handle(handle, parts)
        self._status = parts.word32(status)
        # With a handle nothing reads the pid, so its one store is no shared access.
        self._pid = parts.pid(pid) if handle is None else PlainPid(pid)
        self._sig_mu = parts.lock()
        self._system = parts.system

    @classmethod
    def start(cls, argv: Sequence[str], parts: Parts) -> Self:
        """Start `argv`; StartError if that fails. PID mode if pidfds do not work here."""
        return cls.adopt(parts.system.spawn(argv, pidfd=parts.probe.works), parts)

    @classmethod
    def adopt(cls, child: Child, parts: Parts) -> Self:
        """Return the process of a child just started, and own its pidfd if it has one."""
        return cls(child.pid, child.pidfd, parts)

    @classmethod
    def find(cls, pid: int, parts: Parts) -> Self:
        """Return the process that has `pid` now. Never fails: a missing one is already done."""
        if not parts.probe.works:
            return cls(pid, None, parts)
        try:
            return cls(pid, parts.system.pidfd_open(pid), parts)
        except Errno as error:
            missing = error.errno == errno.ESRCH
            return cls(pid, None, parts, status=DONE if missing else OK)

    @classmethod
    def literal(cls, pid: int, parts: Parts) -> Self:
        """Return a process made by hand with only its pid: PID mode."""
        return cls(pid, None, parts)

    def wait(self) -> ProcessState:
        """Wait for the process to end, reap it, and return its state.

        SyscallError("wait", ECHILD) after an earlier Wait, InvalidArgument after Release,
        SyscallError("waitid") or ("wait") as the kernel says.
        """
        return self._pid_wait() if self._handle is None else self._pidfd_wait(self._handle)

    def signal(self, sig: object) -> None:
        """Send `sig`; UnsupportedSignal, NotInitialized, ProcessDone, AlreadyReleased, Errno."""
        number = signal_number(sig)
        if self._handle is None:
            self._pid_signal(number)
        else:
            self._pidfd_signal(self._handle, number)

    def release(self) -> None:
        """Give up the process without waiting for it. A second call does nothing."""
        self._pid.store_pid(RELEASED_PID)
        self._do_release(RELEASED)

    def with_handle(self, function: Callable[[int], None]) -> None:
        """Call `function` with the pidfd, which stays open meanwhile.

        NoHandle in PID mode, ProcessDone after Wait, AlreadyReleased after Release.
        """
        if self._handle is None:
            raise NoHandle
        self._acquire(self._handle, AlreadyReleased(), ProcessDone())
        try:
            function(self._handle.fd)
        finally:
            self._handle.release()

    def _pidfd_wait(self, handle: Handle) -> ProcessState:
        # Here "done" is the answer that a second wait on a child always gave.
        self._acquire(handle, InvalidArgument(), SyscallError("wait", errno.ECHILD))
        try:
            ended = self._reap(handle)
            self._do_release(DONE)
        finally:
            handle.release()
        return ProcessState(ended.pid, ended.wait_status, ended.usage)

    def _reap(self, handle: Handle) -> WaitidResult:
        while True:
            try:
                return self._system.waitid(P_PIDFD, handle.fd, WEXITED)
            except Errno as error:
                if error.errno != errno.EINTR:
                    raise SyscallError("waitid", error.errno) from None

    def _pidfd_signal(self, handle: Handle, number: int) -> None:
        self._acquire(handle, AlreadyReleased(), ProcessDone())
        try:
            self._system.pidfd_send_signal(handle.fd, number)
        except Errno as error:
            raise convert_esrch(error) from None
        finally:
            handle.release()

    def _pid_wait(self) -> ProcessState:
        if self._status.load() == RELEASED:
            raise InvalidArgument
        if pid_calls.block_until_waitable(self._system, self._pid):
            self._do_release(DONE)
            self._sig_mu.lock()
            self._sig_mu.unlock()
        ended = pid_calls.wait4(self._system, self._pid)
        self._do_release(DONE)
        return ProcessState(ended.pid, ended.wait_status, ended.usage)

    def _pid_signal(self, number: int) -> None:
        check_pid(self._pid)
        self._sig_mu.rlock()
        try:
            status = self._status.load()
            if status == DONE:
                raise ProcessDone
            if status == RELEASED:
                raise AlreadyReleased
            pid_calls.kill(self._system, self._pid, number)
        finally:
            self._sig_mu.runlock()
