"""Load, compare-and-swap and retry refine one atomic step: the lemma, and a check of small systems.

For every way through a round (a load at ``a``, an exchange at ``b``), with anything at all done by
others in between, z3 decides over all words:

    load-is-silent    the load changes nothing that others see
    round-is-atomic   an exchange either fails, and the thread is where the round began with
                      nothing changed, or does just what the fused command does at that moment
    failure-is-news   a failed exchange finds another word than was loaded: somebody else was faster
    fused-is-possible whatever the fused command does, load and exchange do when nobody interferes

``round-is-atomic`` starts from an arbitrary earlier state at the load, so a word that went away and
came back (ABA) is among the cases: it is harmless because the guard asks for the value alone.  It
fails for a table whose load looked at something else than the word it exchanges.

:func:`compare_reachable` checks the same on the whole graph of a small system: the reachable states
of the fine table, with every round in progress taken back to its beginning, are those of the fused
one.  The lemma is the textbook's stuttering simulation (Lynch, Distributed Algorithms, chapter 8).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import z3

from lastref.model.fuse import Fusion, fuse
from lastref.model.proof import ANY, PROVED, REFUTED, Decider, Progress, Proof
from lastref.model.smt import Term, Terms, declare, domain, translate, updated
from lastref.model.system import Scenario, State, System
from lastref.model.table import Command, Table


def prove_refinement(table: Table, *, progress: Progress | None = None) -> tuple[Proof, ...]:
    """Decide the lemma for every round of ``table``; no proofs for a table without rounds."""
    proofs = []
    for proof in _Lemma(fuse(table)).run():
        proofs.append(proof)
        if progress is not None:
            progress(proof)
    return tuple(proofs)


class _Lemma:
    """The obligations of one fusion.

    ``then`` is the state at the load, ``now`` the one at the exchange: they share only the values
    that the thread carries from one to the other, and the variables that nobody ever writes.
    """

    def __init__(self, fusion: Fusion) -> None:
        self.fusion = fusion
        table = fusion.fine
        self.variables = (*table.shared, *table.local)
        self.shared = [v.name for v in table.shared]
        self.kept = [v.name for v in table.local if v.name not in fusion.forgotten]
        self.then = declare(self.variables, "^")
        written = frozenset().union(*(c.writes for c in (*table.commands, *table.kernel)))
        self.now = {**self.then, **declare(v for v in table.shared if v.name in written)}
        self.decider = Decider(table.id, table.platform, threads=ANY)
        self.decider.assume(*domain(self.variables, self.then))
        self.decider.assume(*domain(table.shared, self.now))
        self.shown = {f"{n}^": t for n, t in self.then.items()} | {
            n: self.now[n] for n in self.shared
        }

    def run(self) -> Iterator[Proof]:
        rounds = self.fusion.rounds
        for load in dict.fromkeys(r.load for r in rounds):
            yield self.load_is_silent(load)
        for r in rounds:
            yield self.round_is_atomic(r.load, r.exchange)
            if r.fused is None:
                yield self.failure_is_news(r.load, r.exchange)
            else:
                yield self.fused_is_possible(r.load, r.exchange, r.fused)

    def load_is_silent(self, load: Command) -> Proof:
        after = updated(load.update, self.then)
        unchanged = _equal(self.shared, after, self.then)
        given = [translate(load.guard, self.then)]
        return self.decider.decide("load-is-silent", load.name, unchanged, self.then, given=given)

    def at_exchange(self, load: Command) -> Terms:
        """Return the values at the exchange: locals as ``load`` left them, the rest anything."""
        loaded = updated(load.update, self.then)
        return {**loaded, **{n: self.now[n] for n in self.shared}}

    def round_is_atomic(self, load: Command, exchange: Command) -> Proof:
        state = self.at_exchange(load)
        after = updated(exchange.update, state)
        began = {**state, **{n: self.then[n] for n in self.kept}}
        ways = [
            z3.And(
                translate(f.guard, began),
                _equal([*self.shared, *self.kept], after, updated(f.update, began)),
            )
            for f in self.fusion.fused.leaving[load.at or ""]
            if (f.to, f.outcome) == (exchange.to, exchange.outcome or load.outcome)
        ]
        if exchange.to == load.at and exchange.outcome is None:
            # What the load is about to overwrite is dead where the round begins.
            live = [n for n in self.kept if n not in load.writes]
            ways.append(z3.And(_equal(self.shared, after, state), _equal(live, after, self.then)))
        given = [translate(load.guard, self.then), translate(exchange.guard, state)]
        return self.decider.decide(
            "round-is-atomic", _name(load, exchange), z3.Or(*ways), self.shown, given=given
        )

    def failure_is_news(self, load: Command, exchange: Command) -> Proof:
        state = self.at_exchange(load)
        read = [n for n in self.shared if n in exchange.reads]
        changed = z3.Not(_equal(read, state, self.then))
        given = [translate(load.guard, self.then), translate(exchange.guard, state)]
        return self.decider.decide(
            "failure-is-news", _name(load, exchange), changed, self.shown, given=given
        )

    def fused_is_possible(self, load: Command, exchange: Command, fused: Command) -> Proof:
        middle = updated(load.update, self.then)
        after, direct = updated(exchange.update, middle), updated(fused.update, self.then)
        same = z3.And(
            translate(load.guard, self.then),
            translate(exchange.guard, middle),
            _equal([*self.shared, *self.kept], after, direct),
        )
        given = [translate(fused.guard, self.then)]
        return self.decider.decide(
            "fused-is-possible", _name(load, exchange), same, self.then, given=given
        )


def _equal(names: list[str], left: Terms, right: Terms) -> Term:
    return z3.And(*(left[n] == right[n] for n in names if left[n] is not right[n]))


def _name(load: Command, exchange: Command) -> str:
    return f"{load.name}+{exchange.name}"


@dataclass(frozen=True)
class Reachable:
    """How many states a small system has, fine, fused, and fine after projection.

    ``missing`` are fused states that no fine state projects to, ``extra`` the other way round.
    """

    fine: int
    projected: int
    fused: int
    missing: int
    extra: int

    @property
    def equal(self) -> bool:
        """Whether the two sets of states are the same."""
        return not self.missing and not self.extra


def compare_reachable(table: Table, scenario: Scenario) -> Reachable:
    """Compare the reachable states of the fused table with the projected ones of the fine table."""
    fusion = fuse(table)
    fine, fused = System(table, scenario), System(fusion.fused, scenario)
    states = _reachable(fine)
    projected = {_project(fusion, fine, s) for s in states}
    wanted = {_project(fusion, fused, s) for s in _reachable(fused)}
    return Reachable(
        len(states), len(projected), len(wanted), len(wanted - projected), len(projected - wanted)
    )


def prove_reachable(table: Table, scenario: Scenario) -> Proof:
    """Return :func:`compare_reachable` as a proof record for that number of threads."""
    found = compare_reachable(table, scenario)
    decider = Decider(table.id, table.platform, threads=len(scenario.threads))
    verdict = PROVED if found.equal else REFUTED
    return decider.result("fine-and-fused-reach-the-same", "", verdict, 0.0, cases=found.fine)


def _reachable(system: System) -> set[State]:
    seen, queue = {system.initial}, deque([system.initial])
    while queue:
        for step in system.steps(queue.popleft()):
            if step.state not in seen:
                seen.add(step.state)
                queue.append(step.state)
    return seen


def _project(fusion: Fusion, system: System, state: State) -> object:
    """Return the state by names, with rounds in progress taken back and loaded values forgotten.

    Where a round begins, what its load is about to overwrite is forgotten too.
    """
    local = [v.name for v in system.table.local]
    kept = [i for i, name in enumerate(local, 1) if name not in fusion.forgotten]
    size = len(system.locations)
    threads = []
    for place, *values in state[1]:
        name = system.location(place)
        at = fusion.home.get(name, name)
        dead = _overwritten(fusion, at)
        shown = (0 if local[i - 1] in dead else values[i - 1] for i in kept)
        threads.append((place // size, at, *shown))
    return state[0], tuple(threads)


def _overwritten(fusion: Fusion, at: str) -> frozenset[str]:
    """Return the locals that the loads of rounds at ``at`` write and that nobody reads there."""
    loads = {r.load.name: r.load for r in fusion.rounds if r.load.at == at}
    if not loads:
        return frozenset()
    read = frozenset[str]().union(*(c.reads for c in fusion.fine.leaving[at]))
    return frozenset.intersection(*(c.writes for c in loads.values())) - read
