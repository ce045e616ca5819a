"""Who checks the checker: every mutant of a design before every engine, and what becomes of it.

    killed       an engine says that something is wrong with it
    equivalent   z3 proves that it does what the design does, for any number of threads
    same         it does what the design does in every mix of up to three threads, and no invariant
                 is known by which that could be proved for more
    survivor     none of these: a law is missing, or an engine is blind

An equivalent mutant cannot be killed by running it.  A prover may still refuse it, because it asks
about states that cannot arise; that is counted, and the mutant stays equivalent.  If an engine that
runs it convicts one that was proved equivalent, one of the two is wrong, and it is a survivor.
"""

from __future__ import annotations

import importlib.util
import random
import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from lastref.conformance.doctor import PROBES
from lastref.conformance.engines import ENGINES, JUDGES, PROVERS, RUNNERS, Specimen, Workbench
from lastref.conformance.namespace import NamespaceStage, in_worker
from lastref.conformance.results import Check, Verdict
from lastref.conformance.sandbox import Sandbox, unavailable
from lastref.conformance.stage import Stage
from lastref.conformance.subjects import SUBJECTS
from lastref.conformance.witnesses import Witness, judge
from lastref.model.equivalence import Equivalence
from lastref.model.induct import prove_any
from lastref.model.invariants import INVARIANTS
from lastref.model.mutate import Mutant, mutants
from lastref.model.proof import PROVED, verdict_of
from lastref.model.reprove import whole
from lastref.model.survey import Survey
from lastref.model.table import Table

Advance = Callable[[int], None]
Found = tuple[str | None, int]
"""What the replay of a mutant's witnesses says, and how many real runs it took."""

KILLED, EQUIVALENT, SAME, SURVIVOR = "killed", "equivalent", "same", "survivor"
REQUIRED_FOR_REPLAY = ("pidfd-open", "pidfd-send-signal", "waitid-pidfd")


@dataclass(frozen=True)
class Examined:
    """What became of one mutant: ``killed`` has what each engine says that has something to say."""

    mutant: Mutant
    killed: Mapping[str, str]
    proofs: int = 0
    differs: bool = True

    @property
    def verdict(self) -> str:
        """``KILLED``, ``EQUIVALENT``, ``SAME`` or ``SURVIVOR``."""
        convicted = self.killed.keys() & set(RUNNERS)
        if self.proofs:
            return SURVIVOR if convicted else EQUIVALENT
        if self.killed:
            return KILLED
        return SURVIVOR if self.differs else SAME

    def document(self) -> dict[str, Any]:
        """Return the mutant as the result has it."""
        return {
            "id": self.mutant.id,
            "operator": self.mutant.operator,
            "change": self.mutant.text,
            "verdict": self.verdict,
            "killed": dict(self.killed),
        }


