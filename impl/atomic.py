"""An atomic word behind `load` and `compare_exchange`, with more than one way to be atomic.

    lock      a threading.Lock around compare-and-store; works everywhere, the default
    hardware  the processor's own compare-and-swap: `page` on x86-64, `libatomic` elsewhere
    page      sixteen bytes of machine code, `lock cmpxchg`, in an executable page (atomic_page.py)
    libatomic __atomic_compare_exchange_{4,8} of GCC's runtime, where that library is installed

CPython offers no compare-and-swap, and neither libc nor libgcc_s exports one, hence this file. All
designs take their cell from a factory, so none depends on a backend.

The hardware backends call through ctypes with the GIL released: that the increments of racing
threads are all counted is then the processor's doing, not the interpreter's.
"""

# ruff: noqa: D102 -- a method is described by the interface it implements

from __future__ import annotations

import ctypes
import ctypes.util
import sys
import threading
from collections.abc import Callable
from typing import Literal, Protocol

from lastref.impl.errors import BackendUnavailable

Backend = Literal["lock", "hardware", "page", "libatomic"]
BACKENDS: tuple[Backend, ...] = ("lock", "hardware", "page", "libatomic")
WIDTHS = (32, 64)

_SEQ_CST = 5  # __ATOMIC_SEQ_CST, the order of Go's sync/atomic


class AtomicWord(Protocol):
    """One unsigned word that threads share. Both operations are sequentially consistent."""

    def load(self) -> int:
        """Return the word's value."""
        ...

    def compare_exchange(self, expected: int, desired: int) -> bool:
        """Store `desired` if the word is `expected`, as one step; return whether it was stored."""
        ...


WordFactory = Callable[[int], AtomicWord]
"""Makes a cell that holds the given value."""


class LockCell:
    """A word guarded by a lock of its own. A load needs none: it reads one reference."""

    __slots__ = ("_lock", "_value")

    def __init__(self, value: int) -> None:
        self._value = value
        self._lock = threading.Lock()

    def load(self) -> int:
        return self._value

    def compare_exchange(self, expected: int, desired: int) -> bool:
        with self._lock:
            if self._value != expected:
                return False
            self._value = desired
            return True


class HardwareCell:
    """A word in memory that only machine instructions touch.

    `load(address) -> value` and `exchange(address, expected, desired) -> bool` do the work.
    """

    __slots__ = ("_address", "_exchange", "_load", "_storage")

    def __init__(
        self,
        value: int,
        width: int,
        load: Callable[[int], int],
        exchange: Callable[[int, int, int], bool],
    ) -> None:
        size = width // 8
        # Twice the size, so that an aligned word fits whatever alignment ctypes chose: an unaligned
        # `lock cmpxchg` may cross a cache line, which is slow on x86 and a fault elsewhere.
        self._storage = ctypes.create_string_buffer(2 * size)
        start = ctypes.addressof(self._storage)
        self._address = start + -start % size
        ctypes.memmove(self._address, value.to_bytes(size, sys.byteorder), size)
        self._load = load
        self._exchange = exchange

    def load(self) -> int:
        return self._load(self._address)

    def compare_exchange(self, expected: int, desired: int) -> bool:
        return bool(self._exchange(self._address, expected, desired))


def word_factory(backend: Backend = "lock", width: int = 64) -> WordFactory:
    """Return a factory of `width`-bit cells on `backend`.

    Raises BackendUnavailable, with the reason, when this machine cannot offer the backend, and
    ValueError for a width other than 32 or 64. A factory raises ValueError for a value that does
    not fit, because ctypes would cut it silently.
    """
    if width not in WIDTHS:
        raise ValueError(f"an atomic word has 32 or 64 bits, not {width}")
    make = _maker(backend, width)

    def factory(value: int) -> AtomicWord:
        if not 0 <= value < 1 << width:
            raise ValueError(f"{value} does not fit an unsigned word of {width} bits")
        return make(value)

    return factory


def _maker(backend: Backend, width: int) -> WordFactory:
    match backend:
        case "lock":
            return LockCell
        case "page":
            return _page_maker(width)
        case "libatomic":
            return _libatomic_maker(width)
        case "hardware":
            return _hardware_maker(width)
    raise BackendUnavailable(
        f"atomic backend {backend!r}", "no such backend", f"choose one of {', '.join(BACKENDS)}"
    )


def _hardware_maker(width: int) -> WordFactory:
    from lastref.impl import machine_code

    if machine_code.unsupported() is None:
        return _page_maker(width)
    return _libatomic_maker(width)


def _page_maker(width: int) -> WordFactory:
    from lastref.impl import atomic_page

    code = atomic_page.code(width)
    return lambda value: HardwareCell(value, width, code.load, code.compare_exchange)


def _libatomic_maker(width: int) -> WordFactory:
    name = ctypes.util.find_library("atomic") or "libatomic.so.1"
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        raise BackendUnavailable(
            "atomic backend 'libatomic'",
            f"the library does not load ({error})",
            "install libatomic1, or use the lock backend",
        ) from None
    cell = ctypes.c_uint64 if width == 64 else ctypes.c_uint32
    size = width // 8
    raw_load = library[f"__atomic_load_{size}"]
    raw_load.argtypes = [ctypes.c_void_p, ctypes.c_int]
    raw_load.restype = cell
    raw_exchange = library[f"__atomic_compare_exchange_{size}"]
    raw_exchange.argtypes = [
        ctypes.c_void_p,
        ctypes.c_void_p,
        cell,
        ctypes.c_int,
        ctypes.c_int,
    ]
    raw_exchange.restype = ctypes.c_bool

    def load(address: int) -> int:
        return int(raw_load(address, _SEQ_CST))

    def exchange(address: int, expected: int, desired: int) -> bool:
        # The library writes what it found into `expected`; nobody reads it, the caller loads again.
        found = cell(expected)
        return bool(raw_exchange(address, ctypes.byref(found), desired, _SEQ_CST, _SEQ_CST))

    return lambda value: HardwareCell(value, width, load, exchange)
