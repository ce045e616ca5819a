"""The same driver with real threads: each actor is one, and a scheduler lets one run at a time.

Slower than greenlets by an order of magnitude, and closer to what a program does: the operations of
one call are performed by one operating-system thread, and those of two calls by two.  The hand-off
is by bare locks; nobody polls and nobody sleeps.

    scheduler  ──release(actor.go)──▶  actor runs to its next operation  ──release(scheduler)──▶
"""

from __future__ import annotations

import threading

from lastref.conformance.driver import NOTHING, Actor, Call, Threads


class _Ended(BaseException):
    """Raised in an actor to end it where it stands; no design catches it."""


class ThreadDriver:
    """Drives every actor in a thread of its own, as :mod:`~lastref.conformance.driver` says."""

    def __init__(self, call: Call, threads: Threads) -> None:
        self._call = call
        self._calls = tuple(threads)
        self.actors = {name: Actor(name, calls) for name, calls in self._calls}
        self._go: dict[str, threading.Lock] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._back = _held()
        self._closing = False
        self._current = threading.local()

    def start(self) -> None:
        """Run every actor up to its first operation."""
        self._closing = False
        for name, calls in self._calls:
            actor = self.actors[name] = Actor(name, calls)
            self._go[name] = _held()
            self._threads[name] = threading.Thread(
                target=self._body, args=(actor,), name=name, daemon=True
            )
            self._threads[name].start()
            self._back.acquire()

    def step(self, name: str) -> Actor:
        """Let the actor ``name`` take one step."""
        self._go[name].release()
        self._back.acquire()
        return self.actors[name]

    def hook(self, op: str, args: tuple[object, ...]) -> None:
        """Stand before an operation, if an actor's thread is about to perform one."""
        actor: Actor | None = getattr(self._current, "actor", None)
        if actor is None:
            return
        if self._closing:
            raise _Ended
        actor.op, actor.args = op, args
        self._back.release()
        self._go[actor.name].acquire()
        if self._closing:
            raise _Ended

    def close(self) -> None:
        """End every actor where it stands, and its thread."""
        self._closing = True
        for name, actor in self.actors.items():
            if actor.op is not NOTHING:
                self._go[name].release()
            if name in self._threads:
                self._threads[name].join()

    def _body(self, actor: Actor) -> None:
        self._current.actor = actor
        try:
            for method in actor.calls:
                actor.outcomes.append(self._call(method))
            actor.op, actor.args = NOTHING, ()
        except _Ended:
            return
        except Exception as error:  # kept, and reported as the divergence that it is
            actor.error = error
            actor.op, actor.args = NOTHING, ()
        self._back.release()


def _held() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock
