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

What comes after a state depends on it and on who sleeps there, not on the way to it.  So the search
is a graph, of thousands of nodes where there are millions of runs: they are counted without being
run through, and any part of them can be taken alone, by several processes side by side.

An urgent command of the kernel (recycling a number the moment it is free) belongs to the step that
made it possible: the two are one move here, and two steps in the schedule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

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


@dataclass(eq=False, slots=True)
class _Node:
    """A state and who sleeps there: the moves to try, what each leads to, and how many runs.

    A node without moves is the end of one run if nothing is enabled there, and of none if all that
    is enabled sleeps.
    """

    branches: tuple[tuple[Move, _Node], ...]
    runs: int


class Interleavings:
    """The moves of a system, each worked out once, and the enumeration over them."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._moves: dict[State, tuple[Move, ...]] = {}
        self._commute: dict[tuple[State, tuple[str, ...], tuple[str, ...]], bool] = {}
        self._nodes: dict[tuple[State, frozenset[tuple[str, ...]]], _Node] = {}

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

    @cached_property
    def _root(self) -> _Node:
        return self._node(self.system.initial, ())

    def _node(self, state: State, asleep: tuple[Move, ...]) -> _Node:
        """Return the node of ``state`` in which those moves sleep, with all that follows."""
        key = (state, frozenset(m.id for m in asleep))
        known = self._nodes.get(key)
        if known is None:
            enabled, branches, tried = self.moves(state), [], list(asleep)
            for move in enabled:
                if move.id in key[1]:
                    continue
                still = {u.id for u in tried if self.independent(state, u, move)}
                tried.append(move)
                sleeping = tuple(m for m in self.moves(move.state) if m.id in still)
                branches.append((move, self._node(move.state, sleeping)))
            runs = sum(node.runs for _, node in branches) if enabled else 1
            known = self._nodes[key] = _Node(tuple(branches), runs)
        return known

    def __len__(self) -> int:
        """Return how many classes there are."""
        return self._root.runs

    def __iter__(self) -> Iterator[Schedule]:
        """Yield one run of every class of equivalent interleavings."""
        return self.part(0, len(self))

    def part(self, first: int, stop: int) -> Iterator[Schedule]:
        """Yield the runs from the ``first``, counted from 0, to the one before ``stop``."""
        path: list[tuple[Step, ...]] = []
        # A frame: the branches left to try, each with the numbers of its runs.
        stack = [_numbered(self._root, 0)]
        if not self._root.branches and first <= 0 < stop:
            yield ()
        while stack:
            wanted = (b for b in stack[-1] if max(b[2].start, first) < min(b[2].stop, stop))
            found = next(wanted, None)
            if found is None:
                stack.pop()
                if path:
                    path.pop()
                continue
            move, node, numbers = found
            path.append(move.steps)
            if node.branches:
                stack.append(_numbered(node, numbers.start))
                continue
            yield tuple(step for steps in path for step in steps)
            path.pop()


def _numbered(node: _Node, first: int) -> Iterator[tuple[Move, _Node, range]]:
    """Yield the branches of ``node`` with the numbers of the runs that go there."""
    for move, after in node.branches:
        yield move, after, range(first, first + after.runs)
        first += after.runs


def interleavings(system: System) -> Iterator[Schedule]:
    """Yield one run of every class of equivalent interleavings of ``system``."""
    return iter(Interleavings(system))
