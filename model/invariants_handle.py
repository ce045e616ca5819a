"""The invariants of the words whose references guard a handle: who closes, and why only once.

The argument is the same for all of them.  The references are the holders and the object's own; so
while anybody holds, the count is not zero and nobody closes; whoever takes it to zero is alone,
becomes the one closer, and nobody can come in after him.
"""

from __future__ import annotations

from collections.abc import Callable

import z3

from lastref.model.counting import Count
from lastref.model.invariant import Conjunct, balance
from lastref.model.kernel import CHILD, OURS
from lastref.model.kernel_pid import MINE
from lastref.model.smt import Term
from lastref.model.word_spec import DONE_BIT, RELEASED_BIT, bit, count

Claim = Callable[[Count], Term]

HANDLE_WORD_LIMIT = (1 << 62) - 1
HANDLE_LIMIT = (1 << 31) - 1
SAFE_HANDLE_LIMIT = (1 << 30) - 1


def ours(s: Count) -> Term:
    """Return that the handle is open and ours."""
    return s.shared["handle"] == OURS


def one(condition: Term) -> Term:
    """Return 1 if the condition holds, else 0, as 64 bits."""
    return z3.If(condition, z3.BitVecVal(1, 64), z3.BitVecVal(0, 64))


def closing(
    refs: Claim, closers: tuple[str, ...], never: Claim | None = None
) -> tuple[Conjunct, ...]:
    """Return why the handle is closed exactly when its references are gone.

    ``closers`` are the locations of a thread that is about to close.  Where ``never`` holds, nobody
    needs to.
    """
    unless = never if never is not None else lambda _: z3.BoolVal(False)
    return (
        Conjunct(
            "open-while-referenced",
            "the handle is open and ours while there are references",
            lambda s: z3.Implies(refs(s) != 0, ours(s)),
        ),
        Conjunct(
            "one-closer",
            "at most one thread is about to close, and then nobody holds and the handle is open",
            lambda s: z3.Implies(
                s.at(*closers) >= 1, z3.And(s.at(*closers) == 1, refs(s) == 0, ours(s))
            ),
        ),
        Conjunct(
            "somebody-closes",
            "without references the handle is closed, or somebody is about to close it",
            lambda s: z3.Implies(
                z3.And(refs(s) == 0, ours(s), z3.Not(unless(s))), s.at(*closers) >= 1
            ),
        ),
    )


def reaping(done: Claim, told: Claim, reapers: tuple[str, ...]) -> tuple[Conjunct, ...]:
    """Return what *done* has to do with a process that was reaped.

    ``reapers`` are the locations of a Wait that has reaped it and not yet said so; ``told`` is that
    the status is set.
    """
    return (
        Conjunct(
            "done-is-reaped",
            "done is set, or about to be set, only when our process was reaped",
            lambda s: z3.Implies(z3.Or(done(s), s.at(*reapers) >= 1), s.shared["reaped"]),
        ),
        Conjunct(
            "reaped-is-said",
            "if we reaped our child, the status is set or a Wait is about to set it",
            lambda s: z3.Implies(
                z3.And(s.shared["reaped"], s.shared["kin"] == CHILD),
                z3.Or(told(s), s.at(*reapers) >= 1),
            ),
        ),
    )


PINNED = Conjunct(
    "handle-pins-pid",
    "while our handle is open the pid is our process's",
    lambda s: z3.Implies(ours(s), s.shared["pid_owner"] == MINE),
)


def word_status(s: Count) -> Term:
    """Return that a status bit of the 64-bit word is set."""
    word = s.shared["word"]
    return z3.Or(bit(DONE_BIT, word), bit(RELEASED_BIT, word))


def word_done(s: Count) -> Term:
    """Return that the done bit of the 64-bit word is set."""
    return bit(DONE_BIT, s.shared["word"])


ONE_REASON = Conjunct(
    "one-reason",
    "done and released are never both set",
    lambda s: z3.Not(z3.And(word_done(s), bit(RELEASED_BIT, s.shared["word"]))),
)


def handle_word(closers: tuple[str, ...]) -> tuple[Conjunct, ...]:
    """Return the invariant of the 64-bit status/refcount word and its handle."""

    def refs(s: Count) -> Term:
        return count(s.shared["word"])

    return (
        ONE_REASON,
        Conjunct(
            "refs-are-holders",
            "references = persistent + transient holders",
            lambda s: z3.ZeroExt(2, refs(s)) == s.holders + one(z3.Not(word_status(s))),
        ),
        *closing(refs, closers),
    )


def linux_word() -> tuple[Conjunct, ...]:
    """Return the invariant of go-2024 with a pidfd."""
    return (
        *handle_word(("free.close", "release.close", "drop.close")),
        *reaping(word_done, word_status, ("drop.load",)),
    )


def windows_word() -> tuple[Conjunct, ...]:
    """Return the invariant of go-2024 with a Windows handle: there, done is never set."""
    never = Conjunct("never-done", "done is never set", lambda s: z3.Not(word_done(s)))
    closers = ("free.close", "release.close", "drop.close")
    return (never, *handle_word(closers)[1:], PINNED)


