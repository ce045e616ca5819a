"""What calls return, worked out from the model: one after another, and all at once.

**One after another.**  A single caller makes up to four calls on a process object that came about
in one of the design's ways.  The kernel does nothing of its own accord but what a call waits for:
the process runs until a Wait stands waiting, and then it ends.  There is no other child, and nobody
takes a number that is free.  So every sequence has exactly one outcome.

**All at once.**  The outcomes that the calls of several threads can have together, over every
interleaving, each with a shortest run that shows it.

    >>> from lastref.model.designs import get
    >>> run(get("go-2024"), {}, ("wait", "signal")).outcomes
    ('ok', 'EPD')
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lastref.model.designs import way_in
from lastref.model.kernel import GONE
from lastref.model.system import KERNEL, Scenario, State, Step, System, Thread, Values
from lastref.model.table import RESTING, Table

METHODS = ("wait", "signal", "kill", "foreign", "release")
"""The calls of a sequence: Wait, Signal(0), Kill, Signal of a type that is no signal, Release."""
LETTERS = {"wait": "W", "signal": "S", "kill": "K", "foreign": "F", "release": "R"}
LONGEST = 4
"""The longest sequences of a whole outcome table."""
HANG = "hang"
"""The outcome of a call that waits for something which cannot happen."""
WHEN_AWAITED = ("exit", "autoreap")
"""What the kernel does when, and only when, a call waits for it."""

Outcomes = tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """A sequence of calls: the outcome of each, and the laws that were broken on the way.

    After a panic or a hang there are no more calls: ``outcomes`` ends with it.
    """

    calls: tuple[str, ...]
    outcomes: Outcomes
    broken: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def last(self) -> str:
        """The outcome of the last call that was made."""
        return self.outcomes[-1]

    @property
    def complete(self) -> bool:
        """Whether every call was made and returned."""
        return len(self.outcomes) == len(self.calls) and not ends_thread(self.last)

    @property
    def name(self) -> str:
        """The calls as letters: ``W;R;S``."""
        return ";".join(LETTERS.get(c, c) for c in self.calls)


def ends_thread(outcome: str) -> bool:
    """Return whether nothing comes after ``outcome``: a panic, or a call that never returns."""
    return outcome.startswith("panic:") or outcome in (HANG, "blocked")


class Caller:
    """A single caller of ``table``: what each call does to the shared variables, found out once."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._starts: dict[tuple[tuple[str, int], ...], Values] = {}
        self._systems: dict[str, System] = {}
        self._calls: dict[tuple[Values, str], tuple[Step, ...]] = {}

    def start(self, initial: Mapping[str, int]) -> Values:
        """Return the shared variables where a sequence begins."""
        values = {**_alone(self.table), **initial}
        wanted = tuple(sorted(values.items()))
        if wanted not in self._starts:
            self._starts[wanted] = System(self.table, Scenario((), values)).initial[0]
        return self._starts[wanted]

    def run(self, initial: Mapping[str, int], calls: tuple[str, ...]) -> Run:
        """Make ``calls`` one after another from ``initial``, and return what came of it."""
        shared = self.start(initial)
        steps: list[Step] = []
        outcomes: list[str] = []
        for method in calls:
            taken = self.call(shared, method)
            outcomes.append(_outcome(taken))
            steps += taken
            if ends_thread(outcomes[-1]):
                break
            shared = taken[-1].state[0]
        broken = dict.fromkeys(s.broken for s in steps if s.broken is not None)
        return Run(calls, tuple(outcomes), tuple(broken), tuple(steps))

    def call(self, shared: Values, method: str) -> tuple[Step, ...]:
        """Return the steps of one call of ``method``; they stop short if it never returns."""
        known = self._calls.get((shared, method))
        if known is None:
            known = self._calls[shared, method] = tuple(self._steps(shared, method))
        return known

    def _steps(self, shared: Values, method: str) -> Iterator[Step]:
        if method not in self._systems:
            caller = Scenario((Thread("T", (method,)),))
            self._systems[method] = System(self.table, caller)
        system = self._systems[method]
        state: State = (shared, system.initial[1])
        while not system.is_done(state[1][0], 0):
            step = _next(system, state)
            if step is None:
                return
            yield step
            state = step.state


def run(table: Table, initial: Mapping[str, int], calls: tuple[str, ...]) -> Run:
    """Make ``calls`` one after another on ``table`` from ``initial``, and return what came of it.

    Raises :class:`~lastref.model.table.DesignError` if the table has no such method or variable.
    """
    return Caller(table).run(initial, calls)


