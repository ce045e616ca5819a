"""Conservation laws that linear algebra finds: sums that no command changes.

Every command changes the counts and the crowds by fixed amounts, and flags from false to true or
back.  Written as rows, a weighting of the columns that gives every row zero is a quantity that is
conserved (a place invariant, as Petri nets call it):

                         refs   holders   [done]   [released]
    acquire               +1      +1
    transient release     -1      -1
    persistent release    -1                +1
    Release               -1                           +1

    refs - holders + [done] + [released] = 1

which is *references = persistent + transient holders*, and nobody had to write it down.  Spacer is
given these equations and finds the rest of the invariant much sooner.  They are part of what is
checked again by plain queries afterwards.

Source: Lautenbach, Liveness in Petri nets (1975); Murata, Petri nets: properties, analysis and
applications (1989), section VIII.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import z3

from lastref.model.fields import Fields, flat
from lastref.model.horn import Clause, Horn
from lastref.model.smt import Term
from lastref.model.table import RESTING

Row = list[Fraction]


def conserved(horn: Horn) -> list[Term]:
    """Return equations about the threads that hold at the start and that no step changes.

    Steps out of a call that change nothing shared are left out here (a refusal, a panic, a wait
    for good): whether they can happen while a thread holds something is to be shown, not assumed.
    """
    columns = list(_columns(horn))
    if not columns or len(list(horn.starts())) != 1:
        return []
    rows, usable = [], [True] * len(columns)
    shared = len(horn.state) - len(horn.counters)
    for clause in (c for c in horn.clauses() if not c.law):
        silent = all(
            z3.eq(a, b) for a, b in zip(clause.after[:shared], horn.state[:shared], strict=True)
        )
        if silent and clause.command is not None and clause.command.to in RESTING:
            continue
        changes = _changes(horn, clause, columns)
        for i, change in enumerate(changes):
            usable[i] = usable[i] and change is not None
        rows.append([change or Fraction(0) for change in changes])
    kept = [i for i, ok in enumerate(usable) if ok]
    start = next(horn.starts())
    equations = []
    for weights in _null_space([[row[i] for i in kept] for row in rows], len(kept)):
        total = z3.Sum(*(_times(w, columns[i]) for w, i in zip(weights, kept, strict=True) if w))
        begin = z3.simplify(z3.substitute(total, *zip(horn.state, start, strict=True)))
        if any(z3.eq(counter, t) for counter in horn.counters.values() for t in _parts(total)):
            equations.append(total == begin)
    return equations


def solved(horn: Horn, equations: Sequence[Term]) -> tuple[Term, Term] | None:
    """Return a count of a word and what it is by one of ``equations``, if one gives it outright."""
    counts = [t for n in horn.kept for t in flat(horn.names[n]) if z3.is_int(t)]
    for equation in equations:
        left, right = equation.children()
        rest = left - right
        for t in counts:
            at = [z3.simplify(z3.substitute(rest, (t, z3.IntVal(k)))) for k in (0, 1)]
            slope = z3.simplify(at[1] - at[0])
            if z3.is_int_value(slope) and abs(slope.as_long()) == 1:
                return t, z3.simplify(-slope.as_long() * at[0])
    return None


def _parts(term: Term) -> Iterator[Term]:
    yield term
    for child in term.children():
        yield from _parts(child)


def _columns(horn: Horn) -> Iterator[Term]:
    """Yield the numbers of a state: counts, crowds, and 0 or 1 for every flag and every label."""
    one, zero = z3.IntVal(1), z3.IntVal(0)
    for name in horn.kept:
        value, labels = horn.names[name], horn.table.variables[name].labels
        if isinstance(value, Fields):
            yield from (z3.If(f, one, zero) for f in value.flags)
            if labels:
                yield from (
                    z3.If(c == k, one, zero) for c in value.counts for k in range(len(labels))
                )
            else:
                yield from value.counts
        else:
            yield z3.If(value, one, zero)
    yield from horn.counters.values()


def _changes(horn: Horn, clause: Clause, columns: Sequence[Term]) -> list[Fraction | None]:
    """Return by how much the clause changes each column, ``None`` where that is not fixed."""
    renaming = list(zip(horn.state, clause.after, strict=True))
    solver = z3.SimpleSolver()
    solver.add(clause.body)
    found: list[Fraction | None] = []
    for column in columns:
        change = z3.simplify(z3.substitute(column, *renaming) - column)
        if z3.is_int_value(change):
            found.append(Fraction(change.as_long()))
        else:
            found.append(_fixed(solver, change))
    return found


def _fixed(solver: z3.Solver, change: Term) -> Fraction | None:
    """Return the one value that ``change`` has wherever the clause applies."""
    for value in (0, 1, -1):
        if solver.check(change != value) == z3.unsat:
            return Fraction(value)
    return None


def _times(weight: Fraction, term: Term) -> Term:
    return term if weight == 1 else z3.IntVal(int(weight)) * term


def _null_space(rows: Sequence[Row], width: int) -> Iterator[list[Fraction]]:
    """Yield a basis, in whole numbers, of the weightings that give every row the sum zero."""
    reduced: list[Row] = []
    pivots: list[int] = []
    for row in (list(r) for r in rows):
        for pivot, known in zip(pivots, reduced, strict=True):
            row = [a - row[pivot] * b for a, b in zip(row, known, strict=True)]
        lead = next((i for i, a in enumerate(row) if a), None)
        if lead is None:
            continue
        row = [a / row[lead] for a in row]
        reduced = [
            [a - known[lead] * b for a, b in zip(known, row, strict=True)] for known in reduced
        ]
        reduced.append(row)
        pivots.append(lead)
    for free in (i for i in range(width) if i not in pivots):
        weights = [Fraction(0)] * width
        weights[free] = Fraction(1)
        for pivot, known in zip(pivots, reduced, strict=True):
            weights[pivot] = -known[free]
        scale = 1
        for w in weights:
            scale = scale * w.denominator // _gcd(scale, w.denominator)
        yield [w * scale for w in weights]


def _gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a
