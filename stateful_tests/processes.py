"""A process object of a design in motion: threads come, each takes its steps, the laws are checked.

A thread that has yet to come takes no step, so whenever it comes the run is one of a scenario in
which it was there from the start: every run has a schedule string, and can be replayed.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping

from lastref.conformance.trace import record, walk
from lastref.model.explore import DEADLOCK
from lastref.model.system import KERNEL, Scenario, State, Step, System, scenario
from lastref.model.table import Law, Table


@functools.cache
def _idle(table: Table) -> System:
    """Return the system without threads: its commands are compiled once."""
    return System(table, Scenario(()))


class Process:
    """A process object, its threads and its part of the kernel, from some initial values.

    Its run is over when it breaks one of ``laws`` (all of the table's).
    """

    def __init__(
        self,
        table: Table,
        initial: Mapping[str, int] | None = None,
        adversary: Collection[str] | None = None,
        laws: Collection[Law] | None = None,
    ) -> None:
        chosen = table.laws if laws is None else laws
        self._scenario = functools.partial(scenario, initial=initial, adversary=adversary)
        self.system = _idle(table).under(self._scenario())
        self.state: State = self.system.initial
        self.taken: list[Step] = []
        self.broken: tuple[str, ...] = ()
        self._must = frozenset(law.id for law in chosen if law.kind == "must")
        self._always, self._step, self._rest = self.system.checkers(chosen)

    def __repr__(self) -> str:
        return self.schedule

    @property
    def schedule(self) -> str:
        """The run so far, as one string that can be replayed."""
        actors = (s.name if s.actor == KERNEL else s.actor for s in self.taken)
        return record(self.system, walk(self.system, actors)).schedule

    @property
    def threads(self) -> list[str]:
        """The names of the threads that have come."""
        return [t.name for t in self.system.scenario.threads]

    def call(self, calls: str) -> str:
        """Let a thread come that makes ``calls``, one after another; return its name."""
        before = self.system.scenario.threads
        every = (*(";".join(t.calls) for t in before), calls)
        self.system = self.system.under(self._scenario(*every))
        shared, threads = self.state
        self.state = shared, (*threads, *self.system.initial[1][len(threads) :])
        return self.threads[-1]

    def step(self, actor: str) -> Step | None:
        """Return the step that a thread or a command of the kernel can take, if it can take one."""
        if actor in self.threads:
            steps = self.system.thread_steps(self.state, self.threads.index(actor))
        else:
            steps = [s for s in self.system.kernel_steps(self.state) if s.name == actor]
        return steps[0] if steps else None

    def take(self, step: Step) -> None:
        """Take ``step``; ``broken`` are the laws broken by it or in the state it leads to."""
        before, self.state = self.state, step.state
        self.taken.append(step)
        if step.broken in self._must:
            self.broken = (step.broken,)
        else:
            broken = (*self._step(before, self.state), *self._always(self.state, self.state))
            self.broken = (*broken, *self._at_the_end())

    @property
    def over(self) -> bool:
        """Whether all threads are done."""
        return self.system.at_rest(self.state)

    def _at_the_end(self) -> tuple[str, ...]:
        if self.over:
            return self._rest(self.state, self.state)
        return () if self.system.steps(self.state) else (DEADLOCK,)
