"""The main job: prove, explore and replay the designs, and say what came of each.

    proof     z3, over all words and loaded values, each obligation of each command
    explore   every state of some threads and the adversary, each law, nothing vacuous
    case      each known fault: found again, at its length, and absent where it was mended
    replay    the interleavings on the real implementation and the real kernel, each twice, to see
              that the schedule alone decides; and a sample with real threads

A sound design must break no law anywhere.  A faulty one is there to be studied: its replay passes
when the real thing does what its model does, wrong processes included.

The work is a list of tasks, one for each check of the result, so that a total is known, a run that
is cut short says what is missing, and another kind of check is another function here.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement
from typing import Any

from lastref.conformance.named_cases import NamedCase, named_cases
from lastref.conformance.named_cases import judge as named_cases_judge
from lastref.conformance.replays import Campaign, Plan, Tally, plan, recyclings
from lastref.conformance.results import Check, Verdict
from lastref.conformance.sequences import Sequences, starts
from lastref.conformance.subjects import SUBJECTS
from lastref.conformance.trace import record
from lastref.model import designs
from lastref.model.explore import Counterexample, explore
from lastref.model.invariants import SOUND
from lastref.model.outcomes import sequences
from lastref.model.proof import PROVED, REFUTED, Proof
from lastref.model.prove import prove_table
from lastref.model.system import System, scenario
from lastref.model.table import Table

Advance = Callable[[int], None]

SHORT = 2
"""How long the sequences of calls are in a quick run."""
MIXED = "signal|wait|release"
EXPLORED: dict[str, tuple[str, ...]] = {
    "wait,signal,release": ("wait", "signal", "release"),
    "wait,kill,release": ("wait", "kill", "release"),
    "any,any,any": (MIXED, MIXED, MIXED),
}
MOST_REPLAYED = 480_000
"""More runs than this are not replayed one by one: it would take too long."""
MOST_OF_FAULTY = 250_000
"""The same for a design that is known to be faulty, and is there to be studied."""
MOST_STATES = 500_000
"""How far a design that somebody brought is searched."""
METHODS = ("wait", "kill", "release")
PAIRS = tuple(p for p in combinations_with_replacement(METHODS, 2) if p != ("release", "release"))
TRIPLES = (
    ("wait", "signal", "release"),
    ("wait", "kill", "release"),
    ("wait", "wait", "release"),
    ("wait", "wait", "kill"),
    ("kill", "kill", "release"),
)
FIND_PAIRS = (*((method, "find") for method in (*METHODS, "signal")), ("wait", "careless"))
FIND_TRIPLES = (
    ("wait", "kill", "find"),
    ("wait", "signal", "find"),
    ("wait", "release", "find"),
    ("wait", "wait", "find"),
    ("kill", "release", "find"),
)
"""The pairs and triples in which somebody else looks the process up meanwhile."""
FINDS = frozenset(
    {
        ("go-2023-find", "linux"),
        ("go-2023-reland", "linux"),
        ("go-2024", "linux-find"),
        ("go-2025", "linux"),
        ("go-2025-double", "linux"),
    }
)
"""The designs that these are replayed on: in the others FindProcess makes no system call."""
FOURS = (("wait", "kill", "kill", "release"), ("wait", "wait", "kill", "release"))
FOUR_THREADS = frozenset({("go-2024", "linux"), ("go-2024", "linux-pid"), ("go-2025", "linux")})
"""The designs that are replayed with four threads, too."""
SAMPLED = (*PAIRS, ("wait", "signal"), ("signal", "release"))
"""The pairs of which a sample takes every transition.

It is replayed with nothing handed out again, where a late use finds nobody, and by real threads.
"""
WITH_THREADS = ("wait", "kill", "release")
"""What is replayed by real threads in a quick run as well."""


@dataclass(frozen=True)
class Finding:
    """What came of a task: its verdict, how many cases ran, why if it did not pass.

    ``seconds`` is how long it was worked on, where that is not all the time that it took.
    """

    verdict: Verdict
    count: int
    reason: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True)
class Task:
    """One check to be made: what it is about, and the work."""

    id: str
    kind: str
    design: str
    platform: str
    work: Callable[[Advance], Finding]
    total: int | None = None

    @property
    def name(self) -> str:
        """The check's id in a result."""
        return f"{self.design}/{self.platform}/{self.id}"

    def run(self, advance: Advance) -> Check:
        """Do the work and return the check; the time is the wall clock's, without waiting."""
        start = time.perf_counter()
        finding = self.work(advance)
        return check(self.id, self.kind, self.design, self.platform, finding, start)


def check(
    name: str, kind: str, design: str, platform: str, finding: Finding, start: float
) -> Check:
    """Return the check of a finding whose work began at ``start`` (``time.perf_counter``)."""
    return Check(
        id=f"{design}/{platform}/{name}",
        kind=kind,
        verdict=finding.verdict,
        count=finding.count,
        seconds=time.perf_counter() - start if finding.seconds is None else finding.seconds,
        reason=finding.reason,
        design=design,
        platform=platform,
        extra=finding.extra,
    )


