"""One case being run on an adapter: the situation set up, the calls made, the history judged.

    set up ──▶ call, call, ... ──▶ look at the decoy ──▶ (whatever came of it) tidy

A call's return is judged as it comes, so that the first that does not fit is the one that is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lastref.conformance import capabilities
from lastref.conformance.child import Child, NotOurChild, Nursery
from lastref.conformance.linearize import Judge
from lastref.conformance.protocol.adapter import Adapter
from lastref.conformance.protocol.conversation import Conversation, Ready
from lastref.conformance.protocol.messages import Message
from lastref.conformance.situations import MISSING_PID, beginning
from lastref.conformance.suite import DECOY_CODE, EXIT_CODE, FOREIGN, HANDSHAKE, PIPES, Case

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
class Attempt:
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
    blocked: list[int] = field(default_factory=list)

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
            self._reaped_by_itself()

    def _start_decoy(self) -> None:
        """Leave another child of the implementation as a zombie that no call of the case names."""
        self.decoy = self._start(_DECOY, DECOY_CODE)
        self.decoy.end()
        if not self.decoy.await_end(self.deadline):
            raise Unprepared("the decoy did not end when it was told to", incomplete=True)
        self._reaped_by_itself()

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
        """Make the calls while a Wait is blocked; a Wait among them blocks as well.

        Each call finds the others settled, so that what came of them does not depend on the load.
        """
        self._block()
        for method in self.case.calls:
            if method == "wait" and self.ends_by is None:
                self._block()
            else:
                self._return(self._begin(method), method)
                self._settle()
        self._end_child()
        assert self.child is not None
        self.child.await_end(self.deadline)
        self._settle()
        for number in self.blocked:
            self.adapter.result(number, "a blocked 'wait'")
        self._judge_returned()
        if self.case.then is not None:
            self._one(self.case.then)

    def _block(self) -> None:
        self.blocked.append(self._begin("wait"))
        self._settle()

    def _settle(self) -> None:
        """Let everything come of what was done, and judge the Waits that have returned of it."""
        self.adapter.settle()
        self._judge_returned()

    def _judge_returned(self) -> None:
        """Judge the blocked Waits that have returned.

        Nothing was called between their returns, so which came first says nothing: those that got
        the process's end are taken first, and the same is said each time.
        """
        told = [(number, self.conversation.answer(number)) for number in self.blocked]
        ready = [(self._rank(answer), number) for number, answer in told if answer is not None]
        for _, number in sorted(ready):
            self.blocked.remove(number)
            self._return(number, "wait")

    def _rank(self, answer: Message) -> tuple[bool, bool, str]:
        """Return what orders the answers of Waits that returned together."""
        outcome = str(answer["outcome"])
        return outcome != "ok", self._told_end(answer) != self._end(), outcome

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
        elif self.child is not None and not self.child.told:  # a zombie, say, was told before
            self.child.end()
        else:
            return
        if self.ends_by is None:
            self.ends_by = 0
        self.judge.exit()
        self.conversation.ended(self.name)
        self._reaped_by_itself()

    def _return(self, number: int, method: str) -> None:
        answer = self.adapter.result(number, f"'{method}'")
        refused = self.judge.returns(number, answer["outcome"])
        if refused is not None:
            raise Deviation(str(refused))
        if method == "kill" and answer["outcome"] == "nil" and self.ends_by is None:
            self.ends_by = _KILLED
            if self.child is not None:  # the death by a signal is not immediate
                self.child.await_end(self.deadline)
                self._reaped_by_itself()
        tells = "exit-status" in self.ready.capabilities
        if method == "wait" and answer["outcome"] == "ok" and tells:
            self._judge_exit_status(answer)

    def _reaped_by_itself(self) -> None:
        """Let an implementation that reaps every child of its own accord do so."""
        if "reaps-itself" in self.ready.capabilities and self.child is not None:
            self.child.await_end(self.deadline)
            self.adapter.settle()

    def _judge_exit_status(self, answer: Message) -> None:
        seen, right = self._told_end(answer), self._end()
        if seen != right:
            raise Deviation(f"wait told {_status(seen)}, and the child {_status(right)}")

    def _told_end(self, answer: Message) -> dict[str, int | None]:
        return {key: answer.get(key) for key in ("exit_code", "exit_signal")}

    def _end(self) -> dict[str, int | None]:
        """Return how the child ends, as a Wait should tell."""
        if self.ends_by:
            return {"exit_code": None, "exit_signal": self.ends_by}
        return {"exit_code": EXIT_CODE, "exit_signal": None}

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
