"""Replays of a whole scenario: its interleavings, one after another, on one stage.

A campaign is a few names, so that it can be sent into the sandbox and work out its traces there.
What comes back is a tally.  Every trace is replayed twice, and the two must agree in who could run
and what was seen: otherwise something besides the schedule decides.

A faulty design is *meant* to break laws, and to hit a bystander for real where the model says so.
So a campaign passes when the real thing does what the model does; whether the model's traces break
laws is a count of its own.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import TypeVar, overload

from lastref.conformance.coverage import every_transition, every_view, runs_through
from lastref.conformance.driver import GreenletDriver
from lastref.conformance.driver_threads import ThreadDriver
from lastref.conformance.faults.seccomp import refuse
from lastref.conformance.interleavings import Interleavings
from lastref.conformance.namespace import NamespaceStage, in_worker
from lastref.conformance.replay import (
    DriverFactory,
    Hook,
    Place,
    Replay,
    Replayer,
    Subject,
    SubjectFactory,
    replay,
)
from lastref.conformance.sandbox import Sandbox, emit
from lastref.conformance.stage import Stage
from lastref.conformance.subjects import SUBJECTS
from lastref.conformance.trace import Recorder, Trace
from lastref.impl.system import P_PID
from lastref.model import designs
from lastref.model.fuse import fuse
from lastref.model.system import KERNEL, Scenario, Step, System, scenario
from lastref.model.table import Table

Advance = Callable[[int], None]
S = TypeVar("S", bound=Place)

DRIVERS: dict[str, DriverFactory] = {"greenlets": GreenletDriver, "threads": ThreadDriver}
RECYCLING: tuple[frozenset[str], ...] = (
    frozenset({"reopen", "recycle"}),
    frozenset({"reopen", "recycle_sibling"}),
)
"""What the adversary hands out again at once: a number for a stranger's process, or a sibling's."""
AT_ANY_TIME = frozenset({"exit", "sibling_exit"})
MOST = 20_000
"""More inequivalent interleavings than this are not replayed one by one, unless asked for."""
SHARE = 2_000
"""So many runs of a longer campaign are one piece of work."""
FINDS = frozenset({"find", "careless"})
"""The methods that some tables have only where they are asked for."""
CHUNK = 50
"""How many replays between two words of progress out of the sandbox."""


@dataclass(frozen=True)
class Campaign:
    """The replay of ``calls`` on the implementation of a design.

    ``recycled`` are the kernel's commands that happen as soon as they can; with none, a number that
    is free stays free.  With ``every`` false, runs are chosen that together take every transition,
    instead of all interleavings; where these are too many, the fused ones and such runs.  With
    ``views`` they take every command in every view of its thread (the shared variables and its
    own), which are fewer.
    """

    design: str
    platform: str
    calls: tuple[str, ...]
    recycled: frozenset[str]
    every: bool = True
    driver: str = "greenlets"
    views: bool = False

    @property
    def name(self) -> str:
        """What is replayed, for the id of a check."""
        how = "replay" if self.driver == "greenlets" else f"replay-{self.driver}"
        by = sorted(self.recycled - {"reopen"}) if self.recycled else ["nothing-recycled"]
        return "/".join([how, ",".join(self.calls), *by])


Run = tuple[str, ...]
"""Who steps, one after another; a lower-case name is a kernel command."""


@dataclass(frozen=True)
class EveryRun(Sequence[Run]):
    """The interleavings of a campaign from ``first`` to before ``stop``, worked out when needed.

    Hundreds of thousands are not kept, nor sent into the sandbox: only this is.
    """

    campaign: Campaign
    first: int
    stop: int

    def __len__(self) -> int:
        """Return how many there are."""
        return self.stop - self.first

    def __iter__(self) -> Iterator[Run]:
        """Yield one after another."""
        return _interleavings(self.campaign).actors(self.first, self.stop)

    @overload
    def __getitem__(self, which: int) -> Run: ...
    @overload
    def __getitem__(self, which: slice) -> Sequence[Run]: ...
    def __getitem__(self, which: int | slice) -> Run | Sequence[Run]:
        """Return one, or a part of them."""
        numbers = range(self.first, self.stop)[which]
        if isinstance(numbers, int):
            return next(iter(EveryRun(self.campaign, numbers, numbers + 1)))
        if numbers.step == 1:
            return EveryRun(self.campaign, numbers.start, numbers.stop)
        return tuple(self[n - self.first] for n in numbers)


@dataclass(frozen=True)
class Plan:
    """A campaign with its runs.

    ``chosen`` says which runs these are, ``interleavings`` how many inequivalent ones there are of
    that kind, ``mirrored`` how many of these are left out because another one is the same with two
    equal threads exchanged, and ``fine`` how many there are of the fine steps.
    """

    campaign: Campaign
    chosen: str
    interleavings: int
    runs: Sequence[Run]
    fine: int | None = None
    mirrored: int = 0

    def shares(self) -> Iterator[Plan]:
        """Yield the same work in pieces, for several to do side by side."""
        for first in range(0, len(self.runs), SHARE):
            yield replace(self, runs=self.runs[first : first + SHARE])


@dataclass
class Tally:
    """What came of a campaign.

    ``replayed`` is how many runs there were (each twice), ``broken`` how many of them break a law
    in the model, ``wrong_process`` in how many a process was really hit that nobody named,
    ``unexpected`` how many such hits the model does not have.  ``first`` is the first disagreement,
    ``coverage`` how often each command of the table was taken, ``seconds`` how long it took, where
    that was measured.
    """

    replayed: int = 0
    steps: int = 0
    diverged: int = 0
    nondeterministic: int = 0
    broken: int = 0
    wrong_process: int = 0
    unexpected: int = 0
    first: str | None = None
    coverage: dict[str, int] = field(default_factory=dict)
    seconds: float | None = None

    @property
    def agrees(self) -> bool:
        """Whether every replay did what the model does."""
        return self.first is None

    def __add__(self, later: Tally) -> Tally:
        """Return the tally of both; the first disagreement is this one's, if it has one."""
        return Tally(
            self.replayed + later.replayed,
            self.steps + later.steps,
            self.diverged + later.diverged,
            self.nondeterministic + later.nondeterministic,
            self.broken + later.broken,
            self.wrong_process + later.wrong_process,
            self.unexpected + later.unexpected,
            self.first or later.first,
            {
                name: self.coverage.get(name, 0) + later.coverage.get(name, 0)
                for name in {**self.coverage, **later.coverage}
            },
            (self.seconds or 0) + later.seconds if later.seconds is not None else self.seconds,
        )


