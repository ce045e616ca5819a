"""A table set in motion: some threads, the kernel, and every step they can take.

A state is a pair ``(shared, threads)``: a tuple with the values of the shared variables in the
table's order, and for each thread a tuple ``(place, *locals)``.  ``place`` is a location of the
table plus, for a thread that calls several methods in turn, how many have returned.

The commands of one location are compiled together to one Python function, from the same
expressions that the prover turns into z3 terms.  There is no second semantics to keep in step.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from lastref.model.algebra import BOOL, Expr, python_source
from lastref.model.table import (
    BLOCKED,
    END,
    HOLDERS,
    PANICKED,
    Command,
    DesignError,
    Law,
    Table,
)

Values = tuple[int, ...]
State = tuple[Values, tuple[Values, ...]]
KERNEL = "kernel"
"""The actor of the kernel's and the adversary's commands."""
PICK = "pick"
"""Where a thread is that has yet to choose its method."""


@dataclass(frozen=True)
class Thread:
    """A thread: its name, and the methods it calls one after another.

    Each element of ``calls`` is a method, or several joined by ``|`` of which the thread picks one.
    """

    name: str
    calls: tuple[str, ...]


@dataclass(frozen=True)
class Scenario:
    """Which threads run on a design, from which initial values, against which adversary.

    ``initial`` overrides initial values of shared variables.  ``adversary`` names the kernel
    commands that may happen (``None``: all).  The commands in ``urgent`` happen as soon as they
    can, before anything else: the strongest moment for recycling, and one schedule instead of many.
    """

    threads: tuple[Thread, ...]
    initial: Mapping[str, int] = field(default_factory=dict)
    adversary: frozenset[str] | None = None
    urgent: frozenset[str] = frozenset()


def scenario(
    *calls: str,
    initial: Mapping[str, int] | None = None,
    adversary: Iterable[str] | None = None,
    urgent: Iterable[str] = (),
) -> Scenario:
    """Return a scenario with a thread per argument: ``"wait"``, ``"wait;kill"``, ``"wait|kill"``.

    A thread is named for the capital of its first method and counted: W1, S1, S2, R1; one that
    picks its method is T1, T2, ….
    """
    counts: dict[str, int] = {}
    threads = []
    for call in calls:
        methods = tuple(call.split(";"))
        letter = "T" if "|" in methods[0] else methods[0][:1].upper()
        counts[letter] = counts.get(letter, 0) + 1
        threads.append(Thread(f"{letter}{counts[letter]}", methods))
    allowed = None if adversary is None else frozenset(adversary)
    return Scenario(tuple(threads), dict(initial or {}), allowed, frozenset(urgent))


class Step(NamedTuple):
    """One step: who took it, which command, the state after it, and the obligation it broke."""

    actor: str
    command: Command | None
    state: State
    broken: str | None

    @property
    def name(self) -> str:
        """The command's name, or ``pick`` for a thread that chose its method."""
        return PICK if self.command is None else self.command.name


# What a compiled location returns for each command that is enabled there: the command's index, the
# shared values and the locals after it, the index of the next location, the index of a broken law.
_Move = tuple[int, Values, Values, int, int]


LawChecker = Callable[[State, State], tuple[str, ...]]
"""A function of the states before and after a step: the ids of the laws that are broken."""


class Checkers(NamedTuple):
    """What checks the laws of a table, by their kinds; a state alone is given twice."""

    always: LawChecker
    step: LawChecker
    rest: LawChecker


