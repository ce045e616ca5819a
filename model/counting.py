"""A table set in motion by any number of threads: how many stand where, instead of who.

Threads differ in nothing but where they are, so a state is the shared variables and, for every
*local state* (a location of the fused table, with the values of its small local variables), the
number of threads there: an unbounded integer.

    signal.load ──acquire──▶ signal.send ──▶ free.load ──last──▶ free.close ──▶ end
         ∞                       n₁              n₂                  n₃

Where a method starts there is always one more thread, and one that has returned is not counted: the
supply is endless.  The number of holders is a sum of counters; the laws and the word want it as 64
bits, so a state has it twice, as the integer ``total`` and as the bit-vector ``holders``, tied
together by :meth:`Count.link`.  Mixed integer and bit-vector arithmetic is what solvers are worst
at; the few facts that follow from the two being equal are all that any step needs.

The counter abstraction is exact here: a step needs one thread at its location and moves one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import z3

from lastref.model.algebra import BOOL, Expr, const, evaluate, variables
from lastref.model.fuse import fuse, substitute
from lastref.model.smt import Term, Terms, declare, domain, number, translate
from lastref.model.table import HOLDERS, RESTING, Command, DesignError, Table, Variable

Place = tuple[str, tuple[int, ...]]
"""A local state: a location and the values of the local variables."""
WIDEST_LOCAL = 4
"""The most bits of a local variable whose values are told apart by counters of their own."""
TOLD_APART = (0, 1, 2)
"""The numbers of holders that the two views of it must agree on, besides the limit."""


@dataclass(frozen=True)
class Count:
    """A state: the ``shared`` terms, a counter for every place, and the holders in two views.

    ``total`` is the sum of the counters at the holding locations; ``holders`` is the same number as
    64 bits.
    """

    table: Table
    shared: Terms
    counters: Mapping[Place, Term]
    total: Term
    holders: Term

    def at(self, *locations: str, **where: int) -> Term:
        """Return how many threads are at ``locations``, with the locals in ``where`` as given."""
        names = [v.name for v in self.table.local]
        found = [
            n
            for (location, values), n in self.counters.items()
            if location in locations
            and all(dict(zip(names, values, strict=True))[k] == v for k, v in where.items())
        ]
        return z3.Sum(*found) if found else z3.IntVal(0)

    @cached_property
    def terms(self) -> Terms:
        """The terms of the variables that a law about states may use."""
        return {**self.shared, HOLDERS.name: self.holders}

    def holds(self, expr: Expr) -> Term:
        """Return a law about states as a term."""
        return translate(expr, self.terms)

    def link(self, limit: int) -> Term:
        """Return what follows from ``holders = total``, where both are below 2^64."""
        same = [(self.total == k) == (self.holders == k) for k in (*TOLD_APART, limit)]
        return z3.And(*same, (self.total < limit) == z3.ULT(self.holders, limit))

    def counted(self) -> Term:
        """Return that no counter is negative."""
        return z3.And(*(n >= 0 for n in self.counters.values()))

    def empty(self) -> Term:
        """Return that no thread is under way."""
        return z3.And(*(n == 0 for n in self.counters.values()), self.holders == 0)


@dataclass(frozen=True)
class Move:
    """One command taken from one place (``None``: by the kernel): when, and the state after it."""

    command: Command
    place: Place | None
    guard: Term
    after: Count

    @property
    def name(self) -> str:
        """The command's name, with the values of the locals where there are any."""
        values = self.place[1] if self.place is not None else ()
        return self.command.name + (f"{list(values)}" if any(values) else "")


