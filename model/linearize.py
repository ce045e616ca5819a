"""Linearizability: does every history look as if each call had happened at one moment?

    W1  |─────────── ok ──────────|
    R1        |── nil ──|                       both orders of W1 and R1 are possible by the clock,
    S1                               |── REL ──|  and neither explains that S1 is told "released"

All complete histories of a small scenario are made from the explorer's graph (calls, returns and
their outcomes), and each is looked for an order of its calls that respects the clock and that the
sequential specification answers in the same way (Wing and Gong's search).

go-2024 is *not* linearizable, and its authors say so in a comment ("results can be inconsistent"):
a Wait that overlaps a Release can succeed although the status says released.  So the histories
without an order are named, exactly, and each is shown to have one once a call may take its effect
in two moments, as these do:

    ``overtaken``   a Wait succeeded that the status had overtaken: who calls later is told another
                    reason than Wait's (the N.B. of the commit)
    ``lost-race``   a Wait found its child already reaped by another Wait: ECHILD
    ``both-waited`` Windows: two Waits waited for one process, which takes nothing from it, and both
                    succeeded; the sequential second one is told that it is released
    ``kept-alive``  SafeHandle: a use was let in after Dispose because another use was under way

Source: Herlihy and Wing, Linearizability (1990); Wing and Gong, Testing and verifying concurrent
objects (1993); Go commit beaf7f3282, comment in pidDeactivate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from lastref.model.fuse import fuse
from lastref.model.histories import END_EVENT, HANG, Event, Histories
from lastref.model.sequential import SPECIFICATIONS, Specification, State
from lastref.model.system import Scenario, System, scenario
from lastref.model.table import Table

OVERTAKEN, LOST_RACE = "overtaken", "lost-race"
BOTH_WAITED, KEPT_ALIVE = "both-waited", "kept-alive"


@dataclass(frozen=True, order=True)
class Called:
    """One call of a history: the thread, its method, and what it returned."""

    thread: str
    method: str
    outcome: str

    def __str__(self) -> str:
        """Return ``W1 wait ok``."""
        return f"{self.thread} {self.method} {self.outcome}"


@dataclass(frozen=True)
class History:
    """What was seen: the calls, and which had returned before which began."""

    calls: tuple[Called, ...]
    before: frozenset[tuple[int, int]]

    def __str__(self) -> str:
        """Return the calls, and the order of those that did not overlap."""
        order = ", ".join(
            f"{self.calls[a].thread} {self.calls[a].method} < "
            f"{self.calls[b].thread} {self.calls[b].method}"
            for a, b in sorted(self.before)
        )
        return "; ".join(filter(None, (", ".join(map(str, self.calls)), order)))


@dataclass(frozen=True)
class Linearizability:
    """What the histories of a scenario came to.

    ``unordered`` are those that no order explains, each with its kind (empty: none is known).
    """

    scenario: Scenario
    histories: int
    unordered: dict[History, str] = field(default_factory=dict)

    @property
    def unexplained(self) -> tuple[History, ...]:
        """The histories without an order that are of no known kind."""
        return tuple(h for h, kind in self.unordered.items() if not kind)


def histories(table: Table, plan: Scenario) -> frozenset[History]:
    """Return every complete history of ``plan``, as calls and their real-time order.

    The fused table is searched: a failed round is not seen from outside.
    """
    graph = Histories(System(fuse(table).fused, plan), effects=False)
    methods = {t.name: t.calls for t in plan.threads}
    return frozenset(ordered(word, methods) for word in _words(graph))


def _words(graph: Histories) -> Iterator[tuple[Event, ...]]:
    """Yield every complete sequence of calls and returns, each once."""
    stack: list[tuple[frozenset[int], tuple[Event, ...]]] = [(graph.start(), ())]
    while stack:
        nodes, word = stack.pop()
        events = {e for n in nodes for e, _ in graph.edges[n] if e is not None}
        if events & {END_EVENT, HANG}:
            yield word
        for event in sorted(events - {END_EVENT, HANG}):
            stack.append((graph.follow(nodes, event), (*word, event)))


def ordered(word: tuple[Event, ...], methods: dict[str, tuple[str, ...]]) -> History:
    """Return the calls of a sequence of events, sorted by name, and which preceded which."""
    made: dict[str, int] = {}
    begun: dict[tuple[str, int], int] = {}
    ended: dict[tuple[str, int], tuple[int, str]] = {}
    for moment, event in enumerate(word):
        kind, thread = event[0], event[1]
        if kind == "invoke":
            made[thread] = made.get(thread, -1) + 1
            begun[thread, made[thread]] = moment
        else:
            ended[thread, made[thread]] = (moment, event[2])
    keys = sorted(ended)
    calls = tuple(Called(t, methods[t][n], ended[t, n][1]) for t, n in keys)
    before = frozenset(
        (i, j) for i, a in enumerate(keys) for j, b in enumerate(keys) if ended[a][0] < begun[b]
    )
    return History(calls, before)


def linearization(history: History, specification: Specification) -> tuple[int, ...] | None:
    """Return an order of the calls that the specification answers alike, or ``None``."""
    calls, before = history.calls, history.before

    @cache
    def search(done: frozenset[int], state: State) -> tuple[int, ...] | None:
        if len(done) == len(calls):
            return ()
        for i, call in enumerate(calls):
            if i in done or any(b == i and a not in done for a, b in before):
                continue
            answer = specification.call(state, call.method)
            if answer is not None and answer[0] == call.outcome:
                rest = search(done | {i}, answer[1])
                if rest is not None:
                    return (i, *rest)
        return None

    return search(frozenset(), specification.initial)


def stretched(history: History, specification: Specification) -> bool:
    """Return whether the history is explained once calls may begin and end at different moments."""
    calls, before = history.calls, history.before

    @cache
    def search(begun: frozenset[int], ended: frozenset[int], state: State) -> bool:
        if len(ended) == len(calls):
            return True
        for i, call in enumerate(calls):
            if i in ended or any(b == i and a not in ended for a, b in before):
                continue
            if i in begun:
                after = specification.end(state, call.method, call.outcome)
                if search(begun, ended | {i}, after):
                    return True
                continue
            answer = specification.begin(state, call.method)
            fits = answer is not None and answer[0] == call.outcome
            if answer is not None and fits and search(begun | {i}, ended, answer[1]):
                return True
        return False

    return search(frozenset(), frozenset(), specification.initial)


def kind_of(history: History, specification: Specification) -> str:
    """Return of which known kind a history without an order is, or the empty string.

    It is of a known kind only if stretched calls explain it.
    """
    if not stretched(history, specification):
        return ""
    calls, before = history.calls, history.before

    def overlapping(method: str, *outcomes: str) -> bool:
        """Return whether a Wait that succeeded overlaps such a call."""
        return any(
            (w.method, w.outcome, c.method) == ("wait", "ok", method)
            and (not outcomes or c.outcome in outcomes)
            and (i, j) not in before
            and (j, i) not in before
            for i, w in enumerate(calls)
            for j, c in enumerate(calls)
            if i != j
        )

    if overlapping("wait", "waitid:ECHILD"):
        return LOST_RACE
    if overlapping("wait", "ok"):
        return BOTH_WAITED
    if overlapping("release"):
        return OVERTAKEN
    return KEPT_ALIVE if any(c.method == "dispose" for c in calls) else ""


def linearize(table: Table, *calls: str) -> Linearizability:
    """Compare all histories of threads with these ``calls`` with the sequential specification.

    The process has ended before, so that no Wait has to wait.  Raises :class:`KeyError` for a
    design that has no sequential specification.
    """
    ended = {"exited": 1} if "exited" in table.variables else {}
    return linearize_scenario(table, scenario(*calls, initial=ended, adversary=()))


def linearize_scenario(table: Table, plan: Scenario) -> Linearizability:
    """Compare all histories of ``plan`` with the sequential specification of ``table``.

    The specification is of a process that has ended.  Raises :class:`KeyError` for a design that
    has none.
    """
    specification = SPECIFICATIONS[table.id, table.platform]
    found = histories(table, plan)
    unordered = {
        h: kind_of(h, specification) for h in found if linearization(h, specification) is None
    }
    return Linearizability(plan, len(found), unordered)
