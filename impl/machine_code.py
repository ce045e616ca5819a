"""Machine code in a page of our own: x86-64, System V calling convention.

The page is written while it is writable and then made read-execute; at no moment is it both
writable and executable, so it also works under a W^X policy that allows making a page executable at
all (a hardened kernel may refuse: then whoever wanted the code says so, and does without).

Source: mprotect(2); System V AMD64 ABI 3.2.3 for the registers.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import struct
import sys

_PROT_READ, _PROT_WRITE, _PROT_EXEC = 1, 2, 4


def unsupported() -> str | None:
    """Return why this machine cannot run such code, or None if it can (as far as one can see)."""
    if os.name != "posix":
        return "it is written for the System V calling convention"
    if platform.machine() not in ("x86_64", "amd64") or struct.calcsize("P") != 8:
        return f"it is x86-64 code and this is a {platform.machine()} process"
    if sys.platform == "darwin":
        return "macOS lets only signed code become executable"
    return None


def executable(code: bytes) -> int:
    """Map a page, fill it with ``code``, seal it; return its address, which is good for ever.

    PermissionError where the system does not let a page become executable.
    """
    page = mmap.mmap(
        -1,
        mmap.PAGESIZE,
        flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
        prot=_PROT_READ | _PROT_WRITE,
    )
    page[: len(code)] = code
    # from_buffer pins the mapping: as long as this object lives, nothing can unmap the code.
    pin = (ctypes.c_char * mmap.PAGESIZE).from_buffer(page)
    _pins.append(pin)
    address = ctypes.addressof(pin)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if libc.mprotect(address, mmap.PAGESIZE, _PROT_READ | _PROT_EXEC) != 0:
        error = ctypes.get_errno()
        raise PermissionError(error, os.strerror(error))
    return address


_pins: list[ctypes.Array[ctypes.c_char]] = []
