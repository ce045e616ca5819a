"""What `lastref prove` shows of a design, kind by kind; each kind is a list of checks.

    bits          every command of the table, over all words
    any           the laws, for any number of threads, by induction; lock-freedom and termination
    overflow      what happens where the count is full
    spacer        an invariant that nobody wrote down; of a faulty design, a run that breaks a law
    bmc           the shortest such run, by a symbolic schedule, is as long as the explorer's
    fusion        load, exchange and retry are one atomic step
    histories     every history of calls has an order, or is of a kind that has a name
    liveness      no deadlock, lock-free, and every fair run ends: on whole graphs
    memory-order  which memory orders the accesses need

A check is about one law (``law``), for any number of threads or so many (``threads``).  A faulty
design is proved in the laws that it keeps, and refuted in one that it breaks: what is expected of
it is part of the check.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from lastref.conformance.results import Check, Verdict
from lastref.conformance.trace import parse, record
from lastref.model.bmc import shortest
from lastref.model.cases import CASES, Case, smallest
from lastref.model.explore import explore
from lastref.model.fresh import prove, refute
from lastref.model.fuse import fuse
from lastref.model.induct import prove_any
from lastref.model.invariant import Invariant
from lastref.model.invariants import INVARIANTS, ONE_WAIT, SOUND
from lastref.model.linearize import linearize
from lastref.model.liveness import prove_liveness, takes_locks
from lastref.model.lockfree import prove_lock_freedom, prove_termination
from lastref.model.memory_order import SEQ_CST, Weakest, prove_orders, weakest
from lastref.model.overflow import FILLINGS, overflow
from lastref.model.proof import ANY, PROVED, REFUTED, UNKNOWN, Proof
from lastref.model.prove import prove_table
from lastref.model.refine import prove_reachable, prove_refinement
from lastref.model.sequential import SPECIFICATIONS
from lastref.model.system import Scenario, Step, System, scenario
from lastref.model.table import DesignError, Table

_VERDICTS = {
    PROVED: Verdict.PASS,
    REFUTED: Verdict.BROKEN,
    UNKNOWN: Verdict.INCOMPLETE,
}
_BESIDE = frozenset({"foreign", "careless", "find", "kill"})
"""Methods that are left out of mixes: like another one, or not on the handle."""
_THREADS = 3


@dataclass(frozen=True)
class Kind:
    """A kind of proof: what it shows, of which tables, and the checks that it makes of one."""

    id: str
    text: str
    applies: Callable[[Table], bool]
    prove: Callable[[Table], Iterator[Check]]


def key_of(table: Table) -> tuple[str, str]:
    """Return the ids of a table."""
    return table.id, table.platform


def _processor() -> float:
    """Return the seconds of processor that this process and those it waited for have used."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


class _Clock:
    """Tells the seconds since it was last asked."""

    def __init__(self) -> None:
        self._last = perf_counter()

    def lap(self) -> float:
        last, self._last = self._last, perf_counter()
        return self._last - last


def _check(
    table: Table,
    kind: str,
    name: str,
    verdict: str,
    count: int,
    *,
    law: str,
    threads: int | str,
    seconds: float,
    reason: str = "",
    extra: dict[str, object] | None = None,
) -> Check:
    """Return a check; ``verdict`` is one of a proof, and a pass of nothing is incomplete."""
    told = _VERDICTS[verdict] if count else Verdict.INCOMPLETE
    missing = "" if told is Verdict.PASS else reason or f"{law} is {verdict}"
    return Check(
        id=f"{table.id}/{table.platform}/{kind}/{name}",
        kind=kind,
        verdict=told,
        count=count,
        seconds=seconds,
        reason=missing or reason,
        design=table.id,
        platform=table.platform,
        extra={"law": law, "threads": threads, **(extra or {})},
    )