class System:
    """A table with a scenario: the transition system that every engine explores.

    Raises :class:`~lastref.model.table.DesignError` if the scenario names a method, a variable or a
    kernel command that the table does not have.
    """

    def __init__(self, table: Table, scenario: Scenario) -> None:
        self.table = table
        self.scenario = scenario
        self.locations = (*table.locations, PICK)
        self._index = {name: i for i, name in enumerate(self.locations)}
        self._laws = tuple(law.id for law in table.laws)
        self._commands = (*table.commands, *table.kernel)
        self._check()
        self._moves = _compile(self)
        self._kernel = self._compile_kernel()
        self._holding = frozenset(self._index[name] for name in table.holding)
        self.initial = self._initial()

    def under(self, scenario: Scenario) -> System:
        """Return the same table under another scenario; its commands are not compiled again."""
        other = copy.copy(self)
        other.scenario = scenario
        other._check()
        if scenario.adversary != self.scenario.adversary:
            other._kernel = other._compile_kernel()
        other.initial = other._initial()
        return other

    def _check(self) -> None:
        table = self.table
        methods = {m for t in self.scenario.threads for call in t.calls for m in call.split("|")}
        for what, given, known in (
            ("method", methods, table.methods.keys()),
            ("shared variable", self.scenario.initial.keys(), {v.name for v in table.shared}),
            (
                "kernel command",
                self.scenario.urgent | (self.scenario.adversary or frozenset()),
                {c.name for c in table.kernel},
            ),
        ):
            unknown = sorted(set(given) - set(known))
            if unknown:
                raise DesignError(
                    f"{table.id} ({table.platform}) has no {what} '{unknown[0]}'",
                    f"it has {', '.join(sorted(known)) or 'none'}",
                    "use one of these",
                )

    def _initial(self) -> State:
        overrides = self.scenario.initial
        values = tuple(_typed(v.width, overrides.get(v.name, v.initial)) for v in self.table.shared)
        parked = tuple(_typed(v.width, 0) for v in self.table.local)
        return values, tuple((self._begin(thread, 0), *parked) for thread in self.scenario.threads)

    def _begin(self, thread: Thread, position: int) -> int:
        call = thread.calls[position]
        where = PICK if "|" in call else self.table.methods[call]
        return self._index[where] + position * len(self.locations)

    def location(self, place: int) -> str:
        """Return the name of the location in ``place``."""
        return self.locations[place % len(self.locations)]

    def locations_of(self, state: State) -> dict[str, str]:
        """Return where each thread is in ``state``."""
        return {
            t.name: self.location(values[0])
            for t, values in zip(self.scenario.threads, state[1], strict=True)
        }

    def values_of(self, state: State) -> dict[str, int]:
        """Return the shared variables of ``state``, and ``holders``, by name."""
        named = {v.name: value for v, value in zip(self.table.shared, state[0], strict=True)}
        named[HOLDERS.name] = self.holders(state)
        return named

    def holders(self, state: State) -> int:
        """Return how many threads hold a transient reference in ``state``."""
        size = len(self.locations)
        return sum(1 for thread in state[1] if thread[0] % size in self._holding)

    def is_done(self, thread: Values, index: int) -> bool:
        """Return whether the thread at ``index`` has returned from its last call, or never will."""
        name = self.location(thread[0])
        if name in (PANICKED, BLOCKED):
            return True
        calls = self.scenario.threads[index].calls
        return name == END and thread[0] // len(self.locations) == len(calls) - 1

    def at_rest(self, state: State) -> bool:
        """Return whether all threads are done in ``state``."""
        return all(self.is_done(thread, i) for i, thread in enumerate(state[1]))

    def thread_steps(self, state: State, index: int) -> list[Step]:
        """Return the steps that the thread at ``index`` can take in ``state``."""
        shared, threads = state
        place, *rest = threads[index]
        size = len(self.locations)
        position, here = divmod(place, size)
        thread = self.scenario.threads[index]
        before, behind = threads[:index], threads[index + 1 :]
        if self.locations[here] == PICK:
            return [
                Step(
                    thread.name,
                    None,
                    (
                        shared,
                        (
                            *before,
                            (self._index[self.table.methods[m]] + position * size, *rest),
                            *behind,
                        ),
                    ),
                    None,
                )
                for m in thread.calls[position].split("|")
            ]
        steps = []
        for number, after, locals_after, to, law in self._moves[here](shared, tuple(rest)):
            if self.locations[to] == END and position + 1 < len(thread.calls):
                goes = self._begin(thread, position + 1)
            else:
                goes = to + position * size
            state_after = (after, (*before, (goes, *locals_after), *behind))
            broken = None if law < 0 else self._laws[law]
            steps.append(Step(thread.name, self._commands[number], state_after, broken))
        return steps

    def enabled(
        self, location: str, shared: Values, local: Values
    ) -> list[tuple[Command, Values, Values]]:
        """Return the commands that a thread at ``location`` can take, and the values after each.

        What a thread can do depends on these values alone; empty for no such location.
        """
        here = self._index.get(location)
        if here is None:
            return []
        moves = self._moves[here](shared, local)
        return [(self._commands[number], s, own) for number, s, own, _, _ in moves]

    def kernel_steps(self, state: State, *, urgent: bool = False) -> list[Step]:
        """Return what the kernel can do in ``state``; with ``urgent``, only what may not wait."""
        shared, threads = state
        steps = []
        for c, move in self._kernel:
            if urgent and c.name not in self.scenario.urgent:
                continue
            for _, after, _, _, law in move(shared, ()):
                broken = None if law < 0 else self._laws[law]
                steps.append(Step(KERNEL, c, (after, threads), broken))
        return steps

    def steps(self, state: State) -> list[Step]:
        """Return every step out of ``state``: an urgent one alone, else all there are."""
        if self.scenario.urgent:
            urgent = self.kernel_steps(state, urgent=True)
            if urgent:
                return urgent[:1]
        found = []
        for index in range(len(state[1])):
            found += self.thread_steps(state, index)
        return found + self.kernel_steps(state)

    def law_checker(self, laws: Iterable[Law]) -> LawChecker:
        """Return a function of the states before and after a step: the laws that are broken.

        The laws may speak of shared variables, of ``holders`` and of primed variables.  For a law
        about states alone, pass the state twice.
        """
        laws = tuple(laws)
        names = {v.name: f"v[{i}]" for i, v in enumerate(self.table.shared)}
        names |= {f"{v.name}'": f"w[{i}]" for i, v in enumerate(self.table.shared)}
        names[HOLDERS.name] = "h"
        tests = [eval(f"lambda v, w, h: {python_source(law.holds, names)}") for law in laws]
        pairs = tuple(zip((law.id for law in laws), tests, strict=True))

        def check(state: State, after: State) -> tuple[str, ...]:
            if not pairs:
                return ()
            holders = self.holders(state)
            return tuple(law for law, test in pairs if not test(state[0], after[0], holders))

        return check

    def checkers(self, laws: Iterable[Law]) -> Checkers:
        """Return what checks the laws about states, about steps and about rest, of ``laws``."""
        chosen = tuple(laws)
        kinds = ("always", "step", "rest")
        return Checkers(*(self.law_checker(x for x in chosen if x.kind == kind) for kind in kinds))

    def _compile_kernel(self) -> list[tuple[Command, Callable[[Values, Values], list[_Move]]]]:
        allowed = self.scenario.adversary
        return [
            (c, _function(self, f"kernel_{i}", [c]))
            for i, c in enumerate(self.table.kernel)
            if allowed is None or c.name in allowed
        ]


