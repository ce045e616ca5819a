"""Runs that together take every transition of a system, where all interleavings are too many.

Each run goes by a shortest way to a transition that no run has taken yet, and from there on prefers
such transitions until nothing is enabled.  So their number is about that of the transitions, over
the length of a run.

What counts as the same transition is a choice.  ``every_transition`` tells two apart by the whole
state before them, ``every_view`` by what the actor can see: the shared variables and its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator

from lastref.conformance.interleavings import Interleavings, Move, Schedule
from lastref.model.system import State, System

Key = Callable[[State, Move], Hashable]
"""What tells a transition from another: of the state before a move, and the move."""
_Came = dict[State, tuple[State, Move] | None]


def every_transition(state: State, move: Move) -> Hashable:
    """Tell transitions apart by the whole state before them."""
    return state, move.id


def every_view(state: State, move: Move) -> Hashable:
    """Tell transitions apart by the shared variables, and by the actor's own."""
    after = move.steps[0].state[1]
    own = next((t for t, u in zip(state[1], after, strict=True) if t != u), None)
    return state[0], own, move.id[1:]


def runs_through(system: System, key: Key = every_transition) -> Iterator[Schedule]:
    """Yield runs of ``system`` that together take every transition, as ``key`` tells them apart."""
    found = Interleavings(system)
    came, left = _graph(found, key)
    while left:
        state, wanted = next(iter(left.values()))
        path = _way(came, state)
        taking: Move | None = wanted
        while taking is not None:
            path.append((state, taking))
            state = taking.state
            taking = _next(found, left, key, state)
        for before, move in path:
            left.pop(key(before, move), None)
        yield tuple(step for _, move in path for step in move.steps)


def _graph(found: Interleavings, key: Key) -> tuple[_Came, dict[Hashable, tuple[State, Move]]]:
    """Return how each state is first reached, and an example of every transition."""
    came: _Came = {found.system.initial: None}
    transitions: dict[Hashable, tuple[State, Move]] = {}
    queue = deque(came)
    while queue:
        state = queue.popleft()
        for move in found.moves(state):
            transitions.setdefault(key(state, move), (state, move))
            if move.state not in came:
                came[move.state] = (state, move)
                queue.append(move.state)
    return came, transitions


def _way(came: _Came, state: State) -> list[tuple[State, Move]]:
    path: list[tuple[State, Move]] = []
    while (step := came[state]) is not None:
        path.append(step)
        state = step[0]
    return path[::-1]


def _next(
    found: Interleavings,
    left: dict[Hashable, tuple[State, Move]],
    key: Key,
    state: State,
) -> Move | None:
    moves = found.moves(state)
    fresh = next((m for m in moves if key(state, m) in left), None)
    return fresh or (moves[0] if moves else None)
