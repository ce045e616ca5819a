"""Drives several calls at once, one atomic action at a time, in one operating-system thread.

Each thread of a trace is a greenlet that runs the implementation's ordinary code.  The hook that
stands before every operation of the word and of the kernel hands control back here; ``step`` lets
one of them perform the operation it stands before, and run on to the next.

    step(W1) ──▶ W1: performs ``waitid`` … computes … stands before ``load`` ──▶ back here

So between two steps nobody is in the middle of anything, and a schedule alone decides what happens.
(Scheduling points come before operations, as in Shuttle.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import greenlet

Threads = Iterable[tuple[str, tuple[str, ...]]]
"""The threads of a trace: their names and their calls."""
Call = Callable[[str], str]
"""Performs a method by its name and returns its outcome."""
Hook = Callable[[str, tuple[object, ...]], None]
"""Called before every operation of an implementation, with its name and arguments."""


class Pending(NamedTuple):
    """The operation that an actor stands before: its name and its arguments."""

    op: str
    args: tuple[object, ...]


NOTHING = "nothing"
"""What an actor stands before whose calls have all returned."""


@dataclass(eq=False, slots=True)
class Actor:
    """One thread of the trace: what it stands before, and what its calls have returned so far.

    ``op`` is the operation's name, or ``NOTHING``, and ``args`` are its arguments.
    """

    name: str
    calls: tuple[str, ...]
    op: str = NOTHING
    args: tuple[object, ...] = ()
    outcomes: list[str] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def pending(self) -> Pending | None:
        """The operation that it stands before, if its calls have not all returned."""
        return None if self.op is NOTHING else Pending(self.op, self.args)


class Driver(Protocol):
    """A scheduler: starts the actors, and lets one at a time take one step.

    An exception that is no outcome ends its actor and is kept in ``Actor.error``.  A driver that
    was closed can be started again, with all calls still to be made.
    """

    @property
    def actors(self) -> Mapping[str, Actor]:
        """The threads of the trace by their names."""

    def start(self) -> None:
        """Run every actor up to its first operation, which it does not perform yet."""

    def step(self, name: str) -> Actor:
        """Let the actor ``name`` perform its pending operation and run on to the next."""

    @property
    def hook(self) -> Hook:
        """What stands before an operation; outside of a step (say in a set-up) it does nothing."""

    def close(self) -> None:
        """End every actor where it stands; it performs no further operation."""


class GreenletDriver:
    """The fast driver: every actor is a greenlet, and all run in the calling thread.

    The hook is the switch back to the caller itself, with what the actor stands before.  In a
    set-up or a tear-down the caller calls it, and to switch to oneself does nothing.
    """

    def __init__(self, call: Call, threads: Threads) -> None:
        self._call = call
        self._main = greenlet.getcurrent()
        self._threads = tuple(threads)
        self.actors = {name: Actor(name, calls) for name, calls in self._threads}
        self.hook: Hook = self._main.switch
        self._greenlets: dict[str, greenlet.greenlet] = {}

    def start(self) -> None:
        """Run every actor up to its first operation."""
        for name, calls in self._threads:
            actor = self.actors[name] = Actor(name, calls)
            green = self._greenlets.get(name)
            if green is None or green.dead:
                green = self._greenlets[name] = greenlet.greenlet(self._body, parent=self._main)
            actor.op, actor.args = green.switch(actor)

    def step(self, name: str) -> Actor:
        """Let the actor ``name`` take one step."""
        actor = self.actors[name]
        actor.op, actor.args = self._greenlets[name].switch()
        return actor

    def close(self) -> None:
        """End every actor where it stands; it performs no further operation."""
        for name, green in self._greenlets.items():
            actor = self.actors[name]
            # A `finally` of the code under test may stand before another operation: once more.
            while actor.op is not NOTHING and not green.dead:
                actor.op, actor.args = green.throw(greenlet.GreenletExit)

    def _body(self, actor: Actor) -> None:
        """Make the calls of one actor after another: to start a greenlet costs more than a call."""
        while True:
            try:
                for method in actor.calls:
                    actor.outcomes.append(self._call(method))
            except greenlet.GreenletExit:
                pass  # ended by `close`
            except Exception as error:  # kept, and reported as the divergence that it is
                actor.error = error
            actor = self._main.switch(NOTHING, ())
