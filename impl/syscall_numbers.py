"""System call numbers per architecture, and which row this process needs.

The C libraries wrap some of these calls late (glibc has pidfd_open since 2.36) or with less than
the kernel gives (waitid without its fifth argument, the resource usage), so they are made by
number.

Sources: pidfd_send_signal and pidfd_open from Go's sysnum_linux_*.go (commit 750738b5d1); the older
calls from the kernel's arch/*/syscall*.tbl and include/uapi/asm-generic/unistd.h. From 424 on all
architectures count alike; MIPS adds the base of its ABI (4000 o32, 5000 n64).
"""

from __future__ import annotations

import functools
import platform
import struct
import sys
from typing import Literal, get_args

from lastref.impl.errors import PlatformUnsupported

Call = Literal["close", "kill", "pidfd_open", "pidfd_send_signal", "tgkill", "wait4", "waitid"]
Architecture = Literal["386", "amd64", "arm", "generic", "mips-o32", "mips-n64", "ppc64", "s390x"]
CALLS: tuple[Call, ...] = get_args(Call)
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)

#                close  kill  tgkill wait4 waitid  send  open
_ROWS: dict[Architecture, tuple[int, int, int, int, int, int, int]] = {
    "386": (6, 37, 270, 114, 284, 424, 434),
    "amd64": (3, 62, 234, 61, 247, 424, 434),
    "arm": (6, 37, 268, 114, 280, 424, 434),
    "generic": (57, 129, 131, 260, 95, 424, 434),
    "mips-o32": (4006, 4037, 4266, 4114, 4278, 4424, 4434),
    "mips-n64": (5003, 5060, 5225, 5059, 5237, 5424, 5434),
    "ppc64": (6, 37, 250, 114, 272, 424, 434),
    "s390x": (6, 37, 241, 114, 281, 424, 434),
}
_COLUMNS: tuple[Call, ...] = (
    "close",
    "kill",
    "tgkill",
    "wait4",
    "waitid",
    "pidfd_send_signal",
    "pidfd_open",
)

NUMBERS: dict[Architecture, dict[Call, int]] = {
    architecture: dict(zip(_COLUMNS, row, strict=True)) for architecture, row in _ROWS.items()
}
"""NUMBERS[architecture][call] is the number to pass to syscall(2)."""

# (machine as uname names it, pointer size in bits) -> row. A 32-bit process on a 64-bit kernel
# makes the 32-bit ABI's calls, so the machine alone does not decide.
_MACHINES: dict[tuple[str, int], Architecture] = {
    ("x86_64", 64): "amd64",
    ("amd64", 64): "amd64",
    ("x86_64", 32): "386",
    **{(machine, 32): "386" for machine in ("i386", "i486", "i586", "i686")},
    ("aarch64", 64): "generic",
    ("arm64", 64): "generic",
    ("riscv64", 64): "generic",
    ("loongarch64", 64): "generic",
    ("aarch64", 32): "arm",
    **{(machine, 32): "arm" for machine in ("arm", "armv6l", "armv7l", "armv8l")},
    ("mips", 32): "mips-o32",
    ("mips64", 64): "mips-n64",
    ("ppc64", 64): "ppc64",
    ("ppc64le", 64): "ppc64",
    ("s390x", 64): "s390x",
}


def architecture_of(machine: str, pointer_bits: int) -> Architecture:
    """Return the row for a machine name as uname gives it and a pointer size.

    PlatformUnsupported for any other: a guessed number would be some other system call.
    """
    try:
        return _MACHINES[machine.lower(), pointer_bits]
    except KeyError:
        raise PlatformUnsupported(
            f"Linux system calls of a {pointer_bits}-bit process on {machine!r}",
            "their numbers are not in the table",
            f"add a row to syscall_numbers.py (known: {', '.join(ARCHITECTURES)})",
        ) from None


@functools.cache
def number(call: Call) -> int:
    """Return this machine's number of `call`; PlatformUnsupported where there is none."""
    if sys.platform != "linux":
        raise PlatformUnsupported(
            f"system call {call}", f"it is Linux's and this is {sys.platform}", "run it on Linux"
        )
    return NUMBERS[architecture_of(platform.machine(), 8 * struct.calcsize("P"))][call]
