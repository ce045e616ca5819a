"""Explicit-state search: every state of a system, breadth first, with the shortest counterexample.

This is the plain reference: no reduction, no hashing that loses states.  Whatever is faster is
checked against it.

The smallest case, one Release of go-2024 on a process that has ended, has five states:

    ok refs=1 ─ release.load ─▶ ─ release.cas.last ─▶ released refs=0 ─ release.close ─▶ closed
                                                                            reopen ─▶ recycled
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lastref.model.system import KERNEL, State, Step, System
from lastref.model.table import Law

DEADLOCK = "deadlock"
"""The law that no engine needs to be given: some thread can go on until all are done."""

Progress = Callable[[int, int, int], None]
"""Called now and then with the states found, the transitions taken and the depth reached."""


@dataclass(frozen=True)
class Counterexample:
    """A shortest run that breaks ``law``, by its last step or in the state that it leads to."""

    law: str
    initial: State
    steps: tuple[Step, ...]

    @property
    def schedule(self) -> tuple[tuple[str, str], ...]:
        """Who steps, and by which command."""
        return tuple((s.actor, s.name) for s in self.steps)


@dataclass
class Exploration:
    """What a search found.

    ``states`` and ``transitions`` are exact counts (a state is counted once, a transition for each
    step out of a state).  ``counterexamples`` has at most one for each law, the shortest.
    ``unseen`` are the ``sometimes`` laws that no run has shown.  ``complete`` says that there was
    nothing left to search.
    """

    states: int = 0
    transitions: int = 0
    resting: int = 0
    depth: int = 0
    counterexamples: dict[str, Counterexample] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()
    covered: frozenset[str] = frozenset()
    complete: bool = False

    @property
    def holds(self) -> bool:
        """Whether the search was complete and no law is broken."""
        return self.complete and not self.counterexamples


class Search:
    """A breadth-first search of ``system`` that remembers how it came to every state."""

    def __init__(self, system: System, laws: Iterable[Law] | None = None) -> None:
        self.system = system
        chosen = tuple(system.table.laws if laws is None else laws)
        self._must = frozenset(law.id for law in chosen if law.kind == "must")
        self._always, self._step, self._rest = system.checkers(chosen)
        sights = [law for law in chosen if law.kind == "sometimes"]
        self._by_command = {law.id: law.shown_by for law in sights if law.shown_by}
        self._by_state = {law.id: system.law_checker([law]) for law in sights if not law.shown_by}
        self._came: dict[State, tuple[State, str, str] | None] = {}

    def run(
        self,
        *,
        limit: int | None = None,
        stop_at: str | None = None,
        stop_beyond: frozenset[str] | None = None,
        progress: Progress | None = None,
    ) -> Exploration:
        """Search until nothing is left, ``limit`` states are found, or ``stop_at`` is broken.

        With ``stop_beyond``, the search stops at the first broken law that is not one of these.

        A step that breaks an obligation is recorded and not followed: what comes after it is not
        the design's doing.  Other broken laws are recorded and the search goes on.
        """
        system, found = self.system, Exploration()
        start = system.initial
        self._came = {start: None}
        queue: deque[tuple[State, int]] = deque([(start, 0)])
        covered: set[str] = set()
        pending = dict(self._by_state)
        self._look(start, found, pending)
        while queue:
            state, depth = queue.popleft()
            found.depth = depth
            steps = system.steps(state)
            found.transitions += len(steps)
            self._judge_end(state, steps, found)
            for step in steps:
                covered.add(step.name)
                if step.broken in self._must:
                    self._record(step.broken, state, step, found)
                    continue
                for law in self._step(state, step.state):
                    self._record(law, state, step, found)
                if step.state not in self._came:
                    self._came[step.state] = (state, step.actor, step.name)
                    self._look(step.state, found, pending)
                    queue.append((step.state, depth + 1))
                    if progress is not None and len(self._came) % 50_000 == 0:
                        progress(len(self._came), found.transitions, depth)
            if stop_at is not None and stop_at in found.counterexamples:
                break
            if stop_beyond is not None and found.counterexamples.keys() - stop_beyond:
                break
            if limit is not None and len(self._came) >= limit:
                break
        else:
            found.complete = True
        found.states = len(self._came)
        found.covered = frozenset(covered)
        unseen = [law for law, names in self._by_command.items() if not names & covered]
        found.unseen = tuple(sorted([*unseen, *pending]))
        return found

    def _look(
        self,
        state: State,
        found: Exploration,
        pending: dict[str, Callable[[State, State], tuple[str, ...]]],
    ) -> None:
        """Check the laws about states in a new state, and tick off the sights that it shows."""
        for law in self._always(state, state):
            self._record(law, state, None, found)
        for sight in [s for s, differs in pending.items() if not differs(state, state)]:
            del pending[sight]

    def _judge_end(self, state: State, steps: list[Step], found: Exploration) -> None:
        system = self.system
        if system.at_rest(state):
            found.resting += 1
            for law in self._rest(state, state):
                self._record(law, state, None, found)
        elif not steps:
            self._record(DEADLOCK, state, None, found)

    def _record(self, law: str, state: State, step: Step | None, found: Exploration) -> None:
        """Keep the run to ``state``, and on by ``step``, if it is the first that breaks ``law``."""
        if law not in found.counterexamples:
            path = self._path(state) if step is None else (*self._path(state), step)
            found.counterexamples[law] = Counterexample(law, self.system.initial, path)

    def _path(self, state: State) -> tuple[Step, ...]:
        """Return the steps by which the search came to ``state``, found again from its records."""
        steps: list[Step] = []
        came = self._came[state]
        while came is not None:
            before, actor, name = came
            steps.append(
                next(
                    s
                    for s in self.system.steps(before)
                    if s.actor == actor and s.name == name and s.state == state
                )
            )
            state, came = before, self._came[before]
        return tuple(reversed(steps))


def explore(
    system: System,
    laws: Iterable[Law] | None = None,
    *,
    limit: int | None = None,
    stop_at: str | None = None,
    progress: Progress | None = None,
) -> Exploration:
    """Search ``system`` for broken ``laws`` (all of its table's, unless given)."""
    return Search(system, laws).run(limit=limit, stop_at=stop_at, progress=progress)


__all__ = ["DEADLOCK", "KERNEL", "Counterexample", "Exploration", "Search", "explore"]
