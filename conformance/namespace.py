"""A stage in a PID namespace of our own, where a pid comes back the moment it is free.

    process 1 ─┬─ worker: the stage, the implementation under test, the scheduler
               │     ├─ our process (pid n)          its children, which it may wait for
               │     └─ the bystander
               └─ strangers                          not its children: to wait for one is ECHILD

A stranger is started by the worker as a child of its parent (CLONE_PARENT), under the number n if
it is to recycle it.  Process 1 reaps the strangers; when the worker is done, whatever is left in
the namespace dies with the call.
"""

from __future__ import annotations

import os
import pickle
import select
import threading
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from lastref.conformance.sandbox import Recycler, Victim
from lastref.conformance.stage import RUNNING, Stage, StageProcess

P = ParamSpec("P")
R = TypeVar("R")


class NamespaceStage(Stage):
    """A stage that can recycle pids.  Only for a worker inside the sandbox."""

    recycles_pids = True

    def __init__(self) -> None:
        super().__init__()
        self.guard.enter_private_namespace()
        self._recycler = Recycler(self.guard)
        self._resident = self._stranger(self._free_pid())
        self._recycled: list[Victim] = []
        self.owner = "ours"
        """Whose the number of our process is: ``ours``, ``free``, ``stranger`` or ``sibling``."""

    def new_process(self) -> StageProcess:
        """Start our process, under a number that is nobody's."""
        process = super().new_process()
        self.owner = "ours"
        return process

    @property
    def _strangers(self) -> tuple[Victim, ...]:
        """All processes that are not ours: one that is always there, and those with our number."""
        return (self._resident, *self._recycled)

    def _free_pid(self) -> int:
        """Return a number that the kernel will not hand out soon by itself."""
        with open("/proc/sys/kernel/pid_max", encoding="ascii") as limit:
            return int(limit.read()) - 2

    def _stranger(self, pid: int) -> Victim:
        while True:
            victim = self._recycler.take(pid, stranger=True)
            if victim is not None:
                return victim
            pid -= 1

    def pid_owner(self) -> str:
        """Return whose the number of our process is now."""
        assert self.process is not None
        if self.owner == "ours" and self.process.state == "reaped":
            self.owner = "free"
        if self.owner == "sibling" and self.bystander.state == "reaped":
            self.owner = "free"
        return self.owner

    def recycle(self) -> None:
        """Give the number of our process, which must be free, to a stranger."""
        assert self.process is not None
        victim = self._recycler.take(self.process.pid, stranger=True)
        if victim is None:
            raise LookupError(f"pid {self.process.pid} is not free, so nobody else can get it")
        self._recycled.append(victim)
        self.owner = "stranger"

    def recycle_sibling(self) -> StageProcess:
        """Give the number to another child of ours: from now on it is the bystander."""
        assert self.process is not None
        self.renew_bystander()
        victim = self._recycler.take(self.process.pid)
        if victim is None:
            raise LookupError(f"pid {self.process.pid} is not free, so nobody else can get it")
        pidfd, hold = self._recycler.hand_over(victim)
        self._bystander = StageProcess(self.guard, self.system, victim.pid, pidfd, hold)
        self.owner = "sibling"
        return self._bystander

    @property
    def stranger_killed(self) -> bool:
        """Whether any process that is not ours was killed."""
        return any(_ended(victim.pidfd) for victim in self._strangers)

    def await_strangers(self) -> None:
        """Return when every stranger has ended: after a signal to everyone."""
        for victim in self._strangers:
            _poll(victim.pidfd, None)

    def await_owner(self) -> None:
        """Return when the process that has our process's number has ended."""
        assert self.process is not None
        match self.pid_owner():
            case "ours":
                self.process.await_exit()
            case "sibling":
                self.bystander.await_exit()
            case "stranger":
                _poll(self._recycled[-1].pidfd, None)

    @property
    def hit(self) -> bool:
        """Whether a process that no operation named was killed or reaped."""
        return super().hit or self.stranger_killed

    def reset(self) -> None:
        """Clear away what a trace used up; the sibling with our number goes, too."""
        super().reset()
        for victim in self._recycled:
            victim.dismiss()
        self._recycled.clear()
        if _ended(self._resident.pidfd):
            self._resident.dismiss()
            self._resident = self._stranger(self._free_pid())
        if self.owner == "sibling":
            self.renew_bystander()

    def close(self) -> None:
        """End everything that was started here."""
        self.reset()
        self._resident.dismiss()
        super().close()


def _poll(pidfd: int, timeout: float | None) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout))


def _ended(pidfd: int) -> bool:
    return _poll(pidfd, 0)


def in_worker(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``function`` in a child of process 1 and return its result; for use inside a sandbox.

    Meanwhile process 1 reaps what becomes its child.
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


__all__ = ["RUNNING", "NamespaceStage", "in_worker"]