def _by_law(
    table: Table, kind: str, proofs: Iterable[Proof], *, prefix: str = "", threads: int | str = ANY
) -> Iterator[Check]:
    """Yield one check for all proofs of each law, with the first that failed as its reason."""
    groups: dict[str, list[Proof]] = {}
    for proof in proofs:
        groups.setdefault(proof.law, []).append(proof)
    for law, group in groups.items():
        failed = next((p for p in group if p.verdict == REFUTED), None)
        failed = failed or next((p for p in group if not p.holds), None)
        yield _check(
            table,
            kind,
            prefix + law,
            PROVED if failed is None else failed.verdict,
            max(len(group), *(p.cases for p in group)),
            law=law,
            threads=group[0].threads or threads,
            seconds=sum(p.seconds for p in group),
            reason=group[0].premise if failed is None else _why(failed),
        )


def _why(proof: Proof) -> str:
    values = ", ".join(f"{k}={v:#x}" for k, v in (proof.counterexample or {}).items())
    return f"{proof.id} is {proof.verdict}" + (f" by {values}" if values else "")


def bits(table: Table) -> Iterator[Check]:
    """The obligations of every command, over all words: they hold for any number of threads."""
    yield from _by_law(table, "bits", prove_table(table))


def any_number(table: Table) -> Iterator[Check]:
    """The laws by induction, and what follows for the ends of runs; and one Wait beside signals."""
    invariant = INVARIANTS[key_of(table)]
    laws = prove_any(table, invariant)
    yield from _by_law(table, "any", laws)
    yield from _by_law(table, "any", _ends(table, invariant, laws))
    one_wait = ONE_WAIT.get(key_of(table))
    if one_wait is not None:
        yield from _by_law(table, "any", prove_any(table, one_wait), prefix="one-wait/")


def _ends(table: Table, invariant: Invariant, laws: Sequence[Proof]) -> Iterator[Proof]:
    lemmas = prove_lock_freedom(table)
    if lemmas:
        rest = {law.id for law in table.laws if law.kind == "rest"} - invariant.broken
        yield lemmas[-1]
        yield prove_termination(lemmas[-1], laws, frozenset(rest))


def full(table: Table) -> Iterator[Check]:
    """How many may hold at once, and what one more does."""
    found = overflow(table)
    guarded = found.run is None and any("guarded" in p.law for p in found.proofs)
    values = next((p.counterexample for p in reversed(found.proofs) if p.counterexample), {})
    told = ", ".join(f"{k}={v:#x}" for k, v in values.items())
    end = "guarded: with so many, one more is refused"
    if not guarded:
        last = found.run.law if found.run is not None else "nothing notices"
        end = f"with so many the count runs over: {told}; then {last}"
    for check in _by_law(table, "overflow", found.proofs):
        schedule = [] if found.run is None else [f"{a} {c}" for a, c in found.run.schedule]
        extra = {"limit": f"{found.limit:#x}", "guarded": guarded, "schedule": schedule}
        passed = check.verdict is Verdict.PASS
        yield replace(
            check,
            reason=f"safe below {found.limit:,} holders; {end}" if passed else check.reason,
            extra={**check.extra, **extra},
        )


def found_by_spacer(table: Table) -> Iterator[Check]:
    """An invariant that Spacer found, checked again; of a faulty design, a run that it found."""
    clock = _Clock()
    if key_of(table) in SOUND:
        found = prove(*key_of(table)).found
        seconds = clock.lap()
        for law in found.laws or ("no-use-after-close",):
            yield _check(
                table,
                "spacer",
                law,
                found.verdict,
                found.rechecked,
                law=law,
                threads=ANY,
                seconds=seconds,
                reason=f"{found.rechecked} plain queries confirm the invariant",
                extra={"seed": found.seed, "invariant": found.invariant},
            )
            seconds = 0.0
    for case in cases_of(table):
        answer = refute(case)
        run, broken = answer.run, None
        if run is not None:
            broken = _retold(System(table, run.scenario), run.schedule)
        holds = broken == case.law
        yield _check(
            table,
            "spacer",
            case.id,
            PROVED if holds else UNKNOWN,
            1 if run is None else len(run.schedule),
            law=case.law,
            threads=0 if run is None else len(run.scenario.threads),
            seconds=clock.lap(),
            reason=f"a run of {len(run.schedule)} steps breaks it, as the model's replay says"
            if run is not None and holds
            else f"Spacer says {answer.found.verdict}, and the model's replay breaks {broken}",
            extra={"schedule": [] if run is None else [f"{a} {c}" for a, c in run.schedule]},
        )


