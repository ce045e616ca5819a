"""Proofs for any number of threads, by induction over the steps.

    initiation    every start satisfies the invariant
    consecution   whatever one thread or the kernel does, the invariant stays true
    the laws      the invariant implies them: what must hold at a command holds whenever it can
                  be taken, what is always so is so, no step changes a set status, at rest the
                  handle is closed; and nobody is stuck

The state has the 64 bits of the word as they are and a counter for every local state
(:mod:`~lastref.model.counting`).  Load and exchange are one step here; that they may be is the
lemma of :mod:`~lastref.model.refine`, which is proved along with the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from time import perf_counter

import z3

from lastref.model.counting import Count, Counting, Move
from lastref.model.explore import DEADLOCK
from lastref.model.fuse import only
from lastref.model.invariants import INVARIANTS, Conjunct, Invariant
from lastref.model.kernel import EVENTUALLY
from lastref.model.proof import ANY, PROVED, Decider, Progress, Proof, verdict_of
from lastref.model.refine import prove_refinement
from lastref.model.smt import Term, Terms, number, translate
from lastref.model.table import Law, Table, Variable

INITIATION, CONSECUTION, FUSION = "initiation", "consecution", "atomic-rounds"


class Induction:
    """The obligations of one table under one invariant."""

    def __init__(self, table: Table, invariant: Invariant) -> None:
        self.table, self.invariant = table, invariant
        self.counting = Counting(_restricted(table, invariant), invariant.sums, invariant.once)
        self.before = self.counting.before
        self.moves = tuple(self.counting.moves())
        always = (*self.counting.domain(self.before), *self.constants())
        self.start = Decider(table.id, table.platform, threads=ANY)
        self.start.assume(*always)
        self.decider = Decider(table.id, table.platform, threads=ANY)
        self.linked = self.before.link(invariant.limit)
        self.few = self.below(self.before)
        self.decider.assume(*always, self.linked)
        self.held = self.holds(self.before)
        self.decider.assume(*self.held, self.few)
        self.shown = {**self.before.terms, **{str(n): n for n in self.before.counters.values()}}

    def constants(self) -> list[Term]:
        """Return that a variable which no command writes is what it was at some start."""
        written = frozenset().union(*(m.command.writes for m in self.moves))
        fixed = [v for v in self.table.shared if v.name not in written]
        return [z3.Or(*(z3.And(*self.started(s, fixed)) for s in self.invariant.starts))]

    def started(
        self, start: Mapping[str, int | None], variables: Iterable[Variable]
    ) -> Iterator[Term]:
        """Yield that each of ``variables`` has its value at ``start``, where it has one."""
        for v in variables:
            value = start.get(v.name, v.initial)
            if value is not None:
                yield self.before.shared[v.name] == number(value, v.width)

    def holds(self, state: Count) -> list[Term]:
        """Return the invariant of ``state``: the counters, then every conjunct."""
        sound = [state.counted(), self.counting.alone(state), *self.counting.domain(state)]
        return [z3.And(*sound), *(c.holds(state) for c in self.invariant.conjuncts)]

    def below(self, state: Count) -> Term:
        """Return the premise: fewer than the limit hold a reference."""
        return state.below(self.invariant.limit)

    def run(self) -> Iterator[Proof]:
        """Decide every obligation; several commands of one law are one proof."""
        yield self.law(INITIATION, self.initiation())
        yield self.law(CONSECUTION, (self.consecution(m) for m in self.moves))
        for law in self.counting.table.laws:
            if law.id in self.invariant.broken:
                continue
            obligations = self.obligations(law)
            if obligations is not None:
                yield self.law(law.id, obligations)
        if DEADLOCK not in self.invariant.broken:
            yield self.law(DEADLOCK, self.nobody_is_stuck())

    def law(self, law: str, proofs: Iterable[Proof]) -> Proof:
        """Return one proof for all obligations of a law: the first that failed, or all proved."""
        started, cases, failed = perf_counter(), 0, None
        for proof in proofs:
            cases += 1
            if not proof.holds:
                failed = proof
                break
        seconds = perf_counter() - started
        if failed is not None:
            return replace(failed, seconds=seconds, cases=cases)
        verdict = PROVED if cases else verdict_of([])
        premise = self.invariant.limit_text
        return self.decider.result(law, "", verdict, seconds, premise=premise, cases=cases)

    def initiation(self) -> Iterator[Proof]:
        """Every start, with no thread under way, satisfies the invariant."""
        state = self.before
        for start in self.invariant.starts:
            waiting = (state.counters[p] == 1 for p in self.counting.once)
            given = [state.empty(), *waiting, *self.started(start, self.table.shared)]
            claim = z3.And(*self.holds(state))
            shown = state.terms
            yield self.start.decide(INITIATION, "", claim, shown, given=given)

    def consecution(self, move: Move) -> Proof:
        """The move keeps the invariant; a refutation names the first conjunct that it breaks."""
        changes = self.before.changes(move.after)
        given = [*self.obeying(move), z3.substitute(self.linked, *changes)]
        names = ["counters", *(c.id for c in self.invariant.conjuncts)]
        after = [z3.substitute(term, *changes) for term in self.held]
        conjuncts = (None, *self.invariant.conjuncts)
        changed = {
            name: new if c is None or c.kept is None else c.kept(self.before, move.after)
            for name, c, old, new in zip(names, conjuncts, self.held, after, strict=True)
            if not new.eq(old)
        }
        proof = self.decide(CONSECUTION, move.name, z3.And(*changed.values()), given, move.after)
        if proof.holds:
            return proof
        for name, claim in changed.items():
            single = self.decide(CONSECUTION, f"{move.name}: {name}", claim, given, move.after)
            if not single.holds:
                return single
        return proof

    def obeying(self, move: Move) -> list[Term]:
        """Return that the move is taken, without breaking an obligation, to within the premise.

        A step that breaks an obligation ends a run, here as in the explorer.
        """
        names = {**self.before.terms, **self.locals(move)}
        musts = (translate(m.holds, names) for m in move.command.must)
        few = z3.substitute(self.few, *self.before.changes(move.after))
        return [move.guard, few, *musts]

    def obligations(self, law: Law) -> Iterator[Proof] | None:
        """Return the obligations of a law, or ``None`` for a sight, which is not for proof."""
        kinds: dict[str, Callable[[Law], Iterator[Proof]]] = {
            "must": self.must,
            "always": self.always,
            "step": self.step,
            "rest": self.rest,
        }
        return kinds[law.kind](law) if law.kind in kinds else None

    def must(self, law: Law) -> Iterator[Proof]:
        """What a command must find, it finds whenever it can be taken."""
        for move in self.moves:
            musts = [m.holds for m in move.command.must if m.law == law.id]
            if not musts:  # looked at, and nothing asked
                yield self.decider.result(law.id, move.name, PROVED, 0.0)
                continue
            names = {**self.before.terms, **self.locals(move)}
            claim = z3.And(*(translate(m, names) for m in musts))
            yield self.decide(law.id, move.name, claim, [move.guard], move.after)

    def locals(self, move: Move) -> Terms:
        """Return the values of the locals where the move starts."""
        return self.counting.local_terms(move.place)

    def always(self, law: Law) -> Iterator[Proof]:
        """The law holds in every state of the invariant."""
        yield self.decide(law.id, "", self.before.holds(law.holds), [], self.before)

    def step(self, law: Law) -> Iterator[Proof]:
        """The law holds of every move."""
        before = self.before.terms
        primed = {f"{n}'": z3.Const(f"{n}'", t.sort()) for n, t in before.items()}
        holds = translate(law.holds, {**before, **primed})
        for move in self.moves:
            after = move.after.terms
            claim = z3.substitute(holds, *((primed[f"{n}'"], t) for n, t in after.items()))
            yield self.decide(law.id, move.name, claim, self.obeying(move), move.after)

    def rest(self, law: Law) -> Iterator[Proof]:
        """The law holds when no thread is under way."""
        given = [self.before.empty()]
        yield self.decide(law.id, "", self.before.holds(law.holds), given, self.before)

    def nobody_is_stuck(self) -> Iterator[Proof]:
        """If threads are under way, one of them can go on, or a process is yet to end."""
        state = self.before
        stuck = [
            z3.Not(m.guard)
            for m in self.moves
            if not m.fresh and (m.place is not None or m.command.name in EVENTUALLY)
        ]
        counted = (n for p, n in state.counters.items() if p not in state.supply)
        under_way = z3.Or(*(n >= 1 for n in counted))
        yield self.decide(DEADLOCK, "", z3.Not(under_way), stuck, state)

    def decide(self, law: str, command: str, claim: Term, given: list[Term], after: Count) -> Proof:
        """Decide one obligation; a refutation tells the whole state, and what changed."""
        before, shown = self.before, dict(self.shown)
        if after is not before:
            shown |= {f"{n}'": t for n, t in after.terms.items() if t is not before.terms[n]}
        premise = self.invariant.limit_text
        return self.decider.decide(law, command, claim, shown, given=given, premise=premise)


def prove_any(
    table: Table, invariant: Invariant | None = None, *, progress: Progress | None = None
) -> tuple[Proof, ...]:
    """Prove the laws of ``table`` for any number of threads: one proof for each law.

    Raises :class:`KeyError` if no invariant is known for the table.
    """
    chosen = INVARIANTS[table.id, table.platform] if invariant is None else invariant
    proofs = []
    induction = Induction(table, chosen)
    rounds = prove_refinement(table)
    for proof in (*([induction.law(FUSION, rounds)] if rounds else []), *induction.run()):
        proofs.append(proof)
        if progress is not None:
            progress(proof)
    return tuple(proofs)


def _restricted(table: Table, invariant: Invariant) -> Table:
    """Return the table with the methods that the invariant is about."""
    return table if invariant.methods is None else only(table, invariant.methods)


def without(invariant: Invariant, conjunct: Conjunct) -> Invariant:
    """Return the invariant with one conjunct dropped."""
    return replace(invariant, conjuncts=tuple(c for c in invariant.conjuncts if c is not conjunct))
