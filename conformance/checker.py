"""Runs the cases against an adapter: one program for many of them, a new one after a fault.

    case ──▶ set the situation up ──▶ calls, and the child's end ──▶ history ──▶ judge ──▶ outcome

What is skipped is decided here, from what the adapter declared, never by the adapter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lastref.conformance import capabilities
from lastref.conformance.cases import (
    DECOY_CODE,
    ENDING,
    EXIT_CODE,
    FOREIGN,
    HANDSHAKE,
    PIPES,
    Case,
)
from lastref.conformance.child import Child, NotOurChild, Nursery
from lastref.conformance.linearize import Judge
from lastref.conformance.outcomes import Outcome, Status
from lastref.conformance.protocol.adapter import DEADLINE, TIMEOUT, Adapter, Ending, Fault, describe
from lastref.conformance.protocol.conversation import Conversation, Ready
from lastref.conformance.protocol.messages import Message
from lastref.conformance.situations import MISSING_PID, beginning

MOST_TIMEOUTS = 5
"""After so many the rest is not run: a hanging adapter would take hours to say so each time."""

_MADE_BY = {
    "found": ("find", "c"),
    "literal": ("literal", "c"),
    "missing": ("find", ""),
    "other": ("find", ""),
    "literal-other": ("literal", ""),
    "zero": ("literal", ""),
}
"""How the object comes about where it is not started, and the name of the one beside it."""

_OTHERS = ("other", "literal-other")
_DECOY = "d"
_SIGNAL_OF = {"signal": 0, FOREIGN: -1}
_KILLED = 9


class Deviation(Exception):
    """The implementation did what the specification does not allow; the text says what."""


class Unprepared(Exception):
    """The situation of a case could not be set up; ``incomplete`` if that is no one's limit."""

    def __init__(self, text: str, *, incomplete: bool = False) -> None:
        super().__init__(text)
        self.incomplete = incomplete


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
    ready: Ready | None = None
    _adapter: Adapter | None = None
    _timeouts: int = 0
    _faults: list[str] = field(default_factory=list)

    def run(self, cases: Sequence[Case]) -> Iterator[Outcome]:
        """Run the cases in their order and yield what came of each as soon as it is known."""
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
        missing = sorted(case.needs - self.ready.capabilities)
        if missing:
            text = f"the adapter does not declare {', '.join(missing)}"
            return Outcome(case.id, Status.NOT_SUPPORTED, text)
        return self._attempt(case, adapter, self.ready, nursery)

    def _attempt(self, case: Case, adapter: Adapter, ready: Ready, nursery: Nursery) -> Outcome:
        adapter.conversation.forget()
        status, text, wait_status, incomplete = Status.PASS, "", None, False
        attempt = _Attempt(case, adapter, ready, nursery, self.deadline)
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

    def _tidy(self, attempt: _Attempt, adapter: Adapter) -> None:
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
        """End the adapter and judge how it went; a fresh one, so that no earlier fault counts."""
        try:
            self._end()
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


