"""Bounded model checking: one formula for all runs of so many steps, and z3 chooses the schedule.

    step 0          step 1          step 2                    who steps, and by which command, are
    s₀ ──choice₀──▶ s₁ ──choice₁──▶ s₂ ──choice₂──▶ broken    variables like any others

For a number of steps that grows by one, z3 is asked for a run whose last step breaks the law.  The
first answer is a shortest run; its length is what the explorer's breadth-first search finds, by
other means altogether.  The words are 64 bits here as they are there.

This finds bugs and cannot show their absence: the cost about doubles with every step.

Source: Biere, Cimatti, Clarke, Zhu, Symbolic model checking without BDDs (1999).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import z3

from lastref.model.proof import REFUTED, UNKNOWN
from lastref.model.smt import Term, Terms, constant, domain, number, translate
from lastref.model.system import KERNEL, Scenario, System
from lastref.model.table import END, Command, DesignError, Law, Table

Spot = tuple[int, str]
"""Where a thread is: the position of its call, and the location."""
Progress = Callable[[int, float], None]
"""Called with each number of steps that was ruled out, and the seconds so far."""


@dataclass(frozen=True)
class Choice:
    """An actor's command, from a spot to a spot (``None``: the kernel's)."""

    actor: str
    command: Command
    thread: int | None
    at: Spot | None
    to: Spot | None


@dataclass(frozen=True)
class Bounded:
    """What a bounded search found: a shortest schedule, or that there is none up to ``depth``.

    ``verdict`` is ``refuted`` or ``unknown``: a bounded search proves nothing.
    """

    verdict: str
    law: str
    depth: int
    seconds: float
    schedule: tuple[tuple[str, str], ...] = ()


class Unrolling:
    """A system unrolled step by step in one incremental solver."""

    def __init__(self, table: Table, scenario: Scenario, law: Law) -> None:
        if law.kind not in ("must", "always"):
            raise DesignError(
                f"the law '{law.id}' is not for a bounded search",
                f"it is of kind '{law.kind}'",
                "ask for one that a command or a state can break",
            )
        self.table, self.scenario, self.law = table, scenario, law
        System(table, scenario)  # refuses unknown names, with their remedy
        self.choices = tuple(self._choices())
        self.spots = [self._spots(i) for i in range(len(scenario.threads))]
        self.solver = z3.SolverFor("QF_FD")
        self.values: list[Terms] = [self._declared(0)]
        self.at: list[list[dict[Spot, Term]]] = [self._placed(0)]
        self.taken: list[dict[Choice, Term]] = []
        self._start()

    def _choices(self) -> Iterator[Choice]:
        for i, thread in enumerate(self.scenario.threads):
            for position, call in enumerate(thread.calls):
                if "|" in call:
                    raise DesignError(
                        f"thread {thread.name} picks its method",
                        "a bounded search is asked about one choice of methods",
                        "name one method for each call",
                    )
                for c in self.table.commands:
                    assert c.at is not None
                    yield Choice(thread.name, c, i, (position, c.at), self._goes(i, position, c))
        allowed = self.scenario.adversary
        for c in self.table.kernel:
            if allowed is None or c.name in allowed:
                yield Choice(KERNEL, c, None, None, None)

    def _goes(self, thread: int, position: int, c: Command) -> Spot:
        assert c.to is not None
        calls = self.scenario.threads[thread].calls
        if c.to == END and position + 1 < len(calls):
            return position + 1, self.table.methods[calls[position + 1]]
        return position, c.to

    def _spots(self, thread: int) -> list[Spot]:
        """Return the spots that the thread can come to."""
        calls = self.scenario.threads[thread].calls
        found = [(0, self.table.methods[calls[0]])]
        for spot in found:
            goes = [c.to for c in self.choices if c.thread == thread and c.at == spot]
            found += [to for to in dict.fromkeys(goes) if to is not None and to not in found]
        return found

    def _declared(self, step: int) -> Terms:
        names = {v.name: constant(f"{v.name}@{step}", v.width) for v in self.table.shared}
        for i in range(len(self.scenario.threads)):
            names |= {
                f"{i}.{v.name}": constant(f"{i}.{v.name}@{step}", v.width) for v in self.table.local
            }
        return names

    def _placed(self, step: int) -> list[dict[Spot, Term]]:
        return [
            {spot: z3.Bool(f"at{i}{spot}@{step}") for spot in spots}
            for i, spots in enumerate(self.spots)
        ]

    def _start(self) -> None:
        for v in self.table.shared:
            value = self.scenario.initial.get(v.name, v.initial)
            self.solver.add(self.values[0][v.name] == number(value, v.width))
        for i, spots in enumerate(self.spots):
            for v in self.table.local:
                self.solver.add(self.values[0][f"{i}.{v.name}"] == number(0, v.width))
            for n, spot in enumerate(spots):
                self.solver.add(self.at[0][i][spot] == (n == 0))

    def _names(self, step: int, choice: Choice) -> Terms:
        """Return the values as the actor of a choice sees them."""
        values = self.values[step]
        own = (
            {v.name: values[f"{choice.thread}.{v.name}"] for v in self.table.local}
            if choice.thread is not None
            else {}
        )
        return {**values, **own}

    def extend(self) -> list[Term]:
        """Add one more step; return, for each choice, that it is taken and breaks the law."""
        step = len(self.taken)
        taken = {c: z3.Bool(f"take{n}@{step}") for n, c in enumerate(self.choices)}
        self.taken.append(taken)
        self.solver.add(z3.PbEq([(t, 1) for t in taken.values()], 1))
        broken = []
        for c, t in taken.items():
            names = self._names(step, c)
            musts = {m.law: translate(m.holds, names) for m in reversed(c.command.must)}
            mine = musts.pop(self.law.id, None)
            if mine is not None:
                broken.append(z3.And(t, z3.Not(mine)))
            # As in the explorer, a step that breaks another obligation is not followed.
            possible = [self._is_at(step, c), translate(c.command.guard, names), *musts.values()]
            self.solver.add(z3.Implies(t, z3.And(*possible)))
        self._follow(step, taken)
        if self.law.kind == "always":
            broken.append(z3.Not(translate(self.law.holds, self.values[step + 1])))
        return broken

    def _is_at(self, step: int, choice: Choice) -> Term:
        if choice.thread is None or choice.at is None:
            return z3.BoolVal(True)
        return self.at[step][choice.thread].get(choice.at, z3.BoolVal(False))

    def _follow(self, step: int, taken: dict[Choice, Term]) -> None:
        """Say what the values and the places are after a step."""
        after, placed = self._declared(step + 1), self._placed(step + 1)
        self.values.append(after)
        self.at.append(placed)
        new = dict(self.values[step])
        for c, t in taken.items():
            names = self._names(step, c)
            for name, value in c.command.update:
                key = f"{c.thread}.{name}" if f"{c.thread}.{name}" in new else name
                new[key] = z3.If(t, translate(value, names), new[key])
        for name, term in after.items():
            self.solver.add(term == new[name])
        self.solver.add(*domain(self.table.shared, after))
        for i, spots in enumerate(placed):
            moving = z3.Or(*(t for c, t in taken.items() if c.thread == i))
            for spot, term in spots.items():
                arrives = [t for c, t in taken.items() if c.thread == i and c.to == spot]
                stays = z3.And(self.at[step][i][spot], z3.Not(moving))
                self.solver.add(term == z3.Or(stays, *arrives))

    def schedule(self, model: z3.ModelRef) -> tuple[tuple[str, str], ...]:
        """Return who takes which command in ``model``."""
        found = []
        for taken in self.taken:
            choice = next(c for c, t in taken.items() if z3.is_true(model[t]))
            found.append((choice.actor, choice.command.name))
        return tuple(found)


def shortest(
    table: Table,
    scenario: Scenario,
    law: Law,
    *,
    depth: int = 24,
    timeout_ms: int = 1_200_000,
    progress: Progress | None = None,
) -> Bounded:
    """Return a shortest run of at most ``depth`` steps whose last step breaks ``law``.

    Raises :class:`~lastref.model.table.DesignError` for a law about steps or about the end, and for
    threads that pick their methods.
    """
    began = perf_counter()
    unrolling = Unrolling(table, scenario, law)
    unrolling.solver.set("timeout", timeout_ms)
    for step in range(1, depth + 1):
        # A name for the goal: older versions of z3's solver assume literals only.
        goal = z3.Bool(f"broken@{step}")
        unrolling.solver.add(goal == z3.Or(*unrolling.extend()))
        answer = unrolling.solver.check(goal)
        seconds = perf_counter() - began
        if answer == z3.sat:
            schedule = unrolling.schedule(unrolling.solver.model())
            return Bounded(REFUTED, law.id, step, seconds, schedule)
        if answer == z3.unknown:
            return Bounded(UNKNOWN, law.id, step - 1, seconds)
        unrolling.solver.add(z3.Not(goal))
        if progress is not None:
            progress(step, seconds)
    return Bounded(UNKNOWN, law.id, depth, perf_counter() - began)


def walk(table: Table, scenario: Scenario, schedule: Sequence[tuple[str, str]]) -> str | None:
    """Walk ``schedule`` through the explorer's system; return the law that its last step breaks.

    Raises :class:`~lastref.model.table.DesignError` at a step that the system does not allow.
    """
    system = System(table, scenario)
    state, broken = system.initial, None
    for number_, (actor, name) in enumerate(schedule, 1):
        steps = [s for s in system.steps(state) if (s.actor, s.name) == (actor, name)]
        if not steps:
            raise DesignError(
                f"step {number_} of the schedule is {actor} by {name}",
                "the system does not allow it there",
                "compare the schedule with the table",
            )
        state, broken = steps[0].state, steps[0].broken
    return broken
