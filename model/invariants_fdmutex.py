"""The invariant of Go's fdMutex: references, two locks, and who sleeps or wakes whom.

    sleepers of a lock = waiters in the word + wake-ups in the semaphore + wakers under way
                         + those whom a Close has taken out of the word and not yet woken

and nobody sleeps for good: while anybody waits, the lock is held, or somebody who was woken for it
is on his way.
"""

from __future__ import annotations

from dataclasses import dataclass

import z3

from lastref.model.counting import Count
from lastref.model.designs.go_fdmutex import (
    CLOSED,
    READ_MASK,
    RLOCK,
    WLOCK,
    WRITE_MASK,
)
from lastref.model.invariant import Conjunct, balance
from lastref.model.invariants_handle import closing, ours
from lastref.model.smt import Term

LIMIT = (1 << 20) - 1
SUM_BITS = 24
CLOSERS = ("free.close", "runlock.close", "wunlock.close", "drop.close")
TELLERS = ("free.wake_closer", "runlock.wake_closer", "wunlock.wake_closer", "drop.wake_closer")
LEAVING = ("close.wake", "drop.load")


@dataclass(frozen=True)
class Side:
    """One of the two locks: its bit, its waiters' bits, and the names of its methods."""

    name: str
    bit: int
    mask: int
    lock: str
    unlock: str

    @property
    def unit(self) -> int:
        """The position of the waiters' lowest bit."""
        return (self.mask & -self.mask).bit_length() - 1


SIDES = (
    Side("readers", RLOCK, READ_MASK, "read", "runlock"),
    Side("writers", WLOCK, WRITE_MASK, "write", "wunlock"),
)
SUMS = {
    f"{what} {side.name}": frozenset({at})
    for side in SIDES
    for what, at in (("sleeping", f"{side.lock}.sleep"), ("waking", f"{side.unlock}.wake"))
}
"""Who sleeps and who is about to wake one, for either lock."""


def word(s: Count) -> Term:
    """Return the state word."""
    return s.shared["state"]


def is_closed(s: Count) -> Term:
    """Return that the lock is closed."""
    return word(s) & CLOSED != 0


def sema(s: Count, side: Side) -> Term:
    """Return the semaphore of a lock, in the unit of its waiters."""
    return s.shared["read_sema" if side.lock == "read" else "write_sema"]


def field(value: Term, side: Side) -> Term:
    """Return the waiters' field of ``value``, with room to add four of them."""
    return z3.ZeroExt(SUM_BITS - 20, z3.Extract(side.unit + 19, side.unit, value))


def taken_out(s: Count, side: Side) -> Term:
    """Return those whom a Close has taken out of the word and not yet woken."""
    none = z3.BitVecVal(0, SUM_BITS)
    return z3.If(s.at("close.wake") >= 1, field(s.shared["old"], side), none)


def of_a_lock(side: Side) -> tuple[Conjunct, ...]:
    """Return the conjuncts about one of the two locks."""
    return (
        Conjunct(
            f"one-holds-{side.lock}",
            f"the {side.lock} lock is held by one thread exactly while its bit is set",
            lambda s: (
                s.at(f"{side.lock}.use", f"{side.unlock}.load")
                == z3.If(word(s) & side.bit != 0, 1, 0)
            ),
        ),
        balance(
            f"{side.name}-are-counted",
            f"every sleeping of the {side.name} is waited for, or is being woken",
            lambda s: (
                field(word(s), side),
                field(sema(s, side), side),
                z3.Extract(SUM_BITS - 1, 0, s.bits(f"waking {side.name}")),
                taken_out(s, side),
                -z3.Extract(SUM_BITS - 1, 0, s.bits(f"sleeping {side.name}")),
            ),
        ),
        Conjunct(
            f"{side.name}-in-the-field",
            f"the semaphore of the {side.name} has nothing but whole wake-ups",
            lambda s: sema(s, side) & ~z3.BitVecVal(side.mask, 64) == 0,
        ),
        Conjunct(
            f"{side.name}-will-be-woken",
            f"while one of the {side.name} waits, the lock is held or a woken one is on his way",
            lambda s: z3.Implies(
                word(s) & side.mask != 0,
                z3.Or(
                    word(s) & side.bit != 0,
                    sema(s, side) != 0,
                    s.at(f"{side.unlock}.wake", f"{side.lock}.load") >= 1,
                ),
            ),
        ),
    )


def refs(s: Count) -> Term:
    """Return the references in the word."""
    return z3.Extract(22, 3, word(s))


def fd_mutex() -> tuple[Conjunct, ...]:
    """Return the invariant of fdMutex."""
    return (
        Conjunct(
            "refs-are-holders",
            "references = holders; the topmost bit is never set",
            lambda s: z3.And(
                z3.ZeroExt(44, refs(s)) == s.holders, z3.Extract(63, 63, word(s)) == 0
            ),
        ),
        Conjunct(
            "closed-has-no-waiters",
            "nobody is counted as waiting once it is closed",
            lambda s: z3.Implies(is_closed(s), word(s) & (READ_MASK | WRITE_MASK) == 0),
        ),
        Conjunct(
            "open-while-unclosed",
            "the file is open until the lock is closed",
            lambda s: z3.Implies(z3.Not(is_closed(s)), ours(s)),
        ),
        Conjunct(
            "closing-once",
            "somebody closes, or is about to tell the closer, only once it is closed",
            lambda s: z3.Implies(
                s.at(*CLOSERS, *TELLERS, *LEAVING, "close.wait") >= 1, is_closed(s)
            ),
        ),
        Conjunct(
            "one-close",
            "one Close is under way at most, and it is told once, when the file is closed",
            lambda s: z3.And(
                s.at(*LEAVING, "close.wait", "drop.close", "drop.wake_closer") <= 1,
                s.at(*TELLERS) + z3.If(s.shared["closer"] == 1, 1, 0) <= 1,
                z3.Implies(
                    z3.Or(s.at(*TELLERS) >= 1, s.shared["closer"] == 1),
                    z3.And(refs(s) == 0, z3.Not(ours(s))),
                ),
            ),
        ),
        Conjunct(
            "closer-will-be-told",
            "a Close that waits is told by the last user",
            lambda s: z3.Implies(
                s.at("close.wait") >= 1,
                z3.Or(refs(s) != 0, s.at(*CLOSERS, *TELLERS) >= 1, s.shared["closer"] == 1),
            ),
        ),
        *(c for side in SIDES for c in of_a_lock(side)),
        *closing(refs, CLOSERS, lambda s: z3.Not(is_closed(s))),
    )