@dataclass(frozen=True)
class Kills:
    """The kill table of one design: every mutant, and the engines that were not there.

    ``all_mutants`` is how many the design has; ``examined`` may be a sample of these.
    """

    table: Table
    examined: tuple[Examined, ...]
    all_mutants: int
    engines: tuple[str, ...]
    absent: Mapping[str, str] = field(default_factory=dict)

    def ids(self, verdict: str) -> list[str]:
        """Return the ids of the mutants of which that became."""
        return [e.mutant.id for e in self.examined if e.verdict == verdict]

    @cached_property
    def killed_by(self) -> dict[str, int]:
        """How many mutants each engine has something to say against."""
        counts = Counter(engine for e in self.examined for engine in e.killed)
        return {engine: counts[engine] for engine in self.engines if engine not in self.absent}

    @property
    def seen_inside_only(self) -> list[str]:
        """The mutants that a runner kills, but nobody who stands outside."""
        runners = set(RUNNERS) - {"outside"}
        return [
            e.mutant.id
            for e in self.examined
            if e.killed.keys() & runners and "outside" not in e.killed
        ]

    def check(self, seconds: float) -> Check:
        """Return the check of this design."""
        survivors, same = self.ids(SURVIVOR), self.ids(SAME)
        verdict, reason = Verdict.PASS, self._passed()
        if not self.examined:
            verdict, reason = Verdict.INCOMPLETE, "no mutant was made"
        elif survivors:
            verdict = Verdict.BROKEN
            reason = f"{len(survivors)} survive and nothing explains why, first {survivors[0]}"
        elif same:
            verdict = Verdict.INCOMPLETE
            reason = (
                f"{len(same)} do what the design does with up to three threads; "
                "no invariant of it is known by which to prove that for more"
            )
        return Check(
            id=f"{self.table.id}/{self.table.platform}/mutants",
            kind="mutants",
            verdict=verdict,
            count=len(self.examined),
            seconds=seconds,
            reason=reason,
            design=self.table.id,
            platform=self.table.platform,
            extra={
                "mutants": len(self.examined),
                "all_mutants": self.all_mutants,
                "killed_by": self.killed_by,
                "killed": len(self.ids(KILLED)),
                "equivalent": self.ids(EQUIVALENT),
                "same": same,
                "survivors": survivors,
                "inside_only": self.seen_inside_only,
                "table": [e.document() for e in self.examined],
            },
        )

    def _passed(self) -> str:
        told = f"{len(self.ids(KILLED))} killed, {len(self.ids(EQUIVALENT))} proved equivalent"
        if len(self.examined) < self.all_mutants:
            told += f"; a sample of {self.all_mutants}"
        return told

    def missing(self) -> list[Check]:
        """Return a skipped check, with the reason, for each engine that was not there."""
        name = f"{self.table.id}/{self.table.platform}"
        return [
            Check(
                id=f"{name}/{engine}",
                kind="engine",
                verdict=Verdict.SKIPPED,
                count=0,
                reason=reason,
                design=self.table.id,
                platform=self.table.platform,
            )
            for engine, reason in self.absent.items()
        ]


class Examination:
    """The examination of one design: its mutants, one after another, then their replays."""

    def __init__(
        self, table: Table, *, engines: Collection[str] = ENGINES, sample: int | None = None
    ) -> None:
        self.table = table
        self.engines = tuple(e for e in ENGINES if e in engines)
        found = mutants(table)
        self.all_mutants = len(found)
        self.mutants = _sample(found, sample)

    @property
    def total(self) -> int:
        """How often ``advance`` will be called: once for each mutant, once for its replay."""
        return 2 * len(self.mutants)

    def run(self, advance: Advance) -> Kills:
        """Examine every mutant."""
        bench = Workbench.of(self.table)
        absent = {e: why for e in self.engines if (why := _absence(e, self.table, bench))}
        there = [e for e in self.engines if e not in absent]
        equivalence = _equivalence(self.table, bench.survey)
        examined, seen = [], []
        for mutant in self.mutants:
            specimen = Specimen(bench, mutant)
            examined.append(examine(specimen, there, equivalence))
            # What was proved to be no different needs no real process to look for a difference.
            replayed = "replay" in there and specimen.differs and not examined[-1].proofs
            seen.append(specimen.witnesses() if replayed else ())
            advance(1)
        for number, (says, _) in enumerate(replay_all(self.table, seen, advance)):
            if says is not None:
                one = examined[number]
                examined[number] = replace(one, killed={**one.killed, "replay": says})
        if equivalence is not None:
            examined = [_proved(one, equivalence) for one in examined]
        examined = [
            _closer(one, bench, there) if one.verdict == SURVIVOR else one for one in examined
        ]
        return Kills(self.table, tuple(examined), self.all_mutants, self.engines, absent)


def examine(
    specimen: Specimen, engines: Collection[str], equivalence: Equivalence | None
) -> Examined:
    """Put a mutant before every engine that needs no real process.

    One that differs from its design in no state of the survey, unless in what a thread keeps to
    itself, is compared with it by proof; if that succeeds it is not run.  Others are compared when
    nobody has convicted them.
    """
    one = Examined(specimen.mutant, {}, differs=specimen.differs)
    if equivalence is not None and specimen.contrast.hidden:
        one = _proved(one, equivalence)
    wanted = [e for e in engines if e in JUDGES and not (one.proofs and e in RUNNERS)]
    killed: dict[str, str] = {}
    # A history of calls and outcomes is a part of what is seen from outside: first the whole.
    for engine in sorted(wanted, key=lambda e: e == "histories"):
        if engine == "histories" and "outside" in wanted and "outside" not in killed:
            continue
        says = JUDGES[engine](specimen)
        if says is not None:
            killed[engine] = says
    return replace(one, killed=killed)


