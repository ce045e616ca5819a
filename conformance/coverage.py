"""Runs that together take every transition of a system, where all interleavings are too many.

Each run goes by a shortest way to a transition that no run has taken yet, and from there on prefers
such transitions until nothing is enabled.  So their number is about that of the transitions, over
the length of a run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from lastref.conformance.interleavings import Interleavings, Move, Schedule
from lastref.model.system import State, System

Transition = tuple[State, tuple[str, ...]]


def through_every_transition(system: System) -> Iterator[Schedule]:
    """Yield runs of ``system`` that together take every transition of its state graph."""
    found = Interleavings(system)
    came, left = _graph(found)
    while left:
        state, wanted = next(iter(left))
        path = _way(came, state)
        taking: Move | None = next(m for m in found.moves(state) if m.id == wanted)
        while taking is not None:
            path.append((state, taking))
            state = taking.state
            taking = _next(found, left, state)
        for before, move in path:
            left.pop((before, move.id), None)
        yield tuple(step for _, move in path for step in move.steps)


def _graph(
    found: Interleavings,
) -> tuple[dict[State, tuple[State, Move] | None], dict[Transition, None]]:
    """Return how each state is first reached, and every transition, breadth first."""
    came: dict[State, tuple[State, Move] | None] = {found.system.initial: None}
    transitions: dict[Transition, None] = {}
    queue = deque(came)
    while queue:
        state = queue.popleft()
        for move in found.moves(state):
            transitions[state, move.id] = None
            if move.state not in came:
                came[move.state] = (state, move)
                queue.append(move.state)
    return came, transitions


def _way(came: dict[State, tuple[State, Move] | None], state: State) -> list[tuple[State, Move]]:
    path: list[tuple[State, Move]] = []
    while (step := came[state]) is not None:
        path.append(step)
        state = step[0]
    return path[::-1]


def _next(found: Interleavings, left: dict[Transition, None], state: State) -> Move | None:
    moves = found.moves(state)
    fresh = next((m for m in moves if (state, m.id) in left), None)
    return fresh or (moves[0] if moves else None)
