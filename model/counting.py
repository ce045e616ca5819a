"""A table set in motion by any number of threads: how many stand where, instead of who.

Threads differ in nothing but where they are, so a state is the shared variables and, for every
*local state* (a location of the fused table, with the values of its small local variables), the
number of threads there: an unbounded integer.

    signal.load ──acquire──▶ signal.send ──▶ free.load ──last──▶ free.close ──▶ end
         ∞                       n₁              n₂                  n₃

Where a method starts there is always one more thread, and one that has returned is not counted: the
supply is endless.  (A thread that comes back to where it started is counted there.)  The number of
holders is a sum of counters; the laws and the word want it as 64 bits, so a state has it twice, as
the integer ``total`` and as the bit-vector ``holders``, tied together by :meth:`Count.link`.  Mixed
integer and bit-vector arithmetic is what solvers are worst at; the few facts that follow from the
two being equal are all that any step needs.  An invariant may ask for more such sums.

A local variable with too many values for a counter for each is kept only where a command still
reads it, and only for one thread: that there is never a second one there is part of what is proved.

The counter abstraction is exact here: a step needs one thread at its location and moves one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import z3

from lastref.model.algebra import BOOL, Expr, const, evaluate, variables
from lastref.model.fuse import fuse, substitute
from lastref.model.smt import Term, Terms, declare, domain, number, translate
from lastref.model.table import HOLDERS, RESTING, Command, Table, Variable

Place = tuple[str, tuple[int, ...]]
"""A local state: a location and the values of the local variables."""
WIDEST_LOCAL = 4
"""The most bits of a local variable whose values are told apart by counters of their own."""
TOLD_APART = (0, 1, 2)
"""The numbers of holders that the two views of it must agree on, besides the limit."""


class Sum(NamedTuple):
    """A sum of counters, as an integer and as 64 bits."""

    total: Term
    bits: Term

    def plus(self, gain: int) -> Sum:
        """Return the sum with ``gain`` more threads."""
        return Sum(self.total + gain, self.bits + gain) if gain else self

    def link(self, limit: int) -> Term:
        """Return what follows from the two being equal, where both are below 2^64."""
        same = [(self.total == k) == (self.bits == k) for k in (*TOLD_APART, limit)]
        return z3.And(*same, (self.total < limit) == z3.ULT(self.bits, limit))


@dataclass(frozen=True)
class Count:
    """A state: the ``shared`` terms, a counter for every place, and sums of counters.

    ``sums`` has the holders, and what else was asked for, by name.  ``supply`` are the places where
    threads wait that have yet to begin the one call they may make.
    """

    table: Table
    shared: Terms
    counters: Mapping[Place, Term]
    sums: Mapping[str, Sum]
    supply: frozenset[Place] = frozenset()

    @property
    def total(self) -> Term:
        """How many threads hold a reference, as an integer."""
        return self.sums[HOLDERS.name].total

    @property
    def holders(self) -> Term:
        """How many threads hold a reference, as 64 bits."""
        return self.sums[HOLDERS.name].bits

    def bits(self, name: str) -> Term:
        """Return the sum ``name`` as 64 bits."""
        return self.sums[name].bits

    def at(self, *locations: str, **where: int) -> Term:
        """Return how many threads are at ``locations``, with the locals in ``where`` as given."""
        names = [v.name for v in self.table.local if v.width <= WIDEST_LOCAL]
        found = [
            n
            for (location, values), n in self.counters.items()
            if location in locations
            and all(dict(zip(names, values, strict=True))[k] == v for k, v in where.items())
        ]
        return z3.Sum(*found) if found else z3.IntVal(0)

    @property
    def terms(self) -> Terms:
        """The terms of the variables that a law about states may use."""
        return {**self.shared, HOLDERS.name: self.holders}

    def changes(self, after: Count) -> list[tuple[Term, Term]]:
        """Return each variable of this state with what it is ``after``, where that is not the same.

        What is said of this state is said of the other by substitution, which is quicker than to
        say it again.
        """
        terms = [(t, after.shared[n]) for n, t in self.shared.items()]
        terms += [(t, after.counters[p]) for p, t in self.counters.items()]
        terms += [(s.bits, after.sums[n].bits) for n, s in self.sums.items()]
        return [(old, new) for old, new in terms if new is not old]

    def holds(self, expr: Expr) -> Term:
        """Return a law about states as a term."""
        return translate(expr, self.terms)

    def link(self, limit: int) -> Term:
        """Return what ties the two views of every sum together."""
        return z3.And(*(s.link(limit) for s in self.sums.values()))

    def below(self, limit: int) -> Term:
        """Return that every sum is below ``limit``."""
        return z3.And(*(s.total < limit for s in self.sums.values()))

    def counted(self) -> Term:
        """Return that no counter is negative."""
        return z3.And(*(n >= 0 for n in self.counters.values()))

    def empty(self) -> Term:
        """Return that no thread is under way."""
        return z3.And(
            *(n == 0 for p, n in self.counters.items() if p not in self.supply),
            *(s.bits == 0 for s in self.sums.values()),
        )


@dataclass(frozen=True)
class Move:
    """One command taken from one place (``None``: by the kernel): when, and the state after it.

    ``fresh`` says that it is the first of a thread, of which there is always one more.
    """

    command: Command
    place: Place | None
    guard: Term
    after: Count
    fresh: bool = False

    @property
    def name(self) -> str:
        """The command's name, with the values of the locals where there are any."""
        values = self.place[1] if self.place is not None else ()
        return self.command.name + (f"{list(values)}" if any(values) else "")


