"""The smallest program that waits for the end of its input: no loader, no libraries, one page.

    read(0, stack, 1)        blocks until the other end of the pipe is closed
    exit_group(0)

`cat` does the same, but the dynamic loader's work is most of what starting and ending it costs, and
the suite starts tens of thousands.  The program is an ELF file in a memfd, started by its name
under /proc/self/fd.  Where there is no such code for the processor, `cat` is used.

Source: elf(5), memfd_create(2), the x86-64 calling convention of system calls in syscall(2).
"""

from __future__ import annotations

import os
import platform
import shutil
import struct

FALLBACK = "cat"
"""What also waits for the end of its input, and needs nothing else."""

_BASE = 0x400000
_HEADERS = 64 + 56
_EXECUTABLE, _X86_64, _LOAD, _READ_EXECUTE, _PAGE = 2, 62, 1, 5, 0x1000

_CODE = bytes.fromhex(
    "31ff"  # xor edi, edi          descriptor 0
    "488d7424f0"  # lea rsi, [rsp-16]
    "ba01000000"  # mov edx, 1
    "31c0"  # xor eax, eax          read
    "0f05"  # syscall
    "31ff"  # xor edi, edi          status 0
    "b8e7000000"  # mov eax, 231    exit_group
    "0f05"  # syscall
)


def image() -> bytes:
    """Return the ELF file: its header, one loadable segment, the code."""
    size = _HEADERS + len(_CODE)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        _EXECUTABLE,
        _X86_64,
        1,
        _BASE + _HEADERS,
        64,
        0,
        0,
        64,
        56,
        1,
        0,
        0,
        0,
    )
    segment = struct.pack("<IIQQQQQQ", _LOAD, _READ_EXECUTE, 0, _BASE, _BASE, size, size, _PAGE)
    return header + segment + _CODE


class Program:
    """The program as a file that can be started; close it when nobody starts it any more.

    ``path`` is good in this process and its forks, also where everything else closes on exec.  None
    if there is neither code for this processor nor `cat`.
    """

    def __init__(self) -> None:
        self._fd = _in_memory()
        self.path = shutil.which(FALLBACK) if self._fd is None else f"/proc/self/fd/{self._fd}"

    @property
    def is_tiny(self) -> bool:
        """Whether it is ours, and not the fallback."""
        return self._fd is not None

    def close(self) -> None:
        """Let go of the file; harmless when repeated."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _in_memory() -> int | None:
    if platform.machine() not in ("x86_64", "amd64") or struct.calcsize("P") != 8:
        return None
    try:
        fd = os.memfd_create("waits-for-the-end-of-its-input")
    except (AttributeError, OSError):
        return None
    os.write(fd, image())
    # vm.memfd_noexec may take the right to run it, and /proc may be missing.
    if os.access(f"/proc/self/fd/{fd}", os.X_OK):
        return fd
    os.close(fd)
    return None