@dataclass
class _Attempt:
    """One case being run."""

    case: Case
    adapter: Adapter
    ready: Ready
    nursery: Nursery
    deadline: float
    child: Child | None = None
    decoy: Child | None = None
    started: list[tuple[Child, str]] = field(default_factory=list)
    ends_by: int | None = None  # the signal that ends the child, 0: it exits; None: not yet
    name: str = "p"

    def run(self) -> None:
        """Set up, call, judge."""
        if self.case.situation == "adapter":
            self._adapter_case()
            return
        self.begins = beginning(self.ready.specification, self.case.situation)
        if not self.begins.outcome:
            raise Unprepared(f"{self.ready.specification} has no such object")
        self._set_up()
        self.conversation.history.clear()
        assert self.begins.specification is not None, "else there is no object, and no call"
        self.judge = Judge(self.begins.specification)
        if self.case.situation == "overlap":
            self._overlap()
        else:
            for method in self.case.calls:
                self._one(method)
        self._look_at_the_decoy()

    @property
    def conversation(self) -> Conversation:
        """The adapter's conversation."""
        return self.adapter.conversation

    def _adapter_case(self) -> None:
        if self.case.id == HANDSHAKE:
            return
        child = self._start()
        if self.case.id == PIPES:
            leaked = child.open_files() & self.adapter.pipes
            if leaked:
                raise Deviation(f"its child holds {len(leaked)} of the protocol's pipes")
        else:
            capability = self.case.id.partition("declares-")[2]
            said = capabilities.examine(capability, self.adapter, child, self.name, self.ready)
            if said is not None:
                raise Deviation(f"it declares '{capability}', but {said}")
        child.end()

    def _set_up(self) -> None:
        """Make the object that the case is about, as the specification says that it goes."""
        situation = self.case.situation
        op, name = _MADE_BY.get(situation, ("start", self.name))
        if situation in ("zero", "missing"):
            self._make(op, 0 if situation == "zero" else MISSING_PID)
            return
        if situation in _OTHERS:
            self._make(op, self.nursery.bystander().pid)
            return
        if situation == "overlap":
            self._start_decoy()
        child = self._start(name)
        if op != "start":
            self._make(op, child.pid)
        if situation == "zombie":
            child.end()
            self.ends_by = 0
            if not child.await_end(self.deadline):
                raise Unprepared("the child did not end when it was told to", incomplete=True)

    def _start_decoy(self) -> None:
        """Leave another child of the implementation as a zombie that no call of the case names."""
        self.decoy = self._start(_DECOY, DECOY_CODE)
        self.decoy.end()
        if not self.decoy.await_end(self.deadline):
            raise Unprepared("the decoy did not end when it was told to", incomplete=True)

    def _look_at_the_decoy(self) -> None:
        """Wait for the decoy: if nobody took it by mistake, its own status comes."""
        if self.decoy is None:
            return
        answer = self.adapter.call("wait", _DECOY)
        told = answer.get("exit_code", DECOY_CODE)
        if answer["outcome"] != "ok" or told != DECOY_CODE:
            raise Deviation("another child was reaped, by a call that did not name it")

    def tidy(self) -> None:
        """Reap what the case has left as zombies, behind the implementation's back if need be.

        A later case's result must not depend on what an earlier one has left.
        """
        op = "reap" if "reap" in self.ready.capabilities else "wait"
        for child, name in self.started:
            child.end()
            if (
                child.await_end(self.deadline)
                and not child.reaped
                and op in self.ready.capabilities
            ):
                self.adapter.call(op, name)
            self.adapter.call("drop", name)

    def _start(self, name: str | None = None, code: int = EXIT_CODE) -> Child:
        """Start a child through the implementation, and make sure that it is the one."""
        child = self.child = self.nursery.new(code)
        answer = self.adapter.call("start", name or self.name, argv=child.argv)
        if answer["outcome"] != "nil":
            raise Deviation(f"start gave {_told(answer)}")
        try:
            child.started(int(answer.get("pid", 0)), self.deadline)
        except NotOurChild as error:
            raise Deviation(f"start gave a pid that is not the child's: {error}") from None
        self.started.append((child, name or self.name))
        return child

    def _make(self, op: str, pid: int) -> None:
        """Find a process or make one by hand; judge it where the case is about nothing more."""
        answer = self.adapter.call(op, self.name, pid=pid)
        expected = self.begins.outcome
        if answer["outcome"] != expected:
            text = f"{op} gave {answer['outcome']}, the specification allows {expected}"
            if len(self.case.calls) == 1:
                raise Deviation(text)
            raise Unprepared(f"there is no object to call: {text}")
        if self.begins.specification is None:
            raise Unprepared(f"{op} gives no object, as the specification says")

    def _one(self, method: str) -> None:
        """Make one call and judge its return; a Wait is given what it waits for."""
        number = self._begin(method)
        if method == "wait":
            self._end_child()
        self._return(number, method)
        self._look_at_the_word()

    def _overlap(self) -> None:
        """Make the calls while a Wait is blocked; a Wait among them blocks as well."""
        blocked = [(self._begin("wait"), "wait")]
        for method in self.case.calls:
            number = self._begin(method)
            if method == "wait" and self.ends_by is None:
                blocked.append((number, method))
            else:
                self._return(number, method)
        self._end_child()
        while blocked:
            # Whichever returns first is judged first: the history has them in that order.
            numbers = [number for number, _ in blocked]
            first = self.adapter.first(numbers, "a blocked 'wait'")
            self._return(first, "wait")
            blocked = [pair for pair in blocked if pair[0] != first]
        if self.case.then is not None:
            self._one(self.case.then)

    def _begin(self, method: str) -> int:
        op, arguments = method, {}
        if method in _SIGNAL_OF:
            op, arguments = "signal", {"signal": _SIGNAL_OF[method]}
        number = self.adapter.begin(op, self.name, **arguments)
        self.judge.invoke(number, method)
        return number

    def _end_child(self) -> None:
        """Let the child end; in the situations where it may not have ended yet."""
        if self.case.situation in _OTHERS:
            self.nursery.dismiss_bystander()
        elif self.child is not None and self.case.situation != "zombie":
            self.child.end()
        else:
            return
        if self.ends_by is None:
            self.ends_by = 0
        self.judge.exit()
        self.conversation.ended(self.name)

    def _return(self, number: int, method: str) -> None:
        answer = self.adapter.result(number, f"'{method}'")
        refused = self.judge.returns(number, answer["outcome"])
        if refused is not None:
            raise Deviation(str(refused))
        if method == "kill" and answer["outcome"] == "nil" and self.ends_by is None:
            self.ends_by = _KILLED
        tells = "exit-status" in self.ready.capabilities
        if method == "wait" and answer["outcome"] == "ok" and tells:
            self._judge_exit_status(answer)

    def _judge_exit_status(self, answer: Message) -> None:
        seen = {key: answer.get(key) for key in ("exit_code", "exit_signal")}
        right = (
            {"exit_code": None, "exit_signal": self.ends_by}
            if self.ends_by
            else {"exit_code": EXIT_CODE, "exit_signal": None}
        )
        if seen != right:
            raise Deviation(f"wait told {_status(seen)}, and the child {_status(right)}")

    def _look_at_the_word(self) -> None:
        if "observable-word" not in self.ready.capabilities:
            return
        answer = self.adapter.call("observe", self.name)
        if "word" in answer and self.judge.knows("word"):
            allowed = self.judge.observe("word", int(answer["word"], 16))
            if allowed is not None:
                said = " or ".join(f"{value:#x}" for value in allowed)
                raise Deviation(f"the word is {answer['word']}, the specification allows {said}")


def _told(answer: Message) -> str:
    native = answer.get("native")
    return f"{answer['outcome']} ({native})" if native else str(answer["outcome"])


def _status(fields: Mapping[str, int | None]) -> str:
    return next(
        (
            f"{key.removeprefix('exit_')} {value}"
            for key, value in fields.items()
            if value is not None
        ),
        "nothing",
    )