def _outcome(steps: tuple[Step, ...]) -> str:
    """Return what the call of ``steps`` returned: the outcome fixed last, if it returned."""
    own = [s.command for s in steps if s.actor != KERNEL and s.command is not None]
    if not own or own[-1].to not in RESTING:
        return HANG
    return next((c.outcome for c in reversed(own) if c.outcome is not None), "nil")


def _alone(table: Table) -> dict[str, int]:
    """Return the values that say there is no other child of ours to be reaped by mistake."""
    names = {v.name for v in table.shared}
    by_pid = {"bystander", "pid_owner"} <= names
    return {"bystander": GONE} if by_pid else {}


def _next(system: System, state: State) -> Step | None:
    """Return the caller's step; if he waits, what he waits for; ``None`` if it cannot happen."""
    own = system.thread_steps(state, 0)
    if own:
        assert len(own) == 1, f"{system.table.id} chooses by itself at {own[0].name}"
        return own[0]
    return next((s for s in system.kernel_steps(state) if s.name in WHEN_AWAITED), None)


def sequences(longest: int = LONGEST, methods: tuple[str, ...] = METHODS) -> Iterator[Outcomes]:
    """Yield every sequence of up to ``longest`` calls, shortest first."""
    for length in range(1, longest + 1):
        yield from itertools.product(methods, repeat=length)


@dataclass(frozen=True)
class Column:
    """What a start comes to: the outcome of making the object, and of every sequence on it."""

    start: str
    platform: str
    made: str
    runs: tuple[Run, ...]


def outcome_table(table: Table, longest: int = LONGEST) -> tuple[Column, ...]:
    """Return what every sequence of up to ``longest`` calls comes to, from every start.

    A sequence is left out if nothing of it is new: one of its beginnings ended in a panic or a
    hang.  A start that the design refuses has no runs.
    """
    methods = tuple(m for m in METHODS if m in table.methods)
    columns = []
    callers: dict[str, Caller] = {}
    for start in (*table.starts, *table.elsewhere, *table.refuses):
        way = way_in(table, start)
        if way.table is None:
            columns.append(Column(start, table.platform, way.outcome, ()))
            continue
        caller = callers.setdefault(way.table.platform, Caller(way.table))
        runs = tuple(_runs(caller, way.initial, methods, longest))
        columns.append(Column(start, way.table.platform, way.outcome, runs))
    return tuple(columns)


def _runs(
    caller: Caller, initial: Mapping[str, int], methods: tuple[str, ...], longest: int
) -> Iterator[Run]:
    """Yield the runs of all sequences, the shortest first."""
    going: list[tuple[str, ...]] = [()]
    for _ in range(longest):
        done = [caller.run(initial, (*calls, method)) for calls in going for method in methods]
        yield from done
        going = [r.calls for r in done if r.complete]


@dataclass(frozen=True)
class Ending:
    """The outcomes of all calls of every thread in one interleaving, and a shortest such run."""

    outcomes: Mapping[str, Outcomes]
    steps: tuple[Step, ...]


_Told = tuple[tuple[Outcomes, str | None], ...]
_Node = tuple[State, _Told]


def endings(system: System) -> tuple[Ending, ...]:
    """Return everything that the calls of ``system`` can return together, shortest runs first.

    The search is over states together with the outcomes so far.  It follows a step that breaks a
    law, for what a caller sees does not end there.
    """
    threads = system.scenario.threads
    start: _Node = (system.initial, tuple(((), None) for _ in threads))
    came: dict[_Node, tuple[_Node, Step] | None] = {start: None}
    queue: deque[_Node] = deque([start])
    found: dict[tuple[Outcomes, ...], Ending] = {}
    while queue:
        node = queue.popleft()
        state, told = node
        if system.at_rest(state):
            outcomes = tuple(done for done, _ in told)
            if outcomes not in found:
                named = {t.name: o for t, o in zip(threads, outcomes, strict=True)}
                found[outcomes] = Ending(named, _path(came, node))
            continue
        for step in system.steps(state):
            after = (step.state, _told(system, told, step))
            if after not in came:
                came[after] = (node, step)
                queue.append(after)
    return tuple(found.values())


def _told(system: System, told: _Told, step: Step) -> _Told:
    """Return the outcomes after ``step``: one more if it ends a call."""
    index = next((i for i, t in enumerate(system.scenario.threads) if t.name == step.actor), None)
    if index is None or step.command is None:
        return told
    done, current = told[index]
    current = step.command.outcome or current
    if step.command.to in RESTING:
        done, current = (*done, current or "nil"), None
    return (*told[:index], (done, current), *told[index + 1 :])


def _path(came: Mapping[_Node, tuple[_Node, Step] | None], node: _Node) -> tuple[Step, ...]:
    steps: list[Step] = []
    while (before := came[node]) is not None:
        node, step = before
        steps.append(step)
    return tuple(reversed(steps))
