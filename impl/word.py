"""The 64-bit status/refcount word of go-2024 and its three operations.

One atomic word says both how many users a process handle has and why no new one may come:

    bit  63        62      61 ............................ 0
       +----------+------+----------------------------------+
       | RELEASED | DONE |            references            |
       +----------+------+----------------------------------+

The process itself holds one *persistent* reference from its start. Every operation that passes the
handle to the kernel holds a *transient* one meanwhile. Wait (when it succeeded) and Release drop
the persistent reference and in the same compare-and-swap set a status bit, so that nobody can
acquire any more. Whoever takes the count to zero closes the handle: the last user, not the first
releaser.

    1 --acquire--> 2 --release(RELEASED)--> RELEASED|1 --transient release--> RELEASED|0: close
    1 --release(RELEASED)--> RELEASED|0: close

A failed compare-and-swap means that another thread moved the word; the operation starts over from a
fresh load, because what it decided on the old word need not hold for the new one.

Source: Go commit beaf7f3282 (os/exec.go), handleTransientAcquire, handleTransientRelease,
handlePersistentRelease, pidDeactivate. The panic texts are Go's own.
"""

from __future__ import annotations

from collections.abc import Callable

from lastref.impl.atomic import AtomicWord
from lastref.impl.errors import Panic

OK = 0
DONE = 1 << 62
RELEASED = 1 << 63
STATUS = DONE | RELEASED
REFS = DONE - 1

PERSISTENT = 1
"""The word of a fresh handle: status OK and the one persistent reference."""

REFCOUNT_ZERO = "release of handle with refcount 0"
NO_STATUS = "final release of handle without processStatus"


def status_of(word: int) -> int:
    """Return the status bits of `word`, in place: OK, DONE or RELEASED (both is never legal)."""
    return word & STATUS


def refs_of(word: int) -> int:
    """Return the number of references in `word`, persistent and transient together."""
    return word & REFS


def show(word: int) -> str:
    """Return `word` as a reader says it, for example "released, 2 references"."""
    names = [name for bit, name in ((DONE, "done"), (RELEASED, "released")) if word & bit]
    refs = refs_of(word)
    return f"{' and '.join(names) or 'ok'}, {refs} reference{'' if refs == 1 else 's'}"


class HandleWord:
    """The protocol of a handle shared by reference: an atomic word and how to close the handle.

    `close` is called exactly once in the life of a sound user, by whichever call takes the count
    to zero. It may be called from any thread.
    """

    __slots__ = ("_close", "_word")

    def __init__(self, word: AtomicWord, close: Callable[[], None]) -> None:
        self._word = word
        self._close = close

    def transient_acquire(self) -> int:
        """Take a reference for one use; return OK, or the status that forbids it (none taken)."""
        while True:
            word = self._word.load()
            refusing = self._refusing(word)
            if refusing != OK:
                return refusing
            # Cannot spill into DONE before 2**62-1 holders. Go has no check here either: that the
            # word then *becomes* DONE is a known limit with a named case (word-overflow).
            if self._commit(word, word + 1):
                return OK

    def transient_release(self) -> None:
        """Give back the reference of one use; the last one out closes.

        Raises Panic when there is nothing to give back, or when this would be the last reference
        although nobody dropped the persistent one.
        """
        while True:
            word = self._word.load()
            refs = refs_of(word)
            if refs == 0:
                raise Panic(REFCOUNT_ZERO)
            if refs == 1 and status_of(word) == OK:
                raise Panic(NO_STATUS)
            if self._drop(word, word - 1):
                return

    def persistent_release(self, reason: int) -> int:
        """Drop the persistent reference and record why; return the status found.

        OK means that this call dropped it. Any other status means that another call had, and that
        nothing was changed: the status is the guard that keeps it from being dropped twice. Panics
        if there was no reference to drop.
        """
        while True:
            word = self._word.load()
            status = status_of(word)
            if status != OK:
                return status
            if refs_of(word) == 0:
                raise Panic(REFCOUNT_ZERO)
            if self._drop(word, self._deactivated(word, reason)):
                return OK

    # The four decisions of the protocol. Each is one line, and on its own, so that the fault fleet
    # (faults.py) can get exactly one of them wrong.

    def _refusing(self, word: int) -> int:
        return status_of(word)

    def _deactivated(self, word: int, reason: int) -> int:
        return (word - 1) | reason

    def _commit(self, word: int, desired: int) -> bool:
        return self._word.compare_exchange(word, desired)

    def _drop(self, word: int, desired: int) -> bool:
        # Close after the compare-and-swap, never before: only the thread whose swap took the count
        # to zero knows that no other thread still uses the handle.
        if not self._commit(word, desired):
            return False
        if refs_of(desired) == 0:
            self._close()
        return True


def pid_status(word: AtomicWord) -> int:
    """Return the status of a process addressed by pid: there the whole word is the status."""
    return word.load()


def pid_deactivate(word: AtomicWord, reason: int) -> None:
    """Record why the pid may not be used any more, if no reason is recorded yet.

    One compare-and-swap whose result is ignored: of a racing Wait and Release one wins, and either
    answer is a right one.
    """
    word.compare_exchange(OK, reason)
