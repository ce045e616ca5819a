"""Schedules on which a mutant and its design part, to be replayed on the real implementation.

Up to the first view in which a thread of the mutant does something else, the two are the same; a
shortest way there is known from the survey.  From there:

    parts    the mutant takes its own step and runs on to its end: the sound implementation, under
             that schedule, must be seen to do something else
    refuses  the mutant cannot take the design's step: the sound implementation must take it

So a table that says something wrong is caught by real processes alone, with nobody comparing it to
the right one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from lastref.conformance.replay import SubjectFactory, replay
from lastref.conformance.replays import recyclings, scenario_of
from lastref.conformance.stage import Stage
from lastref.conformance.trace import Trace, record
from lastref.model.survey import Contrast, Survey, Surveyed
from lastref.model.system import State, Step, System
from lastref.model.table import Table

PLAYED: tuple[tuple[str, ...], ...] = (
    ("signal",),
    ("kill",),
    ("foreign",),
    ("wait",),
    ("release",),
    ("release;release",),
    ("wait;wait",),
    ("wait;signal",),
    ("release;wait",),
    ("release;kill",),
    ("release;foreign",),
    ("signal", "release"),
    ("kill", "release"),
    ("wait", "release"),
    ("wait", "signal"),
    ("wait", "wait"),
    ("wait", "kill"),
    ("release", "release"),
    ("wait", "signal", "release"),
    ("wait", "kill", "release"),
)
"""What is called in the scenarios that are replayed."""
LONGEST = 60
"""How many steps a mutant runs on after it has parted; it may never come to its end."""
STATES, WITNESSES = 2, 12
"""How many states of a scenario, and how many witnesses of a mutant, are tried at most."""


@dataclass(frozen=True)
class Witness:
    """A trace to replay on the sound implementation; ``parts``: it must be seen to diverge.

    Otherwise it is a run of the design that the mutant refuses, in which nothing may diverge.
    """

    trace: Trace
    parts: bool


def playable(table: Table) -> Survey:
    """Survey the scenarios of ``table`` that are replayed."""
    known = {m for calls in PLAYED for call in calls for m in call.split(";")}
    return Survey(
        table,
        (
            scenario_of(table, calls, recycled)
            for recycled in recyclings(table)
            for calls in PLAYED
            if known <= table.methods.keys()
        ),
    )


def witnesses(survey: Survey, contrast: Contrast, mutant: System) -> tuple[Witness, ...]:
    """Return witnesses against ``mutant``, from the smallest scenarios first; perhaps none."""
    found = (
        witness
        for scene in survey.scenes
        for number in contrast.first(scene, STATES)
        for witness in _at(scene, number, mutant.under(scene.system.scenario))
    )
    return tuple(islice(found, WITNESSES))


def _at(scene: Surveyed, number: int, mutant: System) -> Iterator[Witness]:
    """Yield the witnesses that begin in one state of a scenario."""
    path, state = scene.path(number), scene.states[number]
    before = _along(mutant, path)
    if before is None:
        return
    for index in range(len(state[1])):
        ours = scene.system.thread_steps(state, index)
        theirs = mutant.thread_steps(state, index)
        for step in theirs:
            if not any(_same(step, o) for o in ours):
                steps = (*before, step, *_onwards(mutant, step.state, index))
                yield Witness(record(mutant, steps), parts=True)
        for step in ours if not theirs else ():
            steps = (*path, step, *_onwards(scene.system, step.state, index))
            yield Witness(record(scene.system, steps), parts=False)


def _same(one: Step, other: Step) -> bool:
    a, b = one.command, other.command
    if a is None or b is None:
        return a is b
    return one.state == other.state and (a.op, a.outcome) == (b.op, b.outcome)


def _along(mutant: System, path: Sequence[Step]) -> tuple[Step, ...] | None:
    """Return the mutant's own steps along a path, or ``None`` if it parts before the end."""
    state, taken = mutant.initial, []
    for step in path:
        mine = [s for s in mutant.steps(state) if s.actor == step.actor and _same(s, step)]
        if not mine:
            return None
        taken.append(mine[0])
        state = step.state
    return tuple(taken)


def _onwards(system: System, state: State, first: int) -> Iterator[Step]:
    """Yield the steps to the end: the urgent ones, then thread ``first``, the others, the exit."""
    order = [first, *(i for i in range(len(state[1])) if i != first)]
    for _ in range(LONGEST):
        steps = system.kernel_steps(state, urgent=True)
        for index in () if steps else order:
            steps = steps or system.thread_steps(state, index)
        steps = steps or system.kernel_steps(state)
        if not steps:
            return
        yield steps[0]
        state = steps[0].state


def judge(
    found: Sequence[Witness], factory: SubjectFactory, stage: Stage
) -> tuple[str | None, int]:
    """Replay witnesses until one convicts; return what it says, and how many were replayed."""
    for number, witness in enumerate(found, 1):
        done = replay(witness.trace, factory, stage)
        if witness.parts and done.divergence is not None:
            return str(done.divergence), number
        if not witness.parts and done.divergence is None:
            return (
                f"the implementation goes a way that it refuses: {witness.trace.schedule}",
                number,
            )
    return None, len(found)
