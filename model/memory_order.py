"""Memory order: which atomic accesses of a design could be weaker than Go's, and which could not.

Go's atomics are sequentially consistent (The Go Memory Model, 2022); all other proofs of this
package take that as given.  Here the accesses get orders of their own, as in C11, and z3 looks for
an execution of a few threads in which a use of the handle and its close are not ordered, or a panic
happens.

    S1   load(word)   cas +1   use(handle)   cas -1 ─── release ───┐ synchronizes: the last
    R1                                                cas -1 ◀─────┘ decrement reads from it
                                                      close(handle)      and has to acquire

With a *relaxed* decrement nothing orders S1's use before R1's close, although the close was decided
by the count: the counterexample of this file.

An execution is a set of events with: sb (the order of the program), rf (which write a read sees),
mo (the order of the writes to a word) and hb, that contains sb and what synchronizes.  Axioms:
coherence, atomic read-modify-writes, release sequences as in C++20, sb and rf acyclic, and the
order of sequentially consistent accesses of RC11.  The handle is plain memory: unordered access to
it is a race.  The axioms are tried on the textbook's litmus tests.

Bounded: what is shown for two or three threads is shown for two or three threads.

Source: Batty et al., Mathematizing C++ concurrency (2011); Lahav et al., Repairing sequential
consistency in C/C++11 (2017), RC11.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter

import z3

from lastref.model.accesses import CLOSE, START, USE, Path, Program, program
from lastref.model.proof import PROVED, REFUTED, UNKNOWN, Decider, Proof
from lastref.model.smt import Term, concrete
from lastref.model.table import PANICKED, Table

RELAXED, ACQUIRE, RELEASE = "relaxed", "acquire", "release"
ACQ_REL, SEQ_CST = "acq_rel", "seq_cst"
STRENGTHS: Mapping[str, frozenset[str]] = {
    RELAXED: frozenset(),
    ACQUIRE: frozenset({ACQUIRE}),
    RELEASE: frozenset({RELEASE}),
    ACQ_REL: frozenset({ACQUIRE, RELEASE}),
    SEQ_CST: frozenset({ACQUIRE, RELEASE, SEQ_CST}),
}
"""What an order makes of an access, weakest first."""
LOAD_ORDERS = (RELAXED, ACQUIRE, SEQ_CST)
EXCHANGE_ORDERS = tuple(STRENGTHS)
LAW = "use-before-close"

Orders = Mapping[str, str]
"""The memory order of the access at each location; what is not named is sequentially consistent."""


@dataclass(frozen=True)
class Racy:
    """An execution in which a use and a close are not ordered, or a panic happens.

    ``threads`` says what each thread does, in the order of its program; ``reads_from`` names the
    write that each read sees.
    """

    threads: tuple[tuple[str, ...], ...]
    reads_from: tuple[tuple[str, str], ...]
    fault: str

    def __str__(self) -> str:
        """Return the fault and the reads that lead to it."""
        reads = "; ".join(f"{r} reads from {w}" for r, w in self.reads_from)
        return f"{self.fault}, when {reads}"


class Execution:
    """All executions in which each thread goes its path, under any orders, as one formula."""

    def __init__(self, program: Program, threads: Sequence[tuple[str, Path]]) -> None:
        self.solver = z3.SimpleSolver()
        self.events = program.start()
        self.rows: list[list[int]] = []
        for name, path in threads:
            events, guards = program.row(name, path)
            self.rows.append([*range(len(self.events), len(self.events) + len(events))])
            self.events += events
            self.solver.add(*guards)
        self.panics = [path[-1] for _, path in threads if path[-1].to == PANICKED]
        size = len(self.events)
        self.hb = [[z3.Bool(f"hb{a}-{b}") for b in range(size)] for a in range(size)]
        self.position = [z3.Int(f"mo{a}") for a in range(size)]
        self.rf = {
            (w, r): z3.Bool(f"rf{w}-{r}")
            for w, r in itertools.permutations(range(size), 2)
            if self._writes(w) and self._reads(r) and self._same(w, r)
        }
        self._values()
        self.faults = self._faults()
        self.possible = self._is_possible()
        """Whether there is such an execution under some order, right or wrong."""
        self.solver.add(z3.Or(*(t for t, _ in self.faults)))

    def _is_possible(self) -> bool:
        """Add the axioms; return whether they can be met."""
        if self.solver.check() == z3.unsat:
            return False  # the values alone do not fit: most combinations of paths end here
        self._order()
        self._coherence()
        self._synchronization()
        self._sequential_consistency()
        return bool(self.solver.check() != z3.unsat)

    def _writes(self, e: int) -> bool:
        return self.events[e].written is not None

    def _reads(self, e: int) -> bool:
        return self.events[e].seen is not None

    def _same(self, a: int, b: int) -> bool:
        return bool(self.events[a].word) and self.events[a].word == self.events[b].word

    def _sb(self, a: int, b: int) -> bool:
        """Return whether ``a`` is before ``b`` in the program; the start is before everything."""
        if self.events[a].kind == START:
            return self.events[b].kind != START
        return any(a in row and b in row and a < b for row in self.rows)

    def _mo(self, a: int, b: int) -> Term:
        return self.position[a] < self.position[b]

    def _order(self) -> None:
        """Happens-before is transitive, has no cycle, and contains the order of the program."""
        size = range(len(self.events))
        for a, b in itertools.product(size, size):
            if self._sb(a, b):
                self.solver.add(self.hb[a][b])
            if a != b:
                for c in size:
                    self.solver.add(z3.Implies(z3.And(self.hb[a][b], self.hb[b][c]), self.hb[a][c]))
        self.solver.add(*(z3.Not(self.hb[a][a]) for a in size))
        time = [z3.Int(f"t{a}") for a in size]
        for a, b in itertools.permutations(size, 2):
            if self._sb(a, b):
                self.solver.add(time[a] < time[b])
            if (a, b) in self.rf:
                self.solver.add(z3.Implies(self.rf[a, b], time[a] < time[b]))

    def _values(self) -> None:
        """Every read sees one write's value; writes are in one order, and updates are atomic."""
        for r in (e for e in range(len(self.events)) if self._reads(e)):
            sources = [(w, t) for (w, read), t in self.rf.items() if read == r]
            self.solver.add(z3.PbEq([(t, 1) for _, t in sources], 1))
            for w, t in sources:
                same = self.events[r].seen == self.events[w].written
                self.solver.add(z3.Implies(t, same))
        for a, b in itertools.combinations(range(len(self.events)), 2):
            if self._writes(a) and self._writes(b) and self._same(a, b):
                self.solver.add(self.position[a] != self.position[b])
        for (w, r), t in self.rf.items():
            if self._writes(r):
                self.solver.add(z3.Implies(t, self._mo(w, r)))
                for other in range(len(self.events)):
                    if other not in (w, r) and self._writes(other) and self._same(other, w):
                        between = z3.And(self._mo(w, other), self._mo(other, r))
                        self.solver.add(z3.Implies(t, z3.Not(between)))

    def _fr(self, r: int, w: int) -> Term:
        """Return that ``r`` reads a write that is overwritten by ``w``."""
        return z3.Or(
            *(z3.And(t, self._mo(s, w)) for (s, read), t in self.rf.items() if read == r and s != w)
        )

    def _coherence(self) -> None:
        """Nothing that happens before contradicts the order of the writes."""
        writes = [e for e in range(len(self.events)) if self._writes(e)]
        for a, b in itertools.permutations(writes, 2):
            if self._same(a, b):
                self.solver.add(z3.Implies(self.hb[a][b], self._mo(a, b)))
        for (w, r), t in self.rf.items():
            self.solver.add(z3.Implies(t, z3.Not(self.hb[r][w])))
            for other in (o for o in writes if o not in (w, r) and self._same(o, w)):
                self.solver.add(z3.Implies(z3.And(t, self.hb[other][r]), self._mo(other, w)))
                self.solver.add(z3.Implies(z3.And(t, self.hb[r][other]), self._mo(w, other)))
            for (w2, r2), t2 in self.rf.items():
                if r2 != r and w2 != w and self._same(w, w2):
                    ordered = z3.And(t, t2, self.hb[r][r2])
                    self.solver.add(z3.Implies(ordered, self._mo(w, w2)))

    def _synchronization(self) -> None:
        """An acquire that reads from a release, or from updates that follow it, comes after it."""
        size = range(len(self.events))
        for head in (e for e in size if self._writes(e) and self._reads(e)):
            in_sequence = [z3.Bool(f"rs{head}-{e}") for e in size]
            self.solver.add(in_sequence[head])
            for (w, r), t in self.rf.items():
                follows = z3.And(in_sequence[w], t)
                if self._writes(r):
                    self.solver.add(z3.Implies(follows, in_sequence[r]))
                if r != head:
                    both = z3.And(self._is(RELEASE, head), self._is(ACQUIRE, r))
                    self.solver.add(z3.Implies(z3.And(follows, both), self.hb[head][r]))

    def _sequential_consistency(self) -> None:
        """The sequentially consistent accesses are in one order with what they see (RC11)."""
        size = range(len(self.events))
        atomic = [e for e in size if self._reads(e)]
        place = {e: z3.Int(f"sc{e}") for e in atomic}
        for a, b in itertools.permutations(atomic, 2):
            edges: list[Term] = []
            if self._sb(a, b):
                edges.append(z3.BoolVal(True))
            if self._same(a, b):
                edges.append(self.hb[a][b])
                if self._writes(a) and self._writes(b):
                    edges.append(self._mo(a, b))
                if self._writes(b):
                    edges.append(self._fr(a, b))
            for c, d in itertools.product(size, size):
                if self._sb(a, c) and self._sb(d, b) and not (self._same(a, c) or self._same(d, b)):
                    edges.append(self.hb[c][d])
            both = z3.And(self._is(SEQ_CST, a), self._is(SEQ_CST, b))
            self.solver.add(z3.Implies(z3.And(both, z3.Or(*edges)), place[a] < place[b]))

    def _is(self, strength: str, e: int) -> Term:
        """Return that the access of ``e`` has that strength."""
        return z3.Bool(f"{strength} {self.events[e].at}")

    def _faults(self) -> list[tuple[Term, str]]:
        """Return what may go wrong: a race of a use or a close with a close, or a panic."""
        found = [(z3.BoolVal(True), f"{c.outcome}") for c in self.panics]
        closes = [e for e, event in enumerate(self.events) if event.kind == CLOSE]
        for e, event in enumerate(self.events):
            for c in closes:
                if event.kind == USE:
                    text = f"{event} is not before {self.events[c]}"
                    found.append((z3.Not(self.hb[e][c]), text))
                elif event.kind == CLOSE and e < c:
                    found.append((z3.BoolVal(True), f"{event} and {self.events[c]}"))
        return found

    def racy(self, orders: Orders) -> Racy | None:
        """Return an execution under ``orders`` in which something goes wrong, if there is one.

        Raises :class:`TimeoutError` if z3 gives up.
        """
        if not self.possible:
            return None
        answer = self.solver.check(*self._given(orders))
        if answer == z3.unknown:
            raise TimeoutError("z3 did not decide whether an execution can go wrong")
        if answer == z3.unsat:
            return None
        model, named = self.solver.model(), [str(e) for e in self.events]
        return Racy(
            threads=tuple(tuple(named[e] for e in row) for row in self.rows),
            reads_from=tuple(
                (named[r], named[w]) for (w, r), t in self.rf.items() if concrete(model, t)
            ),
            fault=next(text for t, text in self.faults if concrete(model, t)),
        )

    def _given(self, orders: Orders) -> list[Term]:
        """Return the strengths that ``orders`` give to the accesses, as literals."""
        literals = {}
        for e in (e for e in range(len(self.events)) if self._reads(e)):
            strong = STRENGTHS[orders.get(self.events[e].at, SEQ_CST)]
            for strength in STRENGTHS[SEQ_CST]:
                term = self._is(strength, e)
                literals[str(term)] = term if strength in strong else z3.Not(term)
        return list(literals.values())


