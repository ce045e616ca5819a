"""The value that a let-go call returned, exactly, by ptrace.

The caller is seized and asked to stop while it is still held. A held call waits for us and for
nothing else, so the stop comes only after it has been let go and has returned, and before the
program sees the value:

    held ─ seize, interrupt ─ let go ─ the kernel carries it out ─▶ stopped: read the register
                                                                       └ detach: the program goes on

Between the two the caller is held once more, behind its call instead of before it.

This is for calls that do not block: one that would sleep is interrupted by the request to stop and
starts again afterwards, which shows as `RESTARTED`.

All requests must come from one thread, and the stop is waited for by its thread id, since waiting
for anyone would reap the supervisor's own victims.

Source: ptrace(2), PTRACE_SEIZE and PTRACE_INTERRUPT.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

from lastref.conformance.gate.listener import Listener, Notification
from lastref.conformance.gate.numbers import machine
from lastref.impl import libc
from lastref.impl.errors import Errno

_SEIZE, _INTERRUPT, _DETACH, _GETREGSET = 0x4206, 0x4207, 17, 0x4204
_NT_PRSTATUS = 1
_WALL = 0x40000000  # also threads that are no children of ours in the ordinary sense
_RESTARTS = frozenset({-512, -513, -514, -516})  # ERESTARTSYS and its like never leave the kernel

RESTARTED: Final = -512
"""What a call returns that was to sleep: it will be made again."""


class Stopped:
    """A thread that has made its call and has not seen the result; ``value`` is that result.

    A negated errno says that the call failed.
    """

    def __init__(self, tid: int, value: int) -> None:
        self.tid = tid
        self.value = value

    def resume(self) -> None:
        """Let the thread see the result and go on."""
        _ptrace(_DETACH, self.tid, 0)


def let_go_and_stop(listener: Listener, held: Notification) -> Stopped | None:
    """Let a held call go and return its caller stopped behind it; None if the caller has died.

    Errno if it can't be traced (EPERM: another tracer has it).
    """
    try:
        _ptrace(_SEIZE, held.tid, 0)
        _ptrace(_INTERRUPT, held.tid, 0)
    except Errno as error:
        if error.kind == "ESRCH":
            return None
        raise
    listener.let_go(held)
    _, status = os.waitpid(held.tid, _WALL)
    if not os.WIFSTOPPED(status):
        return None
    value = _result(held.tid)
    return Stopped(held.tid, RESTARTED if value in _RESTARTS else value)


def _result(tid: int) -> int:
    registers = ctypes.create_string_buffer(512)
    vector = (ctypes.c_uint64 * 2)(ctypes.addressof(registers), ctypes.sizeof(registers))
    _ptrace(_GETREGSET, tid, ctypes.addressof(vector), _NT_PRSTATUS)
    (value,) = struct.unpack_from("=q", registers, machine().result)
    return int(value)


def _ptrace(request: int, tid: int, data: int, address: int = 0) -> None:
    call = libc.library().ptrace
    call.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    call.restype = ctypes.c_long
    libc.checked(call(request, tid, address, data))