def recyclings(table: Table) -> Iterator[frozenset[str]]:
    """Yield the sets of commands by which the adversary of ``table`` can recycle."""
    known = {c.name for c in table.kernel}
    yield from dict.fromkeys(commands & known for commands in RECYCLING)


def scenario_of(table: Table, calls: Iterable[str], recycled: frozenset[str]) -> Scenario:
    """Return the scenario: the adversary recycles at once, processes end at any time."""
    known = {c.name for c in table.kernel}
    ending = AT_ANY_TIME if "recycle_sibling" in recycled else AT_ANY_TIME - {"sibling_exit"}
    return scenario(*calls, urgent=recycled, adversary=(ending | recycled) & known)


def _system(campaign: Campaign, table: Table | None) -> System:
    """Return the system of a campaign; ``table`` stands in for the design's own."""
    if table is None:
        base = _compiled(campaign.design, campaign.platform, frozenset(campaign.calls) & FINDS)
        return base.under(scenario_of(base.table, campaign.calls, campaign.recycled))
    return System(table, scenario_of(table, campaign.calls, campaign.recycled))


@cache
def _compiled(design: str, platform: str, finds: frozenset[str]) -> System:
    """Return a table as a system under some scenario: to compile it is most of the work."""
    table = designs.calling(design, platform, finds)
    return System(table, scenario(next(iter(table.methods))))


@lru_cache(maxsize=1)
def _interleavings(campaign: Campaign) -> Interleavings:
    return Interleavings(_system(campaign, None), interchangeable=True)


def plan(campaign: Campaign, table: Table | None = None, most: int = MOST) -> Plan:
    """Work out the runs of a campaign.

    Of two interleavings in which two equal threads have only changed places one is a run.  Where
    there are more than ``most`` runs, it is those of the fused steps (a load and its
    compare-and-swap as one; :mod:`lastref.model.refine` proves that nothing is lost), and beside
    them runs that take every transition of the fine steps, or every view.
    """
    system = _system(campaign, table)
    key, taken = every_transition, "every transition"
    if campaign.views:
        key, taken = every_view, "every command in every view"
    if not campaign.every:
        runs = tuple(_actors(run) for run in runs_through(system, key))
        return Plan(campaign, taken, len(runs), runs)
    found = _interleavings(campaign)
    if table is not None:
        found = Interleavings(system, interchangeable=True)
    fine, mirrored = found.classes, found.classes - len(found)
    if len(found) <= most:
        every: Sequence[Run] = EveryRun(campaign, 0, len(found))
        if table is not None or len(found) <= MOST:
            every = tuple(found.actors(0, len(found)))
        return Plan(campaign, "every interleaving" + _told(found), fine, every, fine, mirrored)
    fusion = fuse(system.table)
    exchanges = {r.fused.name for r in fusion.rounds if r.fused is not None}
    fused = Interleavings(System(fusion.fused, system.scenario), interchangeable=True)
    key, taken = every_transition, "every transition"
    if campaign.views:
        key, taken = every_view, "every command in every view"
    chosen = f"every fused interleaving{_told(fused)}, {taken}; of the fine ones there are {fine:,}"
    fused_runs = [_actors(run, exchanges) for run in fused]
    covering = [_actors(run) for run in runs_through(system, key)]
    mirrored = fused.classes - len(fused)
    return Plan(campaign, chosen, fused.classes, (*fused_runs, *covering), fine, mirrored)


