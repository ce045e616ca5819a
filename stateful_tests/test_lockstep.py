"""Every real implementation beside its model, step by step, under schedules Hypothesis chooses.

The designs whose numbers come back, or who know a process by its pid alone, run in a sandbox: a
signal of theirs may go to whoever has the pid.
"""

import sys
from collections.abc import Iterator
from typing import ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from machines import Actor, Machine, design_machine
from processes import Process

from lastref.conformance.cells import read_word
from lastref.conformance.driver import NOTHING, GreenletDriver
from lastref.conformance.namespace import NamespaceStage, in_worker
from lastref.conformance.replay import INTERNAL, TOLD, WAITS_FOR_EVER
from lastref.conformance.sandbox import Sandbox, unavailable
from lastref.conformance.stage import Stage
from lastref.conformance.subjects import SUBJECTS, SubjectFactory, subject
from lastref.conformance.trace import record, show_state
from lastref.impl.faults import Fault, faulty
from lastref.model.designs import get
from lastref.model.system import KERNEL, Step, System, scenario
from lastref.model.table import Table

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the stage needs pidfds, which only Linux has"
)

Key = tuple[str, str]


def compare(process: Process, seen: object, expected: object) -> None:
    """Fail with the command that replays the run unless what was seen is what was expected."""
    if seen != expected:
        told = f"{seen!r} is seen, the model has {expected!r}"
        raise AssertionError(f"{told}; replay it: lastref replay '{process.schedule}'")


class Lockstep(Machine):
    """The real process object takes every step that the model takes, and both show the same."""

    stage: ClassVar[Stage]
    subject_of: ClassVar[SubjectFactory]

    def new(self, process: Process) -> Process:
        """Set up the real process object; it is told beforehand what may be called."""
        table = process.system.table
        plan = scenario(*table.methods, initial=process.system.scenario.initial)
        trace = record(System(table, plan), ())
        self.subject = type(self).subject_of(self.stage, trace, self.hook)
        self.drivers: dict[str, GreenletDriver] = {}
        self.going: GreenletDriver | None = None
        self.told: dict[str, str] = {}
        return process

    def hook(self, op: str, args: tuple[object, ...]) -> None:
        """Stand before an operation: each thread has a driver of its own."""
        if self.going is not None:
            self.going.hook(op, args)

    def come(self, process: Process, calls: str) -> Actor:
        """Let the thread come for real, as far as its first operation."""
        actor = super().come(process, calls)
        driver = GreenletDriver(lambda m: self.subject.call(m), [(actor.name, (calls,))])
        self.drivers[actor.name] = self.going = driver
        driver.start()
        self.going = None
        return actor

    def judge(self, process: Process) -> None:
        """Let the run end: a faulty design is to be as faulty for real."""

    def after(self, process: Process, step: Step) -> None:
        """Take the same step for real, and compare."""
        if step.actor == KERNEL:
            self.subject.kernel(step.name)
        else:
            assert step.command is not None
            self.real(process, step, step.command.op)
        expected = show_state(process.system, step.state)
        seen = self.subject.observe()
        common = seen.keys() & expected.keys()
        assert common, "nothing to compare"
        compare(process, {n: seen[n] for n in common}, {n: expected[n] for n in common})

    def real(self, process: Process, step: Step, op: str) -> None:
        """Perform the operation that the thread stands before; compare it, and what is returned."""
        name, command = step.actor, step.command
        assert command is not None
        driver = self.drivers[name]
        actor = driver.actors[name]
        if command.outcome is not None:
            self.told[name] = TOLD.get(step.broken or "", command.outcome)
        if op not in INTERNAL:
            compare(process, actor.op, op)
            blocks = self.subject.would_block(op, actor.args)
            compare(process, blocks, command.outcome in WAITS_FOR_EVER)
            if blocks:
                return
            settled = self.subject.settle(op, actor.args)
            self.going = driver
            driver.step(name)
            self.going = None
            settled()
        compare(process, actor.error, None)
        index = process.threads.index(name)
        over = process.system.is_done(step.state[1][index], index)
        compare(process, actor.op == NOTHING, over)
        if over:
            compare(process, actor.outcomes, [self.told[name]])

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "subject"):
            for driver in self.drivers.values():
                self.going = driver
                driver.close()
            self.subject.close()
            self.stage.reset()


def beside_the_model(
    key: Key, chosen: settings, stage: Stage, subject_of: SubjectFactory | None = None
) -> None:
    """Run the machine of a design on ``stage``, with its own implementation or another."""
    machine = design_machine(Lockstep, get(*key), ["start"], most=1)
    machine.stage = stage
    machine.subject_of = staticmethod(subject_of or SUBJECTS[key])
    run_state_machine_as_test(machine, settings=chosen)


def as_process_1(key: Key, chosen: settings) -> None:
    """Run it in a namespace; an implementation cannot be set up by process 1 itself."""
    in_worker(as_worker, key, chosen)


def as_worker(key: Key, chosen: settings) -> None:
    """Run it on a stage where a pid comes back."""
    with NamespaceStage() as stage:
        beside_the_model(key, chosen, stage)


def recycles(table: Table) -> bool:
    """Return whether the kernel of ``table`` gives a pid away again."""
    return any(c.name == "recycle" for c in table.kernel)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A PID namespace of our own, for all the designs that need one."""
    without = unavailable()
    if without is not None:
        pytest.skip(f"it needs a PID namespace: {without}")
    with Sandbox() as box:
        yield box


def profile() -> settings:
    """Return the profile, with fewer runs: each has real processes."""
    chosen = settings.default
    assert chosen is not None
    return settings(
        max_examples=chosen.max_examples // 4,
        stateful_step_count=40,
        derandomize=chosen.derandomize,
        database=None,
    )


OPEN = [k for k in SUBJECTS if not recycles(get(*k))]
SANDBOXED = [k for k in SUBJECTS if recycles(get(*k))]


@pytest.mark.parametrize("key", OPEN, ids="-".join)
def test_an_implementation_does_what_its_model_does(key: Key) -> None:
    """Step by step, every variable and every outcome, and the process it must not touch."""
    with Stage() as stage:
        beside_the_model(key, profile(), stage)


@pytest.mark.parametrize("key", SANDBOXED, ids="-".join)
def test_an_implementation_does_it_where_pids_come_back(key: Key, sandbox: Sandbox) -> None:
    """The same in the sandbox, with the faults of the old designs hitting whom they hit."""
    sandbox.call(as_process_1, key, profile())


@pytest.mark.parametrize("fault", [Fault.NO_ACQUIRE, Fault.WRONG_REASON])
def test_a_wrong_implementation_is_noticed(fault: Fault) -> None:
    """What it does differently is said with the command that replays it."""
    wrong = subject(faulty(fault).adopt, word=read_word)
    unshrunk = settings(profile(), phases=(Phase.generate,), max_examples=1000)
    told = "the model has .*; replay it: lastref replay 'go-2024/linux:"
    with Stage() as stage, pytest.raises(AssertionError, match=told):
        beside_the_model(("go-2024", "linux"), unshrunk, stage, wrong)
