"""A design as a Hypothesis state machine: the scheduler and the kernel are the adversary.

Hypothesis chooses how process objects come about, which threads call what on them, and at every
turn who goes next, the kernel's adversary included.  A law that breaks ends the run with its
schedule as one string, and the command that replays it.
"""

from __future__ import annotations

from collections.abc import Collection
from operator import attrgetter
from typing import ClassVar, NamedTuple, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    multiple,
    precondition,
    rule,
)
from processes import Process

from lastref.model.system import Step, System
from lastref.model.table import Law, Table

MOST_THREADS = 4
"""How many threads come to a run: with more, few of their calls would return."""


class Actor(NamedTuple):
    """Who may go next: a thread, or a command of the kernel, of one process object."""

    process: Process
    name: str


class Machine(RuleBasedStateMachine):
    """Takes steps of process objects, and fails where a law breaks; subclasses bring them about."""

    processes: ClassVar[Bundle[Process]] = Bundle("processes")
    threads: ClassVar[Bundle[Actor]] = Bundle("threads")

    def new(self, process: Process) -> Process:
        """Return a process object that has come about."""
        return process

    def come(self, process: Process, calls: str) -> Actor:
        """Let a thread come that makes ``calls``."""
        return Actor(process, process.call(calls))

    def go(self, actor: Actor) -> None:
        """Let ``actor`` take its step, if it can take one.

        One that cannot is left out and not replaced by one that can: so a turn that is taken away
        leaves the others what they were, and a run can shrink.
        """
        process = actor.process
        step = None if process.broken else process.step(actor.name)
        if step is not None:
            process.take(step)
            if process.broken:
                self.judge(process)
            self.after(process, step)

    def judge(self, process: Process) -> None:
        """Fail with the broken laws and the command that replays the run."""
        laws = ", ".join(process.broken)
        raise AssertionError(f"{laws} broken; replay it: lastref replay '{process.schedule}'")

    def after(self, process: Process, step: Step) -> None:
        """Do what a subclass does beside the model for a step."""


M = TypeVar("M", bound=Machine)


def few(methods: Collection[str]) -> st.SearchStrategy[list[str]]:
    """Return a strategy of a few of ``methods``: with these alone a run is made.

    Leaving some methods out of a run altogether finds what all of them together hide (A. Groce and
    others, "Swarm testing", 2012).
    """
    return st.lists(st.sampled_from(list(methods)), min_size=1, unique=True)


def turns(
    commands: Collection[str], process: st.SearchStrategy[Process]
) -> st.SearchStrategy[Actor]:
    """Return a strategy of who goes next: as often a thread as one of the kernel's commands."""
    return Machine.threads | st.builds(Actor, process, st.sampled_from(list(commands)))


def design_machine(
    base: type[M], table: Table, starts: Collection[str], *, most: int = 2
) -> type[M]:
    """Return ``base`` over ``table``: up to ``most`` process objects, each from one of ``starts``.

    Threads come while others are on their way.
    """

    class DesignMachine(base):  # type: ignore[misc, valid-type]
        coming = MOST_THREADS

        @initialize(
            target=Machine.processes,
            starts=st.lists(st.sampled_from(list(starts)), min_size=1, max_size=most),
            methods=few(table.methods),
        )
        def begin(self, starts: list[str], methods: list[str]) -> MultipleResults[Process]:
            """Choose how the process objects come about, and what will be called."""
            self.methods = methods
            return multiple(*(self.new(Process(table, table.starts[s])) for s in starts))

        @precondition(lambda self: self.coming)
        @rule(
            target=Machine.threads,
            process=Machine.processes,
            method=st.runner().flatmap(lambda self: st.sampled_from(self.methods)),
        )
        def call(self, process: Process, method: str) -> Actor:
            """Let another thread call a method."""
            self.coming -= 1
            actor: Actor = self.come(process, method)
            return actor

        @precondition(lambda self: self.bundle("threads"))
        @rule(actor=turns([c.name for c in table.kernel], Machine.processes))
        def turn(self, actor: Actor) -> None:
            """Let somebody take a step."""
            self.go(actor)

    return DesignMachine


def scenario_machine(base: type[M], system: System, laws: Collection[Law]) -> type[M]:
    """Return ``base`` over one scenario, of some laws: all its threads are there at the start."""
    plan, known = system.scenario, [c.name for c in system.table.kernel]
    commands = [name for name in known if plan.adversary is None or name in plan.adversary]

    class ScenarioMachine(base):  # type: ignore[misc, valid-type]
        @initialize(target=Machine.threads)
        def begin(self) -> MultipleResults[Actor]:
            """Let the threads come."""
            self.process = self.new(Process(system.table, plan.initial, plan.adversary, laws))
            return multiple(*(self.come(self.process, ";".join(t.calls)) for t in plan.threads))

        @rule(actor=turns(commands, st.runner().map(attrgetter("process"))))
        def turn(self, actor: Actor) -> None:
            """Let somebody take a step."""
            self.go(actor)

    return ScenarioMachine
