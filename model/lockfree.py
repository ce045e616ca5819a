"""Lock-freedom and termination for any number of threads, from three lemmas about loops.

A *loop* is a set of locations that lead to one another: a load, and the exchange after it.  It has
a *head*, through which every way round leads and by which it is entered: the load.

    loops-are-silent   no command within a loop changes anything that is shared
    failure-is-news    nobody comes round, from the head to the head, while what he reads stays
    only-threads       what is read there is written by threads alone, not by the kernel

Let finitely many calls be made, of however many threads.  A command that changes something is in no
loop, so a call takes it once at most: there are finitely many changes.  Whoever comes round a loop
does so because of a change that another thread made since; so everybody goes round finitely often.
Therefore no run goes on for ever, and in every run that is long enough somebody returns:
*lock-freedom*.

Nobody is stuck (:mod:`~lastref.model.induct`), so a fair run ends with all calls returned, and the
laws about rest hold there: *fair termination*.

Designs that take locks are left out: there a thread waits for another one, and is woken to try
again, so their calls do come back to where they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter

import z3

from lastref.model.explore import DEADLOCK
from lastref.model.induct import CONSECUTION, FUSION, INITIATION
from lastref.model.liveness import LOCK_FREE, TERMINATES, takes_locks
from lastref.model.proof import ANY, PROVED, REFUTED, UNKNOWN, Decider, Proof, verdict_of
from lastref.model.smt import declare, domain, translate, updated
from lastref.model.table import Command, Table

SILENT, NEWS, ONLY_THREADS = "loops-are-silent", "failure-is-news", "only-threads"
FAIR = "every thread steps at times, and processes end"
"""What fair termination takes as given."""


def prove_lock_freedom(table: Table) -> tuple[Proof, ...]:
    """Return the lemmas and, last, what follows; nothing for a design that takes locks."""
    if takes_locks(table):
        return ()
    began = perf_counter()
    decider = Decider(table.id, table.platform, threads=ANY)
    lemmas = [p for loop in _loops(table) for p in _lemmas(table, loop, decider)]
    verdict = verdict_of(lemmas) if lemmas else PROVED  # without a loop there is nothing to show
    seconds = perf_counter() - began
    cases = len(lemmas) or len(table.commands)
    return (*lemmas, decider.result(LOCK_FREE, "", verdict, seconds, cases=cases))


def prove_termination(
    lock_free: Proof, laws: Iterable[Proof], rest: frozenset[str] = frozenset()
) -> Proof:
    """Return that every fair run ends at rest, from lock-freedom and the proofs by induction.

    That the invariant is one, the absence of deadlock and the laws ``rest`` must be among the
    ``laws`` that were proved.
    """
    needed = {INITIATION, CONSECUTION, DEADLOCK, *rest}
    used = [lock_free, *(p for p in laws if p.law in needed | {FUSION})]
    missing = needed - {p.law for p in used}
    decider = Decider(lock_free.design, lock_free.platform, threads=ANY)
    premises = dict.fromkeys([*(p.premise for p in used if p.premise), FAIR])
    return decider.result(
        TERMINATES,
        ", ".join(sorted(missing)),
        REFUTED if missing else verdict_of(used),
        sum(p.seconds for p in used),
        premise="; ".join(premises),
        cases=len(used),
    )


def _lemmas(table: Table, loop: Sequence[str], decider: Decider) -> Iterator[Proof]:
    """Yield the three lemmas about one loop."""
    began, at = perf_counter(), loop[0]
    shared = {v.name for v in table.shared}
    inside = [c for c in table.commands if c.at in loop and c.to in loop]
    loud = {name for c in inside for name in c.writes & shared}
    verdict = REFUTED if loud else PROVED
    yield decider.result(SILENT, at, verdict, perf_counter() - began, cases=len(inside))
    read = frozenset[str]().union(*(c.reads for c in inside)) & shared
    foreign = {name for c in table.kernel for name in c.writes & read}
    verdict = REFUTED if foreign else PROVED
    yield decider.result(ONLY_THREADS, at, verdict, perf_counter() - began, cases=len(read))
    head = _head(table, loop)
    if head is None:
        yield decider.result(NEWS, at, UNKNOWN, perf_counter() - began, cases=len(inside))
        return
    for way in _rounds(table, loop, head):
        yield _is_news(table, way, decider)


def _is_news(table: Table, way: Sequence[Command], decider: Decider) -> Proof:
    """Decide that nobody goes this way round while nothing shared changes."""
    variables = (*table.shared, *table.local)
    start = now = declare(variables)
    guards = domain(variables, start)
    for c in way:
        guards.append(translate(c.guard, now))
        now = {**now, **updated(c.update, now)}
    name = "+".join(c.name for c in way)
    return decider.decide(NEWS, name, z3.BoolVal(False), start, given=guards)


def _loops(table: Table) -> Iterator[tuple[str, ...]]:
    """Yield the sets of locations that lead to one another."""
    beyond = {at: _reached(table, at) for at in table.locations}
    seen = set[str]()
    for at, ahead in beyond.items():
        if at in ahead and at not in seen:
            loop = tuple(x for x in ahead if at in beyond[x])
            seen.update(loop)
            yield tuple(x for x in table.locations if x in loop)


def _reached(table: Table, start: str) -> list[str]:
    """Return the locations beyond ``start``; itself too if it can be come back to."""
    found = list(dict.fromkeys(c.to for c in table.leaving[start] if c.to))
    for at in found:
        further = dict.fromkeys(c.to for c in table.leaving[at] if c.to)
        found += [to for to in further if to not in found]
    return found


def _head(table: Table, loop: Sequence[str]) -> str | None:
    """Return the location by which ``loop`` is entered, if every way round leads through it."""
    inside = {at: [c.to for c in table.leaving[at] if c.to in loop] for at in loop}
    entered = {c.to for c in table.commands if c.at not in loop} | set(table.methods.values())
    for head in (at for at in loop if at in entered):
        left = set(loop) - {head}
        while ends := {at for at in left if not left.intersection(inside[at])}:
            left -= ends
        if not left:
            return head
    return None


def _rounds(table: Table, loop: Sequence[str], head: str) -> Iterator[tuple[Command, ...]]:
    """Yield every way through ``loop`` from its head to its head."""

    def ways(at: str, taken: tuple[Command, ...]) -> Iterator[tuple[Command, ...]]:
        for c in table.leaving[at]:
            if c.to == head:
                yield (*taken, c)
            elif c.to is not None and c.to in loop:
                yield from ways(c.to, (*taken, c))

    yield from ways(head, ())
