"""Judges a history: is there an order of its calls that the sequential specification allows?

A history is the order of invocations and returns that were seen.  The judge keeps every
configuration that explains it so far: the values of the object, and for each call under way how far
it has come.  An invocation adds a call; then any pieces may be taken, in any order; a return keeps
the configurations in which that call has returned just that.  Where none is left, no order fits,
and what would have been allowed there is known.

    wait ?   signal ?   signal → nil   exit   wait → ok
    └──── reservation ──── signal ──────┬──── follow-up      fits

Source: M. Herlihy and J. Wing, Linearizability (TOPLAS 1990); G. Lowe, Testing for linearizability
(2017), for keeping all configurations at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from lastref.conformance.specification import Specification
from lastref.model.system import Values


class Call(NamedTuple):
    """A call under way: its number and method, and where it stands; or what it has returned."""

    number: int
    method: str
    thread: Values | None
    outcome: str


class Configuration(NamedTuple):
    """One explanation of a history: the values, the calls, and whether the process may end."""

    shared: Values
    calls: frozenset[Call]
    exits: bool


@dataclass(frozen=True)
class NotAllowed:
    """What no order explains: the call, what it returned, and what it could have returned."""

    method: str
    outcome: str
    allowed: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as a report and an expectation file show it."""
        allowed = " or ".join(self.allowed) or "only that it waits"
        return f"{self.method} gave {self.outcome}, the specification allows {allowed}"


class Judge:
    """Follows a history event by event; each method raises nothing and may leave no explanation."""

    def __init__(self, specification: Specification) -> None:
        self._specification = specification
        self._open = {Configuration(specification.start, frozenset(), exits=False)}

    def invoke(self, number: int, method: str) -> None:
        """A call of ``method`` begins."""
        thread = self._specification.enter(method)
        call = Call(number, method, thread, "")
        self._open = {c._replace(calls=c.calls | {call}) for c in self._open}

    def exit(self) -> None:
        """The process is told to end; it does so now or later."""
        self._open = {c._replace(exits=True) for c in self._open}

    def returns(self, number: int, outcome: str) -> NotAllowed | None:
        """A call returns; the answer says what it could have returned, if not this."""
        self._close()
        finished = [
            (configuration, call)
            for configuration in self._open
            for call in configuration.calls
            if call.number == number and call.thread is None
        ]
        allowed = tuple(sorted({call.outcome for _, call in finished}))
        kept = {
            configuration._replace(calls=configuration.calls - {call})
            for configuration, call in finished
            if call.outcome == outcome
        }
        if kept:
            self._open = kept
            return None
        methods = {c.method for one in self._open for c in one.calls if c.number == number}
        return NotAllowed(methods.pop(), outcome, allowed)

    def knows(self, variable: str) -> bool:
        """Return whether the specification has a variable of that name."""
        return any(v.name == variable for v in self._specification.table.shared)

    def observe(self, variable: str, value: int) -> tuple[int, ...] | None:
        """A variable was read while no call was under way; the answer: what it could have been."""
        self._close()
        read = {c: self._specification.value(c.shared, variable) for c in self._open}
        kept = {c for c, seen in read.items() if seen == value}
        if kept:
            self._open = kept
            return None
        return tuple(sorted({seen for seen in read.values() if seen is not None}))

    def _close(self) -> None:
        """Add every configuration that more pieces lead to."""
        going = list(self._open)
        while going:
            for after in self._after(going.pop()):
                if after not in self._open:
                    self._open.add(after)
                    going.append(after)

    def _after(self, one: Configuration) -> Iterable[Configuration]:
        if one.exits:
            yield from (one._replace(shared=s) for s in self._specification.kernel(one.shared))
        for call in one.calls:
            if call.thread is None:
                continue
            for piece in self._specification.pieces(call.method, one.shared, call.thread):
                outcome = piece.outcome or call.outcome
                moved = call._replace(thread=piece.thread, outcome=outcome)
                yield one._replace(shared=piece.shared, calls=one.calls - {call} | {moved})
