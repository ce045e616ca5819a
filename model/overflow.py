"""Where a count runs over: the limit under which a design is safe, and what happens at it.

For go-2024 with h holders, the word is 1 + h.  That state is reached for every h, one acquire after
another; up to h = 2^62 - 2 each acquire leads to the next such state; the one that would make
2^62 - 1 holders carries into bit 62, and the word says *done, 0 references*:

    h = 0x3ffffffffffffffe   word 0x3fffffffffffffff   acquire ▶ word 0x4000000000000000   use
                                                       ▶ panic: release of handle with refcount 0

So the premise of :mod:`~lastref.model.induct` is exact: it cannot be weakened by one.

    design      count     at the limit
    go-2024     62 bits   carries into *done*: the handle is never closed, and a panic
    go-2025     31 bits   turns negative: every later release panics
    SafeHandle  30 bits   wraps to 0 with *closed* clear: the handle is never released
    fdMutex     20 bits   is guarded: the operation panics and changes nothing
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import z3

from lastref.model.counting import Count, Move, Place
from lastref.model.explore import Counterexample, explore
from lastref.model.induct import Induction
from lastref.model.invariants import INVARIANTS
from lastref.model.proof import PROVED, Proof
from lastref.model.smt import Term, number
from lastref.model.system import System, scenario
from lastref.model.table import Table

REACHED, EXACT, GUARDED = "limit-is-reached", "limit-is-exact", "limit-is-guarded"


@dataclass(frozen=True)
class Filling:
    """How a design's count is filled.

    ``steps`` are the commands of one acquire, the last of which adds a holder, and ``method`` the
    call that it is part of.  ``full`` gives the values of shared variables while there are ``h``
    holders (an int, or a term of 64 bits); all others have their initial values.  ``guarded`` says
    that the design refuses to count further.
    """

    steps: tuple[str, ...]
    method: str
    full: Callable[[Term], Mapping[str, Term]]
    guarded: bool = False


@dataclass(frozen=True)
class Overflow:
    """What happens at the limit: the proofs, and the run of one more caller there.

    ``run`` is ``None`` where no obligation is broken: the count is guarded, or it is wrong from
    then on and nothing notices.
    """

    limit: int
    proofs: tuple[Proof, ...]
    run: Counterexample | None


def _low(term: Term, bits: int) -> Term:
    return term & (1 << bits) - 1 if isinstance(term, int) else z3.Extract(bits - 1, 0, term)


_WORD = Filling(("signal.cas",), "signal", lambda h: {"word": h + 1})
_REFS = Filling(("signal.state", "signal.refs_cas"), "signal", lambda h: {"refs": _low(h + 1, 32)})

FILLINGS: Mapping[tuple[str, str], Filling] = {
    ("go-2024", "linux"): _WORD,
    ("go-2024", "windows"): _WORD,
    ("go-2025", "linux"): _REFS,
    ("go-2025", "windows"): _REFS,
    ("dotnet-safehandle", "any"): Filling(
        ("use.cas",), "use", lambda h: {"state": _low(h * 4 + 4, 32)}
    ),
    ("go-fdmutex", "any"): Filling(("use.cas",), "use", lambda h: {"state": h * 8}, guarded=True),
}
"""How to fill the count of each design that has one, by the ids of its table."""


def overflow(table: Table) -> Overflow:
    """Show what an acquire does when as many threads hold as the premise allows.

    Raises :class:`KeyError` if the table has no count that could run over.
    """
    key = (table.id, table.platform)
    filling, limit = FILLINGS[key], INVARIANTS[key].limit
    filled = _Filled(Induction(table, INVARIANTS[key]), filling)
    reached = tuple(filled.reached())
    if filling.guarded:
        return Overflow(limit, (*reached, filled.guarded()), None)
    run = _one_more(table, filling, limit - 1)
    wrong = filled.wrong()
    if not wrong.holds and run is not None:
        # Nothing is wrong with the count itself yet, but a run of the explorer shows what is next.
        wrong = replace(wrong, verdict=PROVED, cases=len(run.steps))
    witness = _witness(table, filling, limit - 1)
    return Overflow(limit, (*reached, replace(wrong, counterexample=witness)), run)


class _Filled:
    """The states in which ``h`` threads have acquired one after another, and nothing else happened.

    The claims are about states outside the premise, so they are put to the decider that does not
    assume it.
    """

    def __init__(self, induction: Induction, filling: Filling) -> None:
        self.filling, self.induction = filling, induction
        self.before, self.limit = induction.before, induction.invariant.limit
        self.moves = [self._move(name) for name in filling.steps]
        self.there = self._landing(self.moves[-1])

    def _move(self, name: str) -> Move:
        named = (m for m in self.induction.moves if m.command.name == name)
        return sorted(named, key=lambda m: not m.fresh)[0]

    def _landing(self, move: Move) -> Place:
        return next(p for p in move.after.counters if p[0] == move.command.to)

    def state(self, state: Count, held: Term, on_the_way: Place | None = None) -> Iterator[Term]:
        """Yield that ``held`` threads hold, and one may be ``on_the_way`` to join them."""
        values = self.filling.full(held)
        for v in state.table.shared:
            value = values[v.name] if v.name in values else number(v.initial, v.width)
            yield state.shared[v.name] == value
        for place, n in state.counters.items():
            if place != self.there:
                yield n == (1 if place == on_the_way else 0)
        yield state.counters[self.there] == state.total
        yield state.holders == held
        yield state.total >= 0

    def reached(self) -> Iterator[Proof]:
        """With h holders, one more acquire leads, step by step, to the same picture with h + 1."""
        held = z3.BitVec("h", 64)
        last = self.limit + 1 if self.filling.guarded else self.limit
        way: Place | None = None
        for move in self.moves:
            final = move is self.moves[-1]
            goal = None if final else self._landing(move)
            after = self.state(move.after, held + 1 if final else held, goal)
            given = [*self.state(self.before, held, way), z3.ULT(held, last - 1)]
            yield self.induction.start.decide(
                REACHED, move.name, z3.And(move.guard, *after), {"h": held}, given=given
            )
            way = goal

    def wrong(self) -> Proof:
        """One acquire more breaks the invariant."""
        move, held = self.moves[-1], z3.BitVecVal(self.limit - 1, 64)
        way = move.place if not move.fresh else None
        given = [
            *self.state(self.before, held, way),
            self.before.total == self.limit - 1,
            move.after.total == self.limit,
            move.after.link(self.limit),
        ]
        claim = z3.Not(z3.And(*self.induction.holds(move.after)))
        return self.induction.start.decide(EXACT, move.name, claim, {}, given=given)

    def guarded(self) -> Proof:
        """With the count full, no command of the acquire is enabled that would change it."""
        move, held = self.moves[-1], z3.BitVecVal(self.limit, 64)
        given = list(self.state(self.before, held))
        return self.induction.start.decide(GUARDED, move.name, z3.Not(move.guard), {}, given=given)


def _witness(table: Table, filling: Filling, held: int) -> dict[str, int]:
    """Return the state at the limit, and what one more acquire makes of it."""
    initial = _initial(filling, held)
    system = System(table, scenario(filling.method, initial=initial))
    state = system.initial
    while system.values_of(state).items() >= initial.items():
        state = system.thread_steps(state, 0)[0].state
    after = {f"{name}'": system.values_of(state)[name] for name in initial}
    return {"holders": held, **initial, **after}


def _initial(filling: Filling, held: int) -> dict[str, int]:
    return {name: int(value) for name, value in filling.full(held).items()}


def _one_more(table: Table, filling: Filling, held: int) -> Counterexample | None:
    """Return the shortest run in which one more caller, at the limit, breaks an obligation."""
    system = System(table, scenario(filling.method, initial=_initial(filling, held)))
    found = explore(system, [law for law in table.laws if law.kind == "must"])
    runs = sorted(found.counterexamples.values(), key=lambda c: len(c.steps))
    return runs[0] if runs else None
