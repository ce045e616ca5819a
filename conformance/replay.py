"""Runs a trace on a real implementation and the real kernel, and compares after every step.

What is compared: that the thread stands before the operation that the model says comes next; the
shared variables after the step (the word as the implementation's own atomic has it, the rest as
the kernel tells it); and, where a call returns, its outcome.  After a step that is no system call
the kernel is not asked again: nothing it knows has changed, and whoever changes it unseen is found
out at the next system call, or at the end, where everything is looked at.  The first difference
ends the trace: it is a *divergence*, and says what was expected, what was seen, and how to see it
again.

A number that is free is handed out again for the bystander at the model's ``reopen``, so that a
late use hits it for real, and is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar

from lastref.conformance.driver import NOTHING, Actor, Call, Driver, GreenletDriver, Threads
from lastref.conformance.stage import Stage
from lastref.conformance.trace import Shown, Trace, TraceStep
from lastref.model.properties import FIND_KEEPS_PID
from lastref.model.system import KERNEL, Thread

INTERNAL = frozenset({"type_check", "mode_check"})
"""Steps of the model that touch nothing shared: an implementation takes them unseen."""


WAITS_FOR_EVER = frozenset({"blocked", "hang"})
"""The outcomes of a call that never returns: it is checked that it would block, and not made."""

LOCKS = frozenset({"lock", "rlock"})
"""The operations in our memory that may have to wait for somebody."""

LOADS = frozenset({"load", "load_pid", "load_flag"})
"""The operations that change nothing."""

STORES = LOCKS | {"compare_exchange", "swap", "store_pid", "store_flag", "unlock", "runlock"}
"""The operations that leave everything the kernel knows as it is."""

TOLD = {FIND_KEEPS_PID: "nil, Pid -2"}
"""What a call is seen to return with the step that breaks a law, where the caller can see it."""


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

    def glance(self) -> Mapping[str, Shown]:
        """Return those of them that lie in our memory, which no system call tells."""

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


class Look(NamedTuple):
    """What was seen after a step: the operation the thread stands before next, the variables.

    Before the first step it is the operations of all threads; after one of the kernel's, none.
    """

    stand: tuple[str, ...]
    seen: Mapping[str, Shown]


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
    log: tuple[Look, ...]


DriverFactory = Callable[[Call, Threads], Driver]


P = TypeVar("P", bound=Place)


def replay(
    trace: Trace,
    factory: Callable[[P, Trace, Hook], Subject],
    stage: P,
    driver: DriverFactory = GreenletDriver,
) -> Replay:
    """Run ``trace`` on the implementation that ``factory`` sets up on ``stage``."""
    return Replayer(trace.threads, factory, stage, driver).replay(trace)


class Replayer(Generic[P]):
    """Runs traces of the same threads, one after another, on one stage and with one driver."""

    def __init__(
        self,
        threads: tuple[Thread, ...],
        factory: Callable[[P, Trace, Hook], Subject],
        stage: P,
        driver: DriverFactory = GreenletDriver,
    ) -> None:
        self._factory = factory
        self._stage = stage
        self._driver = driver(self._call, ((t.name, t.calls) for t in threads))
        self._subject: Subject | None = None

    def _call(self, method: str) -> str:
        assert self._subject is not None
        return self._subject.call(method)

    def replay(self, trace: Trace) -> Replay:
        """Run one trace, and leave the stage ready for the next."""
        driver, divergence = self._driver, None
        subject = self._subject = self._factory(self._stage, trace, driver.hook)
        run = _Run(trace, subject, driver)
        try:
            driver.start()
            run.go()
        except _DifferenceError as difference:
            divergence = run.divergence(*difference.args)
        finally:
            hit = self._stage.hit
            driver.close()
            subject.close()
            self._stage.reset()
        outcomes = {a.name: tuple(a.outcomes) for a in driver.actors.values()}
        return Replay(trace, run.taken, outcomes, hit, divergence, tuple(run.log))


class _DifferenceError(Exception):
    """Raised at the first difference: what, expected, seen."""


class _Run:
    """One trace on its way: ``taken`` steps are done, and ``log`` is what was seen so far."""

    def __init__(self, trace: Trace, subject: Subject, driver: Driver) -> None:
        self.taken = 0
        self.log: list[Look] = []
        self._trace = trace
        self._subject = subject
        self._driver = driver
        self._returned = dict.fromkeys(driver.actors, 0)
        self._fixed: dict[str, str] = {}

    def go(self) -> None:
        """Take every step, and compare after each what it can have changed; at the end, all."""
        subject, steps, look = self._subject, self._trace.steps, self.log.append
        actors, take, returned = self._driver.actors, self._driver.step, self._returned
        self._compare(tuple(a.op for a in actors.values()), self._trace.start, subject.observe())
        last = len(steps) - 1
        for number, step in enumerate(steps):
            name, op = step.actor, step.op
            changes = _CHANGES[op]
            if name == KERNEL:
                subject.kernel(step.command)
                stand: tuple[str, ...] = ()
            else:
                actor = actors[name]
                if (
                    changes is None
                    or op != actor.op
                    or op in LOCKS
                    or step.outcome is not None
                    or step.returns
                ):
                    self._take(step, actor)
                else:  # most of all steps, so here, without a call more: an access that goes on
                    take(name)
                    if len(actor.outcomes) != returned[name] or actor.error:
                        self._check_return(step, actor)
                stand = (actor.op,)
            if number == last or changes is None:
                self._compare(stand, step.state, subject.observe())
            elif changes:
                self._compare(stand, step.state, subject.glance())
            else:
                look(_look((stand, _UNSEEN)))
            self.taken += 1

    def divergence(self, what: str, expected: str, seen: str) -> Divergence:
        """Return the difference as one between the model and what was seen, at this step."""
        number = min(self.taken, len(self._trace.steps) - 1)
        actor = self._trace.steps[number].actor
        return Divergence(self._trace.schedule, number + 1, actor, what, expected, seen)

    def _take(self, step: TraceStep, actor: Actor) -> None:
        if step.outcome is not None:
            self._fixed[step.actor] = TOLD.get(step.breaks or "", step.outcome)
        op = step.op
        if op not in INTERNAL:
            if actor.op != op:
                seen = f"none: {_ended(actor)}" if actor.op is NOTHING else actor.op
                raise _DifferenceError("the next operation", op, seen)
            if _CHANGES[op] is not None and op not in LOCKS:
                self._driver.step(step.actor)
            elif not self._make_call(step, actor):
                return
        if step.returns or len(actor.outcomes) != self._returned[step.actor] or actor.error:
            self._check_return(step, actor)

    def _make_call(self, step: TraceStep, actor: Actor) -> bool:
        """Let the actor make a call that may wait; False if it would for ever, as it should."""
        op, args = actor.op, actor.args
        blocks = self._subject.would_block(op, args)
        if blocks or step.outcome in WAITS_FOR_EVER:
            if blocks != (step.outcome in WAITS_FOR_EVER):
                raise _DifferenceError(f"whether {op} blocks", str(not blocks), str(blocks))
            return False
        settled = self._subject.settle(op, args)
        self._driver.step(step.actor)
        settled()
        return True

    def _check_return(self, step: TraceStep, actor: Actor) -> None:
        """Compare whether a call returned, and with what; a thread may be a call ahead by then.

        (It is, when its next call touches nothing shared and so is over at once.)
        """
        if actor.error is not None:
            raise _DifferenceError("the call", "an outcome", repr(actor.error))
        before = self._returned[actor.name]
        new = len(actor.outcomes) > before
        if new != step.returns:
            raise _DifferenceError(
                f"what {actor.name} does after {step.command}",
                "return" if step.returns else "go on",
                f"return {actor.outcomes[before]}" if new else f"go on with {actor.op}",
            )
        if new:
            self._returned[actor.name] = before + 1
            expected, seen = self._fixed[actor.name], actor.outcomes[before]
            if seen != expected:
                raise _DifferenceError(f"the outcome of {actor.name}", expected, seen)

    def _compare(
        self, stand: tuple[str, ...], expected: Mapping[str, Shown], seen: Mapping[str, Shown]
    ) -> None:
        self.log.append(_look((stand, seen)))
        if seen.items() <= expected.items():
            return
        for name, value in seen.items():
            if expected.get(name, value) != value:
                when = "at the start"
                if len(self.log) > 1:
                    when = f"after {self._trace.steps[self.taken].command}"
                raise _DifferenceError(f"{name} {when}", str(expected[name]), str(value))


_look = partial(tuple.__new__, Look)
"""Makes a `Look` of a pair, without its constructor: there is one for every step."""
_UNSEEN: Mapping[str, Shown] = {}


class _Changes(dict[str, bool | None]):
    """Whether an operation changes what lies in our memory; ``None``: it asks the kernel."""

    def __missing__(self, op: str) -> bool | None:
        name = op.rpartition(".")[2]
        self[op] = changes = False if name in LOADS else True if name in STORES else None
        return changes


_CHANGES = _Changes()


def _ended(actor: Actor) -> str:
    return repr(actor.error) if actor.error else f"it has returned {actor.outcomes}"