class Counting:
    """The transition system of ``table`` for any number of threads."""

    def __init__(self, table: Table) -> None:
        self.fusion = fuse(table)
        self.table = self.fusion.fused
        wide = [v.name for v in self.table.local if v.width > WIDEST_LOCAL]
        if wide:
            raise DesignError(
                f"the local variable '{wide[0]}' of {table.id} survives the fusion",
                f"it has more than {WIDEST_LOCAL} bits, too many for a counter for each value",
                "load it in the round that uses it, or narrow it",
            )
        self.starts = frozenset(self.table.methods.values())
        self.places = tuple(self._places())
        counted = [p for p in self.places if not self.endless(p)]
        counters = {p: z3.Int(_spelled(p)) for p in counted}
        holding = [n for p, n in counters.items() if p[0] in self.table.holding]
        self.before = Count(
            self.table,
            declare(self.table.shared),
            counters,
            z3.Sum(*holding) if holding else z3.IntVal(0),
            z3.BitVec(HOLDERS.name, 64),
        )

    def endless(self, place: Place) -> bool:
        """Return whether there is always a thread at ``place``: a method starts there."""
        return place[0] in self.starts and not any(place[1])

    def domain(self, state: Count) -> list[Term]:
        """Return the values that the shared variables can have at all."""
        return domain(self.table.shared, state.shared)

    def moves(self) -> Iterator[Move]:
        """Yield every command from every place, then the kernel's."""
        for place in self.places:
            for c in self.table.leaving[place[0]]:
                yield self.move(c, place)
        for c in self.table.kernel:
            yield self.move(c, None)

    def move(self, c: Command, place: Place | None) -> Move:
        """Return `c` taken from `place`, which must be one of this system (`None`: the kernel)."""
        before = self.before
        names = {**before.shared, **self._local_terms(place)}
        after = {**names, **{n: translate(e, names) for n, e in c.update}}
        shared = {n: after[n] for n in before.shared}
        guard = translate(c.guard, names)
        if place is None:
            return Move(c, None, guard, replace(before, shared=shared))
        counters, total, holders = dict(before.counters), before.total, before.holders
        if place in counters:
            guard = z3.And(guard, counters[place] >= 1)
            counters[place] = counters[place] - 1
        gain = (c.to in self.table.holding) - (place[0] in self.table.holding)
        if gain:
            total, holders = total + gain, holders + gain
        local = {v.name: after[v.name] for v in self.table.local}
        for to in self.places:
            if to[0] == c.to and to in counters:
                counters[to] = counters[to] + self._arrives(to, local)
        count = Count(self.table, shared, counters, total, holders)
        return Move(c, place, guard, count)

    def _local_terms(self, place: Place | None) -> Terms:
        if place is None:
            return {}
        pairs = zip(self.table.local, place[1], strict=True)
        return {v.name: number(value, v.width) for v, value in pairs}

    def _arrives(self, place: Place, local: Terms) -> Term:
        """Return 1 if the locals are those of ``place``, else 0."""
        same = z3.And(
            *(
                local[v.name] == number(value, v.width)
                for v, value in zip(self.table.local, place[1], strict=True)
            )
        )
        same = z3.simplify(same)
        if z3.is_true(same):
            return z3.IntVal(1)
        return z3.IntVal(0) if z3.is_false(same) else z3.If(same, z3.IntVal(1), z3.IntVal(0))

    def _places(self) -> Iterator[Place]:
        """Yield every local state that a thread can come to, in order of discovery."""
        parked = (0,) * len(self.table.local)
        queue: list[Place] = [(at, parked) for at in dict.fromkeys(self.table.methods.values())]
        seen = set(queue)
        for place in queue:
            yield place
            for c in self.table.leaving[place[0]]:
                if c.to is None or c.to in RESTING:
                    continue
                for values in self._local_values(c, place[1]):
                    if (c.to, values) not in seen:
                        seen.add((c.to, values))
                        queue.append((c.to, values))

    def _local_values(self, c: Command, values: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Yield the values that the locals may have after ``c``, from ``values``."""
        now = {
            v.name: const(value, v.width) for v, value in zip(self.table.local, values, strict=True)
        }
        if _never(substitute(c.guard, now)):
            return
        update = dict(c.update)
        choices = []
        for v, value in zip(self.table.local, values, strict=True):
            expr = substitute(update[v.name], now) if v.name in update else const(value, v.width)
            known = not variables(expr)
            choices.append([int(evaluate(expr, {}))] if known else list(_values(v)))
        yield from itertools.product(*choices)


def _never(guard: Expr) -> bool:
    names = {n: z3.Bool(n) if w == BOOL else z3.BitVec(n, w) for n, w in _free(guard)}
    return bool(z3.is_false(z3.simplify(translate(guard, names))))


def _free(expr: Expr) -> set[tuple[str, int]]:
    found: set[tuple[str, int]] = set()
    stack = [expr]
    while stack:
        e = stack.pop()
        if e.op == "var":
            found.add((e.name, e.width))
        stack += e.args
    return found


def _values(v: Variable) -> range:
    return range(len(v.labels) or (2 if v.width == BOOL else 1 << v.width))


def _spelled(place: Place) -> str:
    location, values = place
    return f"#{location}" + (f"{list(values)}" if any(values) else "")
