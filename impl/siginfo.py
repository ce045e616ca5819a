"""What the kernel tells about a child: siginfo_t of waitid, and the wait status of wait4.

siginfo_t is 128 bytes on every Linux. For a child its head is

    family     signo  errno  code   pid  uid  status      where
    common64     0      4      8    16   20     24        64-bit: padding before the union
    common32     0      4      8    12   16     20
    mips64       0      8      4    16   20     24        MIPS swaps errno and code
    mips32       0      8      4    12   16     20

waitid says how the child changed in `code` and the exit status or signal in `status`; wait4 packs
the same into one integer, and so does `os.Process`, whichever of the two it called.

Source: Go's siginfo_linux.go and its test (commit 750738b5d1), the kernel's static assertions in
arch/*/kernel/signal*.c, and wait(2).
"""

from __future__ import annotations

import ctypes
import platform
import signal
import struct
from dataclasses import dataclass

SIZE = 128

CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_TRAPPED, CLD_STOPPED, CLD_CONTINUED = range(1, 7)

_CORE = 0x80
_STOPPED = 0x7F
_CONTINUED = 0xFFFF
_SIGCONT = int(getattr(signal, "SIGCONT", 18))  # absent on Windows, where this still imports


class SiginfoChild(ctypes.Structure):
    """The fields of siginfo_t for SIGCHLD; each family adds its layout."""

    signo: int
    errno: int
    code: int
    pid: int
    uid: int
    status: int


_Field = tuple[
    str, type[ctypes.c_int32] | type[ctypes.c_uint32] | type[ctypes.Array[ctypes.c_char]]
]


def _fields(mips: bool, bits: int) -> list[_Field]:
    errno_and_code = ["code", "errno"] if mips else ["errno", "code"]
    head: list[_Field] = [(name, ctypes.c_int32) for name in ["signo", *errno_and_code]]
    if bits == 64:
        head.append(("_alignment", ctypes.c_int32))
    head += [("pid", ctypes.c_int32), ("uid", ctypes.c_uint32), ("status", ctypes.c_int32)]
    return [*head, ("_rest", ctypes.c_char * (SIZE - 4 * len(head)))]


class SiginfoCommon64(SiginfoChild):
    """amd64, arm64, ppc64, s390x, riscv64."""

    _fields_ = _fields(mips=False, bits=64)


class SiginfoCommon32(SiginfoChild):
    """386 and arm."""

    _fields_ = _fields(mips=False, bits=32)


class SiginfoMips64(SiginfoChild):
    """MIPS, n64 ABI."""

    _fields_ = _fields(mips=True, bits=64)


class SiginfoMips32(SiginfoChild):
    """MIPS, o32 ABI."""

    _fields_ = _fields(mips=True, bits=32)


def layout(machine: str, pointer_bits: int) -> type[SiginfoChild]:
    """Return the structure for a machine (as uname names it) and the process's pointer size."""
    mips = machine.lower().startswith("mips")
    if pointer_bits == 64:
        return SiginfoMips64 if mips else SiginfoCommon64
    return SiginfoMips32 if mips else SiginfoCommon32


Siginfo: type[SiginfoChild] = layout(platform.machine(), 8 * struct.calcsize("P"))
"""The structure of the machine we run on."""


@dataclass(frozen=True, slots=True)
class WaitStatus:
    """A wait status as wait4 packs it; `value` is that integer.

    0xff00 holds the exit status or the stopping signal, 0x80 says that core was dumped, and 0x7f
    holds the killing signal, 0 for an exit, all ones for a stop.
    """

    value: int

    @classmethod
    def from_siginfo(cls, code: int, status: int) -> WaitStatus:
        """Pack what waitid reported; 0 for a code that no child change has, as Go does."""
        match code:
            case 1:  # CLD_EXITED
                return cls(status << 8)
            case 2:  # CLD_KILLED
                return cls(status)
            case 3:  # CLD_DUMPED
                return cls(status | _CORE)
            case 4 | 5:  # CLD_TRAPPED, CLD_STOPPED
                return cls(status << 8 | _STOPPED)
            case 6:  # CLD_CONTINUED
                return cls(_CONTINUED)
        return cls(0)

    def to_siginfo(self) -> tuple[int, int]:
        """Return (code, status) as waitid would report it.

        A trap reads as a stop: wait4 does not tell them apart.
        """
        if self.continued:
            return CLD_CONTINUED, _SIGCONT
        if self.stopped:
            return CLD_STOPPED, self.value >> 8
        if self.exited:
            return CLD_EXITED, self.value >> 8 & 0xFF
        return (CLD_DUMPED if self.core_dumped else CLD_KILLED), self.signal

    @property
    def exited(self) -> bool:
        """Whether the process ended by exit."""
        return self.value & 0x7F == 0

    @property
    def exit_status(self) -> int | None:
        """The exit status, 0 to 255, or None if it did not end by exit."""
        return self.value >> 8 & 0xFF if self.exited else None

    @property
    def signaled(self) -> bool:
        """Whether a signal ended the process."""
        return self.value & 0x7F not in (0, _STOPPED)

    @property
    def signal(self) -> int:
        """The signal that ended the process, 0 if none did."""
        return self.value & 0x7F if self.signaled else 0

    @property
    def core_dumped(self) -> bool:
        """Whether the kernel wrote a core file for it."""
        return self.signaled and bool(self.value & _CORE)

    @property
    def stopped(self) -> bool:
        """Whether the process is stopped, not ended."""
        return self.value & 0xFF == _STOPPED

    @property
    def stop_signal(self) -> int:
        """The signal that stopped the process, 0 if it is not stopped."""
        return self.value >> 8 if self.stopped else 0

    @property
    def continued(self) -> bool:
        """Whether the process was continued after a stop."""
        return self.value == _CONTINUED
