"""A fleet of wrong implementations: `Process` with exactly one thing done wrong, or several.

A suite that never fails proves nothing, so it is run on these too; each must be caught. They are
for tests only: nothing else imports this file, and `process.py` knows nothing of it.

    faulty(Fault.CLOSE_BEFORE_CAS).adopt(child, parts)

makes a process that looks like any other. The faults in the word override one of its small
decisions (word.py); the others override one step of wait or signal.
"""

from __future__ import annotations

import enum
import threading
from typing import ClassVar

from lastref.impl.errors import Errno, ProcessError, SyscallError
from lastref.impl.parts import Parts
from lastref.impl.process import Process
from lastref.impl.system import P_PIDFD, WEXITED, WaitidResult
from lastref.impl.word import DONE, OK, RELEASED, STATUS, HandleWord, refs_of


class Fault(enum.StrEnum):
    """What is done wrong. The value is its permanent name."""

    ACQUIRE_IGNORES_DONE = "acquire-ignores-done"
    ACQUIRE_IGNORES_RELEASED = "acquire-ignores-released"
    NO_ACQUIRE = "no-acquire"
    """The handle is used without holding a reference to it."""
    NO_RETRY = "no-retry"
    """A failed compare-and-swap is taken for a successful one."""
    RELEASE_KEEPS_REFERENCE = "release-keeps-reference"
    """The persistent release sets its status and drops nothing."""
    RELEASE_IGNORES_STATUS = "release-ignores-status"
    """The persistent reference is dropped again by whoever comes second."""
    CLOSE_BEFORE_CAS = "close-before-cas"
    CLOSE_AT_RELEASE = "close-at-release"
    """The persistent release closes, whoever still uses the handle: the habit of 2023."""
    WRONG_REASON = "wrong-reason"
    """Done is recorded as released, and released as done."""
    DONE_BEFORE_REAP = "done-before-reap"
    LEAK_ON_ERROR = "leak-on-error"
    """When the system call fails, the transient reference is not given back."""
    NO_EINTR_LOOP = "no-eintr-loop"
    ESRCH_AS_IS = "esrch-as-is"
    """A process that is gone is reported as ESRCH."""


class FaultyWord(HandleWord):
    """The word's protocol with some of its decisions made wrong."""

    __slots__ = ("_abandoned", "_faults")

    def __init__(self, faults: frozenset[Fault], sound: HandleWord) -> None:
        super().__init__(sound._word, sound._close)
        self._faults = faults
        self._abandoned: set[int] = set()

    def abandon(self) -> None:
        """Make this thread's next transient release do nothing."""
        self._abandoned.add(threading.get_ident())

    def transient_acquire(self) -> int:
        """Take a reference, wrongly."""
        if Fault.NO_ACQUIRE not in self._faults:
            return super().transient_acquire()
        status = self._word.load() & STATUS
        if status == OK:
            self.abandon()
        return status

    def transient_release(self) -> None:
        """Give a reference back, wrongly."""
        # No step lies between abandon and here, so the thread tells them together even where many
        # tasks share one.
        if threading.get_ident() in self._abandoned:
            self._abandoned.discard(threading.get_ident())
        else:
            super().transient_release()

    def persistent_release(self, reason: int) -> int:
        """Drop the persistent reference, wrongly."""
        if Fault.WRONG_REASON in self._faults:
            reason = {DONE: RELEASED, RELEASED: DONE}[reason]
        if Fault.RELEASE_IGNORES_STATUS not in self._faults:
            return super().persistent_release(reason)
        while True:
            word = self._word.load()
            if self._drop(word, self._deactivated(word, reason)):
                return OK

    def _refusing(self, word: int) -> int:
        refusing = super()._refusing(word)
        if Fault.ACQUIRE_IGNORES_DONE in self._faults:
            refusing &= ~DONE
        if Fault.ACQUIRE_IGNORES_RELEASED in self._faults:
            refusing &= ~RELEASED
        return refusing

    def _deactivated(self, word: int, reason: int) -> int:
        if Fault.RELEASE_KEEPS_REFERENCE in self._faults:
            return word | reason
        return super()._deactivated(word, reason)

    def _commit(self, word: int, desired: int) -> bool:
        return super()._commit(word, desired) or Fault.NO_RETRY in self._faults

    def _drop(self, word: int, desired: int) -> bool:
        last = refs_of(desired) == 0
        if Fault.CLOSE_BEFORE_CAS in self._faults:
            if last:
                self._close()
            return self._commit(word, desired)
        if Fault.CLOSE_AT_RELEASE in self._faults:
            dropped = self._commit(word, desired)
            if dropped and word & STATUS != desired & STATUS:
                self._close()
            return dropped
        return super()._drop(word, desired)


class FaultyProcess(Process):
    """A go-2024 process with faults; made by `faulty`."""

    faults: ClassVar[frozenset[Fault]] = frozenset()

    _word: FaultyWord

    def _handle_word(self, parts: Parts, word: int) -> FaultyWord:
        return FaultyWord(self.faults, super()._handle_word(parts, word))

    def _reap(self) -> WaitidResult:
        if Fault.DONE_BEFORE_REAP in self.faults:
            self._word.persistent_release(DONE)
        try:
            return self._reap_once() if Fault.NO_EINTR_LOOP in self.faults else super()._reap()
        except ProcessError:
            self._failed()
            raise

    def _reap_once(self) -> WaitidResult:
        try:
            return self._system.waitid(P_PIDFD, self._handle, WEXITED)
        except Errno as error:
            raise SyscallError("waitid", error.errno) from None

    def _send(self, number: int) -> None:
        try:
            if Fault.ESRCH_AS_IS in self.faults:
                self._system.pidfd_send_signal(self._handle, number)
            else:
                super()._send(number)
        except ProcessError:
            self._failed()
            raise

    def _failed(self) -> None:
        if Fault.LEAK_ON_ERROR in self.faults:
            self._word.abandon()


def faulty(*faults: Fault) -> type[FaultyProcess]:
    """Return a go-2024 `Process` class that does these things wrong, and nothing else."""
    name = "And".join(fault.name.title().replace("_", "") for fault in faults)
    return type(name or "Sound", (FaultyProcess,), {"faults": frozenset(faults)})
