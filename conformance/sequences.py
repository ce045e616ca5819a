"""The outcome table for real: every sequence of calls on the implementation, beside the model.

A single caller; the process ends when, and only when, a call waits for it.  What the model says of
a sequence is a run, and so it is replayed like any other: every step, variable and outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lastref.conformance.namespace import NamespaceStage, in_worker
from lastref.conformance.replay import replay
from lastref.conformance.sandbox import Sandbox
from lastref.conformance.stage import Stage
from lastref.conformance.subjects import SUBJECTS
from lastref.conformance.trace import record, walk
from lastref.model import designs
from lastref.model.outcomes import LETTERS, LONGEST, Caller, sequences
from lastref.model.system import KERNEL, System, scenario


@dataclass
class Sequences:
    """What came of every sequence of a design: how many agreed, which hung, the first that did not.

    ``rows`` has a row of the table for each sequence, by its letters: the outcome of the last call.
    """

    replayed: int = 0
    hung: int = 0
    first: str | None = None
    rows: dict[str, str] = field(default_factory=dict)


def replay_sequences(design: str, platform: str, stage: Stage, longest: int = LONGEST) -> Sequences:
    """Make every sequence of up to ``longest`` calls on the implementation of a design.

    A call that waits for what cannot happen is not made; its sequence is counted as hung.
    """
    table, found = designs.get(design, platform), Sequences()
    caller = Caller(table)
    for calls in sequences(longest):
        run = caller.run({}, calls)
        if not run.complete:
            found.hung += 1
            continue
        actors = [s.name if s.actor == KERNEL else s.actor for s in run.steps]
        system = System(table, scenario(";".join(calls)))
        name = system.scenario.threads[0].name
        steps = walk(system, [name if a == "T" else a for a in actors])
        done = replay(record(system, steps), SUBJECTS[design, platform], stage)
        outcomes = done.outcomes[name]
        if done.divergence is not None:
            found.first = found.first or str(done.divergence)
        elif outcomes != run.outcomes:
            found.first = found.first or f"{calls} returned {outcomes}, the model {run.outcomes}"
        found.rows[";".join(LETTERS[c] for c in calls)] = outcomes[-1] if outcomes else "nothing"
        found.replayed += 1
    return found


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