def model_tasks(table: Table) -> Iterator[Task]:
    """Yield the checks of ``table`` in the model: its proof and, if it is sound, its searches."""
    name = (table.id, table.platform)
    yield Task("proof", "proof", *name, lambda _: _proof(table))
    if name in SOUND and table.methods.keys() >= set(METHODS):
        for title, calls in EXPLORED.items():
            yield Task(f"explore/{title}", "explore", *name, _exploration(table, calls))


def all_model_tasks() -> Iterator[Task]:
    """Yield the checks in the model: of every design on every platform, and of every named case."""
    for table in designs.all_tables():
        yield from model_tasks(table)
    for case in named_cases().values():
        yield Task(f"case/{case.id}", "case", case.where.design, case.where.platform, _case(case))


def _case(case: NamedCase) -> Callable[[Advance], Finding]:
    """Find a case again where it is said to be, and miss it where it was mended."""

    def work(_: Advance) -> Finding:
        judged = list(named_cases_judge(case))
        wrong = next((j for j in judged if not j.holds), None)
        if wrong is None:
            return Finding(Verdict.PASS, len(judged))
        where = f"{wrong.place.design}/{wrong.place.platform}"
        return Finding(Verdict.BROKEN, len(judged), f"{wrong.kind} in {where}: {wrong.reason}")

    return work


def own_proof(table: Table) -> Task:
    """Return the proof of a table that somebody brought."""
    return Task("proof", "proof", table.id, table.platform, lambda _: _proof(table))


def own_exploration(system: System, title: str) -> tuple[Check, Counterexample | None]:
    """Explore ``system``; return the check, and the shortest run that breaks a law.

    What these threads never show is no fault of theirs: :func:`vacuity` asks all mixes together.
    """
    start, table = time.perf_counter(), system.table
    found = explore(system, limit=MOST_STATES)
    extra: dict[str, Any] = {
        "states": found.states,
        "transitions": found.transitions,
        "unseen": list(found.unseen),
    }
    worst = min(found.counterexamples.values(), key=lambda c: len(c.steps), default=None)
    if worst is not None:
        extra["counterexample"] = schedule = _schedule(system, worst)
        reason = f"{worst.law} is broken after {len(worst.steps)} steps: {schedule}"
        finding = Finding(Verdict.BROKEN, found.states, reason, extra)
    elif not found.complete:
        reason = f"there are more than {MOST_STATES:,} states; explore fewer threads"
        finding = Finding(Verdict.INCOMPLETE, found.states, reason, extra)
    else:
        finding = Finding(Verdict.PASS, found.states, extra=extra)
    name = f"explore/{title}"
    return check(name, "explore", table.id, table.platform, finding, start), worst


def vacuity(table: Table, checks: Iterable[Check]) -> Check:
    """Return whether some exploration has shown each of the table's ``sometimes`` laws."""
    start = time.perf_counter()
    sights = {law.id for law in table.laws if law.kind == "sometimes"}
    never = sights.intersection(*(c.extra["unseen"] for c in checks if "unseen" in c.extra))
    if never:
        reason = f"never seen, so a law beside it is vacuous: {', '.join(sorted(never))}"
        finding = Finding(Verdict.INCOMPLETE, len(sights), reason)
    elif not sights:
        reason = "the table has no 'sometimes' law, so nothing says that its laws mean something"
        finding = Finding(Verdict.INCOMPLETE, 0, reason)
    else:
        finding = Finding(Verdict.PASS, len(sights))
    return check("sometimes", "explore", table.id, table.platform, finding, start)


def campaigns(*, quick: bool) -> Iterator[Campaign]:
    """Yield every replay that belongs to a verification.

    ``quick`` takes every command in every view of its thread, instead of every interleaving or
    every transition.
    """
    for design, platform in SUBJECTS:
        table = designs.get(design, platform)
        fours = () if quick or (design, platform) not in FOUR_THREADS else FOURS
        several = () if platform == "linux-find" else (*PAIRS, *TRIPLES, *fours)
        finds = (*FIND_PAIRS, *FIND_TRIPLES) if (design, platform) in FINDS else ()
        for recycled in recyclings(table):
            for calls in (*several, *finds):
                yield Campaign(design, platform, calls, recycled, every=not quick, views=quick)
        for calls in SAMPLED if several else ():
            yield Campaign(design, platform, calls, frozenset(), every=False, views=quick)
        for recycled in () if quick else (*recyclings(table), frozenset[str]()):
            for calls in SAMPLED:
                yield Campaign(design, platform, calls, recycled, every=False, driver="threads")
    for design in ("go-2024", "go-2025"):
        reopen = frozenset({"reopen"})
        yield Campaign(design, "linux", WITH_THREADS, reopen, False, "threads", views=True)


