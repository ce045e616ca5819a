"""The protocol of the word, one operation at a time and under racing threads."""

from __future__ import annotations

import threading

import pytest

from lastref.impl.atomic import LockCell
from lastref.impl.errors import Panic
from lastref.impl.word import (
    DONE,
    NO_STATUS,
    OK,
    PERSISTENT,
    REFCOUNT_ZERO,
    REFS,
    RELEASED,
    HandleWord,
    pid_deactivate,
    pid_status,
    refs_of,
    show,
    status_of,
)


class Handle:
    """A word with a close that counts."""

    def __init__(self, word: int) -> None:
        self.cell = LockCell(word)
        self.closed = 0
        self.word = HandleWord(self.cell, self._close)

    def _close(self) -> None:
        self.closed += 1


class Interfered(LockCell):
    """A cell that another thread moves just before the first compare-and-swap."""

    def __init__(self, value: int, moved_to: int) -> None:
        super().__init__(value)
        self._moved_to: int | None = moved_to
        self.attempts = 0

    def compare_exchange(self, expected: int, desired: int) -> bool:
        """Let the other thread's change come first, once."""
        self.attempts += 1
        if self._moved_to is not None:
            self._value, self._moved_to = self._moved_to, None
        return super().compare_exchange(expected, desired)


def test_the_fields_cover_the_word_and_do_not_overlap() -> None:
    """Done, released and references are 64 bits together, with no bit in two of them."""
    assert DONE ^ RELEASED ^ REFS == DONE | RELEASED | REFS == (1 << 64) - 1
    assert (DONE.bit_length(), RELEASED.bit_length(), REFS.bit_length()) == (63, 64, 62)


@pytest.mark.parametrize(
    ("word", "status", "refs", "text"),
    [
        (0, OK, 0, "ok, 0 references"),
        (1, OK, 1, "ok, 1 reference"),
        (DONE | 2, DONE, 2, "done, 2 references"),
        (RELEASED | REFS, RELEASED, REFS, f"released, {REFS} references"),
        (DONE | RELEASED, DONE | RELEASED, 0, "done and released, 0 references"),
    ],
)
def test_a_word_decodes_into_status_and_references(
    word: int, status: int, refs: int, text: str
) -> None:
    """Every word is exactly one status and one count."""
    assert (status_of(word), refs_of(word), show(word)) == (status, refs, text)
    assert status | refs == word


@pytest.mark.parametrize("word", [1, 2, REFS - 1])
def test_acquire_takes_one_reference_while_the_status_is_ok(word: int) -> None:
    """An acquire adds exactly one."""
    handle = Handle(word)
    assert handle.word.transient_acquire() == OK
    assert (handle.cell.load(), handle.closed) == (word + 1, 0)


@pytest.mark.parametrize("status", [DONE, RELEASED, DONE | RELEASED])
@pytest.mark.parametrize("refs", [0, 1, 5])
def test_acquire_takes_nothing_once_a_status_is_set(status: int, refs: int) -> None:
    """A status, whichever and however many still hold the handle, refuses new users."""
    handle = Handle(status | refs)
    assert handle.word.transient_acquire() == status
    assert (handle.cell.load(), handle.closed) == (status | refs, 0)


def test_acquire_at_the_highest_count_becomes_done() -> None:
    """The known limit `word-overflow`: the next reference after 2**62-1 is the done bit."""
    handle = Handle(REFS)
    assert handle.word.transient_acquire() == OK
    assert handle.cell.load() == DONE
    with pytest.raises(Panic, match=REFCOUNT_ZERO):
        handle.word.transient_release()
    assert handle.closed == 0


@pytest.mark.parametrize(
    ("before", "after", "closed"),
    [
        (2, 1, 0),
        (DONE | 2, DONE | 1, 0),
        (DONE | 1, DONE, 1),
        (RELEASED | 1, RELEASED, 1),
    ],
)
def test_transient_release_closes_exactly_at_zero(before: int, after: int, closed: int) -> None:
    """The last one out closes, nobody else."""
    handle = Handle(before)
    handle.word.transient_release()
    assert (handle.cell.load(), handle.closed) == (after, closed)


@pytest.mark.parametrize(
    ("word", "text"), [(0, REFCOUNT_ZERO), (DONE, REFCOUNT_ZERO), (1, NO_STATUS)]
)
def test_transient_release_panics_on_impossible_words(word: int, text: str) -> None:
    """Nothing to give back, or the last reference though none was the persistent one: panic."""
    handle = Handle(word)
    with pytest.raises(Panic, match=text):
        handle.word.transient_release()
    assert (handle.cell.load(), handle.closed) == (word, 0)


@pytest.mark.parametrize("reason", [DONE, RELEASED])
@pytest.mark.parametrize(("refs", "closed"), [(1, 1), (2, 0)])
def test_persistent_release_drops_one_and_records_why(refs: int, reason: int, closed: int) -> None:
    """One step both drops the reference and closes the door."""
    handle = Handle(refs)
    assert handle.word.persistent_release(reason) == OK
    assert (handle.cell.load(), handle.closed) == (reason | (refs - 1), closed)


@pytest.mark.parametrize("found", [DONE, RELEASED])
@pytest.mark.parametrize("reason", [DONE, RELEASED])
def test_status_never_changes_once_set(found: int, reason: int) -> None:
    """A second persistent release reports the first one's reason and changes nothing."""
    handle = Handle(found | 1)
    assert handle.word.persistent_release(reason) == found
    assert (handle.cell.load(), handle.closed) == (found | 1, 0)


def test_persistent_release_of_no_reference_panics() -> None:
    """The word 0 has no persistent reference to drop."""
    handle = Handle(0)
    with pytest.raises(Panic, match=REFCOUNT_ZERO):
        handle.word.persistent_release(DONE)


def test_a_failed_exchange_decides_anew() -> None:
    """An acquire that lost the race to Release sees the new status instead of writing over it."""
    cell = Interfered(1, moved_to=RELEASED)
    assert HandleWord(cell, lambda: None).transient_acquire() == RELEASED
    assert (cell.load(), cell.attempts) == (RELEASED, 1)


def test_a_failed_exchange_is_tried_again() -> None:
    """An acquire that lost the race to another acquire takes its own reference in the end."""
    cell = Interfered(1, moved_to=2)
    assert HandleWord(cell, lambda: None).transient_acquire() == OK
    assert (cell.load(), cell.attempts) == (3, 2)


def test_pid_deactivate_keeps_the_first_reason() -> None:
    """In PID mode too the status never changes once set."""
    cell = LockCell(OK)
    pid_deactivate(cell, RELEASED)
    pid_deactivate(cell, DONE)
    assert pid_status(cell) == RELEASED


@pytest.mark.parametrize("reason", [DONE, RELEASED])
def test_racing_threads_close_exactly_once_and_never_before_the_last_use(reason: int) -> None:
    """Users and two releasers on real threads: one close, after the last use, nothing held."""
    handle = Handle(PERSISTENT)
    used_after_close: list[int] = []
    start = threading.Barrier(6)

    def user() -> None:
        start.wait()
        while handle.word.transient_acquire() == OK:
            if handle.closed:
                used_after_close.append(handle.cell.load())
            handle.word.transient_release()

    def releaser() -> None:
        start.wait()
        handle.word.persistent_release(reason)

    threads = [threading.Thread(target=target) for target in [user] * 4 + [releaser] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert used_after_close == []
    assert (handle.cell.load(), handle.closed) == (reason, 1)
