"""The threads that hammer, and the look at those that do not come back.

A thread that waits for the wrong process would wait for ever.  It is noticed by looking at it: the
child has ended, and twice in a row the thread is seen asleep in the same system call, a wait.  Then
the bystander, which is all that it can be waiting for, is let end, and the thread comes back.

A thread that is merely slow is no finding: as long as any event comes, on however busy a machine,
the round goes on.

Source: proc_pid_syscall(5), which says "running" of a thread that only waits for a processor.
"""

from __future__ import annotations

import contextlib
import threading

from lastref.conformance.stage import RUNNING
from lastref.conformance.stress.round import Round
from lastref.impl.syscall_numbers import number

_LOOK_EVERY = 0.2  # seconds between two looks at a thread that does not come back
_LOOKS = 150  # so many in a row at which nothing has happened since the last


class Stuck(Exception):
    """A thread that could not be freed: the run ends here."""


class Threads:
    """The hammering threads; they live as long as the run, and wait for a round in between."""

    def __init__(self, count: int) -> None:
        self._round: Round | None = None
        self._finished = threading.Semaphore(0)
        self._gates = [threading.Semaphore(0) for _ in range(count)]
        self._running: set[int] = set()
        self._threads = [
            threading.Thread(target=self._live, args=(index,), daemon=True)
            for index in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def _live(self, index: int) -> None:
        while True:
            self._gates[index].acquire()
            if self._round is None:
                return
            self._round.run(index)
            self._running.discard(index)
            self._finished.release()

    def run(self, a_round: Round) -> str | None:
        """Run a round; the answer is the thread that waits for what will not come, if one does."""
        self._round = a_round
        self._running = set(range(len(self._threads)))
        for gate in self._gates:
            gate.release()
        hung = None
        for _ in self._threads:
            hung = self._await_one(a_round) or hung
        return hung

    def _await_one(self, a_round: Round) -> str | None:
        seen: dict[int, str] = {}
        hung, idle, events = None, 0, -1
        while idle < _LOOKS:
            if self._finished.acquire(timeout=_LOOK_EVERY):
                return hung
            idle = idle + 1 if len(a_round.events) == events else 0
            events = len(a_round.events)
            now = self._waiting() if a_round.child.state != RUNNING else {}
            same = [index for index, call in now.items() if seen.get(index) == call]
            if same:
                hung = f"T{same[0] + 1} waits although the child has ended: {now[same[0]]}"
                # Whom it waits for can only be the bystander: let it come back.
                a_round.stage.bystander.end()
            seen = now
        raise Stuck(hung or "a thread did not come back, and is in no wait for a child")

    def _waiting(self) -> dict[int, str]:
        """Return the threads that are in a wait for a child, with the call's arguments."""
        waits = {str(number("waitid")), str(number("wait4"))}
        found = {}
        for index in tuple(self._running):
            with contextlib.suppress(OSError):
                tid = self._threads[index].native_id
                with open(f"/proc/self/task/{tid}/syscall", encoding="ascii") as call:
                    words = call.read().split()
                if words[0] in waits:
                    found[index] = " ".join(words[:4])
        return found

    def close(self) -> None:
        """End the threads that came back."""
        self._round = None
        for gate in self._gates:
            gate.release()
        for index, thread in enumerate(self._threads):
            if index not in self._running:
                thread.join()