def without_find() -> Iterator[Check]:
    """Yield, for each design whose FindProcess is no step of a replay, why it is none."""
    for design, platform in SUBJECTS:
        beside = (design, platform) in FINDS or (design, platform + "-find") in FINDS
        if not beside:
            finding = Finding(Verdict.SKIPPED, 0, "its FindProcess makes no system call")
            yield check("replay/find", "replay", design, platform, finding, time.perf_counter())


def per_design(checks: Iterable[Check]) -> dict[str, dict[str, Any]]:
    """Return what was replayed of each design, and what of it was not, with the reasons.

    By design and platform: how many inequivalent interleavings there are of what was asked for, how
    many of them are others with two equal threads exchanged and were left out for that, how many
    runs were replayed (each twice), how many diverged or differed from their repetition, in how
    many a wrong process was really hit, which commands of the table were never taken, how many
    checks were skipped for which reason, and, by the checks of which only the fused interleavings
    were replayed, how many fine ones there are.
    """
    found: dict[str, dict[str, Any]] = {}
    for made in checks:
        if made.kind not in ("replay", "outcomes"):
            continue
        sums = ("interleavings", "mirrored", "replayed", "diverged", "nondeterministic", "broken")
        zeros = dict.fromkeys((*sums, "wrong_process", "sequences"), 0)
        row = found.setdefault(
            f"{made.design}/{made.platform}", {**zeros, "taken": {}, "skipped": {}, "fused": {}}
        )
        if made.kind == "outcomes":
            row["sequences"] += made.count
        for name in (*sums, "wrong_process"):
            row[name] += made.extra.get(name, 0)
        if (fine := made.extra.get("fine") or 0) > made.extra.get("interleavings", 0):
            row["fused"][made.id] = fine
        for command, times in made.extra.get("coverage", {}).items():
            row["taken"][command] = row["taken"].get(command, 0) + times
        if made.verdict in (Verdict.SKIPPED, Verdict.UNABLE):
            row["skipped"][made.reason] = row["skipped"].get(made.reason, 0) + 1
    for row in found.values():
        row["never_taken"] = [name for name, times in row.pop("taken").items() if not times]
    return found


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


def planned(campaign: Campaign) -> Plan:
    """Return a campaign with its runs, as they belong to a verification."""
    sound = (campaign.design, campaign.platform) in SOUND
    return plan(campaign, most=MOST_REPLAYED if sound else MOST_OF_FAULTY)


def replay_task(work: Plan, replay_all: Callable[[Plan, Advance], Tally]) -> Task:
    """Return the check of a campaign whose runs are known."""
    campaign = work.campaign

    def do(advance: Advance) -> Finding:
        tally = replay_all(work, advance)
        return replace(judge(work, tally), seconds=tally.seconds)

    name = (campaign.design, campaign.platform)
    return Task(campaign.name, "replay", *name, do, len(work.runs))


def sequences_task(
    design: str,
    platform: str,
    longest: int,
    make: Callable[[str, str, int], Sequences],
    begin: Iterable[str] | None = None,
) -> Task:
    """Return the check that every sequence of calls has the model's outcomes for real.

    ``begin`` are the starts that ``make`` makes; by default those of a stage on Linux.
    """

    def do(advance: Advance) -> Finding:
        found = make(design, platform, longest)
        advance(total)
        extra: dict[str, Any] = {
            "rows": found.rows,
            "hung": found.hung,
            "coverage": found.coverage,
        }
        if found.first is not None:
            return Finding(Verdict.BROKEN, found.replayed, found.first, extra, found.seconds)
        if not found.replayed:
            return Finding(Verdict.INCOMPLETE, 0, "no sequence was made", extra)
        return Finding(Verdict.PASS, found.replayed, "", extra, found.seconds)

    made = starts(designs.get(design, platform)) if begin is None else tuple(begin)
    total = len(made) * len(list(sequences(longest)))
    return Task(f"outcomes/up-to-{longest}", "outcomes", design, platform, do, total)


def judge(work: Plan, tally: Tally) -> Finding:
    """Return what a campaign's tally says of it."""
    campaign = work.campaign
    counts = {"interleavings": work.interleavings, "mirrored": work.mirrored, "fine": work.fine}
    extra = {"chosen": work.chosen, **counts, **vars(tally)}
    extra["coverage"] = dict(tally.coverage)  # a Counter would not survive asdict(), nor JSON
    first, _ = extra.pop("first"), extra.pop("seconds")
    if first is not None:
        return Finding(Verdict.BROKEN, tally.replayed, first, extra)
    if tally.broken and (campaign.design, campaign.platform) in SOUND:
        reason = f"{tally.broken} of {tally.replayed} traces of a sound design break a law"
        return Finding(Verdict.BROKEN, tally.replayed, reason, extra)
    if not tally.replayed:
        return Finding(Verdict.INCOMPLETE, 0, "nothing was replayed", extra)
    said = work.chosen
    if tally.broken:
        said += (
            f"; as in the model: {tally.broken} break a law, a wrong process is really "
            f"hit in {tally.wrong_process}"
        )
    return Finding(Verdict.PASS, tally.replayed, said, extra)
