"""A filter that makes system calls fail, on this process and for good.

It is built by the gate's own writer of filters, but nobody listens: a refused call gets its errno
at once.  Only for a process that can be thrown away.

    refuse("pidfd_open=ENOSYS", "waitid[0]=3=EPERM")

Source: seccomp(2), PR_SET_SECCOMP and PR_SET_NO_NEW_PRIVS in prctl(2).
"""

from __future__ import annotations

import ctypes
import struct

from lastref.conformance.gate.filter import Refusal, program
from lastref.conformance.gate.numbers import machine
from lastref.impl import libc

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2


def refuse(*refusals: str) -> None:
    """Make calls fail, each written as ``call=ERRNO`` or ``call[argument]=value=ERRNO``.

    Raises Errno where the kernel takes no filter, PlatformUnsupported on an architecture whose
    numbers are not in the gate's table.
    """
    instructions = program(machine(), (), [Refusal.parse(text) for text in refusals])
    code = ctypes.create_string_buffer(instructions, len(instructions))
    described = struct.pack("@HP", len(instructions) // 8, ctypes.addressof(code))
    buffer = ctypes.create_string_buffer(described, len(described))
    library = libc.library()
    libc.checked(library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    address = ctypes.c_void_p(ctypes.addressof(buffer))
    libc.checked(library.prctl(_PR_SET_SECCOMP, _MODE_FILTER, address, 0, 0))
