"""The lightest child there is: a process of its own that shares our memory and runs a few
instructions.

    clone3 ──▶ prctl(PDEATHSIG) ─▶ prctl(NAME) ─▶ ┌─ futex: wait while the word is 0 ─┐ ─▶ exit(0)
                                                  └──────────── again ◀───────────────┘

What a replay needs of a process is what the kernel keeps under its number: that it runs, is a
zombie, is reaped, was killed.  So no program is loaded and no memory is copied, which is nearly all
that starting one costs.  It can be given a pid of our choice, or be a child of our parent.

It shares memory and descriptors, and nothing else: it has a pid, a parent, an exit status and
signals of its own, all of them at their defaults.  It touches no stack and no data but its word.
Never send it a signal that dumps core: that one may take everybody who shares the memory with it.

Source: clone(2), clone3, CLONE_VM and set_tid; futex(2); x86-64 system calls in syscall(2).
"""

from __future__ import annotations

import ctypes
import errno
import functools
import mmap
import os
import signal
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from lastref.impl import machine_code
from lastref.impl.errors import Errno

_CLONE_VM, _CLONE_FILES, _CLONE_PIDFD = 0x100, 0x400, 0x1000
_CLONE_PARENT, _CLONE_CLEAR_SIGHAND = 0x8000, 0x100000000
_SHARED = _CLONE_VM | _CLONE_FILES | _CLONE_PIDFD | _CLONE_CLEAR_SIGHAND
_FUTEX, _FUTEX_WAKE = 202, 1

_CODE = bytes.fromhex(
    "4989d0"  # mov r8, rdx          the word, which system calls leave alone
    "b8b3010000 0f05"  # clone3(rdi, rsi)
    "85c0 7401 c3"  # in the parent: return what it said
    "bf01000000 be09000000"  # PR_SET_PDEATHSIG, SIGKILL
    "b89d000000 0f05"  # prctl
    "bf0f000000 488d3529000000"  # PR_SET_NAME, the text below
    "b89d000000 0f05"  # prctl
    "4c89c7 31f6 31d2 4d31d2"  # the word, FUTEX_WAIT, 0, for ever
    "b8ca000000 0f05"  # futex
    "41833800 74e9"  # still 0: again
    "31ff b8e7000000 0f05"  # exit_group(0)
    "0f0b"  # never
)
_NAME = b"victim\0"


class Word:
    """What a child waits on.  Its memory is never given back to the system: a child may wait."""

    _free: ClassVar[list[int]] = []

    def __init__(self) -> None:
        try:
            self.address = self._free.pop()
        except IndexError:
            page = (ctypes.c_uint32 * (mmap.PAGESIZE // 4)).from_buffer(
                mmap.mmap(-1, mmap.PAGESIZE)
            )
            _pins.append(page)
            self.address = ctypes.addressof(page)
            self._free.extend(range(self.address + 4, self.address + mmap.PAGESIZE, 4))
        self._set(0)

    def _set(self, value: int) -> None:
        ctypes.c_uint32.from_address(self.address).value = value

    def let_go(self) -> None:
        """Let the child end by itself."""
        self._set(1)
        _library().syscall(_FUTEX, self.address, _FUTEX_WAKE, 1)

    def gone(self) -> None:
        """Note that the child has ended, so that its word may be another's."""
        self._free.append(self.address)


_pins: list[ctypes.Array[ctypes.c_uint32]] = []


class Clone(NamedTuple):
    """A child just started: its pid, a pidfd of it, and what it waits on."""

    pid: int
    pidfd: int
    word: Word


@functools.cache
def unavailable() -> str | None:
    """Return why there are no such children here, or ``None``; one is started to see."""
    reason = machine_code.unsupported()
    if reason is not None:
        return reason
    try:
        tried = start()
    except PermissionError as error:
        return f"the system does not let a page become executable ({error.strerror})"
    except Errno as error:
        return f"clone3: {error.kind}"
    assert tried is not None  # no pid was asked for that could be in use
    tried.word.let_go()
    os.waitid(os.P_PIDFD, tried.pidfd, os.WEXITED)
    os.close(tried.pidfd)
    tried.word.gone()
    return None


def start(pid: int | None = None, *, stranger: bool = False) -> Clone | None:
    """Start a child, under ``pid`` if one is given; ``None`` if that is in use.

    A ``stranger`` is a child of our parent.  Errno for any other failure (EPERM: a pid can be
    chosen only in a PID namespace of our own).
    """
    word, pidfd, wanted = Word(), ctypes.c_int(-1), ctypes.c_int(pid or 0)
    # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
    # set_tid, set_tid_size
    arguments = _Arguments(
        _SHARED | (_CLONE_PARENT if stranger else 0),
        ctypes.addressof(pidfd),
        0,
        0,
        0 if stranger else signal.SIGCHLD,  # with CLONE_PARENT it is our own exit signal
        0,
        0,
        0,
        0 if pid is None else ctypes.addressof(wanted),
        0 if pid is None else 1,
    )
    made = _routine()(ctypes.addressof(arguments), ctypes.sizeof(arguments), word.address)
    if made > 0:
        return Clone(made, pidfd.value, word)
    word.gone()
    if made == -errno.EEXIST:
        return None
    raise Errno(-made)


_Arguments = ctypes.c_uint64 * 10


@functools.cache
def _routine() -> Callable[[int | None, int, int | None], int]:
    """Return the code as a function that keeps the GIL: nothing of Python's runs in the child."""
    prototype = ctypes.PYFUNCTYPE(ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    return prototype(machine_code.executable(_CODE + _NAME))


@functools.cache
def _library() -> ctypes.PyDLL:
    library = ctypes.PyDLL(None)
    library.syscall.argtypes = [ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    return library