class Searched:
    """The executions of threads that call ``methods``, to be asked under one order or another."""

    def __init__(self, table: Table, methods: Sequence[str]) -> None:
        accesses = program(table)
        names = [f"{m[:1].upper()}{i}" for i, m in enumerate(methods, 1)]
        made = (
            Execution(accesses, list(zip(names, ways, strict=True)))
            for ways in accesses.combinations(methods)
        )
        self.executions = tuple(e for e in made if e.possible)

    def racy(self, orders: Orders) -> Racy | None:
        """Return an execution under ``orders`` in which something goes wrong, if there is one."""
        return next(filter(None, (e.racy(orders) for e in self.executions)), None)


@lru_cache(maxsize=4)
def searched(table: Table, methods: tuple[str, ...]) -> Searched:
    """Return the executions of threads that call ``methods``; those asked for last are kept."""
    return Searched(table, methods)


@dataclass(frozen=True)
class Weakest:
    """The weakest orders that are still right, and for each access why not weaker.

    ``too_weak`` has, for an access, the next weaker order and an execution that goes wrong with it.
    ``programs`` are the methods that the threads called, and ``executions`` how many combinations
    of paths there were in which something could go wrong.
    """

    programs: tuple[tuple[str, ...], ...]
    executions: int
    orders: dict[str, str]
    too_weak: dict[str, tuple[str, Racy]]