class Counting:
    """The transition system of ``table`` for any number of threads.

    ``sums`` names sets of locations to be summed beside the holders.  A method in ``once`` is
    called at most once in all.
    """

    def __init__(
        self,
        table: Table,
        sums: Mapping[str, frozenset[str]] | None = None,
        once: Iterable[str] = (),
    ) -> None:
        self.fusion = fuse(table)
        self.table = self.fusion.fused
        self.small = tuple(v for v in self.table.local if v.width <= WIDEST_LOCAL)
        self.wide = tuple(v for v in self.table.local if v.width > WIDEST_LOCAL)
        self.readers = {
            v.name: frozenset(c.at for c in self.table.commands if v.name in c.reads and c.at)
            for v in self.wide
        }
        parked = (0,) * len(self.small)
        self.once = frozenset((self.table.methods[m], parked) for m in once)
        self.starts = frozenset((at, parked) for at in self.table.methods.values())
        self.sums = {HOLDERS.name: self.table.holding, **(sums or {})}
        self.places = tuple(self._places())
        again = frozenset(c.to for c in self.table.commands)
        counted = [p for p in self.places if not self.endless(p) or p[0] in again]
        counters = {p: z3.Int(_spelled(p)) for p in counted}
        shared = declare((*self.table.shared, *self.wide))
        self.before = Count(self.table, shared, counters, self._sums(counters), self.once)

    def _sums(self, counters: Mapping[Place, Term]) -> dict[str, Sum]:
        found = {}
        for name, locations in self.sums.items():
            terms = [n for p, n in counters.items() if p[0] in locations]
            total = z3.Sum(*terms) if terms else z3.IntVal(0)
            found[name] = Sum(total, z3.BitVec(name, 64))
        return found

    def endless(self, place: Place) -> bool:
        """Return whether there is always a thread at ``place``: a method starts there."""
        return place in self.starts - self.once

    def alone(self, state: Count) -> Term:
        """Return that wherever a wide local variable is read there is at most one thread."""
        return z3.And(*(state.at(*readers) <= 1 for readers in self.readers.values()))

    def domain(self, state: Count) -> list[Term]:
        """Return the values that the shared variables can have at all."""
        return domain(self.table.shared, state.shared)

    def moves(self) -> Iterator[Move]:
        """Yield every command from every place, then the kernel's."""
        for place in self.places:
            for c in self.table.leaving[place[0]]:
                if self.endless(place):
                    yield self.move(c, place)
                if place in self.before.counters:
                    yield self.move(c, place, fresh=False)
        for c in self.table.kernel:
            yield self.move(c, None)

    def move(self, c: Command, place: Place | None, *, fresh: bool | None = None) -> Move:
        """Return `c` taken from `place`, which must be one of this system (`None`: the kernel).

        It is a fresh thread that takes it where there is always one, unless ``fresh`` says not.
        """
        before = self.before
        fresh = place is not None and self.endless(place) if fresh is None else fresh
        names = {**before.shared, **self.local_terms(place)}
        after = {**names, **{n: translate(e, names) for n, e in c.update}}
        shared = {n: after.get(n, before.shared[n]) for n in before.shared}
        guard = translate(c.guard, names)
        if place is None:
            return Move(c, None, guard, replace(before, shared=shared))
        counters = dict(before.counters)
        if not fresh:
            guard = z3.And(guard, counters[place] >= 1)
            counters[place] = counters[place] - 1
        sums = {
            name: s.plus((c.to in self.sums[name]) - (not fresh and place[0] in self.sums[name]))
            for name, s in before.sums.items()
        }
        for v in self.wide:
            kept = c.to not in self.readers[v.name] or place[0] in self.readers[v.name]
            shared[v.name] = before.shared[v.name] if kept else after[v.name]
        local = {v.name: after[v.name] for v in self.small}
        for to in self.places:
            if to[0] == c.to and to in counters:
                counters[to] = counters[to] + self._arrives(to, local)
        count = Count(self.table, shared, counters, sums, before.supply)
        return Move(c, place, guard, count, fresh)

    def local_terms(self, place: Place | None) -> Terms:
        """Return the values of the local variables of a thread at ``place``."""
        if place is None:
            return {}
        values = {v.name: number(0, v.width) for v in self.wide}
        for v in self.wide:
            if place[0] in self.readers[v.name]:
                values[v.name] = self.before.shared[v.name]
        pairs = zip(self.small, place[1], strict=True)
        return {**values, **{v.name: number(value, v.width) for v, value in pairs}}

    def _arrives(self, place: Place, local: Terms) -> Term:
        """Return 1 if the locals are those of ``place``, else 0."""
        same = z3.And(
            *(
                local[v.name] == number(value, v.width)
                for v, value in zip(self.small, place[1], strict=True)
            )
        )
        same = z3.simplify(same)
        if z3.is_true(same):
            return z3.IntVal(1)
        return z3.IntVal(0) if z3.is_false(same) else z3.If(same, z3.IntVal(1), z3.IntVal(0))

    def _places(self) -> Iterator[Place]:
        """Yield every local state that a thread can come to, in order of discovery."""
        parked = (0,) * len(self.small)
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
        now = {v.name: const(value, v.width) for v, value in zip(self.small, values, strict=True)}
        if _never(substitute(c.guard, now)):
            return
        update = dict(c.update)
        choices = []
        for v, value in zip(self.small, values, strict=True):
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
