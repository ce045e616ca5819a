"""A stage in a PID namespace of our own, where a pid comes back the moment it is free.

    process 1 ─┬─ worker: the stage, the implementation under test, the scheduler
               │     ├─ our process (pid n)          its children, which it may wait for
               │     └─ the bystander
               └─ strangers                          not its children: to wait for one is ECHILD

A stranger is started by the worker as a child of its parent (CLONE_PARENT), under the number n if
it is to recycle it.  Process 1 reaps the strangers; when the worker is done, whatever is left in
the namespace dies with the call.  All of them share the worker's memory where that is possible
(:mod:`~lastref.conformance.clones`): to recycle a pid costs microseconds then.
"""

from __future__ import annotations

import os
import pickle
import select
import threading
import traceback
from collections.abc import Callable, Collection
from typing import ParamSpec, TypeVar

from lastref.conformance import clones
from lastref.conformance.sandbox import Recycler
from lastref.conformance.stage import REAPED, Hold, PipeHold, Stage, StageProcess

P = ParamSpec("P")
R = TypeVar("R")


class Stranger:
    """A process that is not ours to wait for: its pid, a pidfd, and what keeps it from ending."""

    def __init__(self, pid: int, pidfd: int, hold: Hold) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.hold = hold

    def await_exit(self) -> None:
        """Return when it has ended."""
        _poll(self.pidfd, None)


class NamespaceStage(Stage):
    """A stage that can recycle pids.  Only for a worker inside the sandbox."""

    recycles_pids = True

    def __init__(self, *, light: bool = True) -> None:
        super().__init__(light=light)
        self.guard.enter_private_namespace()
        self._recycler = Recycler(self.guard)
        self._recycled: list[Stranger] = []
        self._resident = self._settle_resident()
        self.owner = "ours"
        """Whose the number of our process is: ``ours``, ``free``, ``stranger`` or ``sibling``."""

    def new_process(self) -> StageProcess:
        """Return our process, under a number that is nobody else's."""
        process = super().new_process()
        self.owner = "ours"
        return process

    def _take(self, pid: int, *, stranger: bool) -> tuple[int, Hold] | None:
        """Start a process under ``pid``; return its pidfd and hold, or None while it is in use."""
        if self.light:
            clone = clones.start(pid, stranger=stranger)
            return None if clone is None else (clone.pidfd, clone.word)
        victim = self._recycler.take(pid, stranger=stranger)
        if victim is None:
            return None
        pidfd, hold = victim.hand_over() if stranger else self._recycler.hand_over(victim)
        return pidfd, PipeHold(hold)

    def _stranger(self, pid: int) -> Stranger | None:
        taken = self._take(pid, stranger=True)
        if taken is None:
            return None
        self.guard.register(pid)
        self._watched.register(taken[0], select.POLLIN)
        return Stranger(pid, *taken)

    def _dismiss(self, stranger: Stranger) -> None:
        """Let a stranger end; process 1 reaps it."""
        stranger.hold.let_go()
        stranger.await_exit()
        stranger.hold.gone()
        self._watched.unregister(stranger.pidfd)
        self.guard.forget(stranger.pid)
        os.close(stranger.pidfd)

    def _settle_resident(self) -> Stranger:
        """Start the stranger that is always there, under a number that will not come up soon."""
        with open("/proc/sys/kernel/pid_max", encoding="ascii") as limit:
            pid = int(limit.read()) - 2
        while (resident := self._stranger(pid)) is None:
            pid -= 1
        return resident

    def pid_owner(self) -> str:
        """Return whose the number of our process is now."""
        assert self.process is not None
        return self.owner_given(self.process.state, self.bystander.state)

    def owner_given(self, ours: str, bystander: str) -> str:
        """Return whose the number is, given the states of our process and of the bystander."""
        if (self.owner, ours) == ("ours", REAPED) or (self.owner, bystander) == ("sibling", REAPED):
            self.owner = "free"
        return self.owner

    def recycle(self) -> None:
        """Give the number of our process to a stranger; LookupError if it is not free."""
        assert self.process is not None
        stranger = self._stranger(self.process.pid)
        if stranger is None:
            raise LookupError(f"pid {self.process.pid} is not free, so nobody else can get it")
        self._recycled.append(stranger)
        self.owner = "stranger"

    def recycle_sibling(self) -> StageProcess:
        """Give the number to another child of ours: from now on it is the bystander.

        Raises LookupError if the number is not free.
        """
        assert self.process is not None
        self.renew_bystander()
        taken = self._take(self.process.pid, stranger=False)
        if taken is None:
            raise LookupError(f"pid {self.process.pid} is not free, so nobody else can get it")
        sibling = StageProcess(self.guard, self.system, self.process.pid, *taken)
        self._bystander = self.watch(sibling)
        self._is_younger = True
        self.owner = "sibling"
        return self._bystander

    def stranger_in(self, ended: Collection[int]) -> bool:
        """Return whether one of those that have ended is not ours: then it was killed."""
        if self._resident.pidfd in ended:
            return True
        return bool(self._recycled) and any(s.pidfd in ended for s in self._recycled)

    def await_strangers(self) -> None:
        """Return when every stranger has ended: after a signal to everyone."""
        for stranger in (self._resident, *self._recycled):
            stranger.await_exit()

    def await_owner(self) -> None:
        """Return when the process that has our process's number has ended."""
        assert self.process is not None
        match self.pid_owner():
            case "ours":
                self.process.await_exit()
            case "sibling":
                self.bystander.await_exit()
            case "stranger":
                self._recycled[-1].await_exit()

    def _hit_among(self, ended: Collection[int]) -> bool:
        return super()._hit_among(ended) or self.stranger_in(ended)

    def _clear(self, ended: Collection[int]) -> None:
        """Clear away what a trace used up; the sibling with our number goes, too."""
        super()._clear(ended)
        for stranger in self._recycled:
            self._dismiss(stranger)
        self._recycled.clear()
        if self._resident.pidfd in ended:
            self._dismiss(self._resident)
            self._resident = self._settle_resident()
        if self.owner == "sibling":
            self.renew_bystander()

    def close(self) -> None:
        """End everything that was started here."""
        self.reset()
        self._dismiss(self._resident)
        super().close()


