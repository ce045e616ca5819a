"""A call that might have been over sooner, or have begun later: another way out of it.

A look changes nothing, so a thread that has looked at one thing and then at another could as well
have done something else at the time of the first look, or have begun at that of the second:

    design    signal.state ─ ok ─▶ signal.refs ─ 0 ─▶ signal.again ─ released ─▶ EINVAL
    mutant    signal.state ─ ok ─▶ signal.refs ─ 0 ─▶ EWINDOWS

    sooner    the mutant's Signal is a run of the design in which it took a reference, and gave it
              back, as soon as it had found the state to be ok; then it only was slow to return
    later     the design's Signal is a run of the mutant that begins when the design looks again

The other threads see neither, for the shared variables are what they were.  In a run of the mutant
the calls are exchanged one after another, from the first that goes the other way on: up to there
it is a run of the design, so the invariant holds.  The two then have the same histories and the
same shared states, though they do not take the same steps (movers: R. J. Lipton, Reduction, 1975).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import z3

from lastref.model.proof import Proof
from lastref.model.reprove import Unbounded, fused_key
from lastref.model.smt import Term, Terms, translate, updated
from lastref.model.stutter import changes_nothing, silent, until_refuted
from lastref.model.table import END, HOLDERS, Command

SOONER, LATER = "over-sooner", "begun-later"
LONGEST = 3
"""How many steps a call may make at once to be over."""


def sooner_or_later(unbounded: Unbounded, ours: Command, theirs: Command) -> tuple[Proof, ...]:
    """Return the proofs that a call may end by ``theirs`` where the design goes on by ``ours``.

    A thread comes to both by steps that change nothing, and to the place behind ``ours`` by no
    other step.  Where that is not so there are no proofs.
    """
    table = unbounded.fusion.fused
    here, there = ours.at, ours.to
    arriving = [c for c in table.commands if c.to == here]
    if (
        fused_key(replace(theirs, to=ours.to)) != fused_key(ours)
        or theirs.to != END
        or not changes_nothing(ours)
        or fused_key(ours) not in unbounded.commands
        or {here, there} & {*table.methods.values(), *(a.at for a in arriving)}
        or [c.name for c in table.commands if c.to == there] != [ours.name]
        or not all(_only_looks(unbounded, a) for a in arriving)
    ):
        return ()
    return tuple(until_refuted(_proofs(unbounded, ours, arriving)))


def _proofs(unbounded: Unbounded, ours: Command, arriving: Sequence[Command]) -> Iterator[Proof]:
    table = unbounded.fusion.fused
    for a in arriving:
        yield _sooner(unbounded, ours, a)
        for c in table.leaving[ours.to or ""]:
            yield from _later(unbounded, ours, a, c)


def _sooner(unbounded: Unbounded, ours: Command, arriving: Command) -> Proof:
    """Whenever ``arriving`` can be taken, a call that has come so far can end at once.

    What it does on the way keeps within the limit, and nothing is left of it in the end.
    """
    induction = unbounded.induction
    shared, more = induction.before.shared, induction.before.sums[HOLDERS.name].plus(1)
    limit = induction.invariant.limit
    ways = z3.Or(*(_leaves_nothing(w, shared) for w in _ways_out(unbounded, ours.at or "")))
    moves = z3.Or(*(m.guard for m in unbounded.moves(arriving)))
    given = [moves, more.total < limit, more.link(limit)]
    return induction.decide(SOONER, arriving.name, ways, given, induction.before)


def _ways_out(
    unbounded: Unbounded, at: str, before: tuple[Command, ...] = ()
) -> Iterator[tuple[Command, ...]]:
    """Yield the ways from ``at`` to the end of the call that nobody outside sees."""
    for c in unbounded.fusion.fused.leaving.get(at, ()):
        if silent(unbounded, c) and c.outcome is None:
            if c.to == END:
                yield (*before, c)
            elif len(before) + 1 < LONGEST:
                yield from _ways_out(unbounded, c.to or "", (*before, c))


def _leaves_nothing(way: Sequence[Command], shared: Terms) -> Term:
    """Return that all of ``way`` can be taken at once, and then all is as it was."""
    now, can = dict(shared), []
    for c in way:
        can.append(translate(c.guard, now))
        now = updated(c.update, now)
    return z3.And(*can, *(now[n] == shared[n] for n in shared))


def _later(unbounded: Unbounded, ours: Command, arriving: Command, c: Command) -> Iterator[Proof]:
    """Whenever ``c`` can be taken behind ``ours``, the same can be done where the thread was.

    Where ``c`` does more than to look, that is: it can never be taken.
    """
    induction = unbounded.induction
    outcome = c.outcome or ours.outcome or arriving.outcome
    same = [
        translate(o.guard, induction.before.shared)
        for o in unbounded.fusion.fused.leaving[arriving.at or ""]
        if (o.to, o.outcome) == (c.to, outcome) and _only_looks(unbounded, o)
    ]
    claim = z3.Or(*same) if _only_looks(unbounded, c) else z3.BoolVal(False)
    for move in unbounded.moves(c):
        yield induction.decide(LATER, move.name, claim, [move.guard], induction.before)


def _only_looks(unbounded: Unbounded, c: Command) -> bool:
    """Return whether ``c`` does nothing but to look at shared variables."""
    return silent(unbounded, c) and not c.update