def _told(found: Interleavings) -> str:
    """Return which of the interleavings are left out, in words."""
    if found.twins is None:
        return ""
    one, other = found.twins
    how_many = f"{len(found):,} of {found.classes:,}"
    return f", one of two that differ only in who is {one} and who {other} ({how_many})"


def _actors(steps: Iterable[Step], twice: Container[str] = ()) -> Run:
    """Return who takes each step; a fused step, of a command in ``twice``, is taken in two."""
    actors = []
    for step in steps:
        actor = step.name if step.actor == KERNEL else step.actor
        actors += [actor, actor] if step.name in twice else [actor]
    return tuple(actors)


def run(
    work: Plan,
    stage: Stage,
    advance: Advance,
    *,
    table: Table | None = None,
    factory: SubjectFactory | None = None,
) -> Tally:
    """Replay the plan on ``stage``; ``table`` and ``factory`` stand in for the design's own."""
    factory = factory or SUBJECTS[work.campaign.design, work.campaign.platform]
    return run_on(stage, factory, work, advance, table=table)


def run_on(
    stage: S,
    factory: Callable[[S, Trace, Hook], Subject],
    work: Plan,
    advance: Advance,
    *,
    table: Table | None = None,
) -> Tally:
    """Replay the plan on what ``factory`` sets up on ``stage``, whatever kind of stage that is."""
    campaign = work.campaign
    system = _system(campaign, table)
    table = system.table
    recorder, driver = Recorder(system), DRIVERS[campaign.driver]
    replayer = Replayer(system.scenario.threads, factory, stage, driver)
    tally = Tally(coverage=dict.fromkeys(table.by_name, 0))
    for actors in work.runs:
        _replay_twice(tally, replayer, recorder.run(actors))
        advance(1)
    return tally


def _replay_twice(tally: Tally, replayer: Replayer[S], trace: Trace) -> None:
    done = replayer.replay(trace)
    again = replayer.replay(trace)
    tally.replayed += 1
    tally.steps += done.steps
    for step in trace.steps[: done.steps]:
        tally.coverage[step.command] += 1
    tally.broken += trace.broken is not None
    tally.wrong_process += done.hit
    if done.divergence is not None:
        tally.diverged += 1
        tally.first = tally.first or str(done.divergence)
    if done.looks != again.looks:
        tally.nondeterministic += 1
        tally.first = tally.first or f"two replays of one schedule differ: {trace.schedule}"
    if done.hit and trace.broken is None:
        tally.unexpected += 1
        tally.first = tally.first or f"a process that nobody named was hit: {trace.schedule}"


def run_inside(sandbox: Sandbox, work: Plan, advance: Advance) -> Tally:
    """Replay the plan in the sandbox."""
    return sandbox.watch(_as_process_1, advance, None)(work)


def replay_inside(sandbox: Sandbox, trace: Trace, times: int) -> list[Replay]:
    """Replay one trace some times in the sandbox."""
    return sandbox.call(_trace_as_process_1, trace, times)


def _trace_as_process_1(trace: Trace, times: int) -> list[Replay]:
    return in_worker(_trace_as_worker, trace, times)


def _trace_as_worker(trace: Trace, times: int) -> list[Replay]:
    factory = SUBJECTS[trace.design, trace.platform]
    if trace.initial.get("waitid_missing") is True:
        # By pid alone, as the implementation calls it; the stage looks through its pidfds.  The
        # filter stays with this worker, which ends with the trace.
        refuse(f"waitid[0]={P_PID}=ENOSYS")
    with NamespaceStage() as stage:
        return [replay(trace, factory, stage) for _ in range(times)]


def _as_process_1(work: Plan) -> Tally:
    # Here, where it is kept for the workers to come.
    if isinstance(work.runs, EveryRun):
        len(_interleavings(work.campaign))
    else:
        _system(work.campaign, None)
    return in_worker(_as_worker, work)


def _as_worker(work: Plan) -> Tally:
    done = 0

    def advance(by: int) -> None:
        nonlocal done
        done += by
        if done % CHUNK == 0:
            emit(CHUNK)

    gc.freeze()  # nobody else will look through all that was made before
    with NamespaceStage() as stage:
        tally = run(work, stage, advance)
    emit(done % CHUNK)
    return tally
