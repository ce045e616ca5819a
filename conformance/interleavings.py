"""Every inequivalent interleaving of a scenario, once.

Two steps of different actors are independent in a state when they can be taken in either order, by
the same commands, to the same state.  Two interleavings are equivalent when one becomes the other
by swapping neighbouring steps that are independent where they stand; nobody can tell them apart, so
one of each class is enough to replay.

Independence is a matter of the state (Katz and Peled, "Defining conditional independence using
collapses", 1992): a compare-and-swap that fails commutes with a store that leaves it failing, so a
round that is lost anyway does not multiply the classes.  By the variables alone, read and written,
Wait, Signal, Release has 7,365,869 classes; so it has 2,811.

The enumeration is a depth-first search with sleep sets (Godefroid, "Partial-Order Methods for the
Verification of Concurrent Systems", 1996): an actor that was tried before sleeps in the later
branches until a step that depends on it wakes it.  Every class comes out exactly once; a branch in
which all enabled actors sleep is a repetition and is dropped.

An urgent command of the kernel (recycling a number the moment it is free) belongs to the step that
made it possible: the two are one move here, and two steps in the schedule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lastref.model.system import KERNEL, State, Step, System

Schedule = tuple[Step, ...]
"""The steps of one run, from the initial state to one in which nothing is enabled."""


@dataclass(frozen=True)
class Move:
    """A step with the urgent kernel steps that follow it at once.

    ``id`` says who moves and by which commands.  Two independent commands of the kernel count as
    two actors, so that they may be swapped as well.
    """

    actor: str
    steps: tuple[Step, ...]
    id: tuple[str, ...]

    @property
    def state(self) -> State:
        """The state after the move."""
        return self.steps[-1].state


class Interleavings:
    """The moves of a system, each worked out once, and the enumeration over them."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._moves: dict[State, tuple[Move, ...]] = {}
        self._commute: dict[tuple[State, tuple[str, ...], tuple[str, ...]], bool] = {}

    def moves(self, state: State) -> tuple[Move, ...]:
        """Return the moves that are enabled in ``state``, in a fixed order."""
        known = self._moves.get(state)
        if known is None:
            urgent = self.system.scenario.urgent
            known = tuple(
                self._move(step)
                for step in self.system.steps(state)
                if not (step.actor == KERNEL and step.name in urgent)
            )
            self._moves[state] = known
        return known

    def _move(self, step: Step) -> Move:
        steps = [step]
        while urgent := self.system.kernel_steps(steps[-1].state, urgent=True):
            steps.append(urgent[0])
        actor = f"{KERNEL}.{step.name}" if step.actor == KERNEL else step.actor
        return Move(actor, tuple(steps), (actor, *(s.name for s in steps)))

    def independent(self, state: State, one: Move, other: Move) -> bool:
        """Return whether the two moves, both enabled in ``state``, can be swapped there."""
        if one.actor == other.actor:
            return False
        known = (state, one.id, other.id)
        answer = self._commute.get(known)
        if answer is None:
            second, first = self._same(one, other), self._same(other, one)
            answer = second is not None and first is not None and second.state == first.state
            self._commute[known] = self._commute[state, other.id, one.id] = answer
        return answer

    def _same(self, before: Move, move: Move) -> Move | None:
        """Return ``move`` as it is after ``before``, if it is the same there and as lawful."""
        laws = [s.broken for s in move.steps]
        for later in self.moves(before.state):
            if later.id == move.id and [s.broken for s in later.steps] == laws:
                return later
        return None

    def __iter__(self) -> Iterator[Schedule]:
        """Yield one run of every class of equivalent interleavings."""
        path: list[Move] = []
        # A frame: a state, the moves left to try there, and those that sleep there.
        stack = [(self.system.initial, list(self.moves(self.system.initial)), list[Move]())]
        if not stack[0][1]:
            yield ()
        while stack:
            state, todo, asleep = stack[-1]
            if not todo:
                stack.pop()
                if path:
                    path.pop()
                continue
            move = todo.pop(0)
            still = {u.id for u in asleep if self.independent(state, u, move)}
            asleep.append(move)
            path.append(move)
            enabled = self.moves(move.state)
            if not enabled:
                yield tuple(step for m in path for step in m.steps)
                path.pop()
                continue
            stack.append(
                (
                    move.state,
                    [m for m in enabled if m.id not in still],
                    [m for m in enabled if m.id in still],
                )
            )


def interleavings(system: System) -> Iterator[Schedule]:
    """Yield one run of every class of equivalent interleavings of ``system``."""
    return iter(Interleavings(system))
