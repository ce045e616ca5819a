"""The fleet of wrong implementations (:mod:`lastref.impl.faults`) against the sound table.

Each does one thing wrong, on the real system, and must be noticed twice: by the replay, which
compares every step with the model, and by conformance alone, which sees only calls, outcomes and
what the kernel shows.  The sound implementation goes through the same and must pass.

One fault shows only when a system call is interrupted.  No schedule makes the kernel do that on
demand, so there the ``waitid`` of the stage says EINTR once before it does its work; such a call is
one step more than the model has, and is judged from outside alone.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass

from lastref.conformance.blind import judge_of, watch
from lastref.conformance.cells import read_word
from lastref.conformance.coverage import runs_through
from lastref.conformance.replay import SubjectFactory, replay
from lastref.conformance.replays import scenario_of
from lastref.conformance.stage import Stage
from lastref.conformance.subjects import subject
from lastref.conformance.trace import record
from lastref.impl.errors import Errno
from lastref.impl.faults import Fault, faulty
from lastref.impl.syscalls import LinuxSystem
from lastref.impl.system import WaitidResult
from lastref.model.histories import show_history
from lastref.model.system import KERNEL, System, scenario
from lastref.model.table import Table

CALLS: tuple[tuple[str, ...], ...] = (
    ("release",),
    ("wait",),
    ("signal",),
    ("wait;signal",),
    ("release;signal",),
    ("release;release",),
    ("signal", "release"),
    ("wait", "wait"),
    ("wait", "release"),
    ("wait", "signal"),
    ("wait", "signal", "release"),
)
"""The scenarios that the fleet goes through, smaller ones first."""
RECYCLED = frozenset({"reopen"})
INTERRUPTED = frozenset({Fault.NO_EINTR_LOOP})
"""The faults that show only where a system call is interrupted."""


@dataclass(frozen=True)
class Caught:
    """What noticed a fault, ``None`` where nothing did; ``runs`` counts the real runs it took.

    ``interrupted``: it shows only where a system call is, and is not replayed step by step.
    """

    fault: str
    replay: str | None
    outside: str | None
    runs: int
    interrupted: bool = False


class InterruptedSystem(LinuxSystem):
    """The real system, whose every other ``waitid`` is interrupted before it does anything."""

    _interrupt = True

    def waitid(self, kind: int, number: int, options: int) -> WaitidResult:
        """Raise EINTR, or wait."""
        interrupt, self._interrupt = self._interrupt, not self._interrupt
        if interrupt:
            raise Errno(errno.EINTR)
        return super().waitid(kind, number, options)


class InterruptedStage(Stage):
    """A stage whose implementation is interrupted once before every wait."""

    def __init__(self) -> None:
        super().__init__()
        self.system = InterruptedSystem(self.guard)


def fleet(table: Table) -> Iterator[Caught]:
    """Yield what becomes of the sound implementation (named ``""``), then of each fault."""
    yield _catch(table, None)
    for fault in Fault:
        yield _catch(table, fault)


def _catch(table: Table, fault: Fault | None) -> Caught:
    factory = subject(faulty(*([fault] if fault else [])).adopt, word=read_word)
    interrupted = fault in INTERRUPTED
    runs, replayed, seen = 0, None, None
    if not interrupted:
        with Stage() as stage:
            replayed, runs = _first(_replays(table, factory, stage))
        with Stage() as stage:
            seen, more = _first(_watched(table, factory, stage))
            runs += more
    # The sound implementation must stand interruptions, too.
    if seen is None and (interrupted or fault is None):
        with InterruptedStage() as stage:
            seen, more = _first(_watched(table, factory, stage))
            runs += more
    return Caught(fault.value if fault else "", replayed, seen, runs, interrupted)


def _first(found: Iterator[str | None]) -> tuple[str | None, int]:
    """Return the first that is not ``None``, and how many there were up to it."""
    runs = 0
    for says in found:
        runs += 1
        if says is not None:
            return says, runs
    return None, runs


def _replays(table: Table, factory: SubjectFactory, stage: Stage) -> Iterator[str | None]:
    """Replay runs that take every transition; yield the divergence of each."""
    for calls in CALLS:
        system = System(table, scenario_of(table, calls, RECYCLED))
        for steps in runs_through(system):
            done = replay(record(system, steps), factory, stage)
            yield None if done.divergence is None else str(done.divergence)


def _watched(table: Table, factory: SubjectFactory, stage: Stage) -> Iterator[str | None]:
    """Run the same schedules blind; yield what each shows that the design does not."""
    for calls in CALLS:
        system = System(table, scenario_of(table, calls, RECYCLED))
        design = judge_of(System(table, scenario(*calls)))
        for steps in runs_through(system):
            actors = [s.name if s.actor == KERNEL else s.actor for s in steps]
            seen = watch(design, factory, stage, actors)
            yield None if seen.wrong is None else _told(seen.history, calls, actors)


def _told(history: tuple[tuple[str, ...], ...], calls: tuple[str, ...], actors: list[str]) -> str:
    return f"{','.join(calls)}: {show_history(history)}; schedule {'.'.join(actors)}"