def cases_of(table: Table) -> tuple[Case, ...]:
    """Return the cases that show what is wrong with a table: named ones, or the smallest."""
    named = tuple(c for c in CASES if (c.design, c.platform) == key_of(table))
    if named or key_of(table) in SOUND:
        return named
    found = smallest(table)
    return () if found is None else (found,)


def _retold(system: System, schedule: Iterable[tuple[str, str]]) -> str | None:
    """Write a run down as a trace and read it back; return the law that its last step breaks.

    A run that the system does not have breaks nothing.
    """
    state, steps = system.initial, list[Step]()
    for actor, name in schedule:
        step = next((s for s in system.steps(state) if (s.actor, s.name) == (actor, name)), None)
        if step is None:
            return None
        steps.append(step)
        state = step.state
    again = parse(record(system, steps).schedule)
    return again.steps[-1].breaks if len(again.steps) == len(steps) else None


def shortest_runs(table: Table) -> Iterator[Check]:
    """The bounded search finds a run of each case, and none that is shorter than the explorer's."""
    for case in cases_of(table):
        clock = _Clock()
        found = shortest(table, case.scenario, table.law(case.law))
        searched = explore(System(table, case.scenario), stop_at=case.law)
        explored = len(searched.counterexamples[case.law].steps)
        broken = _retold(System(table, case.scenario), found.schedule)
        same = found.depth == explored == case.steps and broken == case.law
        yield _check(
            table,
            "bmc",
            case.id,
            UNKNOWN if found.verdict == UNKNOWN else PROVED if same else REFUTED,
            found.depth,
            law=case.law,
            threads=len(case.calls),
            seconds=clock.lap(),
            reason=f"{found.depth} steps, and {explored} by the explorer",
            extra={"schedule": [f"{a} {c}" for a, c in found.schedule]},
        )


def fusion(table: Table) -> Iterator[Check]:
    """The lemma for any number of threads, and the reachable states of all mixes of two."""
    yield from _by_law(table, "fusion", prove_refinement(table))
    clock = _Clock()
    proof = prove_reachable(table, mix(table, 2))
    yield from _by_law(table, "fusion", [replace(proof, seconds=clock.lap())])


def mix(table: Table, threads: int) -> Scenario:
    """Return so many threads of which each picks a method."""
    return scenario(*("|".join(m for m in table.methods if m not in _BESIDE),) * threads)


def _histories_of(table: Table) -> tuple[tuple[str, ...], ...]:
    if "use" in table.methods:
        return (("use", "dispose"), ("use", "use", "dispose"), ("use", "dispose", "dispose"))
    return (
        ("wait", "release"),
        ("wait", "wait", "signal"),
        ("wait", "release", "signal"),
        ("wait;signal", "release"),
        ("signal", "release", "release"),
    )


def all_histories(table: Table) -> Iterator[Check]:
    """Every history is explained by an order of its calls, or by calls that take two moments."""
    for calls in _histories_of(table):
        clock = _Clock()
        found = linearize(table, *calls)
        kinds = sorted({k for k in found.unordered.values() if k})
        without = f", {len(found.unordered)} without an order: {', '.join(kinds)}" if kinds else ""
        yield _check(
            table,
            "histories",
            "+".join(calls),
            REFUTED if found.unexplained else PROVED,
            found.histories,
            law="linearizable" if not found.unordered else "two-moments",
            threads=len(calls),
            seconds=clock.lap(),
            reason=f"{found.histories} histories{without}"
            if not found.unexplained
            else f"no known kind: {found.unexplained[0]}",
            extra={"unordered": {str(h): k for h, k in found.unordered.items()}},
        )