def _poll(pidfd: int, timeout: float | None) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout))


def in_worker(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``function`` in a child of process 1 and return its result; for use inside a sandbox.

    Meanwhile process 1 reaps what becomes its child.  Raises what the function raises, and
    RuntimeError if the child ends without an answer.
    """
    reader, writer = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(reader)
        _work(writer, function, *args, **kwargs)
    os.close(writer)
    parts: list[bytes] = []
    # Read beside the reaping: an answer longer than a pipe holds would wait for us, and we for it.
    reading = threading.Thread(target=lambda: parts.append(_read(reader)))
    reading.start()
    while os.waitpid(-1, 0)[0] != worker:
        pass
    reading.join()
    answer = b"".join(parts)
    if not answer:
        raise RuntimeError("the worker of the sandbox ended without an answer")
    ok, value = pickle.loads(answer)
    if not ok:
        raise value
    result: R = value
    return result


def _read(reader: int) -> bytes:
    with os.fdopen(reader, "rb") as results:
        return results.read()


def _work(writer: int, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run ``function`` and send what came of it; never returns."""
    try:
        answer = pickle.dumps((True, function(*args, **kwargs)))
    except Exception as error:
        error.add_note(traceback.format_exc())
        try:
            answer = pickle.dumps((False, error))
        except Exception:
            answer = pickle.dumps((False, RuntimeError(traceback.format_exc())))
    with os.fdopen(writer, "wb") as results:
        results.write(answer)
    os._exit(0)
