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
from typing import Generic, NamedTuple, Protocol, TypeVar

from lastref.conformance.driver import NOTHING, Actor, Call, Driver, GreenletDriver, Threads
from lastref.conformance.driver import Hook as Hook
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

    def finish(self) -> bool:
        """Clear away what a trace used up.

        Return whether a process that no operation named was signalled to death or reaped.
        """


class Subject(Protocol):
    """An implementation on a stage: its methods, its variables, and what the kernel does to it.

    What it returns of its variables is never changed later.  It may be the same object each time
    that the same is seen: then it is compared with a step of the model once.
    """

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

    stand: str
    seen: Mapping[str, Shown]


class Replay(NamedTuple):
    """What came of one trace.

    ``hit`` says that the bystander, which no operation named, was signalled or reaped.  ``looks``
    has, for every step taken, who stood before which operation, and what was seen after it: two
    replays of one trace have equal ones, or something besides the schedule decides what happens.
    """

    trace: Trace
    steps: int
    outcomes: Mapping[str, tuple[str, ...]]
    hit: bool
    divergence: Divergence | None
    looks: list[tuple[str, Mapping[str, Shown]]]

    @property
    def log(self) -> tuple[Look, ...]:
        """The looks, each with its name."""
        return tuple(map(Look._make, self.looks))


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
        self._trace: Trace | None = None
        self._way: list[_Todo] = []
        self._start = _Expected({}, "")
        self._todos: dict[int, _Todo] = {}

    def _call(self, method: str) -> str:
        assert self._subject is not None
        return self._subject.call(method)

    def replay(self, trace: Trace) -> Replay:
        """Run one trace, and leave the stage ready for the next."""
        if trace is not self._trace:
            self._prepare(trace)
        driver, divergence = self._driver, None
        subject = self._subject = self._factory(self._stage, trace, driver.hook)
        run = _Run(trace, subject, driver)
        try:
            driver.start()
            run.go(self._start, self._way)
        except _DifferenceError as difference:
            divergence = run.divergence(*difference.args)
        finally:
            driver.close()
            subject.close()
            hit = self._stage.finish()
        outcomes = {a.name: tuple(a.outcomes) for a in driver.actors.values()}
        return Replay(trace, run.taken, outcomes, hit, divergence, run.looks)

    def _prepare(self, trace: Trace) -> None:
        """Look up what is to be done in each step: traces of one recorder share most of them."""
        self._trace, self._way, todos = trace, [], self._todos
        if self._start.state is not trace.start:
            self._start = _Expected(trace.start, "at the start")
        for step in trace.steps:
            todo = todos.get(id(step))
            if todo is None:
                todo = todos[id(step)] = _Todo(step)
            self._way.append(todo)


class _DifferenceError(Exception):
    """Raised at the first difference: what, expected, seen."""


class _Expected:
    """What must be seen; ``seen`` is what was seen last and found to be so."""

    __slots__ = ("seen", "state", "when")

    def __init__(self, state: Mapping[str, Shown], when: str) -> None:
        self.state = state
        self.when = when
        self.seen: Mapping[str, Shown] | None = None

    def compare(self, seen: Mapping[str, Shown]) -> None:
        """Raise the first difference between what is seen and what must be."""
        expected = self.state
        if not seen.items() <= expected.items():
            for name, value in seen.items():
                if expected.get(name, value) != value:
                    raise _DifferenceError(f"{name} {self.when}", str(expected[name]), str(value))
        self.seen = seen


class _Todo(_Expected):
    """A step of the model, and what to do about it.

    ``access`` says that it is an access to our memory after which the call goes on, as most steps
    are; ``changes`` whether it changes what lies there, or ``None`` if it asks the kernel.
    """

    __slots__ = ("access", "actor", "changes", "op", "step")  # ``step`` stays: its id is a key

    def __init__(self, step: TraceStep) -> None:
        super().__init__(step.state, f"after {step.command}")
        self.step = step
        self.actor = step.actor
        self.op = step.op
        self.changes = None if step.actor == KERNEL else _CHANGES[step.op]
        goes_on = step.outcome is None and not step.returns
        self.access = self.changes is not None and step.op not in LOCKS and goes_on


class _Run:
    """One trace on its way: ``taken`` steps are done, and ``looks`` is what was seen so far."""

    def __init__(self, trace: Trace, subject: Subject, driver: Driver) -> None:
        self.taken = 0
        self.looks: list[tuple[str, Mapping[str, Shown]]] = []
        self._trace = trace
        self._subject = subject
        self._driver = driver
        self._returned = dict.fromkeys(driver.actors, 0)
        self._fixed: dict[str, str] = {}

    def go(self, start: _Expected, way: list[_Todo]) -> None:
        """Take every step, and compare after each what it can have changed; at the end, all."""
        subject, look, take = self._subject, self.looks.append, self._driver.step
        actors, returned = self._driver.actors, self._returned
        seen = subject.observe()
        look((" ".join(a.op for a in actors.values()), seen))
        if seen is not start.seen:
            start.compare(seen)
        last = len(way) - 1
        for self.taken, todo in enumerate(way):
            name = todo.actor
            if todo.access:
                actor = actors[name]
                if actor.op != todo.op:
                    raise _another(todo.op, actor)
                take(name)
                if len(actor.outcomes) != returned[name] or actor.error:
                    self._check_return(todo.step, actor)
                stand = actor.op
            elif name == KERNEL:
                subject.kernel(todo.step.command)
                stand = ""
            else:
                self._take(todo.step, actors[name])
                stand = actors[name].op
            if todo.changes is None or self.taken == last:
                seen = subject.observe()
            elif todo.changes:
                seen = subject.glance()
            else:
                seen = _UNSEEN
            look((stand, seen))
            if seen is not todo.seen:
                todo.compare(seen)
        self.taken = len(way)

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
                raise _another(op, actor)
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


_UNSEEN: Mapping[str, Shown] = {}


class _Changes(dict[str, bool | None]):
    """Whether an operation changes what lies in our memory; ``None``: it asks the kernel."""

    def __missing__(self, op: str) -> bool | None:
        name = op.rpartition(".")[2]
        self[op] = changes = False if name in LOADS else True if name in STORES else None
        return changes


_CHANGES = _Changes()


def _another(op: str, actor: Actor) -> _DifferenceError:
    """Return the difference that ``actor`` does not stand before ``op``."""
    seen = actor.op
    if seen is NOTHING:
        ended = repr(actor.error) if actor.error else f"it has returned {actor.outcomes}"
        seen = f"none: {ended}"
    return _DifferenceError("the next operation", op, seen)