def _typed(width: int, value: int) -> int:
    return bool(value) if width == BOOL else int(value)


def _compile(system: System) -> list[Callable[[Values, Values], list[_Move]]]:
    table = system.table
    return [
        _function(system, f"at_{i}", table.leaving.get(name, ()))
        for i, name in enumerate(system.locations)
    ]


def _function(
    system: System, name: str, commands: Iterable[Command]
) -> Callable[[Values, Values], list[_Move]]:
    """Compile ``commands`` to one function of the shared and local values: the moves they allow."""
    source = _source(system, name, commands)
    scope: dict[str, Callable[[Values, Values], list[_Move]]] = {}
    exec(source, scope)
    return scope[name]


def _source(system: System, name: str, commands: Iterable[Command]) -> str:
    table = system.table
    commands = tuple(commands)
    shared = [v.name for v in table.shared]
    local = [v.name for v in table.local]
    spelled = {n: f"s_{n}" for n in shared} | {n: f"l_{n}" for n in local}
    used = frozenset().union(*(c.reads for c in commands)) if commands else frozenset()
    lines = [f"def {name}(S, L):"]
    lines += [f" s_{n} = S[{i}]" for i, n in enumerate(shared) if n in used]
    lines += [f" l_{n} = L[{i}]" for i, n in enumerate(local) if n in used]
    lines.append(" moves = []")
    for c in commands:
        updates = dict(c.update)
        number = system._commands.index(c)
        to = system._index[c.to] if c.to is not None else -1
        lines.append(f" if {python_source(c.guard, spelled)}:")
        lines.append(
            f"  moves.append(({number}, {_values('S', shared, updates, spelled)},"
            f" {_values('L', local, updates, spelled)}, {to}, {_broken(system, c, spelled)}))"
        )
    lines.append(" return moves")
    return "\n".join(lines) + "\n"


def _values(
    whole: str, names: list[str], updates: Mapping[str, Expr], spelled: Mapping[str, str]
) -> str:
    """Return source for the tuple after the updates; the tuple itself where nothing changes."""
    if not any(n in updates for n in names):
        return whole
    parts = (
        python_source(updates[n], spelled) if n in updates else f"{whole}[{i}]"
        for i, n in enumerate(names)
    )
    return f"({', '.join(parts)},)"


def _broken(system: System, c: Command, spelled: Mapping[str, str]) -> str:
    """Return source for the index of the first obligation that fails, or -1."""
    source = "-1"
    for must in reversed(c.must):
        law = system._laws.index(must.law)
        source = f"({source} if {python_source(must.holds, spelled)} else {law})"
    return source
