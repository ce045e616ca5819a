"""The C library through ctypes: one loading, one errno convention.

`CDLL` releases the GIL during a call, which matters twice: a blocked waitid must not stop the other
threads, and an operation under test must really run at the same time as another. `use_errno` keeps
errno per thread, safe from what the interpreter itself calls in between.

Errors come back as `Errno`. EINTR is an error like any other here: whether a call is repeated is a
decision of the design, and differs between them.
"""

from __future__ import annotations

import ctypes
import functools
import os

from lastref.impl.errors import Errno, PlatformUnsupported
from lastref.impl.syscall_numbers import Call, number

_SYSCALL_ARGUMENTS = 6
_PADDING = tuple((0,) * (_SYSCALL_ARGUMENTS - given) for given in range(_SYSCALL_ARGUMENTS + 1))


@functools.cache
def library() -> ctypes.CDLL:
    """Return the C library this interpreter runs on; PlatformUnsupported where there is none."""
    if os.name != "posix":
        raise PlatformUnsupported(
            "the POSIX process calls",
            "this operating system has no POSIX C library",
            "use the implementation for this platform",
        )
    loaded = ctypes.CDLL(None, use_errno=True)
    loaded.syscall.restype = ctypes.c_long
    loaded.syscall.argtypes = [ctypes.c_long] * (1 + _SYSCALL_ARGUMENTS)
    loaded.kill.argtypes = [ctypes.c_int, ctypes.c_int]
    loaded.close.argtypes = [ctypes.c_int]
    loaded.wait4.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    return loaded


def checked(result: int) -> int:
    """Return the result of a C call that says -1 on failure; raise its errno as Errno."""
    if result == -1:
        raise Errno(ctypes.get_errno())
    return result


def syscall(call: Call, *arguments: int) -> int:
    """Make a system call by this machine's number for it; pointers are passed as addresses."""
    this = number(call)  # first: where there is no such call, that is what there is to say
    return checked(library().syscall(this, *arguments, *_PADDING[len(arguments)]))
