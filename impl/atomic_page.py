"""Compare-and-swap as machine code in a page of our own (x86-64, System V calling convention).

Where the page cannot be had (machine_code.py), this backend says so and there are others.

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
from collections.abc import Callable
from typing import NamedTuple

from lastref.impl import machine_code
from lastref.impl.errors import BackendUnavailable

_EXCHANGE = {
    64: bytes.fromhex("4889f0 f0480fb117 0f94c0 0fb6c0 c3"),
    32: bytes.fromhex("89f0 f00fb117 0f94c0 0fb6c0 c3"),
}
_LOAD = {64: bytes.fromhex("488b07 c3"), 32: bytes.fromhex("8b07 c3")}
_SLOT = 32  # every routine starts at a multiple of this, for the instruction fetcher's sake


class Code(NamedTuple):
    """The two routines for one width, callable from Python with the GIL released."""

    load: Callable[[int], int]
    compare_exchange: Callable[[int, int, int], bool]


@functools.cache
def code(width: int) -> Code:
    """Return the routines for `width` bits; the page is made at the first call and lives on."""
    reason = machine_code.unsupported()
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
    """Return the address of the routines; the page is kept for the life of the program."""
    routines = [code for width in _EXCHANGE for code in (_EXCHANGE[width], _LOAD[width])]
    try:
        return machine_code.executable(b"".join(code.ljust(_SLOT, b"\xcc") for code in routines))
    except PermissionError as error:
        reason = f"the system does not let a page become executable ({error.strerror})"
        raise _unavailable(reason) from None


def _unavailable(reason: str) -> BackendUnavailable:
    return BackendUnavailable("atomic backend 'page'", reason, "use the libatomic or lock backend")
