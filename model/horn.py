"""A table as constrained Horn clauses: the form in which a solver can look for an invariant.

    Reach(start).
    Reach(s')   if  Reach(s), a thread is at c's location, guard of c(s), s' = c(s)     for all c
    Broken      if  Reach(s), a thread is at c's location, guard of c(s), not must(c)(s)

A state is the fields of the shared variables (:mod:`~lastref.model.fields`) and a counter for every
*crowd* of threads.  Two ways to crowd them:

``EXACT``   a crowd for every local state.  A counterexample is then a real one.
``SLICED``  the same, but variables that neither the laws nor the design's own steps look at (has
            the process ended? whose child is it?) are forgotten, so that anything may happen.
``MERGED``  sliced, and one crowd for all threads of one role: that hold or do not, that are about
            to close or are not, that have set a flag beside the words and are to clear it.

The last two are coarser: what is proved of them is true of the table, but a counterexample need not
be real.

Merged, the solver finds the invariant at once; with a counter for every location it does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import z3

from lastref.model.algebra import BOOL, Expr, apply, const, rewrite, variables
from lastref.model.counting import Counting, Place
from lastref.model.fields import Fields, Layout, Reading, flat, integers, variable
from lastref.model.fuse import is_exchange
from lastref.model.kernel import NO_DOUBLE_CLOSE
from lastref.model.smt import Term
from lastref.model.table import HOLDERS, Command, Law, Must, Table, Variable, shared

EXACT, SLICED, MERGED = "exact", "sliced", "merged"
OWN = frozenset({"load", "compare_exchange", "swap", "load_pid", "load_flag", "store_pid"})
"""The actions of a design itself, on its own variables; all others are the kernel's."""
UNDERFLOW = "count-stays-in-its-field"
"""The law that makes it right to read a count as an integer: nothing is taken from zero."""

Values = dict[str, "Term | Fields"]


@dataclass(frozen=True)
class Clause:
    """One clause: if ``body`` holds of the state ``before``, then ``after`` is reached.

    ``law`` is the one that is broken instead, where ``after`` is empty.  ``place`` and ``command``
    say what happened.
    """

    name: str
    command: Command | None
    place: Place | None
    body: Term
    after: tuple[Term, ...] = ()
    law: str = ""


def own(c: Command) -> bool:
    """Return whether the command is the design's own step; ``refs.load`` is a load like any."""
    return c.op.rpartition(".")[2] in OWN


def narrowed(table: Table) -> Table:
    """Return ``table`` with every shared variable that has labels no wider than they need.

    A status of 32 bits with three values is a choice between three, not a number.
    """
    new = {
        v.name: shared(v.name, _bits(v), v.doc, initial=v.initial, labels=v.labels)
        for v in table.shared
        if v.labels and v.width > _bits(v)
    }
    if not new:
        return table

    def change(e: Expr) -> Expr | None:
        if e.op in ("eq", "ne") and e.args[0].name in new and e.args[1].op == "const":
            v = new[e.args[0].name]
            return apply(e.op, v, const(e.args[1].value, v.width))
        return None

    def changed(c: Command) -> Command:
        update = (
            (n, const(e.value, new[n].width)) if n in new else (n, rewrite(e, change))
            for n, e in c.update
        )
        must = (Must(m.law, rewrite(m.holds, change)) for m in c.must)
        return replace(c, guard=rewrite(c.guard, change), update=tuple(update), must=tuple(must))

    return replace(
        table,
        shared=tuple(new.get(v.name, v) for v in table.shared),
        commands=tuple(changed(c) for c in table.commands),
        kernel=tuple(changed(c) for c in table.kernel),
        laws=tuple(replace(law, holds=rewrite(law.holds, change)) for law in table.laws),
    )


def _bits(v: Variable) -> int:
    return max(1, (len(v.labels) - 1).bit_length())


