"""The main job: prove, explore and replay a design, and say what came of each.

    proof     z3, over all words and loaded values, each obligation of each command
    explore   every state of some threads and the adversary, each law, nothing vacuous
    replay    every inequivalent interleaving on the real implementation and the real kernel, twice,
              to see that the schedule alone decides; and a sample with real threads

The work is a list of tasks, one for each check of the result, so that a total is known, a run that
is cut short says what is missing, and another kind of check is another function here.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lastref.conformance.doctor import PROBES
from lastref.conformance.driver import GreenletDriver
from lastref.conformance.driver_threads import ThreadDriver
from lastref.conformance.errors import complaint_of
from lastref.conformance.interleavings import Schedule, interleavings
from lastref.conformance.replay import DriverFactory, SubjectFactory, replay
from lastref.conformance.results import Check, Verdict
from lastref.conformance.stage import Stage
from lastref.conformance.subjects import SUBJECTS
from lastref.conformance.trace import Trace, record
from lastref.model.explore import Counterexample, explore
from lastref.model.proof import PROVED, REFUTED, Proof
from lastref.model.prove import prove_table
from lastref.model.system import Scenario, System, scenario
from lastref.model.table import Table

Advance = Callable[[int], None]

MIXED = "signal|wait|release"
EXPLORED: dict[str, tuple[str, ...]] = {
    "wait,signal,release": ("wait", "signal", "release"),
    "wait,kill,release": ("wait", "kill", "release"),
    "any,any,any": (MIXED, MIXED, MIXED),
}
REPLAYED: tuple[tuple[str, ...], ...] = (
    ("wait", "signal", "release"),
    ("wait", "kill", "release"),
)
RECYCLE_AT_ONCE = frozenset({"reopen"})
REQUIRED_FOR_REPLAY = ("pidfd-open", "pidfd-send-signal", "waitid-pidfd")


@dataclass(frozen=True)
class Finding:
    """What came of a task: its verdict, how many cases ran, why if it did not pass."""

    verdict: Verdict
    count: int
    reason: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """One check to be made: what it is about, and the work."""

    id: str
    kind: str
    table: Table
    work: Callable[[Advance], Finding]
    total: int | None = None

    def run(self, advance: Advance) -> Check:
        """Do the work and return the check; the time is the wall clock's."""
        start = time.perf_counter()
        finding = self.work(advance)
        return Check(
            id=f"{self.table.id}/{self.table.platform}/{self.id}",
            kind=self.kind,
            verdict=finding.verdict,
            count=finding.count,
            seconds=time.perf_counter() - start,
            reason=finding.reason,
            design=self.table.id,
            platform=self.table.platform,
            extra=finding.extra,
        )


def tasks(table: Table, *, quick: bool, subject: SubjectFactory | None = None) -> Iterator[Task]:
    """Yield every check of ``table``; ``quick`` replays a sample that takes every transition.

    ``subject`` replaces the implementation to replay on; by default it is ours of that design.
    """
    yield Task("proof", "proof", table, lambda _: _proof(table))
    for name, calls in EXPLORED.items():
        yield Task(f"explore/{name}", "explore", table, _exploration(table, calls))
    factory = subject or SUBJECTS.get((table.id, table.platform))
    for calls in REPLAYED:
        yield _replay_task(table, calls, every=not quick, factory=factory)
        yield _replay_task(table, calls, every=False, factory=factory, driver=ThreadDriver)


def _proof(table: Table) -> Finding:
    """Decide every obligation of the table; a refuted one comes with the values that refute it."""
    proofs = prove_table(table)
    laws = defaultdict[str, int](int)
    for proof in proofs:
        laws[proof.law] += 1
    failed = [p for p in proofs if p.verdict != PROVED]
    if not failed:
        return Finding(Verdict.PASS, len(proofs), extra={"laws": dict(laws)})
    refuted = [p for p in failed if p.verdict == REFUTED]
    verdict = Verdict.BROKEN if refuted else Verdict.INCOMPLETE
    return Finding(verdict, len(proofs), _refutation((refuted or failed)[0], len(failed)))


def _refutation(proof: Proof, failed: int) -> str:
    values = ", ".join(f"{k}={v:#x}" for k, v in (proof.counterexample or {}).items())
    by = f" by {values}" if values else ""
    return f"{proof.id} is {proof.verdict}{by}; {failed} in all"


def _exploration(table: Table, calls: tuple[str, ...]) -> Callable[[Advance], Finding]:
    def work(advance: Advance) -> Finding:
        seen = 0

        def progress(states: int, _transitions: int, _depth: int) -> None:
            nonlocal seen
            advance(states - seen)
            seen = states

        system = System(table, scenario(*calls))
        found = explore(system, progress=progress)
        extra: dict[str, Any] = {
            "states": found.states,
            "transitions": found.transitions,
            "depth": found.depth,
        }
        if found.counterexamples:
            worst = min(found.counterexamples.values(), key=lambda c: len(c.steps))
            extra["counterexample"] = schedule = _schedule(system, worst)
            reason = f"{worst.law} is broken after {len(worst.steps)} steps: {schedule}"
            return Finding(Verdict.BROKEN, found.states, reason, extra)
        if not found.complete:
            return Finding(Verdict.INCOMPLETE, found.states, "the search was cut short", extra)
        if found.unseen:
            reason = f"never seen, so a law beside it is vacuous: {', '.join(found.unseen)}"
            return Finding(Verdict.INCOMPLETE, found.states, reason, extra)
        return Finding(Verdict.PASS, found.states, extra=extra)

    return work


