"""A design as a Hypothesis state machine: the scheduler and the kernel are the adversary.

Hypothesis chooses who calls what, and at every step who goes next, the kernel's adversary included.
A law that breaks ends the run with the schedule as one string, and the command that replays it.
"""

from __future__ import annotations

from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

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
    only: ClassVar[str | None] = None
    """The one law to fail on, where a run is meant to break a certain one."""
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
        self.prepare()
        self.settle()

    def prepare(self) -> None:
        """Set up what a subclass runs beside the model."""

    @precondition(lambda self: self.enabled)
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """Let somebody who can take a step."""
        named = {f"{s.actor} {s.name}": s for s in self.enabled}
        step = named[data.draw(st.sampled_from(list(named)), "step")]
        self.taken.append(step)
        if step.broken is not None:
            self.fail((step.broken,))
        self.fail(self.step_laws(self.state, step.state))
        self.after(step)
        self.state = step.state
        self.enabled = self.system.steps(self.state)
        self.settle()

    @precondition(lambda self: not self.enabled)
    @rule()
    def over(self) -> None:
        """Idle: the run is over, and Hypothesis wants something to do."""

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
        if not laws or (self.only is not None and self.only not in laws):
            return
        type(self).last_failure = [s.name if s.actor == KERNEL else s.actor for s in self.taken]
        schedule = record(self.system, self.taken).schedule
        raise AssertionError(f"{', '.join(laws)} broken; replay it: lastref replay '{schedule}'")
