"""What an inductive invariant consists of; those of the designs are in ``invariants``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lastref.model.counting import Count
from lastref.model.smt import Term

NO_LIMIT = 1 << 62
"""The limit where nothing is counted in fewer bits than threads could fill."""


@dataclass(frozen=True)
class Conjunct:
    """One sentence of an invariant."""

    id: str
    text: str
    holds: Callable[[Count], Term]


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
