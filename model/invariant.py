"""What an inductive invariant consists of; those of the designs are in ``invariants``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce

import z3

from lastref.model.counting import Count
from lastref.model.smt import Term

NO_LIMIT = 1 << 62
"""The limit where nothing is counted in fewer bits than threads could fill."""


@dataclass(frozen=True)
class Conjunct:
    """One sentence of an invariant.

    ``kept`` says, of the states before and after a step, what makes the sentence true afterwards
    if it was true before; without it that is the sentence itself.
    """

    id: str
    text: str
    holds: Callable[[Count], Term]
    kept: Callable[[Count, Count], Term] | None = None


def balance(name: str, text: str, addends: Callable[[Count], tuple[Term, ...]]) -> Conjunct:
    """Return the sentence that ``addends``, bit-vectors of one width, add up to zero.

    It stays true exactly if what they change by adds up to zero: what a step leaves alone drops
    out, and no solver need know that addition is associative.
    """

    def kept(before: Count, after: Count) -> Term:
        pairs = zip(addends(before), addends(after), strict=True)
        changes = [new - old for old, new in pairs if not new.eq(old)]
        return z3.BoolVal(True) if not changes else reduce(operator.add, changes) == 0

    return Conjunct(name, text, lambda s: reduce(operator.add, addends(s)) == 0, kept)


@dataclass(frozen=True)
class Invariant:
    """An inductive invariant, what it is about, and what it assumes.

    ``starts`` are the states of the shared variables to start from: each overrides initial values;
    ``None`` for a value means any.  ``limit`` is how many threads may hold at once, ``limit_text``
    says so in words, together with what else is assumed.  ``broken`` are the laws that the design
    breaks, which are not claimed.  ``methods`` are those that are called (``None``: all), ``once``
    those of which there is one call at most.  ``sums`` are counts of threads that the conjuncts
    want as 64 bits, by name.
    """

    conjuncts: tuple[Conjunct, ...]
    starts: tuple[Mapping[str, int | None], ...] = ({},)
    limit: int = NO_LIMIT
    limit_text: str = ""
    broken: frozenset[str] = frozenset()
    methods: tuple[str, ...] | None = None
    once: tuple[str, ...] = ()
    sums: Mapping[str, frozenset[str]] = field(default_factory=dict)
