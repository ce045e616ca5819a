"""How a specification of a design's single steps is written: cases, on raw bits.

A table says what a design *does*; a specification says, in other words, what each step *shall* do.
It is written by hand on z3 bit-vectors and never uses the table's expressions, so that a slip in a
table (or in a helper that all tables share) does not go into both.

    at a location, one case a line:   op   to   outcome   when (a condition)   then (before, after)

:mod:`~lastref.model.prove` shows that the commands of a location and its cases are the same thing,
in both directions, for every value of every variable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import z3

from lastref.model.smt import Term, Terms

When = Callable[[Terms], Term]
Then = Callable[[Terms, Terms], Term]


def _nothing(_before: Terms, _after: Terms) -> Term:
    return z3.BoolVal(True)


def always(_state: Terms) -> Term:
    """Hold in every state."""
    return z3.BoolVal(True)


@dataclass(frozen=True)
class Case:
    """One thing that may happen at a location, or one command of the kernel (``to`` is ``None``).

    ``when`` says in which states it happens, ``then`` relates the values before and after for the
    variables in ``writes``; every other variable keeps its value.  ``limit`` is a premise under
    which alone ``then`` is claimed, with its words in ``limit_text``.
    """

    op: str
    to: str | None
    outcome: str | None = None
    when: When = always
    then: Then = _nothing
    writes: frozenset[str] = frozenset()
    limit: When = always
    limit_text: str = ""


@dataclass(frozen=True)
class Fact:
    """A claim about one command beyond its cases: it relates the values before and after."""

    law: str
    command: str
    claim: Then


@dataclass(frozen=True)
class Specification:
    """What every step of a design shall do.

    ``cases`` has an entry for every location that commands leave, ``kernel`` for every command of
    the kernel by name.
    """

    cases: Mapping[str, tuple[Case, ...]]
    kernel: Mapping[str, tuple[Case, ...]] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()


def case(
    op: str,
    to: str | None,
    outcome: str | None = None,
    when: When = always,
    then: Mapping[str, Callable[[Terms], Term]] | None = None,
) -> Case:
    """Return a case whose written variables each get a value computed from the state before."""
    values = dict(then or {})

    def holds(before: Terms, after: Terms) -> Term:
        return z3.And(*(after[name] == value(before) for name, value in values.items()))

    return Case(op, to, outcome, when, holds, frozenset(values))
