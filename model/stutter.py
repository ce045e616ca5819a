"""One silent step more or less: when it makes no difference that anybody could see.

A mutant's command ends at another place than the design's, and from the one a step leads to the
other that changes nothing:

    design    drop.cas ──────────────────────────────▶ free.load
    mutant    drop.cas ──▶ drop.load ─ status is set ─▶ free.load

Let *settled* be that this step can be taken and would change nothing.  If a thread arrives settled,
whatever the others do keeps it so, nothing else can be taken there meanwhile, and the step ends
with the same outcome, then the two do the same but for a step that nobody sees: a stuttering
simulation (L. Lamport, What good is temporal logic?, 1983).  Threads never read where others are,
so the shared variables of the mutant are always those of some state of the design.

Two places may be as good as one: a load, and behind it an exchange that compares with a constant.

    at the load        word = 0 ─▶ the exchange     word ≠ 0 ─▶ on
    at the exchange    word = 0 ─▶ set it and on    word ≠ 0 ─▶ the load

Whoever stands at the one and can go on is, but for a step that changes nothing, at the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import permutations

import z3

from lastref.model.algebra import key, variables
from lastref.model.fuse import substitute
from lastref.model.histories import SYSTEM_CALLS
from lastref.model.proof import Proof
from lastref.model.reprove import Unbounded, fused_key
from lastref.model.smt import Term, Terms, translate
from lastref.model.table import Command

SETTLED, STAYS, ALONE = "arrives-settled", "stays-settled", "nothing-else"
SAME_PLACE = "as-good-a-place"


def silent_difference(
    unbounded: Unbounded, ours: Command, theirs: Command, mutant: tuple[Command, ...]
) -> tuple[Proof, ...]:
    """Return the proofs that ``theirs`` does what ``ours`` does but for one silent step.

    ``ours`` is a command of the design, ``theirs`` the mutant's in its stead, ``mutant`` all of the
    mutant's fused commands.  Without such a step there are no proofs.
    """
    design = tuple(unbounded.commands.values())
    for here, commands, arriving, goal in (
        (theirs.to, mutant, theirs, ours.to),
        (ours.to, design, ours, theirs.to),
    ):
        for step in commands:
            if step.at == here and step.to == goal:
                step = _arrived(unbounded, arriving, step)
                if not silent(unbounded, step):
                    continue
                if (step.outcome or arriving.outcome) != (
                    ours.outcome if arriving is theirs else theirs.outcome
                ):
                    continue
                proofs = tuple(until_refuted(_proofs(unbounded, arriving, step, commands)))
                if proofs and proofs[-1].holds:
                    return proofs
    return ()


def same_place(unbounded: Unbounded, ours: Command, theirs: Command) -> tuple[Proof, ...]:
    """Return the proofs that a thread may go to ``theirs.to`` where the design goes to ``ours.to``.

    A step at the one place leads to the other and changes nothing, or can be taken only while such
    a step leads to it from the other.  Without such places there are no proofs.
    """
    table = unbounded.table
    if fused_key(replace(theirs, to=ours.to)) != fused_key(ours):
        return ()
    if len({x in table.holding for x in (ours.to, theirs.to)}) > 1:
        return ()
    steps = {x: [c for c in table.commands if c.at == x] for x in (ours.to, theirs.to) if x}
    shared = {v.name for v in table.shared}
    if len(steps) < 2 or any(
        not cs or not all(variables(c.guard) <= shared for c in cs) for cs in steps.values()
    ):
        return ()
    return tuple(until_refuted(_same_place(unbounded, steps)))


def _same_place(unbounded: Unbounded, steps: Mapping[str, list[Command]]) -> Iterator[Proof]:
    induction = unbounded.induction
    for here, there in permutations(steps):
        across = [c for c in steps[there] if c.to == here and changes_nothing(c)]
        ways = z3.Or(*(translate(c.guard, induction.before.shared) for c in across))
        for c in steps[here]:
            if not (c.to == there and changes_nothing(c)):
                given = [translate(c.guard, induction.before.shared)]
                yield induction.decide(SAME_PLACE, c.name, ways, given, induction.before)


def changes_nothing(c: Command) -> bool:
    """Return whether ``c`` only leads on: no change, no outcome, no system call, no obligation."""
    return not (c.update or c.must or c.outcome) and c.op not in SYSTEM_CALLS


def _arrived(unbounded: Unbounded, arriving: Command, step: Command) -> Command:
    """Return ``step`` for a thread that comes by ``arriving``, whose own values then are known."""
    shared = {v.name for v in unbounded.table.shared}
    own = {n: value for n, value in arriving.update if n not in shared and not variables(value)}
    told = [(name, substitute(value, own)) for name, value in step.update]
    update = tuple((n, value) for n, value in told if n not in own or key(value) != key(own[n]))
    return replace(step, guard=substitute(step.guard, own), update=update)


def silent(unbounded: Unbounded, step: Command) -> bool:
    """Return whether ``step`` is nobody's business: no system call, and of shared values only."""
    shared = {v.name for v in unbounded.table.shared}
    names = {n for e in (step.guard, *(value for _, value in step.update)) for n in variables(e)}
    return step.op not in SYSTEM_CALLS and not step.must and names | step.writes <= shared


def _proofs(
    unbounded: Unbounded, arriving: Command, step: Command, commands: tuple[Command, ...]
) -> Iterator[Proof]:
    induction = unbounded.induction
    for move in unbounded.moves(arriving):
        settled = _settled(step, move.after.shared)
        given = [move.guard, induction.below(move.after)]
        yield induction.decide(SETTLED, move.name, settled, given, induction.before)
    before = _settled(step, induction.before.shared)
    for move in induction.moves:
        settled = _settled(step, move.after.shared)
        if not settled.eq(before):
            given = [before, *induction.obeying(move)]
            yield induction.decide(STAYS, move.name, settled, given, move.after)
    shared = {v.name for v in unbounded.table.shared}
    for other in commands:
        if other.at == step.at and other.name != step.name:
            other = _arrived(unbounded, arriving, other)
            if not variables(other.guard) <= shared:
                yield induction.decide(ALONE, other.name, z3.BoolVal(False), [], induction.before)
                continue
            guard = translate(other.guard, induction.before.shared)
            yield induction.decide(ALONE, other.name, z3.Not(guard), [before], induction.before)


def _settled(step: Command, shared: Terms) -> Term:
    same = [shared[n] == translate(value, shared) for n, value in step.update]
    return z3.simplify(z3.And(translate(step.guard, shared), *same))


def until_refuted(proofs: Iterator[Proof]) -> Iterator[Proof]:
    """Yield the proofs up to the first that does not hold."""
    for proof in proofs:
        yield proof
        if not proof.holds:
            return
