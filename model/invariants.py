"""Why a design is right for any number of threads: its inductive invariant, conjunct by conjunct.

Each conjunct is a sentence about how many threads stand where, about the word and about the handle.
Together they hold at the start, every command keeps them, and they imply the laws; that is for
:mod:`~lastref.model.induct` to show.  None can be spared: a test drops each in turn.

For go-2024 the argument in words: the references are the holders and, while the status is unset,
the persistent one; so while anybody holds, the count is not zero and nobody closes; whoever takes
it to zero is alone, becomes the one closer, and nobody can come in after him.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import z3

from lastref.model.counting import Count
from lastref.model.kernel import CHILD, OURS
from lastref.model.smt import Term
from lastref.model.word_spec import DONE_BIT, RELEASED_BIT, bit, count


@dataclass(frozen=True)
class Conjunct:
    """One sentence of an invariant."""

    id: str
    text: str
    holds: Callable[[Count], Term]


@dataclass(frozen=True)
class Invariant:
    """An inductive invariant, and what it assumes.

    ``starts`` are the states of the shared variables to start from: each overrides initial values;
    ``None`` for a value means any.  ``limit`` is how many threads may hold at once, ``limit_text``
    says so in words.
    """

    conjuncts: tuple[Conjunct, ...]
    starts: tuple[Mapping[str, int | None], ...] = ({},)
    limit: int = 1 << 62
    limit_text: str = ""


HANDLE_WORD_LIMIT = (1 << 62) - 1


def handle_word(closers: tuple[str, ...], reapers: tuple[str, ...]) -> tuple[Conjunct, ...]:
    """Return the invariant of a 64-bit status/refcount word.

    ``closers`` are the locations of a thread that is about to close, ``reapers`` those of a Wait
    that has reaped the process and not yet said so.
    """

    def refs(s: Count) -> Term:
        return count(s.shared["word"])

    def status(s: Count) -> Term:
        word = s.shared["word"]
        return z3.Or(bit(DONE_BIT, word), bit(RELEASED_BIT, word))

    def persistent(s: Count) -> Term:
        return z3.If(status(s), z3.BitVecVal(0, 64), z3.BitVecVal(1, 64))

    def ours(s: Count) -> Term:
        return s.shared["handle"] == OURS

    return (
        Conjunct(
            "one-reason",
            "done and released are never both set",
            lambda s: z3.Not(
                z3.And(bit(DONE_BIT, s.shared["word"]), bit(RELEASED_BIT, s.shared["word"]))
            ),
        ),
        Conjunct(
            "refs-are-holders",
            "references = persistent + transient holders",
            lambda s: z3.ZeroExt(2, refs(s)) == s.holders + persistent(s),
        ),
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
            lambda s: z3.Implies(z3.And(refs(s) == 0, ours(s)), s.at(*closers) >= 1),
        ),
        Conjunct(
            "done-is-reaped",
            "done is set, or about to be set, only when our process was reaped",
            lambda s: z3.Implies(
                z3.Or(bit(DONE_BIT, s.shared["word"]), s.at(*reapers) >= 1), s.shared["reaped"]
            ),
        ),
        Conjunct(
            "reaped-is-said",
            "if we reaped our child, the status is set or a Wait is about to set it",
            lambda s: z3.Implies(
                z3.And(s.shared["reaped"], s.shared["kin"] == CHILD),
                z3.Or(status(s), s.at(*reapers) >= 1),
            ),
        ),
    )


INVARIANTS: Mapping[tuple[str, str], Invariant] = {
    ("go-2024", "linux"): Invariant(
        handle_word(("free.close", "release.close", "drop.close"), ("drop.load",)),
        starts=({"exited": None},),
        limit=HANDLE_WORD_LIMIT,
        limit_text="fewer than 2^62 - 1 threads hold a reference at once",
    ),
}
"""The invariant of every sound design on its platform, by the ids of its table."""
