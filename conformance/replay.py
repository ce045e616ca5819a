"""Runs a trace on a real implementation and the real kernel, and compares after every step.

What is compared: that the thread stands before the operation that the model says comes next; the
shared variables after the step (the word as the implementation's own atomic has it, the rest as
the kernel tells it); and, where a call returns, its outcome.  The first difference ends the trace:
it is a *divergence*, and says what was expected, what was seen, and how to see it again.

A number that is free is handed out again for the bystander at the model's ``reopen``, so that a
late use hits it for real, and is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from lastref.conformance.driver import Actor, Call, Driver, GreenletDriver, Threads
from lastref.conformance.stage import Stage
from lastref.conformance.trace import Shown, Trace, TraceStep
from lastref.model.system import KERNEL

INTERNAL = frozenset({"type_check", "mode_check"})
"""Steps of the model that touch nothing shared: an implementation takes them unseen."""


WAITS_FOR_EVER = frozenset({"blocked", "hang"})
"""The outcomes of a call that never returns: it is checked that it would block, and not made."""


class Place(Protocol):
    """A stage, as far as a replay knows it."""

    @property
    def hit(self) -> bool:
        """Whether a process that no operation named was signalled to death or reaped."""

    def reset(self) -> None:
        """Clear away what a trace used up."""


class Subject(Protocol):
    """An implementation on a stage: its methods, its variables, and what the kernel does to it."""

    def call(self, method: str) -> str:
        """Perform ``method`` and return its outcome (``"nil"``, ``"EPD"``, ``"panic:…"``)."""

    def observe(self) -> Mapping[str, Shown]:
        """Return the shared variables that can be seen, by their names in the table."""

    def kernel(self, command: str) -> None:
        """Carry out a command of the kernel or of the adversary."""

    def would_block(self, op: str, args: tuple[object, ...]) -> bool:
        """Return whether the operation, called now, would not return."""

    def settle(self, op: str, args: tuple[object, ...]) -> Callable[[], None]:
        """Return, before an operation, what to do after it so that its effect has come about."""

    def close(self) -> None:
        """Let go of everything."""


Hook = Callable[[str, tuple[object, ...]], None]
"""Called before every operation of an implementation, with its name and arguments."""
SubjectFactory = Callable[[Stage, Trace, Hook], Subject]
"""Sets an implementation up for a trace; the last argument is the hook before every operation."""


@dataclass(frozen=True)
class Divergence:
    """The first difference between a trace and what was seen of an implementation."""

    schedule: str
    step: int
    actor: str
    what: str
    expected: str
    seen: str

    def __str__(self) -> str:
        return (
            f"step {self.step} ({self.actor}): {self.what} is {self.seen}, "
            f"the model has {self.expected}; replay it: lastref replay '{self.schedule}'"
        )


@dataclass(frozen=True)
class Replay:
    """What came of one trace.

    ``hit`` says that the bystander, which no operation named, was signalled or reaped.  ``log``
    has, for every step taken, who stood before which operation, and what was seen after it: two
    replays of one trace have equal logs, or something besides the schedule decides what happens.
    """

    trace: Trace
    steps: int
    outcomes: Mapping[str, tuple[str, ...]]
    hit: bool
    divergence: Divergence | None
    log: tuple[tuple[str, ...], ...]


DriverFactory = Callable[[Call, Threads], Driver]


P = TypeVar("P", bound=Place)


def replay(
    trace: Trace,
    factory: Callable[[P, Trace, Hook], Subject],
    stage: P,
    driver: DriverFactory = GreenletDriver,
) -> Replay:
    """Run ``trace`` on the implementation that ``factory`` sets up on ``stage``."""
    return _Run(trace, partial(factory, stage, trace), stage, driver).run()


class _DifferenceError(Exception):
    """Raised at the first difference: what, expected, seen."""


class _Run:
    def __init__(
        self,
        trace: Trace,
        factory: Callable[[Hook], Subject],
        stage: Place,
        driver: DriverFactory,
    ) -> None:
        self._trace = trace
        self._driver = driver(self._call, ((t.name, t.calls) for t in trace.threads))
        self._log: list[tuple[str, ...]] = []
        self._stage = stage
        self._subject = factory(self._driver.hook)
        self._taken = 0
        self._returned = dict.fromkeys(self._driver.actors, 0)

    def _call(self, method: str) -> str:
        return self._subject.call(method)

    def run(self) -> Replay:
        trace, driver = self._trace, self._driver
        divergence = None
        try:
            driver.start()
            self._compare("at the start", trace.start)
            for step in trace.steps:
                self._take(step)
                self._compare(f"after {step.command}", step.state)
                self._taken += 1
        except _DifferenceError as difference:
            what, expected, seen = difference.args
            number = min(self._taken, len(trace.steps) - 1)
            actor = trace.steps[number].actor
            divergence = Divergence(trace.schedule, number + 1, actor, what, expected, seen)
        finally:
            hit = self._stage.hit
            outcomes = {a.name: tuple(a.outcomes) for a in driver.actors.values()}
            driver.close()
            self._subject.close()
            self._stage.reset()
        return Replay(trace, self._taken, outcomes, hit, divergence, tuple(self._log))

    def _take(self, step: TraceStep) -> None:
        if step.actor == KERNEL:
            self._subject.kernel(step.command)
            return
        actor = self._driver.actors[step.actor]
        if step.op in INTERNAL:
            self._check_return(step, actor)
            return
        pending = actor.pending
        if pending is None:
            raise _DifferenceError("the next operation", step.op, f"none: {self._ended(actor)}")
        if pending.op != step.op:
            raise _DifferenceError("the next operation", step.op, pending.op)
        blocks = self._subject.would_block(pending.op, pending.args)
        if blocks or step.outcome in WAITS_FOR_EVER:
            if blocks != (step.outcome in WAITS_FOR_EVER):
                raise _DifferenceError(f"whether {step.op} blocks", str(not blocks), str(blocks))
            return
        settled = self._subject.settle(pending.op, pending.args)
        self._driver.step(step.actor)
        settled()
        self._check_return(step, actor)

    def _check_return(self, step: TraceStep, actor: Actor) -> None:
        """Compare whether a call returned, and with what; a thread may be a call ahead by then.

        (It is, when its next call touches nothing shared and so is over at once.)
        """
        if actor.error is not None:
            raise _DifferenceError("the call", "an outcome", repr(actor.error))
        new = actor.outcomes[self._returned[actor.name] :]
        if bool(new) != step.returns:
            raise _DifferenceError(
                f"what {actor.name} does after {step.command}",
                "return" if step.returns else "go on",
                f"return {new[0]}" if new else f"go on with {self._next(actor)}",
            )
        if new:
            self._returned[actor.name] += 1
            expected = self._expected_outcome(actor.name)
            if new[0] != expected:
                raise _DifferenceError(f"the outcome of {actor.name}", expected, new[0])

    def _expected_outcome(self, name: str) -> str:
        """Return the outcome last fixed for ``name``: the one its call returns with."""
        steps = self._trace.steps[: self._taken + 1]
        return next(s.outcome for s in reversed(steps) if s.actor == name and s.outcome is not None)

    @staticmethod
    def _next(actor: Actor) -> str:
        return actor.pending.op if actor.pending else "nothing"

    @staticmethod
    def _ended(actor: Actor) -> str:
        return repr(actor.error) if actor.error else f"it has returned {actor.outcomes}"

    def _compare(self, when: str, expected: Mapping[str, Shown]) -> None:
        observed = self._subject.observe()
        stand = (f"{a.name}:{self._next(a)}" for a in self._driver.actors.values())
        self._log.append((*stand, *(f"{name}={value}" for name, value in observed.items())))
        for name, seen in observed.items():
            if name in expected and expected[name] != seen:
                raise _DifferenceError(f"{name} {when}", str(expected[name]), str(seen))
