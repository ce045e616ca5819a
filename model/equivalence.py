"""Proves that a mutant does what its design does: the same steps in every state that can arise.

A changed guard or update may agree with the old one wherever the design can ever be.  That is
decided by z3 over all 64 bits of the word and for any number of threads:

    the design      an invariant holds at the start and whatever anybody does (:mod:`induct`), here
                    from every start that the table has
    what never is   a command that can be taken in no state of the invariant, neither as it was nor
                    as it is, says nothing: it is put back, or taken out if it is new
    the rounds      load and exchange of both refine one atomic step (:mod:`refine`), so the fused
                    forms may be compared
    the steps       in every state of the invariant with a thread at the place, each step of the
                    mutant is a step of the design, and each step of the design one of the mutant;
                    or the one takes a silent step more, or goes to a place as good (:mod:`stutter`)
    the calls       or a call that takes other steps might have taken the same at another time
                    (:mod:`moved`): then the histories are the same, though the steps are not

Then, by induction, the two have the same reachable states and the same steps between them, for
whoever looks: nothing but the text of the table tells them apart.  What the invariant does not say
by itself is guessed from a survey, as far as it is inductive (:mod:`houdini`).

    free.load.zero    refs = 0          never is: who comes here holds a reference
    drop.cas.last     refs(old) = 1     never is: Wait holds one and the process object another
    release.close     handle ≠ closed   always so: there is one closer
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import z3

from lastref.model.algebra import Expr, conjunction, key, variables
from lastref.model.counting import Count, Move
from lastref.model.fuse import EXCHANGE, fuse, substitute
from lastref.model.houdini import houdini
from lastref.model.induct import CONSECUTION, FUSION, INITIATION, prove_any
from lastref.model.invariant import Conjunct, Invariant
from lastref.model.invariants_handle import DOUBLE_SUMS, word_done, word_status
from lastref.model.kernel import ALIVE
from lastref.model.moved import sooner_or_later
from lastref.model.mutate import conjuncts
from lastref.model.proof import REFUTED, Proof
from lastref.model.reprove import NO_PROOF, Unbounded, fused_key
from lastref.model.smt import Term, translate
from lastref.model.stutter import same_place, silent_difference, until_refuted
from lastref.model.survey import Survey, starts
from lastref.model.table import Command, DesignError, Table

SAME_STEPS, STEPS_KEPT = "mutant-steps-are-the-designs", "design-steps-are-the-mutants"
NEVER, CANNOT_FAIL = "never-is", "cannot-fail"
NEEDED = frozenset({INITIATION, CONSECUTION, FUSION})
"""The laws of a proof for any number of threads that say that the invariant is one."""

ONE_REAPER = Conjunct(
    "one-reaper",
    "at most one Wait is about to say done, and then nobody has said so yet",
    lambda s: z3.And(
        s.at("drop.load") <= 1, z3.Implies(s.at("drop.load") >= 1, z3.Not(word_done(s)))
    ),
)
ALSO: Mapping[tuple[str, str], tuple[Conjunct, ...]] = {
    ("go-2024", "linux"): (
        Conjunct(
            "bystander-alive",
            "nobody touches the bystander",
            lambda s: s.shared["bystander"] == ALIVE,
        ),
        ONE_REAPER,
    ),
    ("go-2025-double", "linux"): (
        ONE_REAPER,
        Conjunct(
            "one-gives-back",
            "the object's own reference is given back once, by whoever has set the status",
            lambda s: z3.And(
                s.at(*DOUBLE_SUMS["giving back"]) <= 1,
                z3.Implies(z3.Not(word_status(s)), s.at(*DOUBLE_SUMS["giving back"]) == 0),
            ),
        ),
    ),
}
"""What else is always so: the laws do not need it, but it tells what can never be."""


class Equivalence:
    """What it takes to compare the mutants of one design with it; the invariant is proved once.

    Without a ``survey`` one is made.
    """

    def __init__(self, table: Table, invariant: Invariant, survey: Survey | None = None) -> None:
        self.table = table
        known = replace(
            invariant,
            conjuncts=(*invariant.conjuncts, *ALSO.get((table.id, table.platform), ())),
            starts=(*invariant.starts, *starts(table).values()),
        )
        stronger = houdini(table, known, survey or Survey(table))
        self.unbounded = Unbounded(table, stronger)
        # A design that breaks laws has an invariant like any other: only that is needed here.
        needed = (p for p in prove_any(table, stronger) if p.law in NEEDED)
        self.failed = next((p for p in needed if not p.holds), None)

    def prove(self, mutant: Table) -> tuple[Proof, ...]:
        """Return the proofs that ``mutant`` does the same, up to the first that fails."""
        proofs = []
        for proof in self._run(mutant):
            proofs.append(proof)
            if not proof.holds:
                break
        return tuple(proofs)

    def _run(self, mutant: Table) -> Iterator[Proof]:
        if self.failed is not None:
            yield self.failed
            return
        kept: list[Command] = []
        for c in mutant.commands:
            old = self.table.by_name.get(c.name)
            if old is not None and fused_key(old) == fused_key(c):
                kept.append(c)
                continue
            if old is not None:
                proofs = self._as_good(old, c)
                if proofs:
                    yield from proofs
                    kept.append(old)
                    continue
            proofs = _if_proved(p for x in dict.fromkeys((c, old or c)) for p in self._never(x))
            if proofs:
                yield from proofs
                kept += [old] if old is not None else []
            else:
                kept.append(c)
        lost = [c for c in self.table.commands if c.name not in mutant.by_name]
        for c in lost:
            proofs = _if_proved(self._never(c))
            if proofs:
                yield from proofs
                kept.append(c)
        try:
            mended = replace(mutant, commands=_reachable(mutant, kept))
            yield from self._same_steps(mended)
        except DesignError as error:
            yield self.unbounded.induction.decider.result(NO_PROOF, str(error), REFUTED, 0.0)

    def _as_good(self, old: Command, c: Command) -> tuple[Proof, ...]:
        """Return the proofs that ``c`` may stand for ``old``, or none if there are no such."""
        if _lacks_comparison(c, old):
            return _if_proved(self._cannot_fail(old))
        return _if_proved(same_place(self.unbounded, old, c)) or _if_proved(
            sooner_or_later(self.unbounded, old, c)
        )

    def _never(self, c: Command) -> Iterator[Proof]:
        """Yield the proofs that ``c`` can be taken in no state, one for each place.

        A command at an exchange can be taken only if the load before it could have been, by a
        thread whose loaded value satisfies what the command asks of it.
        """
        unbounded = self.unbounded
        home = unbounded.fusion.home.get(c.at or "")
        if home is None:
            moves = list(unbounded.moves(c)) if c.at in _homes(unbounded) else []
        else:
            loads = (x for x in self.table.commands if x.to == c.at)
            moves = [m for load in loads for m in unbounded.moves(_as_loaded(load, c))]
        for move in moves:
            yield unbounded.induction.decide(
                NEVER, move.name, z3.BoolVal(False), [move.guard], unbounded.induction.before
            )

    def _cannot_fail(self, c: Command) -> Iterator[Proof]:
        """Yield the proofs that nobody changes what a thread loaded that is about to take ``c``.

        Whoever takes the last reference of a word whose status is set is alone.
        """
        unbounded = self.unbounded
        before, counting = unbounded.induction.before, unbounded.induction.counting
        for load in (x for x in self.table.commands if x.to == c.at):
            asked = translate(_as_loaded(load, c).guard, before.shared)
            for move in unbounded.induction.moves:
                same = z3.And(*(move.after.shared[n] == before.shared[n] for n, _ in _swap_of(c)))
                same = z3.simplify(same)
                if z3.is_true(same):
                    continue
                for place in (p for p in counting.places if p[0] == load.at):
                    others = 2 if move.place == place and not move.fresh else 1
                    waiting = before.counters.get(place, z3.IntVal(1)) >= others
                    given = [asked, waiting, *unbounded.induction.obeying(move)]
                    yield unbounded.induction.decide(
                        CANNOT_FAIL, move.name, same, given, move.after
                    )

    def _same_steps(self, mutant: Table) -> Iterator[Proof]:
        unbounded = self.unbounded
        new = unbounded.changed(mutant)
        yield from unbounded.rounds(mutant)
        fused = _fused(mutant)
        ours = {c.name: c for c in unbounded.commands.values()}
        mended: dict[object, Command] = {}
        for c in new:
            old = ours.get(c.name)
            if old is not None and (old.at, old.op) == (c.at, c.op) and old.to != c.to:
                proofs = silent_difference(unbounded, old, c, fused)
                yield from proofs
                if proofs:
                    mended[fused_key(c)] = replace(c, to=old.to, outcome=old.outcome)
        fused = tuple(mended.get(fused_key(c), c) for c in fused)
        theirs = {fused_key(c) for c in fused}
        lost = [c for k, c in unbounded.commands.items() if k not in theirs and c.at is not None]
        for c in new:
            for move in unbounded.moves(mended.get(fused_key(c), c)):
                yield self._is_among(SAME_STEPS, move, tuple(unbounded.commands.values()))
        for c in lost:
            for move in unbounded.moves(c):
                yield self._is_among(STEPS_KEPT, move, fused)

    def _is_among(self, law: str, move: Move, commands: tuple[Command, ...]) -> Proof:
        """Wherever ``move`` can be taken, one of ``commands`` can, to the same end."""
        induction = self.unbounded.induction
        c = move.command
        others = (
            induction.counting.move(o, move.place)
            for o in commands
            if (o.at, o.op, o.to, o.outcome) == (c.at, c.op, c.to, c.outcome)
        )
        ways = [z3.And(o.guard, *_same_state(move.after, o.after)) for o in others]
        given = [move.guard, induction.below(move.after)]
        return induction.decide(law, move.name, z3.Or(*ways), given, induction.before)


def _if_proved(proofs: Iterable[Proof]) -> tuple[Proof, ...]:
    """Return the proofs if there are any and all hold, else none."""
    made = tuple(until_refuted(iter(proofs)))
    return made if made and made[-1].holds else ()


def _swap_of(c: Command) -> tuple[tuple[str, str], ...]:
    """Return what an exchange compares: a shared variable and the local one it was loaded to."""
    return tuple(
        (one, other)
        for t in conjuncts(c.guard)
        if t.op == "eq" and [a.op for a in t.args] == ["var", "var"]
        for one, other in (sorted((a.name for a in t.args), key=lambda n: n not in c.writes),)
        if c.op == EXCHANGE
    )


def _lacks_comparison(c: Command, old: Command) -> bool:
    """Return whether ``c`` is the exchange ``old``, only that it does not compare."""
    compared = {key(t) for t in conjuncts(old.guard) if len(variables(t)) > 1}
    asked, ours = ({key(t) for t in conjuncts(x.guard)} for x in (c, old))
    return (
        bool(_swap_of(old))
        and ours - asked == compared
        and asked <= ours
        and fused_key(replace(c, guard=old.guard)) == fused_key(old)
    )


def _homes(unbounded: Unbounded) -> set[str]:
    return {location for location, _ in unbounded.induction.counting.places}


def _fused(table: Table) -> tuple[Command, ...]:
    return fuse(table).fused.commands


def _as_loaded(load: Command, exchange: Command) -> Command:
    """Return the load, asking already for what the exchange will ask of the loaded value."""
    local = {name for name, _ in load.update}
    asked = [t for t in conjuncts(exchange.guard) if variables(t) <= local]
    loaded: dict[str, Expr] = dict(load.update)
    guard = conjunction(load.guard, *(substitute(t, loaded) for t in asked))
    return replace(load, name=exchange.name, guard=guard, update=(), to=load.at)


def _reachable(mutant: Table, commands: list[Command]) -> tuple[Command, ...]:
    """Return ``commands`` without those at locations that no method and no command leads to."""
    reached = set(mutant.methods.values())
    todo = list(reached)
    while todo:
        at = todo.pop()
        for c in commands:
            if c.at == at and c.to is not None and c.to not in reached:
                reached.add(c.to)
                todo.append(c.to)
    return tuple(c for c in commands if c.at in reached)


def _same_state(one: Count, other: Count) -> Iterator[Term]:
    """Yield what makes the two states the same, leaving out what is so by its form."""
    for a, b in (
        *((one.shared[n], other.shared[n]) for n in one.shared),
        *((one.counters[p], other.counters[p]) for p in one.counters),
    ):
        if not a.eq(b):
            yield a == b