def weakest(table: Table, programs: Sequence[Sequence[str]]) -> Weakest:
    """Weaken one access after the other, as far as all ``programs`` stay right.

    Each program is the methods that its threads call.  The accesses are taken in the order of the
    table, and each is given the weakest order that works with those given before.
    """
    asked = [searched(table, tuple(methods)) for methods in programs]
    accesses = program(table).accesses(dict.fromkeys(itertools.chain(*programs)))
    orders = dict.fromkeys(accesses, SEQ_CST)
    too_weak: dict[str, tuple[str, Racy]] = {}
    for at, updates in accesses.items():
        for order in EXCHANGE_ORDERS if updates else LOAD_ORDERS:
            tried = {**orders, at: order}
            wrong = next(filter(None, (s.racy(tried) for s in asked)), None)
            if wrong is None:
                orders = tried
                break
            too_weak[at] = (order, wrong)
    count = sum(len(s.executions) for s in asked)
    return Weakest(tuple(map(tuple, programs)), count, orders, too_weak)


def prove_orders(table: Table, methods: Sequence[str], orders: Orders | None = None) -> Proof:
    """Return whether every use is before the close when threads call ``methods``.

    Without ``orders`` all accesses are sequentially consistent, as Go's are.  At least one
    execution must have a close in it, or the claim is refuted as empty.
    """
    began = perf_counter()
    decider = Decider(table.id, table.platform, threads=len(methods))
    asked = searched(table, tuple(methods))
    try:
        wrong = asked.racy(orders or {})
        verdict = REFUTED if wrong is not None or not asked.executions else PROVED
    except TimeoutError:
        verdict = UNKNOWN
    cases = len(asked.executions)
    seconds = perf_counter() - began
    return decider.result(LAW, "+".join(methods), verdict, seconds, cases=cases)
