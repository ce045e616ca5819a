"""Judges a history of invocations and returns: does some order of the points explain it?

A configuration is one explanation so far: the state, and how far each thread's call has come.  All
configurations are followed at once.  The sets of configurations that come up are few and come up
again and again, so they are kept as the nodes of an automaton that grows while it runs: an event
that was seen before at this node costs one look-up, and a million operations are judged in seconds.

    ┌─ all explanations ─┐  (T1, wait, invoked)   ┌────────┐  (T2, kill, nil)   ┌────────┐
    │ ok, running, idle  │ ─────────────────────► │   …    │ ─────────────────► │   …    │ ─► none:
    └────────────────────┘                        └────────┘                    └────────┘  broken

Source: G. Lowe, Testing for linearizability (2017), for following all configurations at once; the
rest is the subset construction of automata theory, made on demand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lastref.conformance.stress.spec import Returned, Specification, State

MOST_NODES = 50_000
"""The automaton is begun anew when it has grown to this size, to bound its memory."""


class Event(NamedTuple):
    """One thread's operation begins, or (with an outcome) returns."""

    thread: int
    operation: str
    outcome: str | None = None


Call = str | Returned | None


class Configuration(NamedTuple):
    """One explanation: the state, and for each thread the next point of its call."""

    state: State
    calls: tuple[Call, ...]


class Refuted(NamedTuple):
    """The first event that no explanation survives, and what could have come in its place."""

    at: int
    event: Event
    allowed: tuple[str, ...]

    def __str__(self) -> str:
        allowed = " or ".join(self.allowed) or "only that it waits"
        operation, outcome = self.event.operation, self.event.outcome
        return f"event {self.at + 1}: {operation} gave {outcome}, allowed is {allowed}"


class _Node:
    __slots__ = ("configurations", "edges")

    def __init__(self, configurations: frozenset[Configuration]) -> None:
        self.configurations = configurations
        self.edges: dict[tuple[int, str, str | None], _Node] = {}


class Monitor:
    """Judges histories of ``threads`` threads against a specification; keeps what it learns."""

    def __init__(self, specification: Specification, threads: int) -> None:
        self._specification = specification
        self._threads = threads
        self._forget()

    def judge(self, history: Sequence[Event]) -> Refuted | None:
        """Return the first event that no order of the points explains; None if one explains all."""
        if len(self._nodes) > MOST_NODES:
            self._forget()
        node = self._root
        for index, event in enumerate(history):
            following = node.edges.get(event)
            if following is None:
                following = node.edges[event] = self._node(self._after(node, event))
            if not following.configurations:
                return Refuted(index, event, _allowed(node, event.thread))
            node = following
        return None

    def _forget(self) -> None:
        self._nodes: dict[frozenset[Configuration], _Node] = {}
        idle: tuple[Call, ...] = (None,) * self._threads
        self._root = self._node({Configuration(State(), idle)})

    def _node(self, configurations: Iterable[Configuration]) -> _Node:
        key = frozenset(configurations)
        return self._nodes.setdefault(key, _Node(key))

    def _after(self, node: _Node, event: Event) -> set[Configuration]:
        if event.outcome is None:
            begun = (_with(c, event.thread, c.state, event.operation) for c in node.configurations)
            return self._closed(begun)
        returned = Returned(event.outcome)
        return {
            _with(c, event.thread, c.state, None)
            for c in node.configurations
            if c.calls[event.thread] == returned
        }

    def _closed(self, begun: Iterable[Configuration]) -> set[Configuration]:
        """Add every configuration that further points lead to."""
        found = set(begun)
        going = list(found)
        while going:
            one = going.pop()
            for thread, call in enumerate(one.calls):
                if not isinstance(call, str):
                    continue
                for state, after in self._specification.points(one.state, call):
                    reached = _with(one, thread, state, after)
                    if reached not in found:
                        found.add(reached)
                        going.append(reached)
        return found


def _with(one: Configuration, thread: int, state: State, call: Call) -> Configuration:
    return Configuration(state, (*one.calls[:thread], call, *one.calls[thread + 1 :]))


def _allowed(node: _Node, thread: int) -> tuple[str, ...]:
    calls = {c.calls[thread] for c in node.configurations}
    return tuple(sorted({call.outcome for call in calls if isinstance(call, Returned)}))