def live(table: Table) -> Iterator[Check]:
    """All mixes of three threads."""
    broken = INVARIANTS[key_of(table)].broken
    yield from _by_law(
        table, "liveness", prove_liveness(table, mix(table, _THREADS), broken=broken)
    )


def _programs(table: Table) -> tuple[tuple[str, ...], ...]:
    """Return who calls what: users of the handle, one who gives it up, and a Wait."""
    if "use" in table.methods:
        return (("use", "dispose"), ("use", "use", "dispose"))
    user = "kill" if table.platform == "windows" else "signal"
    return ((user, "release"), (user, user, "release"), ("wait", user))


def memory_orders(table: Table) -> Iterator[Check]:
    """Go's order is enough; so are weaker ones, up to those that have a counterexample."""
    given = "Go's atomics are sequentially consistent: taken as given"
    for calls in _programs(table):
        proof = replace(prove_orders(table, calls), premise=given)
        for check in _by_law(table, "memory-order", [proof]):
            yield replace(check, id=f"{check.id}/{'+'.join(calls)}")
    clock = _Clock()
    found = weakest(table, _programs(table))
    needed = {at: order for at, order in found.orders.items() if order != "relaxed"}
    yield _check(
        table,
        "memory-order",
        "weakest",
        PROVED if found.too_weak and SEQ_CST not in needed.values() else REFUTED,
        found.executions,
        law="weakest-orders",
        threads=max(map(len, found.programs)),
        seconds=clock.lap(),
        reason=_needed(found, needed),
        extra={
            "orders": found.orders,
            "too_weak": {at: f"{order}: {why}" for at, (order, why) in found.too_weak.items()},
        },
    )


def _needed(found: Weakest, needed: dict[str, str]) -> str:
    told = ", ".join(f"{at} {order}" for at, order in needed.items())
    weaker = len(found.too_weak)
    return f"{told}; the other accesses may be relaxed; {weaker} weaker orders have counterexamples"


def _has_rounds(table: Table) -> bool:
    return bool(fuse(table).rounds)


def _ordered(table: Table) -> bool:
    return key_of(table) in FILLINGS and not takes_locks(table)


KINDS: dict[str, Kind] = {
    kind.id: kind
    for kind in (
        Kind("bits", "every command over all words", lambda _: True, bits),
        Kind("any", "the laws by induction", lambda t: key_of(t) in INVARIANTS, any_number),
        Kind("overflow", "a full count", lambda t: key_of(t) in FILLINGS, full),
        Kind("spacer", "invariants and runs found", lambda _: True, found_by_spacer),
        Kind("bmc", "shortest runs", lambda t: bool(cases_of(t)), shortest_runs),
        Kind("fusion", "load and exchange are one step", _has_rounds, fusion),
        Kind("histories", "linearizability", lambda t: key_of(t) in SPECIFICATIONS, all_histories),
        Kind("liveness", "all runs end", lambda _: True, live),
        Kind("memory-order", "which orders are needed", _ordered, memory_orders),
    )
}
"""Every kind of proof by its id, in the order in which they are told."""


def prove_kind(kind: str, table: Table) -> tuple[Check, ...]:
    """Return the checks of one kind about one table; what cannot be asked is one that says so.

    The first has the processor time of all of them, in seconds (``processor_s``).
    """
    clock, begun = _Clock(), _processor()
    try:
        first, *others = KINDS[kind].prove(table)
        used = round(_processor() - begun, 2)
        return (replace(first, extra={**first.extra, "processor_s": used}), *others)
    except DesignError as error:
        return (
            _check(
                table,
                kind,
                "asked",
                UNKNOWN,
                0,
                law=kind,
                threads=ANY,
                seconds=clock.lap(),
                reason=f"{error.fault}: {error.reason}",
            ),
        )
