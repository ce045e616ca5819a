"""Finds an inductive invariant by itself: guess much, and drop what some step does not keep.

What a survey of small scenarios never saw is guessed never to be.  The largest set of such guesses
that holds at every start and is kept by every step, given itself, is unique and found by dropping
(Houdini, C. Flanagan and K. R. M. Leino, 2001):

    guess    nobody stands there, or nobody while a variable has that value (a word: while it is 0),
             or has it although things began that way
             two variables never have those two values at once
             what is known of the design; and that, or else it began as that value made by hand
    drop     z3 finds a step out of a state of all guesses into one that breaks some: these go
    done     no step breaks any

What is left is an invariant for any number of threads.  A guess that is true but not inductive is
lost, so this finds less than a person would, and never anything wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace

import z3

from lastref.model.algebra import BOOL
from lastref.model.counting import WIDEST_LOCAL, Count, Place
from lastref.model.induct import Induction
from lastref.model.invariant import Conjunct, Invariant
from lastref.model.smt import Term, number
from lastref.model.survey import Survey
from lastref.model.system import Values
from lastref.model.table import Table, Variable

WIDEST = 2
"""The most bits of a shared variable about whose values anything is guessed."""


def houdini(table: Table, invariant: Invariant, survey: Survey) -> Invariant:
    """Return ``invariant`` with the conjuncts that are inductive, given and guessed, and no others.

    Its starts are kept as they are.
    """
    guessed = (*invariant.conjuncts, *guesses(table, invariant, survey))
    induction = Induction(table, replace(invariant, conjuncts=guessed))
    kept = _at_the_starts(induction)
    while True:
        lost = _lost(induction, kept)
        if not lost:
            return replace(invariant, conjuncts=kept)
        kept = tuple(c for c in kept if c not in lost)


def _at_the_starts(induction: Induction) -> tuple[Conjunct, ...]:
    """Return the conjuncts that hold at every start."""
    state = induction.before
    kept = induction.invariant.conjuncts
    for start in induction.invariant.starts:
        solver = z3.SimpleSolver()
        solver.add(
            state.empty(), state.counted(), *induction.started(start, induction.table.shared)
        )
        solver.add(*(n == 0 for n in state.counters.values()))
        kept = _shaken(solver, [], [(c, c.holds(state)) for c in kept])
    return kept


def _lost(induction: Induction, kept: tuple[Conjunct, ...]) -> set[Conjunct]:
    """Return the conjuncts that some step does not keep, if all of ``kept`` hold before it."""
    state, lost = induction.before, set[Conjunct]()
    solver = z3.SimpleSolver()
    solver.add(state.counted(), induction.counting.alone(state))
    solver.add(*induction.counting.domain(state), state.link(induction.invariant.limit))
    before = z3.And(*(c.holds(state) for c in kept))
    solver.add(before)
    single = before.children()
    for move in induction.moves:
        after = z3.substitute(before, *state.changes(move.after)).children()
        terms = zip(kept, single, after, strict=True)
        changed = [(c, new) for c, old, new in terms if c not in lost and not new.eq(old)]
        given = [*induction.obeying(move), move.after.link(induction.invariant.limit)]
        stay = _shaken(solver, given, changed)
        lost |= {c for c, _ in changed} - set(stay)
    return lost


def _shaken(
    solver: z3.Solver, given: list[Term], claims: list[tuple[Conjunct, Term]]
) -> tuple[Conjunct, ...]:
    """Return those of ``claims`` that what the solver knows implies; an unknown is not implied."""
    solver.push()
    solver.add(*given)
    while claims:
        solver.push()
        solver.add(z3.Not(z3.And(*(term for _, term in claims))))
        answer = solver.check()
        if answer == z3.sat:
            model = solver.model()
            claims = [(c, t) for c, t in claims if z3.is_true(model.eval(t, model_completion=True))]
        solver.pop()
        if answer == z3.unsat:
            break
        if answer == z3.unknown:
            claims = []
    solver.pop()
    return tuple(c for c, _ in claims)


def guesses(table: Table, invariant: Invariant, survey: Survey) -> Iterator[Conjunct]:
    """Yield what the survey never saw, each as a sentence that it never is."""
    seen = _seen(table, survey)
    variables = dict(enumerate(table.shared))
    finite = {i: v for i, v in variables.items() if v.width <= WIDEST}
    one = [{i: value} for i, v in finite.items() for value in _values(v)]
    zero = [{i: 0} for i, v in variables.items() if v.width > WIDEST or v.width == BOOL]
    written = frozenset().union(*(c.writes for c in (*table.commands, *table.kernel)))
    ways = [{i: x} for i, v in finite.items() if v.name not in written for x in _values(v)]
    for place in Induction(table, invariant).counting.places:
        there = seen.get(place, set())
        never = [e for e in (*one, *zero) if not _among(e, there)]
        never += [
            {**e, **way}
            for e in zero
            for way in ways
            if e not in never and _among(way, there) and not _among({**e, **way}, there)
        ]
        for values in never if there else [{}]:
            yield _nobody(place, {variables[i]: x for i, x in values.items()})
    yield from _never_both(set().union(*seen.values()), finite)
    for v, value in _made_by_hand(table, invariant):
        yield from (_or_made_so(c, v, value) for c in invariant.conjuncts)


def _among(some: Mapping[int, int], seen: set[Values]) -> bool:
    return any(all(values[i] == x for i, x in some.items()) for values in seen)


def _seen(table: Table, survey: Survey) -> dict[Place, set[Values]]:
    """Return for every place the values of the shared variables with somebody there."""
    seen: dict[Place, set[Values]] = {}
    small = [i for i, v in enumerate(table.local) if v.width <= WIDEST_LOCAL]
    for location, views in survey.views.items():
        for _, values, own in views:
            seen.setdefault((location, tuple(own[i] for i in small)), set()).add(values)
    return seen


def _nobody(place: Place, values: Mapping[Variable, int]) -> Conjunct:
    """Return that nobody stands at ``place`` while all the variables have those values."""
    where = f"{place[0]}{list(place[1]) if any(place[1]) else ''}"
    told = " and ".join(f"{v.name}={v.label(x)}" for v, x in values.items())

    def holds(s: Count) -> Term:
        nobody = s.counters.get(place, z3.IntVal(0)) == 0
        return (
            z3.Or(nobody, *(z3.Not(_is(s, v, x)) for v, x in values.items())) if values else nobody
        )

    told = f" while {told}" if told else ""
    return Conjunct(f"nobody-at-{where}{told}", f"nobody is at {where}{told}", holds)


def _never_both(seen: set[Values], finite: Mapping[int, Variable]) -> Iterator[Conjunct]:
    for (i, v), (j, w) in itertools.combinations(finite.items(), 2):
        pairs = {(int(values[i]), int(values[j])) for values in seen}
        for one, other in itertools.product(_values(v), _values(w)):
            if (one, other) not in pairs:
                yield _not_both(v, one, w, other)


def _not_both(v: Variable, one: int, w: Variable, other: int) -> Conjunct:
    told = f"{v.name}={v.label(one)}", f"{w.name}={w.label(other)}"
    return Conjunct(
        f"not-{'-and-'.join(told)}",
        f"never {' and '.join(told)}",
        lambda s: z3.Not(z3.And(_is(s, v, one), _is(s, w, other))),
    )


def _made_by_hand(table: Table, invariant: Invariant) -> list[tuple[Variable, int]]:
    """Return the values that only an unusual start gives a variable."""
    known = {v.name: v for v in table.shared}
    found = ((known[n], x) for s in invariant.starts for n, x in s.items() if x is not None)
    return [(v, x) for v, x in dict.fromkeys(found) if x != v.initial]


def _or_made_so(c: Conjunct, v: Variable, value: int) -> Conjunct:
    told = f"{v.name}={v.label(value)}"
    return Conjunct(
        f"{c.id}-or-{told}",
        f"{c.text}, or {told}",
        lambda s: z3.Or(_is(s, v, value), c.holds(s)),
    )


def _is(state: Count, v: Variable, value: int) -> Term:
    return state.shared[v.name] == number(value, v.width)


def _values(v: Variable) -> range:
    return range(len(v.labels) or 1 << max(v.width, 1))