class Horn:
    """The clauses of ``table`` for the chosen ``laws`` and way of crowding threads."""

    def __init__(
        self,
        table: Table,
        laws: Iterable[Law],
        *,
        crowding: str = EXACT,
        layouts: Mapping[int, Layout] | None = None,
        starts: Iterable[Mapping[str, int]] = (),
        keep: Iterable[str] = (),
        limit: int | None = None,
    ) -> None:
        if crowding not in (EXACT, SLICED, MERGED):
            raise ValueError(f"no way of crowding threads is called {crowding!r}")
        self.started = tuple(starts) or tuple(table.starts.values()) or ({},)
        self.counting = Counting(narrowed(table))
        self.table = self.counting.table
        self.layouts = dict(layouts or {})
        self.crowding = crowding
        self.keep = frozenset(keep)
        self.limit = limit
        self.kept, self.laws = self._chosen(tuple(laws))
        reading = integers(self.layouts)
        self.names: Values = {v.name: variable(v, reading) for v in self.table.shared}
        self.crowds = self._crowds()
        self.counters = {c: z3.Int(f"#{c}") for c in dict.fromkeys(self.crowds.values())}
        holding = [
            c
            for c in self.counters
            if any(self._holds(p) for p, d in self.crowds.items() if d == c)
        ]
        self.total = z3.Sum(*(self.counters[c] for c in holding)) if holding else z3.IntVal(0)
        self.state = (
            *(t for n in self.kept for t in flat(self.names[n])),
            *self.counters.values(),
        )
        self.names |= {v.name: variable(v, reading) for v in self.counting.wide}
        self.free = tuple(t for n in self.names if n not in self.kept for t in flat(self.names[n]))

    def _holds(self, place: Place) -> bool:
        return place[0] in self.table.holding

    def _chosen(self, laws: tuple[Law, ...]) -> tuple[tuple[str, ...], tuple[Law, ...]]:
        """Return the shared variables to keep, and the laws that can be asked of them.

        Otherwise those stay that the design's own steps and the obligations read, that never
        change, or that are asked for, and the laws about these.
        """
        chosen = {law.id for law in laws}
        laws = tuple(x for x in self.table.laws if x.id in chosen and x.kind in ("must", "always"))
        if self.crowding == EXACT:
            return tuple(v.name for v in self.table.shared), laws
        musts = {law.id for law in laws if law.kind == "must"}
        commands = (*self.table.commands, *self.table.kernel)
        written = frozenset[str]().union(*(c.writes for c in commands))
        needed = self.keep.union(
            *(c.reads for c in self.table.commands if own(c)),
            {v.name for v in self.table.shared} - written,
            *(variables(m.holds) for c in self.table.commands for m in c.must if m.law in musts),
        )
        kept = tuple(v.name for v in self.table.shared if v.name in needed)
        asked = needed | {HOLDERS.name}
        return kept, tuple(x for x in laws if x.kind == "must" or variables(x.holds) <= asked)

    def _crowds(self) -> dict[Place, str]:
        """Return the crowd that each counted place belongs to."""
        closing = {c.at for c in self.table.commands for m in c.must if m.law == NO_DOUBLE_CLOSE}
        crowds = {}
        for place in self.counting.places:
            if self.counting.endless(place):
                continue
            if self.crowding == MERGED and self._carries_nothing(place):
                continue
            if self.crowding == MERGED:
                role = "holds" if self._holds(place) else "visits"
                duty = ["closes"] if place[0] in closing else self._owes(place)
                crowds[place] = " ".join((role, *duty))
            else:
                crowds[place] = place[0] + (f"{list(place[1])}" if any(place[1]) else "")
        return crowds

    def _carries_nothing(self, place: Place) -> bool:
        """Return whether a thread at ``place`` might as well have come there just now.

        It holds nothing, and all that it does next is an exchange that asks for the words as they
        are then: there may always be one more.
        """
        leaving = self.table.leaving[place[0]]
        entering = [c for c in self.table.commands if c.to == place[0]]
        return not self._holds(place) and (
            any(is_exchange(c) for c in leaving)
            and all(c.at is not None and not c.writes & set(self.kept) for c in entering)
            and all(c.at not in self.table.holding for c in entering)
        )

    def _owes(self, place: Place) -> list[str]:
        """Return the flags beside the words that every thread at ``place`` has just changed."""
        entering = [
            {
                f"{name}={value.value}"
                for name, value in c.update
                if own(c) and value.width == BOOL and value.op == "const"
            }
            for c in self.table.commands
            if c.to == place[0]
        ]
        return sorted(set.intersection(*entering)) if entering else []

    def starts(self) -> Iterator[tuple[Term, ...]]:
        """Yield the state at every start of the table, before any thread is under way."""
        for start in self.started:
            values: list[Term] = []
            for name in self.kept:
                v = self.table.variables[name]
                values += self._literal(v, start.get(name, v.initial))
            yield (*values, *(z3.IntVal(0) for _ in self.counters))

    def clauses(self) -> Iterator[Clause]:
        """Yield the clauses for every command from every place, and those of the laws."""
        chosen = {law.id for law in self.laws}
        for place in self.counting.places:
            for c in self.table.leaving[place[0]]:
                yield from self._of(c, place, chosen)
        for c in self.table.kernel:
            yield from self._of(c, None, chosen)
        for law in (x for x in self.laws if x.kind == "always"):
            reading = integers(self.layouts)
            names = {**self.names, HOLDERS.name: self._holders(reading)}
            broken = z3.Not(reading.condition(law.holds, names))
            yield Clause(law.id, None, None, broken, law=law.id)

    def _holders(self, reading: Reading) -> Fields:
        zero = reading.literal(0, HOLDERS.width)
        return Fields(zero.flags, (self.total, *zero.counts[1:]))

    def _of(self, c: Command, place: Place | None, chosen: set[str]) -> Iterator[Clause]:
        reading = integers(self.layouts)
        names: Values = dict(self.names)
        if place is not None:
            for v, value in zip(self.counting.small, place[1], strict=True):
                names[v.name] = (
                    z3.BoolVal(bool(value)) if not v.width else reading.literal(value, v.width)
                )
        possible = reading.condition(c.guard, names)
        crowd = self.crowds.get(place) if place is not None else None
        if crowd is not None:
            possible = z3.And(possible, self.counters[crowd] >= 1)
        if self.limit is not None:
            possible = z3.And(possible, self.total < self.limit)
        name = c.name + (f"{list(place[1])}" if place is not None and any(place[1]) else "")
        for m in (m for m in c.must if m.law in chosen):
            broken = z3.And(possible, z3.Not(reading.condition(m.holds, names)))
            yield Clause(f"{name}!{m.law}", c, place, broken, law=m.law)
        after = dict(names)
        reading.stays.clear()
        for n, expr in c.update:
            whole = self.table.variables[n].width
            after[n] = reading.fields(expr, names) if whole else reading.condition(expr, names)
        for stays in reading.stays:
            if z3.is_ge(stays):
                yield Clause(
                    f"{name}!under", c, place, z3.And(possible, z3.Not(stays)), law=UNDERFLOW
                )
        shared = [t for n in self.kept for t in flat(after[n])]
        for condition, counters in self._arrivals(c, place, after):
            state = (*shared, *counters)
            if not all(z3.eq(a, b) for a, b in zip(state, self.state, strict=True)):
                body = possible if condition is None else z3.And(possible, condition)
                yield Clause(name, c, place, body, state)

    def _literal(self, v: Variable, value: int) -> tuple[Term, ...]:
        if not v.width:
            return (z3.BoolVal(bool(value)),)
        return flat(integers(self.layouts).literal(value, v.width))

    def _arrivals(
        self, c: Command, place: Place | None, after: Values
    ) -> Iterator[tuple[Term | None, tuple[Term, ...]]]:
        """Yield the counters after the command, and under which condition, for each place to go."""
        counters = dict(self.counters)
        crowd = self.crowds.get(place) if place is not None else None
        if crowd is not None:
            counters[crowd] = counters[crowd] - 1
        goals = [p for p in self.crowds if p[0] == c.to]
        if not goals:
            yield None, tuple(counters.values())
        for goal in goals:
            same = z3.simplify(
                z3.And(
                    *(
                        there == here
                        for v, value in zip(self.counting.small, goal[1], strict=True)
                        for there, here in zip(
                            flat(after[v.name]), self._literal(v, value), strict=True
                        )
                    )
                )
            )
            if z3.is_false(same):
                continue
            moved = dict(counters)
            arrives = self.crowds[goal]
            moved[arrives] = self.counters[arrives] if arrives == crowd else moved[arrives] + 1
            yield (None if z3.is_true(same) else same), tuple(moved.values())
