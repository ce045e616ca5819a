"""A design as a Hypothesis state machine: the scheduler and the kernel are the adversary.

Hypothesis chooses who calls what, and at every step who goes next, the kernel's adversary included.
A law that breaks ends the run with the schedule as one string, and the command that replays it.
"""

from __future__ import annotations

from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from lastref.conformance.trace import record
from lastref.model.system import KERNEL, State, Step, System, scenario
from lastref.model.table import Table


def mixes(methods: list[str], *, most: int = 4) -> st.SearchStrategy[list[str]]:
    """Return a strategy of threads that draw from a few of ``methods``: a swarm of mixes.

    Leaving some methods out of a run altogether finds what all of them together hide (Groce and
    others, "Swarm testing", 2012).
    """
    few = st.lists(st.sampled_from(methods), min_size=1, max_size=len(methods), unique=True)
    return few.flatmap(lambda some: st.lists(st.sampled_from(some), min_size=1, max_size=most))


class DesignMachine(RuleBasedStateMachine):
    """One run of ``table`` under a schedule that Hypothesis chooses; subclasses name the table."""

    table: ClassVar[Table]
    calls: ClassVar[st.SearchStrategy[list[str]]]
    only: ClassVar[tuple[str, str] | None] = None
    """The law and the last command to fail on, where a run is meant to break it in that way."""
    last_failure: ClassVar[list[str]] = []

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Step] = []

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Choose the threads and what they call."""
        calls = data.draw(type(self).calls, "threads")
        self.system = System(self.table, scenario(*calls))
        laws = self.table.laws
        self.always = self.system.law_checker(law for law in laws if law.kind == "always")
        self.step_laws = self.system.law_checker(law for law in laws if law.kind == "step")
        self.rest = self.system.law_checker(law for law in laws if law.kind == "rest")
        self.state: State = self.system.initial
        self.enabled = self.system.steps(self.state)
        self.actors = [t.name for t in self.system.scenario.threads]
        self.actors += [c.name for c in self.table.kernel]
        self.prepare()
        self.settle()

    def prepare(self) -> None:
        """Set up what a subclass runs beside the model."""

    @rule(turn=st.integers(0, 11))
    def step(self, turn: int) -> None:
        """Let the actor whose turn it is take its step, if it can take one.

        A turn is a number and not a choice among those who can step, so that a turn that is left
        out leaves the others what they were: that is what lets a run shrink.
        """
        if turn >= len(self.actors):
            return
        mine = [s for s in self.enabled if self.actor_of(s) == self.actors[turn]]
        for step in mine[:1]:
            self.take(step)

    @staticmethod
    def actor_of(step: Step) -> str:
        """Return the thread that takes ``step``, or the kernel's command."""
        return step.name if step.actor == KERNEL else step.actor

    def take(self, step: Step) -> None:
        """Take ``step``, and check the laws about it and about the state it leads to."""
        self.taken.append(step)
        if step.broken is not None:
            self.fail((step.broken,))
        self.fail(self.step_laws(self.state, step.state))
        self.after(step)
        self.state = step.state
        self.enabled = self.system.steps(self.state)
        self.settle()

    def after(self, step: Step) -> None:
        """Do what a subclass does beside the model for ``step``."""

    def settle(self) -> None:
        """Check what must hold of the state that was reached."""
        self.fail(self.always(self.state, self.state))
        if self.system.at_rest(self.state):
            self.fail(self.rest(self.state, self.state))
        elif not self.enabled:
            self.fail(("deadlock",))

    def fail(self, laws: tuple[str, ...]) -> None:
        """Fail with the broken laws and the command that replays the run."""
        broken = [law for law in laws if self.only in (None, (law, self.taken[-1].name))]
        if not broken:
            return
        type(self).last_failure = [self.actor_of(s) for s in self.taken]
        schedule = record(self.system, self.taken).schedule
        raise AssertionError(f"{', '.join(broken)} broken; replay it: lastref replay '{schedule}'")
