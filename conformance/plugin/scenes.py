"""A scenario of the user's own, among real processes whose pids and descriptors come back.

    def late_kill(scene):                         at the top of a module: it runs in a PID namespace
        child = scene.child()
        handle = Handle(child.pid)
        child.end()
        handle.wait()
        scene.recycle(child.pid)                  the pid is a victim's now
        handle.kill()

    def test_a_late_kill_hits_nobody(lastref_scene):
        lastref_scene(late_kill)

The scenario's process is a child of process 1 of the namespace, so that nothing outside can be hit,
whatever it signals.  When it is over every victim is looked at: one that was signalled or reaped
fails the test.  A victim waits for its pipe to close and exits with a status of its own; a signal
that was sent before is delivered first, so no time has to pass for it to show.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import pytest

from lastref.conformance.errors import UserError
from lastref.conformance.namespace import in_worker
from lastref.conformance.plugin.found import found, refused
from lastref.conformance.sandbox import Fate, Recycler, Sandbox, Victim, unavailable
from lastref.conformance.sandbox.inside import Target
from lastref.conformance.signals import signal_name
from lastref.conformance.stage import Stage, StageProcess
from lastref.impl.guard import Guard


class WrongProcess(AssertionError):
    """A process was hit that no call named."""


class RunScene(Protocol):
    """The fixture ``lastref_scene``."""

    def __call__(self, scenario: Callable[..., Any], *arguments: Any) -> Any:
        """Run ``scenario(scene, *arguments)`` in a PID namespace; return what it returns.

        The scenario is a function at the top of a module, its arguments and its result can be
        pickled.  What it raises is raised here.  Fails if a victim was hit.
        """


class Scene:
    """What a scenario is given: children to hold, and numbers to give away.

    Its methods need a process without other threads: a race between threads is for
    ``lastref_race`` and ``lastref_replay``.
    """

    def __init__(self) -> None:
        self._stage = Stage()
        self._guard = Guard()
        self._guard.enter_private_namespace()
        self._recycler = Recycler(self._guard)
        self._children: list[StageProcess] = []
        self._victims: list[tuple[Victim, str]] = []

    def child(self) -> StageProcess:
        """Start a child that runs until its ``end()``; ``pid`` is its number."""
        child = self._stage.start()
        self._children.append(child)
        return child

    def recycle(self, pid: int) -> Victim:
        """Give ``pid``, which must be free, to a victim, another child of this process.

        LookupError if it is not free: its process runs, or nobody has waited for it.
        """
        victim = self._recycler.take(pid)
        if victim is None:
            raise LookupError(f"pid {pid} is not free: its process runs or was not waited for")
        self._victims.append((victim, f"the process that pid {pid} was given to"))
        return victim

    def reopen(self, number: int) -> Victim:
        """Let the descriptor ``number``, which must be closed, be a pidfd of a new victim.

        LookupError if it is open.
        """
        with contextlib.suppress(OSError):
            os.fstat(number)
            raise LookupError(f"descriptor {number} is open, so nobody else can get it")
        victim = self._someone()
        os.dup2(victim.pidfd, number, inheritable=False)
        self._victims.append((victim, f"the process that descriptor {number} was given to"))
        return victim

    def _someone(self) -> Victim:
        """Start a victim under any free number."""
        with open("/proc/sys/kernel/pid_max", encoding="ascii") as limit:
            pid = int(limit.read()) - 2
        while (victim := self._recycler.take(pid)) is None:
            pid -= 1
        return victim

    def close(self) -> None:
        """End everything; :class:`WrongProcess` if a victim was hit."""
        fates = [(self._recycler.retire(victim), whose) for victim, whose in self._victims]
        self._victims.clear()
        for child in self._children:
            child.close()
        self._children.clear()
        self._stage.close()
        hit = [f"{whose} {_told(fate)}" for fate, whose in fates if not fate.untouched]
        if hit:
            raise WrongProcess("; ".join(hit))


def _told(fate: Fate) -> str:
    if fate.signal is None:
        return "was reaped by somebody else"
    return f"was killed by {signal_name(fate.signal)}"


@contextmanager
def scenes() -> Iterator[RunScene]:
    """Yield the function that runs scenarios, one after another, in one sandbox."""
    reason = unavailable()
    if reason is not None:
        pytest.skip(f"no PID namespace here: {reason}")
    with Sandbox() as sandbox:

        def run(scenario: Callable[..., Any], *arguments: Any) -> Any:
            try:
                target = Target.of(found(scenario))
            except UserError as error:
                refused(error)
            try:
                return sandbox.call(_as_process_1, target, *arguments)
            except WrongProcess as wrong:
                said = f"{scenario.__name__}: {wrong}"
            pytest.fail(said, pytrace=False)  # out here nothing was raised before it

        yield run


def _as_process_1(target: Target, *arguments: Any) -> Any:
    return in_worker(_as_worker, target, *arguments)


def _as_worker(target: Target, *arguments: Any) -> Any:
    scene = Scene()
    try:
        answer = target.resolve()(scene, *arguments)
    except BaseException:
        with contextlib.suppress(WrongProcess):  # what came first is told
            scene.close()
        raise
    scene.close()
    return answer