def _proved(one: Examined, equivalence: Equivalence) -> Examined:
    """Return a mutant that nobody convicts by running it with the proofs that it does the same."""
    if one.proofs or one.killed.keys() & set(RUNNERS):
        return one
    proofs = equivalence.prove(one.mutant.table)
    held = bool(proofs) and all(p.holds for p in proofs)
    return replace(one, proofs=len(proofs)) if held else one


def _closer(one: Examined, bench: Workbench, engines: Collection[str]) -> Examined:
    """Return a survivor with what is said against it where more threads begin differently."""
    killed: dict[str, str] = {}
    for specimen in Specimen(bench, one.mutant).closer() if not one.proofs else ():
        for engine in ("outside", "explorer"):
            says = JUDGES[engine](specimen) if engine in engines else None
            if says is not None:
                killed.setdefault(engine, says)
        if killed:
            break
    return replace(one, killed={**one.killed, **killed})


def _sample(found: tuple[Mutant, ...], sample: int | None) -> tuple[Mutant, ...]:
    """Return ``sample`` of the mutants, always the same ones, in their order."""
    if sample is None or sample >= len(found):
        return found
    chosen = set(random.Random(0).sample(range(len(found)), sample))
    return tuple(m for i, m in enumerate(found) if i in chosen)


def _equivalence(table: Table, survey: Survey) -> Equivalence | None:
    invariant = INVARIANTS.get((table.id, table.platform))
    if invariant is None or not whole(invariant):
        return None
    return Equivalence(table, invariant, survey)


def _absence(engine: str, table: Table, bench: Workbench) -> str | None:
    """Return why an engine cannot judge mutants of this table here."""
    if engine == "unbounded" and bench.unbounded is None:
        invariant = INVARIANTS.get((table.id, table.platform))
        if not whole(invariant):
            return "no invariant of all its methods is known"
        failed = verdict_of(prove_any(table, invariant)) != PROVED
        return "the design itself is not proved" if failed else None
    if engine == "hypothesis" and importlib.util.find_spec("hypothesis") is None:
        return "hypothesis is not installed; install lastref[test]"
    if engine == "replay":
        return _no_replay(table)
    return None


def _no_replay(table: Table) -> str | None:
    if (table.id, table.platform) not in SUBJECTS:
        return "there is no implementation of this design here to replay on"
    if sys.platform != "linux":
        return "the replay of mutants needs pidfds, which only Linux has"
    lacking = next(
        (c for p in PROBES if p.id in REQUIRED_FOR_REPLAY and not (c := p.run()).available), None
    )
    if lacking is not None:
        return f"{lacking.id}: {lacking.detail}; {lacking.remedy}"
    without = unavailable() if _by_pid(table) else None
    return f"it needs a PID namespace: {without}" if without is not None else None


def _by_pid(table: Table) -> bool:
    """Return whether the design passes pids to the kernel: then only a sandbox is safe."""
    return any(v.name == "pid" for v in table.shared)


def replay_all(
    table: Table, seen: Sequence[Sequence[Witness]], advance: Advance = lambda _: None
) -> list[Found]:
    """Replay the witnesses of every mutant, until one convicts it; in a sandbox if need be."""
    if not any(seen):
        advance(len(seen))
        return [(None, 0) for _ in seen]
    key = (table.id, table.platform)
    if not _by_pid(table):
        with Stage() as stage:
            return _judged(key, seen, stage, advance)
    with Sandbox() as sandbox:
        found = sandbox.call(_as_process_1, key, [list(w) for w in seen])
    advance(len(seen))
    return found


def _judged(
    key: tuple[str, str], seen: Sequence[Sequence[Witness]], stage: Stage, advance: Advance
) -> list[Found]:
    found = []
    for each in seen:
        found.append(judge(each, SUBJECTS[key], stage))
        advance(1)
    return found


def _as_process_1(key: tuple[str, str], seen: list[list[Witness]]) -> list[Found]:
    return in_worker(_as_worker, key, seen)


def _as_worker(key: tuple[str, str], seen: list[list[Witness]]) -> list[Found]:
    with NamespaceStage() as stage:
        return _judged(key, seen, stage, lambda _: None)


__all__ = [
    "ENGINES",
    "PROVERS",
    "Examination",
    "Examined",
    "Kills",
    "examine",
    "replay_all",
]
