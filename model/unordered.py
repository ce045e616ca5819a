"""The shortest run whose history no order of its calls explains.

    state + the calls and returns so far  ──▶  breadth first  ──▶  all calls have returned
                                                                   and there is no linearization

The table is searched as it is, load and exchange apart, so the run can be replayed step by step.  A
call begins with its first step and returns with its last, which overlaps as little as can be: a
history that has no order then has none however long the calls take.

:func:`~lastref.model.linearize.linearize` has all histories of a scenario; this has a run of one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from lastref.model.histories import Event
from lastref.model.linearize import History, kind_of, linearization, ordered
from lastref.model.sequential import Specification
from lastref.model.system import State, Step, System

_Node = tuple[State, tuple[Event, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Unordered:
    """A run, what it looks like from outside, and of which kind that is (empty: of none)."""

    steps: tuple[Step, ...]
    history: History
    kind: str


def shortest_unordered(system: System, specification: Specification) -> Unordered | None:
    """Return the shortest complete run that ``specification`` does not explain, if there is one."""
    start: _Node = (system.initial, (), ("",) * len(system.scenario.threads))
    came: dict[_Node, tuple[_Node, Step] | None] = {start: None}
    queue = deque([start])
    orders: dict[History, bool] = {}
    while queue:
        node = queue.popleft()
        state, word, _ = node
        if system.at_rest(state):
            history = _history(system, word)
            if history not in orders:
                orders[history] = linearization(history, specification) is not None
            if not orders[history]:
                return Unordered(_path(came, node), history, kind_of(history, specification))
            continue
        for step in system.steps(state):
            after = _after(system, node, step)
            if after not in came:
                came[after] = (node, step)
                queue.append(after)
    return None


def history_of(system: System, steps: Sequence[Step]) -> History:
    """Return what a run of ``system`` looks like from outside."""
    node: _Node = (system.initial, (), ("",) * len(system.scenario.threads))
    for step in steps:
        node = _after(system, node, step)
    return _history(system, node[1])


def _history(system: System, word: tuple[Event, ...]) -> History:
    return ordered(word, {t.name: t.calls for t in system.scenario.threads})


def _after(system: System, node: _Node, step: Step) -> _Node:
    """Return the node after a step: a call begins if none was under way, and may return."""
    state, word, said = node
    names = [t.name for t in system.scenario.threads]
    if step.actor not in names:
        return step.state, word, said
    i = names.index(step.actor)
    told = [e[0] for e in word if e[1] == step.actor]
    outcome = said[i]
    if not told or told[-1] == "return":
        word, outcome = (*word, ("invoke", step.actor)), ""
    if step.command is not None and step.command.outcome is not None:
        outcome = step.command.outcome
    size = len(system.locations)
    old, new = state[1][i], step.state[1][i]
    if system.is_done(new, i) or old[0] // size != new[0] // size:
        word = (*word, ("return", step.actor, outcome))
    return step.state, word, (*said[:i], outcome, *said[i + 1 :])


def _path(came: dict[_Node, tuple[_Node, Step] | None], node: _Node) -> tuple[Step, ...]:
    steps: list[Step] = []
    link = came[node]
    while link is not None:
        node, step = link
        steps.append(step)
        link = came[node]
    return tuple(reversed(steps))
