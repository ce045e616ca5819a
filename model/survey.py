"""A design seen from every side: all mixes of up to three threads, explored once.

A mutant differs from its design in a command or two.  What a thread can do depends on where it
stands, on the shared variables and on its own: that is a *view*.  So if the mutant does the same in
every view that a scenario comes to, the two have the same reachable states there and the same steps
out of each (by induction over the steps), and no search of that scenario can tell them apart:

    views of the design at signal.load         the mutant ignores done
    word = ok refs 1      handle ours          the same
    word = done refs 1    handle ours          another step: every search starts from here
    …

The survey keeps the reachable states and views of the design; a :class:`Contrast` says where a
mutant differs.  The laws do not speak of outcomes, so a mutant that differs in these alone is for
those who look at histories.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lastref.model.explore import Exploration, explore
from lastref.model.kernel import GONE, IGNORED
from lastref.model.system import Scenario, State, Step, System, Values, scenario
from lastref.model.table import Table

View = tuple[str, Values, Values]
"""What decides a thread's next step: its location, the shared values, its own values."""
MOST = 3
"""How many threads are mixed from the first start."""
FEWER = 2
"""How many are mixed from every other start."""
ALONE = "alone"
"""The start at which our process is the only child; from there as many as from the first."""


def starts(table: Table) -> dict[str, Mapping[str, int]]:
    """Return every start of ``table``, and one for each value of a variable that is never written.

    The first is the table's own initial state.  Two starts with the same values are one.  Where a
    Wait may ask for any child there is a start without another: it may find that it has none.
    """
    found: dict[str, Mapping[str, int]] = {"": {}, **table.starts}
    if any(c.op == "wait4" for c in table.commands):
        found[ALONE] = {"bystander": GONE}
        if {"waitid_missing", "kin"} <= {v.name for v in table.shared}:
            found["alone-reaped"] = {"bystander": GONE, "waitid_missing": 1, "kin": IGNORED}
    written = frozenset().union(*(c.writes for c in (*table.commands, *table.kernel)))
    for v in table.shared:
        if v.name not in written:
            for value in range(len(v.labels) or (2 if v.width <= 1 else 0)):
                found[f"{v.name}={v.label(value)}"] = {v.name: value}
    distinct: dict[object, str] = {}
    initial = {v.name: v.initial for v in table.shared}
    for name, values in found.items():
        distinct.setdefault(tuple(sorted({**initial, **values}.items())), name)
    return {name: found[name] for name in distinct.values()}


def mixes(table: Table, most: int) -> Iterator[tuple[str, ...]]:
    """Yield every mix of one to ``most`` calls of the table's methods, smaller ones first."""
    for size in range(1, most + 1):
        yield from itertools.combinations_with_replacement(table.methods, size)


def scenarios(table: Table) -> Iterator[Scenario]:
    """Yield the scenarios of the survey, smaller ones first."""
    every = starts(table)
    found = [
        (len(calls), scenario(*calls, initial=initial))
        for name, initial in every.items()
        for calls in mixes(table, MOST if name in ("", ALONE) else FEWER)
    ]
    return (s for _, s in sorted(found, key=lambda pair: pair[0]))


def closer(table: Table, initial: Mapping[str, int]) -> Iterator[Scenario]:
    """Yield the scenarios of the most threads from one start."""
    chosen = itertools.combinations_with_replacement(table.methods, MOST)
    return (scenario(*calls, initial=initial) for calls in chosen)


@dataclass(eq=False)
class Surveyed:
    """The design in one scenario: what a search says, and every state in order of discovery.

    ``came`` has for each state the number of the one before it and the step between them.
    """

    system: System
    exploration: Exploration
    states: list[State] = field(default_factory=list)
    came: list[tuple[int, Step] | None] = field(default_factory=list)

    @cached_property
    def views(self) -> dict[View, int]:
        """Every view that a thread has, and the number of the first state in which one has it."""
        found: dict[View, int] = {}
        for number, state in enumerate(self.states):
            for place, *local in state[1]:
                view = (self.system.location(place), state[0], tuple(local))
                found.setdefault(view, number)
        return found

    def path(self, number: int) -> tuple[Step, ...]:
        """Return the steps to a state, the fewest there are."""
        steps = []
        came = self.came[number]
        while came is not None:
            before, step = came
            steps.append(step)
            came = self.came[before]
        return tuple(reversed(steps))


def survey(system: System) -> Surveyed:
    """Search a system and keep what was found."""
    found = Surveyed(system, explore(system), [system.initial], [None])
    index, queue = {system.initial: 0}, deque([0])
    while queue:
        number = queue.popleft()
        for step in system.steps(found.states[number]):
            if step.state not in index:
                index[step.state] = len(found.states)
                queue.append(len(found.states))
                found.states.append(step.state)
                found.came.append((number, step))
    return found


class Survey:
    """The whole survey of one table."""

    def __init__(self, table: Table, chosen: Iterable[Scenario] | None = None) -> None:
        self.table = table
        self.system = System(table, Scenario(()))
        self.scenes = tuple(survey(self.system.under(s)) for s in chosen or scenarios(table))
        self.ordinary = frozenset(
            n for n, s in enumerate(self.scenes) if not s.system.scenario.initial
        )
        self.views: dict[str, dict[View, list[int]]] = {}
        for number, scene in enumerate(self.scenes):
            for view in scene.views:
                self.views.setdefault(view[0], {}).setdefault(view, []).append(number)

    def contrast(self, mutant: System, locations: Iterable[str]) -> Contrast:
        """Compare ``mutant``, which may differ from the design at ``locations`` only."""
        return Contrast(self, mutant, locations)


class Contrast:
    """Where a mutant does something else than its design.

    ``behaviour`` are the numbers of the scenarios in which it takes another step, ``outcomes``
    those in which it does, or says something else; without any, all graphs are equal.  ``hidden``
    says that only what a thread keeps to itself differs.  A scenario from another than the first
    start counts only if it has a differing view that none from the first start has.
    """

    def __init__(self, survey: Survey, mutant: System, locations: Iterable[str]) -> None:
        self.views: set[View] = set()
        self.behaviour: set[int] = set()
        self.outcomes: set[int] = set()
        self.hidden = True
        for location in locations:
            for view, scenes in survey.views.get(location, {}).items():
                one, other = _moves(survey.system, view), _moves(mutant, view)
                if one == other:
                    continue
                self.views.add(view)
                ordinary = [n for n in scenes if n in survey.ordinary]
                self.outcomes.update(ordinary or scenes)
                if {m[:-1] for m in one} != {m[:-1] for m in other}:
                    self.behaviour.update(ordinary or scenes)
                self.hidden &= {m[1:] for m in one} == {m[1:] for m in other}

    def first(self, scene: Surveyed, most: int) -> list[int]:
        """Return the first states of a scenario in which a thread has a view that differs."""
        found = {scene.views[v] for v in self.views if v in scene.views}
        return sorted(found)[:most]


def _moves(system: System, view: View) -> set[tuple[object, ...]]:
    return {(local, c.op, c.to, shared, c.outcome) for c, shared, local in system.enabled(*view)}
