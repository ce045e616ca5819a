"""The outcome table for real: every sequence of calls on the implementation, beside the model.

A single caller; the process ends when, and only when, a call waits for it.  What the model says of
a sequence is a run, and so it is replayed like any other: every step, variable and outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from lastref.conformance.errors import UserError
from lastref.conformance.namespace import NamespaceStage, in_worker
from lastref.conformance.replay import Hook, Place, Subject, replay
from lastref.conformance.sandbox import Sandbox
from lastref.conformance.stage import Stage
from lastref.conformance.subjects import SUBJECTS
from lastref.conformance.trace import Recorder, Trace
from lastref.model import designs
from lastref.model.outcomes import LETTERS, LONGEST, Caller, sequences
from lastref.model.system import KERNEL, System, scenario
from lastref.model.table import Table

S = TypeVar("S", bound=Place)


@dataclass
class Sequences:
    """What came of every sequence of a design: how many agreed, which hung, the first that did not.

    ``rows`` has a row of the table for each sequence, by its letters: the outcome of the last call.
    ``coverage`` is how often each command of the table was taken, ``seconds`` how long it took,
    where that was measured.
    """

    replayed: int = 0
    hung: int = 0
    first: str | None = None
    rows: dict[str, str] = field(default_factory=dict)
    coverage: dict[str, int] = field(default_factory=dict)
    seconds: float | None = None


STARTS = (
    "start",
    "find-missing",
    "literal",
    "literal-minus-one",
    "zero-literal",
    "find",
    "find-by-pid",
    "find-missing-by-pid",
    "find-minus-one",
)
"""The starts that a stage can make: not those of a process of others, who would have to reap it."""


def replay_sequences(design: str, platform: str, stage: Stage, longest: int = LONGEST) -> Sequences:
    """Make every sequence of up to ``longest`` calls on the implementation of a design.

    From each of the starts that its table has and a stage can make.
    """
    table = designs.get(design, platform)
    return replay_from(table, starts(table), stage, SUBJECTS[design, platform], longest)


def replay_from(
    table: Table,
    begin: Iterable[str],
    stage: S,
    factory: Callable[[S, Trace, Hook], Subject],
    longest: int,
) -> Sequences:
    """Make every sequence from every start of ``begin``, on whatever kind of stage.

    A call that waits for what cannot happen is not made; its sequence is counted as hung.
    """
    caller, found = Caller(table), Sequences(coverage=dict.fromkeys(table.by_name, 0))
    system = System(table, scenario("wait"))
    for start in begin:
        for calls in sequences(longest):
            _replay_one(caller, system, start, calls, stage, factory, found)
    return found


def starts(table: Table) -> tuple[str, ...]:
    """Return the starts of ``table`` that a stage can make, one of those that are the same."""
    different: dict[frozenset[tuple[str, int]], str] = {}
    for start in STARTS:
        if start in table.starts:
            different.setdefault(frozenset(table.starts[start].items()), start)
    return tuple(different.values())


def _replay_one(
    caller: Caller,
    base: System,
    start: str,
    calls: tuple[str, ...],
    stage: S,
    factory: Callable[[S, Trace, Hook], Subject],
    found: Sequences,
) -> None:
    table = caller.table
    initial = table.starts[start]
    run = caller.run(initial, calls)
    if not run.complete:
        found.hung += 1
        return
    system = base.under(scenario(";".join(calls), initial=initial))
    name = system.scenario.threads[0].name
    try:
        trace = Recorder(system).run(s.name if s.actor == KERNEL else name for s in run.steps)
    except UserError:
        # The table's caller has no other child.  A stage has the bystander: a wait for any child,
        # which failed there, waits for that one here.
        found.hung += 1
        return
    done = replay(trace, factory, stage)
    for step in trace.steps[: done.steps]:
        found.coverage[step.command] += 1
    outcomes = done.outcomes[name]
    if done.divergence is not None:
        found.first = found.first or str(done.divergence)
    elif outcomes != run.outcomes:
        found.first = found.first or f"{calls} returned {outcomes}, the model {run.outcomes}"
    row = ";".join(LETTERS[c] for c in calls)
    found.rows[row if start == "start" else f"{start}: {row}"] = outcomes[-1]
    found.replayed += 1


def replay_sequences_inside(
    sandbox: Sandbox, design: str, platform: str, longest: int = LONGEST
) -> Sequences:
    """Do the same in the sandbox."""
    return sandbox.call(_as_process_1, design, platform, longest)


def _as_process_1(design: str, platform: str, longest: int) -> Sequences:
    return in_worker(_as_worker, design, platform, longest)


def _as_worker(design: str, platform: str, longest: int) -> Sequences:
    with NamespaceStage() as stage:
        return replay_sequences(design, platform, stage, longest)
