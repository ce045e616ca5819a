"""go-2023-pidfd: a pidfd in an atomic field, taken out by Swap and closed at once.

    wait      pid -1? · h = load · no handle: PID path · waitid(P_PIDFD, h) · set done · swap, close
    signal    pid -1? 0? · type · h = load · pidfd_send_signal(h)
    release   swap(unset) · close what was there · pid = -1

Where pidfds do not work (probe, ENOSYS, and EPERM from a seccomp filter in Wait) each call falls
back to the PID path of go-2016, for that call alone.

Known to be wrong, and kept:
  between load and use another thread can swap and close: the number is then someone else's, and
  the signal reaches the wrong process (go issue 67641)
  a process made by hand has handle 0, which is taken for descriptor 0 (go issue 67634)
  on the PID path everything that is wrong with go-2016

Source: Go commit 750738b5d1.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Sequence
from typing import Self

from lastref.impl.conventions import RELEASED_PID, Conventions, check_pid
from lastref.impl.errors import Errno, InvalidArgument, ProcessDone, SyscallError
from lastref.impl.history import pid_calls
from lastref.impl.parts import Parts
from lastref.impl.state import ProcessState, convert_esrch, signal_number
from lastref.impl.system import P_PIDFD, WEXITED, Child

UNSET = -1
"""No handle. In Go all ones of an unsigned word, the invalid handle of Windows."""

_ZERO_VALUE = 0


class SwapProcess(Conventions):
    """A process whose handle is loaded by each user and closed by the first who swaps it out."""

    _fall_back_on = frozenset({errno.ENOSYS, errno.EPERM})

    def __init__(self, pid: int, handle: int, parts: Parts) -> None:
        """Own `handle`, a pidfd of `pid`, or have none if it is UNSET."""
        self._pid = parts.pid(pid)
        self._handle = parts.handle(handle)
        self._done = parts.flag()
        self._sig_mu = parts.lock()
        self._system = parts.system
        self._probe = parts.probe

    @classmethod
    def start(cls, argv: Sequence[str], parts: Parts) -> Self:
        """Start `argv`; StartError if that fails."""
        return cls.adopt(parts.system.spawn(argv, pidfd=parts.probe.works), parts)

    @classmethod
    def adopt(cls, child: Child, parts: Parts) -> Self:
        """Return the process of a child just started, and own its pidfd if it has one."""
        return cls(child.pid, UNSET if child.pidfd is None else child.pidfd, parts)

    @classmethod
    def find(cls, pid: int, parts: Parts) -> Self:
        """Return a process with that pid, whether there is one or not; it has no handle."""
        return cls(pid, UNSET, parts)

    @classmethod
    def literal(cls, pid: int, parts: Parts) -> Self:
        """Return a process made by hand: the handle field has Go's zero value."""
        return cls(pid, _ZERO_VALUE, parts)

    def wait(self) -> ProcessState:
        """Wait for the process to end, reap it, and return its state.

        InvalidArgument after Release, SyscallError("waitid") or ("wait") as the kernel says.
        """
        self._check_before_wait()
        state = self._pidfd_wait()
        return self._pid_wait() if state is None else state

    def signal(self, sig: object) -> None:
        """Send `sig`; AlreadyReleased, NotInitialized, UnsupportedSignal, ProcessDone, Errno."""
        self._check_before_signal()
        number = signal_number(sig)
        if not self._pidfd_signal(number):
            self._pid_signal(number)

    def release(self) -> None:
        """Close the handle now, whoever may be about to use it. A second call does nothing."""
        self._close_handle()
        self._pid.store_pid(RELEASED_PID)

    def _check_before_wait(self) -> None:
        if self._pid.load_pid() == RELEASED_PID:
            raise InvalidArgument

    def _check_before_signal(self) -> None:
        check_pid(self._pid)

    def _loaded_handle(self) -> int | None:
        handle = self._handle.load()
        return None if handle == UNSET or not self._probe.works else handle

    def _pidfd_wait(self) -> ProcessState | None:
        """Wait by the handle; None means to take the PID path."""
        handle = self._loaded_handle()
        if handle is None:
            return None
        while True:
            try:
                ended = self._system.waitid(P_PIDFD, handle, WEXITED)
                break
            except Errno as error:
                if error.errno == errno.EINTR:
                    continue
                # EINVAL is a kernel that has pidfds but does not wait on them yet (before 5.4).
                failed = errno.ENOSYS if error.errno == errno.EINVAL else error.errno
                if failed in self._fall_back_on:
                    return None
                raise SyscallError("waitid", failed) from None
        self._done.store_flag()
        self._close_handle()
        return ProcessState(ended.pid, ended.wait_status, ended.usage)

    def _pid_wait(self) -> ProcessState:
        if pid_calls.block_until_waitable(self._system, self._pid):
            self._done.store_flag()
            self._sig_mu.lock()
            self._sig_mu.unlock()
        ended = pid_calls.wait4(self._system, self._pid)
        self._done.store_flag()
        return ProcessState(ended.pid, ended.wait_status, ended.usage)

    def _pidfd_signal(self, number: int) -> bool:
        """Signal by the handle; False means to take the PID path."""
        handle = self._loaded_handle()
        if handle is None:
            return False
        try:
            self._system.pidfd_send_signal(handle, number)
        except Errno as error:
            if error.errno == errno.ENOSYS:
                return False
            raise convert_esrch(error) from None
        return True

    def _pid_signal(self, number: int) -> None:
        self._sig_mu.rlock()
        try:
            if self._done.load_flag():
                raise ProcessDone
            pid_calls.kill(self._system, self._pid, number)
        finally:
            self._sig_mu.runlock()

    def _close_handle(self) -> None:
        handle = self._handle.swap(UNSET)
        if handle != UNSET:
            with contextlib.suppress(Errno):
                self._system.close(handle)
