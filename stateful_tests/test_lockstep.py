"""The real implementation beside the model, step by step, under schedules Hypothesis chooses."""

import sys
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from machines import DesignMachine, mixes

from lastref.conformance.driver import GreenletDriver
from lastref.conformance.stage import Stage
from lastref.conformance.subjects import SUBJECTS
from lastref.conformance.trace import record, show_state
from lastref.model.designs import get
from lastref.model.system import KERNEL, Step

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the stage needs pidfds, which only Linux has"
)


class Lockstep(DesignMachine):
    """go-2024 and its real implementation: after every step both show the same variables."""

    table = get("go-2024")
    calls: ClassVar[st.SearchStrategy[list[str]]] = mixes(["wait", "signal", "kill", "release"])

    def prepare(self) -> None:
        """Set up the real process beside the model's."""
        self.stage = Stage()
        trace = record(self.system, ())
        self.driver = GreenletDriver(
            lambda method: self.subject.call(method), ((t.name, t.calls) for t in trace.threads)
        )
        subject = SUBJECTS[self.table.id, self.table.platform]
        self.subject = subject(self.stage, trace, self.driver.hook)
        self.driver.start()

    def after(self, step: Step) -> None:
        """Take the same step for real, and compare."""
        if step.actor == KERNEL:
            self.subject.kernel(step.name)
        else:
            pending = self.driver.actors[step.actor].pending
            assert pending is not None
            assert step.command is not None
            assert pending.op == step.command.op
            settled = self.subject.settle(pending.op, pending.args)
            self.driver.step(step.actor)
            settled()
        expected = show_state(self.system, step.state)
        observed = self.subject.observe()
        assert observed.keys() & expected.keys(), "nothing to compare"
        for name in observed.keys() & expected.keys():
            assert observed[name] == expected[name], f"{name} after {step.name}"

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "stage"):
            self.driver.close()
            self.subject.close()
            self.stage.__exit__(None, None, None)


TestLockstep = Lockstep.TestCase


class LockstepGo2025(Lockstep):
    """The same for go-2025: a status of 32 bits, and a handle with a count of its own."""

    table = get("go-2025")


TestLockstepGo2025 = LockstepGo2025.TestCase