def _schedule(system: System, counterexample: Counterexample) -> str:
    """Return the schedule string of a counterexample, or its steps where threads pick methods."""
    if any(step.command is None for step in counterexample.steps):
        return " ".join(f"{actor}:{name}" for actor, name in counterexample.schedule)
    return record(system, counterexample.steps).schedule


def replayed_scenario(calls: Iterable[str]) -> Scenario:
    """Return the scenario of a replay: whatever is freed is handed out again at once."""
    return scenario(*calls, urgent=RECYCLE_AT_ONCE)


def covering(schedules: Iterable[Schedule], system: System) -> list[Schedule]:
    """Return those of ``schedules`` that take a transition which none before them took."""
    taken: set[tuple[object, str, str]] = set()
    chosen = []
    for schedule in schedules:
        before, fresh = system.initial, False
        for step in schedule:
            transition = (before, step.actor, step.name)
            if transition not in taken:
                taken.add(transition)
                fresh = True
            before = step.state
        if fresh:
            chosen.append(schedule)
    return chosen


def _replay_task(
    table: Table,
    calls: tuple[str, ...],
    *,
    every: bool,
    factory: SubjectFactory | None,
    driver: DriverFactory = GreenletDriver,
) -> Task:
    """Return the replay of ``calls``: every interleaving, or those that take a new transition."""
    by = "replay" if driver is GreenletDriver else "replay-threads"
    name = f"{by}/{','.join(calls)}"
    if factory is None:
        reason = "no implementation of this design is here to replay on"
        return Task(name, "replay", table, lambda _: Finding(Verdict.SKIPPED, 0, reason))
    missing = [p.run() for p in PROBES if p.id in REQUIRED_FOR_REPLAY]
    lacking = next((c for c in missing if not c.available), None)
    if lacking is not None:
        reason = f"{lacking.id}: {lacking.detail}; {lacking.remedy}"
        return Task(name, "replay", table, lambda _: Finding(Verdict.UNABLE, 0, reason))
    system = System(table, replayed_scenario(calls))
    schedules = list(interleavings(system))
    chosen = schedules if every else covering(schedules, system)

    def work(advance: Advance) -> Finding:
        traces = (record(system, schedule) for schedule in chosen)
        finding = replay_all(traces, factory, len(schedules), advance, driver)
        finding.extra["coverage"] = coverage(table, chosen[: finding.count])
        return finding

    return Task(name, "replay", table, work, len(chosen))


def coverage(table: Table, schedules: Iterable[Schedule]) -> dict[str, int]:
    """Return how often ``schedules`` take each command of ``table``, those never taken too."""
    taken = Counter(step.name for schedule in schedules for step in schedule)
    return {name: taken[name] for name in table.by_name}


def replay_all(
    traces: Iterable[Trace],
    factory: SubjectFactory,
    inequivalent: int,
    advance: Advance,
    driver: DriverFactory = GreenletDriver,
) -> Finding:
    """Replay ``traces`` and report the first divergence and every wrong process that was hit.

    Each is replayed twice, and the two must agree in who could run and what was seen.
    """
    replayed = wrong = steps = nondeterministic = 0
    diverged: list[str] = []
    with Stage() as stage:
        for trace in traces:
            try:
                done = replay(trace, factory, stage, driver)
                again = replay(trace, factory, stage, driver)
            except Exception as error:
                complaint = complaint_of(error)
                if complaint is None:
                    raise
                return Finding(Verdict.UNABLE, replayed, str(complaint))
            replayed += 1
            steps += done.steps
            wrong += done.hit
            if done.divergence is not None:
                diverged.append(str(done.divergence))
            if done.log != again.log:
                nondeterministic += 1
                diverged.append(f"two replays of one schedule differ: {trace.schedule}")
            advance(1)
    extra: dict[str, Any] = {
        "interleavings": inequivalent,
        "replayed": replayed,
        "steps": steps,
        "diverged": len(diverged),
        "wrong_process": wrong,
        "nondeterministic": nondeterministic,
    }
    if diverged or wrong:
        reason = diverged[0] if diverged else f"a process that nobody named was hit {wrong} times"
        return Finding(Verdict.BROKEN, replayed, reason, extra)
    if not replayed:
        return Finding(Verdict.INCOMPLETE, 0, "no interleaving was replayed", extra)
    return Finding(Verdict.PASS, replayed, extra=extra)