def counted_handle() -> tuple[Conjunct, ...]:
    """Return the invariant of go-2025: a status, and a handle that counts its own references."""
    closers = ("free.close", "release.close", "drop.close")
    owing = ("release.refs", "drop.refs")
    asking = ("wait.again", "signal.again", "kill.again", "foreign.again")

    def refs(s: Count) -> Term:
        return s.shared["refs"]

    def live(s: Count) -> Term:
        return s.shared["state"] == 0

    def own(s: Count) -> Term:
        return one(z3.Or(live(s), s.shared["dropping"]))

    return (
        Conjunct(
            "one-owes",
            "exactly while the object's own reference is due, one thread is giving it back",
            lambda s: s.at(*owing) == z3.If(s.shared["dropping"], 1, 0),
        ),
        Conjunct(
            "owes-when-set",
            "the object's own reference is due only once the status is set",
            lambda s: z3.Not(z3.And(live(s), s.shared["dropping"])),
        ),
        Conjunct(
            "refs-are-holders",
            "references = the object's own + transient holders",
            lambda s: z3.ZeroExt(32, refs(s)) == s.holders + own(s),
        ),
        Conjunct(
            "closed-was-told",
            "who found the handle closed will find the status set",
            lambda s: z3.Implies(s.at(*asking) >= 1, z3.Not(live(s))),
        ),
        *closing(refs, closers),
    )


def counted_linux() -> tuple[Conjunct, ...]:
    """Return the invariant of go-2025 with a pidfd."""
    reapers = ("drop.state", "drop.state_cas")
    done = Conjunct(
        "done-is-reaped",
        "done is set, or about to be set, only when our process was reaped",
        lambda s: z3.Implies(
            z3.Or(s.shared["state"] == 1, s.at(*reapers) >= 1), s.shared["reaped"]
        ),
    )
    return (*counted_handle(), done)


def counted_windows() -> tuple[Conjunct, ...]:
    """Return the invariant of go-2025 with a Windows handle."""
    never = Conjunct("never-done", "done is never set", lambda s: s.shared["state"] != 1)
    return (*counted_handle(), never, PINNED)


def double_count() -> tuple[Conjunct, ...]:
    """Return what holds of go-2025-double although it panics: its handle is closed only once.

    The word's own count and the handle's are out of step for a moment in every call; ``owing`` are
    the locations at which a thread has changed the one and not yet the other.
    """
    closers = ("free.close", "release.close", "drop.close")

    def refs(s: Count) -> Term:
        return s.shared["refs"]

    return (
        ONE_REASON,
        Conjunct(
            "word-counts-calls",
            "the word's references = the calls that have counted themselves there, and the object",
            lambda s: (
                z3.ZeroExt(2, count(s.shared["word"]))
                == s.bits("counted") + one(z3.Not(word_status(s)))
            ),
        ),
        balance(
            "refs-are-uses",
            "the handle's references = its users, and the object's own until it is given back",
            lambda s: (
                z3.ZeroExt(32, refs(s)),
                -s.bits("using"),
                -s.bits("giving back"),
                -one(z3.Not(word_status(s))),
            ),
        ),
        *closing(refs, closers),
        *reaping(word_done, word_status, ("drop.load",))[:1],
    )


DOUBLE_SUMS = {
    "using": frozenset(
        {"wait.waitid", "signal.send", "kill.send", "drop.load", "drop.refs", "drop.close"}
        | {"free.load", "free.refs"}
    ),
    "counted": frozenset(
        {"wait.refs", "signal.refs", "kill.refs", "wait.waitid", "signal.send", "kill.send"}
        | {"drop.load", "drop.refs", "drop.close", "free.load"}
    ),
    "giving back": frozenset({"drop.refs", "release.refs"}),
}
"""Who is counted where in go-2025-double, and who is giving the object's own reference back."""


def safe_handle() -> tuple[Conjunct, ...]:
    """Return the invariant of .NET's SafeHandle."""

    def refs(s: Count) -> Term:
        return z3.Extract(31, 2, s.shared["state"])

    def closed(s: Count) -> Term:
        return bit(0, s.shared["state"])

    def disposed(s: Count) -> Term:
        return bit(1, s.shared["state"])

    return (
        Conjunct(
            "refs-are-holders",
            "references = the creator's + users",
            lambda s: z3.ZeroExt(34, refs(s)) == s.holders + one(z3.Not(disposed(s))),
        ),
        Conjunct(
            "closed-when-unreferenced",
            "without references it is closed; with references only because somebody said so",
            lambda s: z3.And(
                z3.Implies(refs(s) == 0, closed(s)),
                z3.Implies(z3.And(refs(s) != 0, closed(s)), s.shared["invalid"]),
            ),
        ),
        *closing(refs, ("free.close", "dispose.close"), lambda s: s.shared["invalid"]),
    )
