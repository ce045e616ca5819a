"""The seccomp program: which calls are held, which are refused, which pass.

    foreign architecture   refused with ENOSYS: nothing gets past the gate by another ABI
    refused call           its errno, without asking anyone
    held call              the listener is asked
    every other            passes

A call can be picked by one argument: `close` only of the one handle number, `waitid` only for a
pidfd, `clone` only of a process (a new thread's flags are in its first argument; those of clone3
are in memory, which BPF cannot read, so that one is sorted out by the supervisor).

Closing a number from LINE on is a message of our own, see `lines`.

Source: seccomp(2), bpf classic instructions in linux/bpf_common.h.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lastref.conformance.errors import UserError
from lastref.conformance.gate.numbers import GATED, Machine

LINE = 0x4C000000
"""From here on a closed number is a line of Python, not a file descriptor."""

LINES = 0x100000
"""How many such numbers there are: as many as a file can have lines."""

CLONE_THREAD = 0x10000

_ALLOW, _NOTIFY, _ERRNO = 0x7FFF0000, 0x7FC00000, 0x00050000
_LOAD, _JEQ, _JGE, _JSET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_X32 = 0x40000000  # an ABI of its own under x86-64's name; elsewhere no call has such a number


@dataclass(frozen=True)
class Refusal:
    """A call that fails with an errno; with ``argument``, only where that one has the value.

    The text form is ``pidfd_open=ENOSYS`` or ``waitid[0]=3=EINVAL``.
    """

    call: str
    errno: int
    argument: tuple[int, int] | None = None

    @classmethod
    def parse(cls, text: str) -> Refusal:
        """Read the text form; UserError if it is none."""
        where, _, name = text.rpartition("=")
        argument = None
        call = where
        if "[" in where:
            call, _, rest = where.partition("[")
            index, _, value = rest.partition("]=")
            if index in "012345" and value.isdecimal():
                argument = (int(index), int(value))
        number = getattr(errno, name, None)
        if call not in GATED or not isinstance(number, int) or ("[" in where and argument is None):
            raise UserError(
                f"'{text}' names no refusal",
                "a call that the gate knows and an errno are needed",
                "write it like pidfd_open=ENOSYS or waitid[0]=3=EINVAL",
            )
        return cls(call, number, argument)

    def __str__(self) -> str:
        """Return the text form."""
        picked = "" if self.argument is None else "[{}]={}".format(*self.argument)
        return f"{self.call}{picked}={errno.errorcode[self.errno]}"


def program(
    machine: Machine,
    held: Iterable[str],
    refused: Sequence[Refusal] = (),
    handle: int | None = None,
    *,
    listened: bool = True,
) -> bytes:
    """Return the instructions for these calls; ``handle`` is the one number whose close is held.

    Where nobody has ``listened`` nothing can be held, and no line is told.
    """
    held = set(held)
    blocks = []
    told = {"close"} if listened else set()
    for call in sorted(held | {refusal.call for refusal in refused} | told):
        number = machine.calls.get(call)
        if number is None:
            continue  # fork and vfork on an architecture that has only clone
        body: list[bytes] = []
        for refusal in (each for each in refused if each.call == call):
            body += _refuse(refusal)
        body += _hold(call, handle) if call in held or call == "close" else [_return(_ALLOW)]
        blocks += [_instruction(_JEQ, 0, len(body), number), *body]
    return b"".join(
        [
            _instruction(_LOAD, 0, 0, _ARCHITECTURE),
            _instruction(_JEQ, 1, 0, machine.audit),
            _return(_ERRNO | errno.ENOSYS),
            _instruction(_LOAD, 0, 0, _NUMBER),
            _instruction(_JGE, 0, 1, _X32),
            _return(_ERRNO | errno.ENOSYS),
            *blocks,
            _return(_ALLOW),
        ]
    )


def _refuse(refusal: Refusal) -> list[bytes]:
    answer = _return(_ERRNO | refusal.errno)
    if refusal.argument is None:
        return [answer]
    index, value = refusal.argument
    return [_load_argument(index), _instruction(_JEQ, 0, 1, value), answer]


def _hold(call: str, handle: int | None) -> list[bytes]:
    if call == "close":
        picked = [_instruction(_JEQ, 2, 0, handle)] if handle is not None else []
        return [
            _load_argument(0),
            *picked,
            _instruction(_JGE, 2, 0, LINE + LINES),
            _instruction(_JGE, 0, 1, LINE),
            _return(_NOTIFY),
            _return(_ALLOW),
        ]
    if call == "clone":
        is_thread = _instruction(_JSET, 0, 1, CLONE_THREAD)
        return [_load_argument(0), is_thread, _return(_ALLOW), _return(_NOTIFY)]
    return [_return(_NOTIFY)]


def _load_argument(index: int) -> bytes:
    return _instruction(_LOAD, 0, 0, _ARGUMENTS + 8 * index)  # its low half; both are little-endian


def _return(value: int) -> bytes:
    return _instruction(_RETURN, 0, 0, value)


def _instruction(code: int, jump_true: int, jump_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, jump_true, jump_false, value)
