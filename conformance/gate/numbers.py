"""The numbers of the gated calls, and the name by which seccomp knows an architecture.

A wrong number would hold some other call and let the right one pass unseen, so an architecture that
is not in the table is refused by name.

x86-64 is what this was run on. The arm64 column follows the kernel's generic table and has NOT YET
BEEN RUN; `RUN` says so to whoever reports.

Sources: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h,
include/uapi/linux/audit.h.
"""

from __future__ import annotations

import contextlib
import functools
import platform
import struct
import sys
from dataclasses import dataclass

from lastref.impl.errors import PlatformUnsupported
from lastref.impl.syscall_numbers import NUMBERS

GATED = (
    "kill",
    "tgkill",
    "wait4",
    "waitid",
    "pidfd_send_signal",
    "pidfd_open",
    "close",
    "clone",
    "clone3",
    "fork",
    "vfork",
)
"""The calls that the gate knows, in no particular order."""

RUN = frozenset({"x86-64"})
"""The architectures that the gate has really been run on."""


@dataclass(frozen=True)
class Machine:
    """One architecture: its seccomp name, its call numbers, where ptrace keeps a return value.

    ``result`` is the byte offset in the general registers (PTRACE_GETREGSET, NT_PRSTATUS).
    """

    name: str
    audit: int
    calls: dict[str, int]
    seccomp: int
    result: int
    naps: tuple[int, int]  # nanosleep, clock_nanosleep
    getfd: int = 438  # pidfd_getfd: from 424 on all architectures count alike

    def name_of(self, number: int) -> str:
        """Return the name of a gated call."""
        return next(name for name, mine in self.calls.items() if mine == number)


_X86_64 = Machine(
    "x86-64",
    0xC000003E,
    {
        **{str(call): number for call, number in NUMBERS["amd64"].items()},
        "clone": 56,
        "fork": 57,
        "vfork": 58,
        "clone3": 435,
    },
    seccomp=317,
    result=10 * 8,  # rax in struct user_regs_struct
    naps=(35, 230),
)
_ARM64 = Machine(
    "arm64",
    0xC00000B7,
    {
        **{str(call): number for call, number in NUMBERS["generic"].items()},
        "clone": 220,
        "clone3": 435,
    },  # fork and vfork do not exist here
    seccomp=277,
    result=0,  # x0
    naps=(101, 115),
)
_MACHINES = {"x86_64": _X86_64, "amd64": _X86_64, "aarch64": _ARM64, "arm64": _ARM64}


def machine_named(name: str, pointer_bits: int = 64) -> Machine:
    """Return the architecture that uname calls ``name``; PlatformUnsupported for any other."""
    machine = _MACHINES.get(name.lower()) if pointer_bits == 64 else None
    if machine is None:
        raise PlatformUnsupported(
            f"the gate on a {pointer_bits}-bit {name}",
            "the numbers of its system calls are not in the gate's table",
            "use x86-64, or arm64 (whose numbers are in the table but have not yet been run)",
        )
    return machine


@functools.cache
def machine() -> Machine:
    """Return this machine's architecture; PlatformUnsupported if it is not in the table."""
    if sys.platform != "linux":
        raise PlatformUnsupported("the gate", f"it is Linux's and this is {sys.platform}", "use it")
    return machine_named(platform.machine(), 8 * struct.calcsize("P"))


def napping_calls() -> frozenset[int]:
    """Return the numbers of the calls that sleep for a time; none where they are not known."""
    with contextlib.suppress(PlatformUnsupported):
        return frozenset(machine().naps)
    return frozenset()


def waiting_calls() -> frozenset[int]:
    """Return the numbers of the calls that wait for a child; none where they are not known."""
    with contextlib.suppress(PlatformUnsupported):
        return frozenset(machine().calls[name] for name in ("wait4", "waitid"))
    return frozenset()
