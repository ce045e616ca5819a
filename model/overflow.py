"""Where a count runs over: the limit under which a design is safe, and what happens at it.

For go-2024 with h holders, the word is 1 + h.  That state is reached for every h, one acquire after
another; up to h = 2^62 - 2 each acquire leads to the next such state; the one that would make
2^62 - 1 holders carries into bit 62, and the word says *done, 0 references*:

    h = 0x3ffffffffffffffe   word 0x3fffffffffffffff   acquire ▶ word 0x4000000000000000   use
                                                       ▶ panic: release of handle with refcount 0

So the premise of :mod:`~lastref.model.induct` is exact: it cannot be weakened by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import z3

from lastref.model.counting import Count, Move
from lastref.model.explore import Counterexample, explore
from lastref.model.induct import Induction
from lastref.model.invariants import INVARIANTS
from lastref.model.proof import Proof
from lastref.model.smt import Term, number
from lastref.model.system import System, scenario
from lastref.model.table import Table

REACHED, EXACT, GUARDED = "limit-is-reached", "limit-is-exact", "limit-is-guarded"


@dataclass(frozen=True)
class Filling:
    """How a design's count is filled.

    ``acquire`` is the command that adds a holder and ``method`` the call that it is part of.
    ``full`` gives the values of shared variables while there are ``h`` holders (an int, or a term
    of 64 bits); all others have their initial values.
    """

    acquire: str
    method: str
    full: Callable[[Term], Mapping[str, Term]]


@dataclass(frozen=True)
class Overflow:
    """What happens at the limit: the proofs, and the run of one more caller there.

    ``run`` is ``None`` where the design guards its count.
    """

    limit: int
    proofs: tuple[Proof, ...]
    run: Counterexample | None


FILLINGS: Mapping[tuple[str, str], Filling] = {
    ("go-2024", "linux"): Filling("signal.cas", "signal", lambda h: {"word": h + 1}),
}
"""How to fill the count of each design that has one, by the ids of its table."""


def overflow(table: Table) -> Overflow:
    """Show what an acquire does when as many threads hold as the premise allows.

    Raises :class:`KeyError` if the table has no count that could run over.
    """
    filling, invariant = FILLINGS[table.id, table.platform], INVARIANTS[table.id, table.platform]
    induction = Induction(table, invariant)
    move = next(m for m in induction.moves if m.command.name == filling.acquire)
    limit = invariant.limit
    reached = _reached(induction, move, filling)
    last = _filled(induction.before, move, filling, z3.BitVecVal(limit - 1, 64))
    # The claim is about a state outside the premise: the decider that assumes it would prove all.
    guarded = induction.start.decide(
        GUARDED, move.name, z3.Not(move.guard), {**induction.before.shared}, given=last
    )
    if guarded.holds:
        return Overflow(limit, (reached, guarded), None)
    broken = z3.Not(z3.And(*induction.holds(move.after)))
    given = [*last, *_linked(induction.before, move.after, limit)]
    exact = induction.start.decide(EXACT, move.name, broken, {}, given=given)
    exact = replace(exact, counterexample=_witness(table, filling, limit - 1))
    run = _one_more(table, filling, limit - 1)
    return Overflow(limit, (reached, exact), run)


def _reached(induction: Induction, move: Move, filling: Filling) -> Proof:
    """With h holders below the last, one more acquire leads to the same picture with h + 1."""
    held = z3.BitVec("h", 64)
    before, after = induction.before, move.after
    wanted = filling.full(held + 1)
    there = _landing(move)
    claim = z3.And(
        move.guard,
        *(
            after.shared[n] == (wanted[n] if n in wanted else before.shared[n])
            for n in before.shared
        ),
        *(n == (after.total if p == there else 0) for p, n in after.counters.items()),
        after.holders == held + 1,
    )
    given = [*_filled(before, move, filling, held), z3.ULT(held, induction.invariant.limit - 1)]
    return induction.start.decide(REACHED, move.name, claim, {"h": held}, given=given)


def _filled(state: Count, move: Move, filling: Filling, held: Term) -> list[Term]:
    """Return that ``held`` threads hold, all of them just acquired, and nothing else happened."""
    values = filling.full(held)
    there = _landing(move)
    return [
        *(
            state.shared[v.name]
            == (values[v.name] if v.name in values else number(v.initial, v.width))
            for v in state.table.shared
        ),
        *(n == 0 for p, n in state.counters.items() if p != there),
        state.counters[there] >= 0,
        state.holders == held,
    ]


def _landing(move: Move) -> tuple[str, tuple[int, ...]]:
    return next(p for p in move.after.counters if p[0] == move.command.to)


def _linked(before: Count, after: Count, limit: int) -> list[Term]:
    return [before.total == limit - 1, after.total == limit, after.link(limit)]


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
    laws = [law for law in table.laws if law.kind == "must"]
    found = explore(system, laws)
    runs = sorted(found.counterexamples.values(), key=lambda c: len(c.steps))
    return runs[0] if runs else None
