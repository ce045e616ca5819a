"""Every backend is atomic under real threads, and a broken one is caught by the same test."""

from __future__ import annotations

import ctypes
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from lastref.impl import atomic_page, machine_code
from lastref.impl.atomic import (
    BACKENDS,
    WIDTHS,
    AtomicWord,
    Backend,
    HardwareCell,
    LockCell,
    WordFactory,
    word_factory,
)
from lastref.impl.errors import BackendUnavailable

THREADS = 4
INCREMENTS = 20_000


def factory_or_skip(backend: Backend, width: int) -> WordFactory:
    """Return the factory, or skip with the reason that the machine gives."""
    try:
        return word_factory(backend, width)
    except BackendUnavailable as unavailable:
        pytest.skip(str(unavailable))


def counted(word: AtomicWord, increments: int = INCREMENTS) -> int:
    """Increment `word` from racing threads by load and compare_exchange; return its end value."""
    start = threading.Barrier(THREADS)

    def increment() -> None:
        start.wait()
        for _ in range(increments):
            while True:
                value = word.load()
                if word.compare_exchange(value, value + 1):
                    break

    threads = [threading.Thread(target=increment) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return word.load()


class Broken(LockCell):
    """A compare-and-store that is no one step: in between, each thread once waits for all others.

    Something must be called there. CPython switches threads only at certain points, and a window
    without one would lose nothing, by accident.
    """

    __slots__ = ("_all", "_met")

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self._all = threading.Barrier(THREADS)
        self._met: set[int] = set()

    def compare_exchange(self, expected: int, desired: int) -> bool:
        """Store if the word was `expected` a while ago."""
        if self._value != expected:
            return False
        if threading.get_ident() not in self._met:
            self._met.add(threading.get_ident())
            self._all.wait()
        self._value = desired
        return True


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_no_increment_is_lost(backend: Backend, width: int) -> None:
    """Whatever the backend, racing increments are all counted."""
    assert counted(factory_or_skip(backend, width)(0)) == THREADS * INCREMENTS


def test_a_broken_compare_and_swap_loses_increments() -> None:
    """The negative control: the test above can fail. All store 1 at first: three are lost."""
    assert counted(Broken(0)) <= THREADS * INCREMENTS - (THREADS - 1)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_exchange_stores_only_on_the_expected_value(backend: Backend, width: int) -> None:
    """All bits take part in the comparison, the topmost included; nothing else is stored."""
    top = 1 << (width - 1)
    word = factory_or_skip(backend, width)(top | 1)
    assert not word.compare_exchange(1, 5)
    assert not word.compare_exchange(top, 5)
    assert word.load() == top | 1
    assert word.compare_exchange(top | 1, (1 << width) - 1)
    assert word.load() == (1 << width) - 1


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_neighbouring_words_do_not_touch(backend: Backend, width: int) -> None:
    """An exchange changes its own word only."""
    words = [factory_or_skip(backend, width)(value) for value in range(8)]
    for value, word in enumerate(words):
        assert word.compare_exchange(value, (1 << width) - 1 - value)
    assert [word.load() for word in words] == [(1 << width) - 1 - value for value in range(8)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_a_value_that_does_not_fit_is_refused(width: int, value: int) -> None:
    """A word is never cut silently."""
    with pytest.raises(ValueError, match=f"unsigned word of {width} bits"):
        word_factory("lock", width)(value)


def test_only_two_widths_exist() -> None:
    """There is no 16-bit word."""
    with pytest.raises(ValueError, match="32 or 64"):
        word_factory("lock", 16)


def test_an_unknown_backend_is_refused_with_the_choice() -> None:
    """The refusal names what there is."""
    with pytest.raises(BackendUnavailable, match="lock, hardware, page, libatomic"):
        word_factory("wishful")  # type: ignore[arg-type]  # the point of the test


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc/self/maps")
def test_hardware_is_the_hardware() -> None:
    """The hardware backend is no lock in disguise."""
    assert isinstance(factory_or_skip("hardware", 64)(0), HardwareCell)


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc/self/maps")
def test_the_code_page_is_never_both_writable_and_executable() -> None:
    """The code page is sealed: the mapping that holds the routines is read-execute.

    Other mappings are not ours to judge: z3 and ctypes make theirs as they please.
    """
    if machine_code.unsupported():
        pytest.skip(str(machine_code.unsupported()))
    load: Any = atomic_page.code(64).load
    routine = ctypes.cast(load, ctypes.c_void_p).value or 0
    mappings = (line.split() for line in Path("/proc/self/maps").read_text().splitlines())
    ours = [
        permissions
        for bounds, permissions, *_ in mappings
        if int(bounds.split("-")[0], 16) <= routine < int(bounds.split("-")[1], 16)
    ]
    assert ours == ["r-xp"]
