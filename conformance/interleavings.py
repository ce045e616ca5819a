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

Two threads that make the same calls are interchangeable: the table does not know their names.  So
the classes of a scenario with two such threads come in pairs, each the other's with the names
exchanged, but for the few that an exchange leaves as they are.  Where that is asked for, one of
each pair comes out.  As long as a run is its own mirror image, the second thread is not let go
before the first; where both can go at once, and the order does not matter, they go together, and
what follows may be mirrored again::

    mirrored ─┬─ somebody else moves ──▶ mirrored
              ├─ W1 and W2 move, in either order ──▶ mirrored
              ├─ W1 moves, and not W2 ──▶ for good: one of a pair
              └─ W2 moves, and not W1: the other of that pair, left out

(The full symmetry reduction of Ip and Dill, "Better verification through symmetry", 1996, would
also merge states; here a run is a representative of runs only, since all of them are counted.)

An urgent command of the kernel (recycling a number the moment it is free) belongs to the step that
made it possible: the two are one move here, and two steps in the schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from operator import attrgetter
from typing import TypeVar

from lastref.model.system import KERNEL, State, Step, System

T = TypeVar("T")
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

    @cached_property
    def actors(self) -> tuple[str, ...]:
        """Who takes each step: the name of a thread, or of a kernel's command."""
        return tuple(s.name if s.actor == KERNEL else s.actor for s in self.steps)


@dataclass(eq=False, slots=True)
class _Node:
    """A state and who sleeps there: the moves to try, what each leads to, and how many runs.

    A node without moves is the end of one run if nothing is enabled there, and of none if all that
    is enabled sleeps.  ``classes`` counts the mirror images that are left out as well.
    """

    branches: tuple[tuple[Move, _Node], ...]
    runs: int
    classes: int


class Interleavings:
    """The moves of a system, each worked out once, and the enumeration over them.

    With ``interchangeable``, of two classes that differ only in which of two equal threads is which
    one comes out.
    """

    def __init__(self, system: System, *, interchangeable: bool = False) -> None:
        self.system = system
        self.twins = _twins(system) if interchangeable else None
        """The names of the two threads that are not told apart, if there are any."""
        self._moves: dict[State, tuple[Move, ...]] = {}
        self._commute: dict[tuple[State, tuple[str, ...], tuple[str, ...]], bool] = {}
        self._nodes: dict[tuple[State, frozenset[tuple[str, ...]], bool], _Node] = {}

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
        return self._node(self.system.initial, (), mirrored=self.twins is not None)

    def _node(self, state: State, asleep: tuple[Move, ...], *, mirrored: bool) -> _Node:
        """Return the node of ``state`` in which those moves sleep, with all that follows.

        ``mirrored`` says that the run so far is its own mirror image; then no twin sleeps.
        """
        key = (state, frozenset(m.id for m in asleep), mirrored)
        known = self._nodes.get(key)
        if known is None:
            branches = list(self._branches(state, asleep, mirrored=mirrored))
            runs, classes = (0, 0) if self.moves(state) else (1, 1)
            for _, node, pairs in branches:
                runs += node.runs
                classes += node.classes * (2 if pairs else 1)
            known = _Node(tuple((m, n) for m, n, _ in branches), runs, classes)
            self._nodes[key] = known
        return known

    def _branches(
        self, state: State, asleep: tuple[Move, ...], *, mirrored: bool
    ) -> Iterator[tuple[Move, _Node, bool]]:
        """Yield the moves to try, each with its node and whether that one's mirror is left out."""
        twins = [m for m in self.moves(state) if mirrored and m.actor in (self.twins or ())]
        if len(twins) > 2:  # they choose what to do: here nothing is left out, nor after it
            twins, mirrored = [], False
        ids, tried = {m.id for m in asleep}, list(asleep)
        for move in self.moves(state):
            if move.id not in ids and move not in twins:
                sleeping = self._sleeping(state, tried, move)
                tried.append(move)
                yield move, self._node(move.state, sleeping, mirrored=mirrored), False
        if twins:
            one, other = twins
            if self.independent(state, one, other):
                then = next(m for m in self.moves(one.state) if m.id == other.id)
                both = Move("", (*one.steps, *then.steps), (*one.id, *then.id))
                sleeping = self._sleeping(one.state, self._sleeping(state, tried, one), then)
                yield both, self._node(both.state, sleeping, mirrored=True), False
                tried.append(other)
            yield (
                one,
                self._node(one.state, self._sleeping(state, tried, one), mirrored=False),
                True,
            )

    def _sleeping(self, state: State, tried: Iterable[Move], move: Move) -> tuple[Move, ...]:
        """Return which of ``tried`` still sleep after ``move``."""
        still = {u.id for u in tried if self.independent(state, u, move)}
        return tuple(m for m in self.moves(move.state) if m.id in still)

    def __len__(self) -> int:
        """Return how many runs come out."""
        return self._root.runs

    @property
    def classes(self) -> int:
        """How many classes there are: the runs, and the mirror images that are left out."""
        return self._root.classes

    def __iter__(self) -> Iterator[Schedule]:
        """Yield one run of every class of equivalent interleavings."""
        return self.part(0, len(self))

    def part(self, first: int, stop: int) -> Iterator[Schedule]:
        """Yield the runs from the ``first``, counted from 0, to the one before ``stop``."""
        return self._part(first, stop, attrgetter("steps"))

    def actors(self, first: int, stop: int) -> Iterator[tuple[str, ...]]:
        """Yield them by who takes each step: the name of a thread, or of a kernel's command."""
        return self._part(first, stop, attrgetter("actors"))

    def _part(
        self, first: int, stop: int, told: Callable[[Move], tuple[T, ...]]
    ) -> Iterator[tuple[T, ...]]:
        if not self._root.branches and first <= 0 < stop:
            yield ()
        number, stack = 0, [(iter(self._root.branches), tuple[T, ...]())]
        while stack:
            branches, before = stack[-1]
            for move, node in branches:
                if number + node.runs <= first:
                    number += node.runs
                elif number >= stop:
                    return
                elif node.branches:
                    stack.append((iter(node.branches), before + told(move)))
                    break
                elif node.runs:
                    yield before + told(move)
                    number += 1
            else:
                stack.pop()


def _twins(system: System) -> tuple[str, str] | None:
    """Return the names of the first two threads of ``system`` that make the same calls."""
    pairs = combinations(system.scenario.threads, 2)
    return next(((a.name, b.name) for a, b in pairs if a.calls == b.calls), None)


def interleavings(system: System) -> Iterator[Schedule]:
    """Yield one run of every class of equivalent interleavings of ``system``."""
    return iter(Interleavings(system))
