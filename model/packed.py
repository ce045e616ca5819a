"""Thread symmetry by exact counting: how many threads stand where, packed into one big integer.

Threads that may still do the same are interchangeable, so a state is the shared values and, for
every local state, the number of threads in it.  Nothing is lost: a step moves one thread, and which
of several it is makes no difference.

    state = … n₂ n₁ n₀ shared        a field per local state, wide enough for all threads
    step of a thread from local 1 to local 2 that changes the shared values from 3 to 5:
    state + (1 << field 2) - (1 << field 1) + (5 - 3)

So a successor is one addition of a number that :class:`~lastref.model.local_steps.LocalSteps` has
decided once, with the laws.  Two threads that each pick Signal, Wait or Release have on go-2024
half of the plain search's states; five have 1 in 83.

A counterexample is turned back into a run with names: from the first state on, the first thread
that stands where the move needs one takes it, by :class:`~lastref.model.system.System`'s own steps.
A run is as short as the plain search's, for the same number of steps leads to the same counts.

Source: counter abstraction and symmetry reduction as in C. N. Ip and D. L. Dill, Better
verification through symmetry (1996); checked against :mod:`~lastref.model.explore`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from math import factorial, prod
from typing import NamedTuple

from lastref.model.explore import DEADLOCK, Counterexample, Exploration, Progress
from lastref.model.local_steps import LocalKey, LocalSteps, Move
from lastref.model.system import KERNEL, State, Step, System
from lastref.model.table import Law

_SHARED = 32
_LOW = (1 << _SHARED) - 1
_KERNEL = -1
_Addend = tuple[int, Move]


class _Ready(NamedTuple):
    """What can happen: all moves, the addends of those that lead on, those that break a law."""

    moves: tuple[_Addend, ...]
    deltas: tuple[int, ...]
    broken: tuple[Move, ...]
    at_rest: bool


class CountingSearch:
    """A breadth-first search of ``system`` that counts threads instead of telling them apart."""

    def __init__(self, system: System, laws: Iterable[Law] | None = None) -> None:
        self.system = system
        self._steps = LocalSteps(system, laws)
        self._width = len(system.scenario.threads).bit_length()
        self._came: dict[int, int] = {}
        self._moves: dict[tuple[int, int], tuple[_Addend, ...]] = {}
        self._stands: dict[int, tuple[int, ...]] = {}
        self._readies: dict[tuple[int, tuple[int, ...]], _Ready] = {}

    def run(
        self,
        *,
        limit: int | None = None,
        stop_at: str | None = None,
        progress: Progress | None = None,
    ) -> Exploration:
        """Search until nothing is left, ``limit`` states are found, or ``stop_at`` is broken.

        The counts of the result are of states and transitions up to the interchange of threads.
        """
        found, came, steps = Exploration(), self._came, self._steps
        stands, readies = self._stands, self._readies
        start = steps.initial_shared + sum(self._one(local) for local in steps.initial_locals)
        came.clear()
        came[start] = start
        level = [start]
        self._look(start, found)
        while level:
            behind: list[int] = []
            for state in level:
                shared, places = state & _LOW, state >> _SHARED
                stand = stands.get(places)
                if stand is None:
                    stand = stands[places] = self._standing(places)
                ready = readies.get((shared, stand)) or self._ready(shared, stand)
                found.transitions += len(ready.moves)
                if ready.at_rest:
                    found.resting += 1
                    for law in steps.rest_laws(shared):
                        self._record(law, state, None, found)
                elif not ready.moves:
                    self._record(DEADLOCK, state, None, found)
                for move in ready.broken:
                    for law in move.laws:
                        self._record(law, state, move, found)
                for delta in ready.deltas:
                    after = state + delta
                    if after not in came:
                        came[after] = state
                        behind.append(after)
                        if steps.state_laws[after & _LOW]:
                            self._look(after, found)
                        if progress is not None and len(came) % 50_000 == 0:
                            progress(len(came), found.transitions, found.depth)
                if stop_at is not None and stop_at in found.counterexamples:
                    break
                if limit is not None and len(came) >= limit:
                    break
            else:
                level = behind
                found.depth += bool(level)
                continue
            break
        else:
            found.complete = True
        found.states = len(came)
        found.covered = frozenset(steps.covered)
        found.unseen = steps.unseen
        return found

    def represented(self) -> int:
        """Return how many plain states the found ones stand for.

        Raises :class:`ValueError` unless all threads make the same calls: only then are the plain
        states of one state exactly the ways to hand its places out to the threads.
        """
        if len({thread.calls for thread in self.system.scenario.threads}) > 1:
            raise ValueError("threads with different calls are not counted by a multinomial")
        ways = factorial(len(self.system.scenario.threads))
        return sum(
            ways // prod(factorial(n) for n in self._counts(state).values()) for state in self._came
        )

    def most(self) -> dict[LocalKey, int]:
        """Return how many threads were ever at once in each local state."""
        most: Counter[int] = Counter()
        for places in self._stands:
            most |= self._counts(places << _SHARED)
        return {self._steps.keys[local]: many for local, many in most.items()}

    def projected(self, state: State) -> int:
        """Return the counted form of a plain state that the search has reached."""
        shared, threads = state
        holders = self.system.holders(state)
        return self._steps.shared.index((shared, holders)) + sum(
            self._one(self._steps.number(i, values)) for i, values in enumerate(threads)
        )

    def _one(self, local: int) -> int:
        return 1 << _SHARED + local * self._width

    def _counts(self, state: int) -> Counter[int]:
        counts: Counter[int] = Counter()
        rest, field = state >> _SHARED, (1 << self._width) - 1
        while rest:
            local = ((rest & -rest).bit_length() - 1) // self._width
            counts[local] = rest >> local * self._width & field
            rest &= ~(field << local * self._width)
        return counts

    def _standing(self, places: int) -> tuple[int, ...]:
        return tuple(self._counts(places << _SHARED))

    def _ready(self, shared: int, standing: tuple[int, ...]) -> _Ready:
        """Return what can happen where threads stand in these local states."""
        ready = self._readies.get((shared, standing))
        if ready is None:
            moves: list[_Addend] = []
            for local in (*standing, _KERNEL):
                if (shared, local) not in self._moves:
                    self._moves[shared, local] = self._addends(shared, local)
                moves += self._moves[shared, local]
            ready = _Ready(
                tuple(moves),
                tuple(delta for delta, m in moves if m.followed),
                tuple(m for _, m in moves if m.laws),
                all(self._steps.done[local] for local in standing),
            )
            self._readies[shared, standing] = ready
        return ready

    def _addends(self, shared: int, local: int) -> tuple[_Addend, ...]:
        """Return the moves of one thread at ``local``, or of the kernel, each with its addend."""
        if local == _KERNEL:
            moves = self._steps.kernel_moves(shared)
            return tuple((m.shared - shared if m.followed else 0, m) for m in moves)
        here = shared + self._one(local)
        return tuple(
            (m.shared + self._one(m.local) - here if m.followed else 0, m)
            for m in self._steps.moves(shared, local)
        )

    def _out_of(self, state: int) -> _Ready:
        return self._ready(state & _LOW, self._standing(state >> _SHARED))

    def _look(self, state: int, found: Exploration) -> None:
        for law in self._steps.state_laws[state & _LOW]:
            self._record(law, state, None, found)

    def _record(self, law: str, state: int, move: Move | None, found: Exploration) -> None:
        if law not in found.counterexamples:
            path = [state]
            while self._came[path[-1]] != path[-1]:
                path.append(self._came[path[-1]])
            steps = self._concrete(path[::-1], law if move is not None else None, move)
            found.counterexamples[law] = Counterexample(law, self.system.initial, steps)

    def _concrete(self, path: list[int], law: str | None, last: Move | None) -> tuple[Step, ...]:
        """Return a run of the plain system through the states ``path``, and on by ``last``."""
        state, steps = self.system.initial, []
        for before, after in pairwise(path):
            delta = after - before
            move = next(m for d, m in self._out_of(before).moves if m.followed and d == delta)
            steps.append(self._named(state, before, move, delta))
            state = steps[-1].state
        if last is not None:
            delta = next(d for d, m in self._out_of(path[-1]).moves if m is last)
            steps.append(self._named(state, path[-1], last, delta))
            if not last.followed and steps[-1].broken != law:
                raise AssertionError(f"the run with names does not break {law}: a bug in packed")
        return tuple(steps)

    def _named(self, state: State, packed: int, move: Move, delta: int) -> Step:
        """Return the first step of the plain system that does what ``move`` does."""
        for step in self.system.steps(state):
            if step.name != move.name or (step.actor == KERNEL) != (self._by_kernel(packed, move)):
                continue
            if not move.followed and step.broken in move.laws:
                return step
            if move.followed and self.projected(step.state) == packed + delta:
                return step
        raise AssertionError(f"nobody can take {move.name} in the run with names: a bug in packed")

    def _by_kernel(self, packed: int, move: Move) -> bool:
        return any(m is move for _, m in self._moves[packed & _LOW, _KERNEL])


def count_states(
    system: System,
    laws: Iterable[Law] | None = None,
    *,
    limit: int | None = None,
    stop_at: str | None = None,
    progress: Progress | None = None,
) -> Exploration:
    """Search ``system`` up to the interchange of threads; as :func:`~lastref.model.explore`."""
    return CountingSearch(system, laws).run(limit=limit, stop_at=stop_at, progress=progress)
