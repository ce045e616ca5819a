"""The children of a testee: who each is, which objects mean it, by what it may end, who is gone.

A child is known by its name in the scenario, and for certain by its pidfd. Each ends by a signal of
its own, so the status that a wait tells shows whose it is.
"""

from __future__ import annotations

import os
import select
import signal
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from lastref.conformance.closing import Closing
from lastref.conformance.gate import started
from lastref.conformance.gate.rest import death_told
from lastref.conformance.gate.scenario import Operation
from lastref.conformance.gate.testee import SECONDS, Lost, Testee
from lastref.impl.errors import Errno
from lastref.impl.guard import Guard

# By name, because not every system where this module is imported has them all.
_ENDINGS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM")
    if hasattr(signal, name)
)
SIGNAL = signal.SIGINT
"""What `signal` sends: it kills, and no child ends by it."""


@dataclass
class Child:
    """A child of the testee: who it is, for certain, is its pidfd.

    ``started`` is the clock tick in which it was started, where that is asked for.
    """

    name: str
    pid: int
    pidfd: int
    ending: int
    started: int
    gone: bool = False

    def close(self) -> None:
        """Let go of the handle; the child itself is the testee's."""
        os.close(self.pidfd)


class Children(Closing):
    """The children that were started in a run.

    ``by_name`` are all of them, ``objects`` the children that each process object of the adapter
    means, ``may_end_by`` the signals that somebody had a right to send, ``reaped`` who is no more.
    ``aged`` notes the clock tick in which each was started.
    """

    def __init__(self, testee: Testee, guard: Guard, aged: bool) -> None:
        self.by_name: dict[str, Child] = {}
        self.objects: dict[str, frozenset[str]] = {}
        self.may_end_by: defaultdict[str, set[int]] = defaultdict(set)
        self.reaped: set[str] = set()
        self._testee = testee
        self._guard = guard
        self._aged = aged

    def __iter__(self) -> Iterator[Child]:
        """Iterate over the children in the order in which they were started."""
        return iter(self.by_name.values())

    def named(self, process: str) -> frozenset[str]:
        """Return the names of the children that an object means."""
        return self.objects.get(process, frozenset())

    def adopt(self, name: str, pid: object) -> str | None:
        """Take a child that was just started; return whose its pid was before, None if nobody's.

        `Lost` if the adapter told a pid that is none of a child's.
        """
        if not isinstance(pid, int) or pid in (os.getpid(), self._testee.pid):
            raise Lost(f"it said that it started {pid}, which is no child of its")
        try:
            pidfd = os.pidfd_open(pid)  # not reaped yet: nobody has been let go that could
        except (OSError, OverflowError):
            raise Lost(f"it said that it started {pid}, and there is no such process") from None
        tick = started.tick_of(pid) if self._aged else 0
        self._guard.register(pid)
        old = next((child.name for child in self if child.pid == pid), None)
        self.by_name[name] = Child(name, pid, pidfd, _ENDINGS[len(self.by_name)], tick)
        self.objects[name] = frozenset({name})
        self._testee.watch.processes.add(pid)
        return old

    def allow(self, operation: Operation) -> None:
        """Note by which signals the children that ``operation`` names may end."""
        if operation.op in ("kill", "signal"):
            number = signal.SIGKILL if operation.op == "kill" else SIGNAL
            for name in self.named(operation.process):
                self.may_end_by[name].add(number)

    def end(self, child: Child) -> None:
        """Let a child end, and return when it has: death by a signal takes a moment."""
        self.may_end_by[child.name].add(child.ending)
        try:
            self._guard.pidfd_send_signal(child.pidfd, child.ending)
        except Errno as error:
            # When all is let go at last a kill and a wait of the testee's may have been faster.
            if error.kind != "ESRCH":
                raise
        if not select.select([child.pidfd], [], [], SECONDS)[0]:
            raise Lost(f"its child {child.name} did not end")
        death_told()
        self.gone(child)

    def end_all(self) -> None:
        """Let all end that have not ended."""
        for child in self:
            if not child.gone:
                self.end(child)

    def gone(self, child: Child) -> None:
        """Note that a child has ended: it moves nothing any more."""
        child.gone = True
        self._testee.watch.processes.discard(child.pid)

    def forget(self) -> None:
        """Leave all of them to whoever comes next: nobody watches them, or may signal them."""
        for child in self:
            self._testee.watch.processes.discard(child.pid)
            self._guard.forget(child.pid)

    def close(self) -> None:
        """Let go of the handles."""
        for child in self:
            child.close()
        self.by_name.clear()
