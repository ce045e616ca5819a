"""Runs the cases against an adapter: one program for many of them, a new one after a fault.

    case ──▶ set the situation up ──▶ calls, and the child's end ──▶ history ──▶ judge ──▶ outcome

What is skipped is decided here, from what the adapter declared, never by the adapter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lastref.conformance.attempt import Attempt, Deviation, Unprepared
from lastref.conformance.child import Nursery
from lastref.conformance.gated import Gating, Memory, examine
from lastref.conformance.outcomes import Outcome, Status
from lastref.conformance.protocol.adapter import (
    DEADLINE,
    TIMEOUT,
    Adapter,
    Ending,
    Fault,
    deadline_of,
    describe,
)
from lastref.conformance.protocol.conversation import Ready
from lastref.conformance.protocol.messages import Message
from lastref.conformance.suite import ENDING, HANDSHAKE, Case

MOST_TIMEOUTS = 5
"""After so many the rest is not run: a hanging adapter would take hours to say so each time."""


@dataclass
class Checker:
    """Runs cases against the program ``argv``.

    ``deadline`` is in seconds, for each message.  Use :meth:`run`; when it is over nothing of the
    adapter is left, and ``ready`` says what the adapter declared (None if it never did).
    """

    argv: Sequence[str]
    deadline: float = DEADLINE
    validate: bool = True
    environment: Mapping[str, str] | None = None
    log: Callable[[str, Message], None] | None = None
    gating: Gating = field(default_factory=Gating)
    ready: Ready | None = None
    _adapter: Adapter | None = None
    _timeouts: int = 0
    _explored: Memory = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a deadline that is none, before a program is started."""
        deadline_of(self.deadline)

    def run(self, cases: Iterable[Case]) -> Generator[Outcome, None, None]:
        """Run the cases in their order and yield what came of each as soon as it is known.

        A case is asked for when the one before it is over.
        """
        with Nursery() as nursery:
            try:
                for case in cases:
                    start = time.perf_counter()
                    outcome = self._outcome(case, nursery)
                    yield replace(outcome, seconds=time.perf_counter() - start)
            finally:
                self._end()

    def _outcome(self, case: Case, nursery: Nursery) -> Outcome:
        if case.id == ENDING:
            return self._ending(case, nursery)
        if self._timeouts >= MOST_TIMEOUTS:
            text = f"not run: the adapter timed out {self._timeouts} times before"
            return Outcome(case.id, Status.PRECONDITION_FAILED, text, incomplete=True)
        try:
            adapter = self._started()
        except Fault as fault:
            return self._at_handshake(case, fault)
        assert self.ready is not None
        if unsupported := case.unsupported(self.ready.capabilities):
            return Outcome(case.id, Status.NOT_SUPPORTED, unsupported)
        if case.situation == "gate":
            return examine(case, self.argv, self.gating, self._explored)
        return self._attempt(case, adapter, self.ready, nursery)

    def _attempt(self, case: Case, adapter: Adapter, ready: Ready, nursery: Nursery) -> Outcome:
        adapter.conversation.forget()
        status, text, wait_status, incomplete = Status.PASS, "", None, False
        attempt = Attempt(case, adapter, ready, nursery, self.deadline)
        try:
            attempt.run()
        except Deviation as deviation:
            status, text = Status.DEVIATES, str(deviation)
        except Unprepared as failed:
            status, text = Status.PRECONDITION_FAILED, str(failed)
            incomplete = failed.incomplete
        except Fault as fault:
            status, text = Status(fault.status), str(fault)
            self._timeouts += status is Status.TIMEOUT
        history = tuple(str(event) for event in adapter.conversation.history)
        if status in (Status.CRASH, Status.TIMEOUT, Status.PROTOCOL_ERROR):
            wait_status = self._drop(adapter, status)
        else:
            self._tidy(attempt, adapter)
        nursery.clear()
        return Outcome(case.id, status, text, 0.0, history, wait_status, incomplete)

    def _tidy(self, attempt: Attempt, adapter: Adapter) -> None:
        """Put the adapter in order for the next case, or end it if that cannot be done."""
        try:
            attempt.tidy()
        except Fault:
            self._drop(adapter, Status.TIMEOUT)
        else:
            if adapter.conversation.under_way:
                self._drop(adapter, Status.TIMEOUT)  # a call is stuck

    def _at_handshake(self, case: Case, fault: Fault) -> Outcome:
        self._timeouts += fault.status == TIMEOUT
        if case.id == HANDSHAKE:
            return Outcome(case.id, Status(fault.status), str(fault))
        text = f"no handshake: {fault}"
        return Outcome(case.id, Status.PRECONDITION_FAILED, text, incomplete=True)

    def _ending(self, case: Case, nursery: Nursery) -> Outcome:
        """End the adapter that ran the cases, or a new one after a fault, and judge how it went."""
        try:
            adapter = self._started()
        except Fault as fault:
            return self._at_handshake(case, fault)
        ending = adapter.close()
        self._adapter = None
        status, text = _judge_ending(ending, nursery.known, self.deadline)
        return Outcome(case.id, status, text, wait_status=ending.wait_status)

    def _started(self) -> Adapter:
        """Return the running adapter, a new one if there is none."""
        if self._adapter is None:
            adapter = Adapter.start(
                self.argv,
                deadline=self.deadline,
                validate=self.validate,
                environment=self.environment,
                log=self.log,
            )
            try:
                self.ready = adapter.handshake()
            except BaseException:
                adapter.kill()
                adapter.close()
                raise
            self._adapter = adapter
        return self._adapter

    def _drop(self, adapter: Adapter, status: Status) -> int | None:
        """End an adapter that failed; return its own wait status, if it had ended by itself."""
        adapter.kill()
        ending = adapter.close()
        self._adapter = None
        return ending.wait_status if status is Status.CRASH else None

    def _end(self) -> None:
        if self._adapter is not None:
            adapter, self._adapter = self._adapter, None
            if adapter.conversation.under_way:
                adapter.kill()
            adapter.close()


def _judge_ending(ending: Ending, asked_for: set[int], deadline: float) -> tuple[Status, str]:
    if ending.by != "itself":
        how = "" if ending.by == "SIGTERM" else " and ignored SIGTERM"
        return Status.TIMEOUT, f"told to end, it still ran after {deadline:g} s{how}"
    assert ending.wait_status is not None, "an adapter that said 'ready' has started"
    if ending.wait_status != 0:
        return Status.CRASH, f"told to end, it {describe(ending.wait_status)}: {_last_line(ending)}"
    left = [str(process) for process in ending.left if process.pid not in asked_for]
    if left:
        return Status.DEVIATES, f"it left behind what nobody asked it to start: {', '.join(left)}"
    return Status.PASS, ""


def _last_line(ending: Ending) -> str:
    lines = ending.log.strip().splitlines()
    return lines[-1][:200] if lines else "it wrote nothing to stderr"
