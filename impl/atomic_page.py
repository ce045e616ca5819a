"""Compare-and-swap as machine code in a page of our own (x86-64, System V calling convention).

The page is written while it is writable and then made read-execute; at no moment is it both
writable and executable, so it also works under a W^X policy that allows making a page executable at
all (a hardened kernel may refuse: then this backend says so and there are others).

        rdi = address, rsi = expected, rdx = desired          rdi = address
        mov   rax, rsi                                        mov rax, [rdi]
        lock cmpxchg [rdi], rdx                               ret
        sete  al
        movzx eax, al
        ret

Source: Intel SDM volume 2, CMPXCHG and LOCK; System V AMD64 ABI 3.2.3 for the registers. An aligned
plain load is atomic on x86-64 and, since the locked exchange is a full barrier, sequentially
consistent with it (SDM volume 3, 9.2.3).
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import platform
import struct
import sys
from collections.abc import Callable
from typing import NamedTuple

from lastref.impl.errors import BackendUnavailable

_EXCHANGE = {
    64: bytes.fromhex("4889f0 f0480fb117 0f94c0 0fb6c0 c3"),
    32: bytes.fromhex("89f0 f00fb117 0f94c0 0fb6c0 c3"),
}
_LOAD = {64: bytes.fromhex("488b07 c3"), 32: bytes.fromhex("8b07 c3")}
_SLOT = 32  # every routine starts at a multiple of this, for the instruction fetcher's sake

_PROT_READ, _PROT_WRITE, _PROT_EXEC = 1, 2, 4


class Code(NamedTuple):
    """The two routines for one width, callable from Python with the GIL released."""

    load: Callable[[int], int]
    compare_exchange: Callable[[int, int, int], bool]


def unsupported() -> str | None:
    """Return why this machine cannot run the page, or None if it can (as far as one can see)."""
    if os.name != "posix":
        return "it is written for the System V calling convention"
    if platform.machine() not in ("x86_64", "amd64") or struct.calcsize("P") != 8:
        return f"it is x86-64 code and this is a {platform.machine()} process"
    if sys.platform == "darwin":
        return "macOS lets only signed code become executable"
    return None


@functools.cache
def code(width: int) -> Code:
    """Return the routines for `width` bits; the page is made at the first call and lives on."""
    reason = unsupported()
    if reason is not None:
        raise _unavailable(reason)
    start = _executable_page()
    index = list(_EXCHANGE).index(width)
    value = ctypes.c_uint64 if width == 64 else ctypes.c_uint32
    load = ctypes.CFUNCTYPE(value, ctypes.c_void_p)
    exchange = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, value, value)
    return Code(load(start + (2 * index + 1) * _SLOT), exchange(start + 2 * index * _SLOT))


@functools.cache
def _executable_page() -> int:
    """Map, fill, seal; return the page's address. Kept for the life of the program on purpose."""
    page = mmap.mmap(
        -1,
        mmap.PAGESIZE,
        flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
        prot=_PROT_READ | _PROT_WRITE,
    )
    for index, width in enumerate(_EXCHANGE):
        for half, routine in enumerate((_EXCHANGE[width], _LOAD[width])):
            offset = (2 * index + half) * _SLOT
            page[offset : offset + len(routine)] = routine
    # from_buffer pins the mapping: as long as this object lives, nothing can unmap the code.
    pin = (ctypes.c_char * mmap.PAGESIZE).from_buffer(page)
    _pins.append(pin)
    address = ctypes.addressof(pin)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if libc.mprotect(address, mmap.PAGESIZE, _PROT_READ | _PROT_EXEC) != 0:
        why = os.strerror(ctypes.get_errno())
        raise _unavailable(f"the system does not let a page become executable ({why})")
    return address


_pins: list[ctypes.Array[ctypes.c_char]] = []


def _unavailable(reason: str) -> BackendUnavailable:
    return BackendUnavailable("atomic backend 'page'", reason, "use the libatomic or lock backend")
