"""Progress: a number for every state that each step increases, so that no state comes back.

A thread moves along its locations and does not come back, except in a *round*: a set of locations
that lead to one another, such as a load and the compare-and-swap after it.

    rank = weight × Σ over the threads of their level  −  what the kernel can still do

A step within a round leaves the rank as it is, and must leave the shared values as they are, too.
Then the round has an end, for what it reads does not change, and ``left`` counts the steps to it.
Nothing here is taken on trust: a step that gains nothing raises :class:`Cyclic`.
"""

from __future__ import annotations

from collections.abc import Iterable

from lastref.model.local_steps import LocalKey, LocalSteps
from lastref.model.system import PICK, System
from lastref.model.table import END, RESTING

_Node = tuple[tuple[str, ...], str, str]


class Cyclic(Exception):
    """A step does not make progress: the states may come back."""


class Ranks:
    """The ranks of the states of ``system``, whose local states ``steps`` has numbered."""

    def __init__(self, system: System, steps: LocalSteps) -> None:
        self._system = system
        self._steps = steps
        self._edges: dict[_Node, tuple[_Node, ...]] = {}
        for number in steps.initial_locals:
            self._collect(steps.keys[number][:3])
        ahead = {node: self._reach(node) for node in self._edges}
        self._component = {
            node: min([node, *(o for o in ahead[node] if node in ahead[o])]) for node in self._edges
        }
        self.rounds = any(node in ahead[node] for node in self._edges)
        self._ahead = ahead
        self._levels: dict[_Node, int] = {}
        top = max(self._level(node) for node in self._edges)
        self._top = top + 1
        self._weight = 2 + len(system.table.kernel)
        self._kernel_left: dict[int, int] = {}
        self._left: dict[tuple[int, int], int] = {}
        self.at_rest = self._weight * (self._top * len(system.scenario.threads) - 1) + 1

    def of_initial(self) -> int:
        """Return the rank of the initial state."""
        steps = self._steps
        levels = sum(self._height(number) for number in steps.initial_locals)
        return self._weight * levels - self.kernel_left(steps.initial_shared)

    def gain(self, before: tuple[int, int], after: tuple[int, int]) -> tuple[int, int]:
        """Return the rank that a thread's step gains, and how many steps of its round it does.

        Both are from ``(shared, local)`` to ``(shared, local)``.
        """
        higher = self._height(after[1]) - self._height(before[1])
        if higher == 0:
            if before[0] != after[0] or not self._together(before[1], after[1]):
                raise Cyclic
            return 0, self.left(*before) - self.left(*after)
        spent = self.kernel_left(before[0]) - self.kernel_left(after[0])
        gained = self._weight * higher + spent
        if gained < 1:
            raise Cyclic
        return gained, 0

    def kernel_gain(self, before: int, after: int) -> tuple[int, int]:
        """Return the same for a step of the kernel."""
        gained = self.kernel_left(before) - self.kernel_left(after)
        if gained < 1:
            raise Cyclic
        return gained, 0

    def kernel_left(self, shared: int) -> int:
        """Return how many steps the kernel can take by itself, at the most."""
        if shared not in self._kernel_left:
            self._kernel_left[shared] = self._weight  # met again on the way: more than allowed
            numbers = [m.shared for m in self._steps.kernel_moves(shared) if m.followed]
            most = max((1 + self.kernel_left(n) for n in numbers), default=0)
            if most >= self._weight:
                raise Cyclic
            self._kernel_left[shared] = most
        return self._kernel_left[shared]

    def left(self, shared: int, local: int) -> int:
        """Return how many steps a thread at ``local`` can take in its round, nothing changing."""
        if not self.rounds:
            return 0
        key = shared, local
        if key not in self._left:
            self._left[key] = -1
            behind = [
                m.local
                for m in self._steps.moves(shared, local)
                if m.followed and m.shared == shared and self._together(local, m.local)
            ]
            deepest = 0
            for other in behind:
                found = self.left(shared, other)
                if found < 0:
                    raise Cyclic
                deepest = max(deepest, 1 + found)
            self._left[key] = deepest
        return self._left[key]

    def _together(self, one: int, other: int) -> bool:
        node, goal = self._steps.keys[one][:3], self._steps.keys[other][:3]
        return self._component[node] == self._component[goal] and node in self._ahead[goal]

    def _height(self, local: int) -> int:
        key: LocalKey = self._steps.keys[local]
        return self._top if _rests(key[:3]) else self._level(key[:3])

    def _level(self, node: _Node) -> int:
        """Return how many other rounds and locations come before ``node``, at the most."""
        if node not in self._levels:
            here = self._component[node]
            before = [
                o for o in self._edges if node in self._ahead[o] and self._component[o] != here
            ]
            self._levels[node] = 1 + max((self._level(o) for o in before), default=-1)
        return self._levels[node]

    def _collect(self, start: _Node) -> None:
        todo = [start]
        while todo:
            node = todo.pop()
            if node not in self._edges:
                self._edges[node] = tuple(self._behind(node))
                todo += self._edges[node]

    def _behind(self, node: _Node) -> Iterable[_Node]:
        left, choice, location = node
        table = self._system.table
        if location == PICK:
            return [(left, "", table.methods[m]) for m in choice.split("|")]
        found = []
        for c in table.leaving.get(location, ()):
            assert c.to is not None
            if c.to == END and left:
                first = left[0]
                picks = "|" in first
                at = PICK if picks else table.methods[first]
                found.append((left[1:], first if picks else "", at))
            else:
                found.append((left, "", c.to))
        return found

    def _reach(self, node: _Node) -> frozenset[_Node]:
        seen: set[_Node] = set()
        todo = list(self._edges[node])
        while todo:
            other = todo.pop()
            if other not in seen:
                seen.add(other)
                todo += self._edges[other]
        return frozenset(seen)


def _rests(node: _Node) -> bool:
    left, _, location = node
    return location in RESTING and (location != END or not left)
