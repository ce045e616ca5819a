"""What an object does when it is called by one thread at a time: the sequential specifications.

    status     wait            signal, kill           release
    ok         reaps: ok       nil (reaped: EPD)      nil, and released from now on
    done       EPD             EPD                    nil
    released   EINVAL          REL                    nil

Each call happens at once.  Histories of the real designs are compared with these by
:mod:`~lastref.model.linearize`.  Beside each is the same with *stretched* calls, which begin at one
moment and take the rest of their effect at a later one: a Wait reaps first and says so afterwards.

Sources: the table of outcomes of the designs, as their own tests have it (W;W, R;W, W;R;S, …).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace

State = Hashable
Call = Callable[[State, str], tuple[str, State] | None]
"""Takes a state and a method; returns the outcome and the state after it; ``None``: it waits."""

End = Callable[[State, str, str], State]
"""Takes a state, a method and the outcome of the call that ends; returns the state afterwards."""

OK, DONE, RELEASED = "ok", "done", "released"


@dataclass(frozen=True)
class Process:
    """A process object whose process has ended: its status, and whether it was reaped."""

    status: str = OK
    reaped: bool = False


@dataclass(frozen=True)
class Answers:
    """What a design answers once its status is set; ``waited`` is the status after a Wait.

    ``reaps`` says that a Wait takes what it waited for: there is nothing left for a second one.
    """

    wait: Mapping[str, str]
    signal: Mapping[str, str]
    release: Mapping[str, str]
    fresh: str = "nil"
    killed: str = "nil"
    waited: str = DONE
    reaps: bool = True

    def call(self, state: State, method: str) -> tuple[str, State] | None:
        """Return what ``method`` answers, and the object after it."""
        assert isinstance(state, Process)
        if method == "wait":
            if state.status != OK:
                return self.wait[state.status], state
            return ("waitid:ECHILD", state) if state.reaped else ("ok", Process(self.waited, True))
        if method in ("signal", "kill"):
            if state.status != OK:
                return self.signal[state.status], state
            alive = self.killed if method == "kill" else self.fresh
            return "EPD" if state.reaped else alive, state
        if state.status != OK:
            return self.release[state.status], state
        return "nil", replace(state, status=RELEASED)

    def begin(self, state: State, method: str) -> tuple[str, State] | None:
        """Answer a stretched call: a Wait that succeeds may have reaped, and not yet said so."""
        answer = self.call(state, method)
        assert isinstance(state, Process)
        if answer is None or answer[0] != "ok":
            return answer
        return "ok", replace(state, reaped=self.reaps)

    def end(self, state: State, method: str, outcome: str) -> State:
        """End a stretched call: a Wait that succeeded says so, unless the status is set by now."""
        assert isinstance(state, Process)
        told = method == "wait" and outcome == "ok" and state.status == OK
        return replace(state, status=self.waited) if told else state


GO_2024 = Answers(
    wait={DONE: "EPD", RELEASED: "EINVAL"},
    signal={DONE: "EPD", RELEASED: "REL"},
    release={DONE: "nil", RELEASED: "nil"},
)
GO_2025 = replace(GO_2024, wait={DONE: "wait:ECHILD", RELEASED: "EINVAL"})
WINDOWS = Answers(
    wait={DONE: "EPD", RELEASED: "EINVAL"},
    signal={DONE: "EPD", RELEASED: "EINVAL"},
    release={DONE: "nil", RELEASED: "EINVAL"},
    fresh="EWINDOWS",
    waited=RELEASED,
    reaps=False,
)


@dataclass(frozen=True)
class Safe:
    """.NET's SafeHandle: whether it was disposed of, and how many uses are under way."""

    disposed: bool = False
    users: int = 0


def safe_handle(state: State, method: str) -> tuple[str, State] | None:
    """Answer for SafeHandle as its contract reads: no use after Dispose."""
    assert isinstance(state, Safe)
    if method == "dispose":
        return "nil", replace(state, disposed=True)
    return ("ObjectDisposedException" if state.disposed else "nil"), state


def begin_safe(state: State, method: str) -> tuple[str, State] | None:
    """Answer a stretched call: a use is let in after Dispose while another one is under way."""
    assert isinstance(state, Safe)
    if method == "use" and (state.users or not state.disposed):
        return "nil", replace(state, users=state.users + 1)
    return safe_handle(state, method)


def end_safe(state: State, method: str, outcome: str) -> State:
    """End a stretched call."""
    assert isinstance(state, Safe)
    used = method == "use" and outcome == "nil"
    return replace(state, users=state.users - 1) if used else state


@dataclass(frozen=True)
class Specification:
    """A sequential specification: the state before any call, and what a call does.

    ``begin`` and ``end`` are the two moments of a stretched call.
    """

    initial: State
    call: Call
    begin: Call
    end: End


def of_process(answers: Answers) -> Specification:
    """Return the specification of a process object that gives ``answers``."""
    return Specification(Process(), answers.call, answers.begin, answers.end)


SPECIFICATIONS: Mapping[tuple[str, str], Specification] = {
    ("go-2024", "linux"): of_process(GO_2024),
    ("go-2024", "windows"): of_process(WINDOWS),
    ("go-2025", "linux"): of_process(GO_2025),
    ("go-2025", "windows"): of_process(WINDOWS),
    ("dotnet-safehandle", "any"): Specification(Safe(), safe_handle, begin_safe, end_safe),
}
"""The sequential specification of each design that has one, by the ids of its table."""
