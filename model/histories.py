"""What a design shows from outside: its histories, and whether two designs show the same.

A history is what a caller could write down: calls begin, calls return with an outcome, and, where
*effects* are watched, what the kernel shows: our process running, ended or reaped, the handle open,
closed or somebody else's, the bystander alive or hit.  Nothing of the word or of who stands where.

    invoke W1   invoke R1   R1 → nil   see exited   see reaped   W1 → ok   see closed   end

Whoever traces the *calls* to the system sees those, too: ``call W1 waitid`` is what happened in
between, and if the call changed an effect, the two are one event.

A history is complete when it comes to ``end``: nothing more can happen.  A run from which the end
cannot be reached any more shows ``hang`` instead.  Two systems are compared by inclusion both ways,
with the subset construction (Rabin and Scott, 1959) on the fly: for each node of the one, all nodes
in which the other may be after the same history.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from lastref.model.system import State, System
from lastref.model.table import BLOCKED

Event = tuple[str, ...]
"""``("invoke", W1)``, ``("return", W1, outcome)``, ``("see", …)``, ``("call", W1, op, …)`` with the
effects if they changed, ``("end",)``, ``("hang",)``."""
History = tuple[Event, ...]
END_EVENT: Event = ("end",)
HANG: Event = ("hang",)

EFFECTS = ("exited", "reaped", "handle", "bystander", "pid_owner", "stranger")
"""The shared variables that anybody outside can see: they are the kernel's."""
SYSTEM_CALLS = frozenset(
    {
        *("close", "waitid", "wait4", "kill", "pidfd_send_signal", "pidfd_open", "write_note"),
        *("CloseHandle", "WaitForSingleObject", "GetExitCodeProcess", "GetProcessTimes"),
        *("OpenProcess", "DuplicateHandle", "TerminateProcess", "WaitProcess", "ReleaseHandle"),
    }
)
"""The operations that whoever traces a program's calls to the system can see."""
LARGEST = 60_000
"""How many nodes a graph may have, unless told otherwise, before a comparison is given up."""

IDLE, RUNNING, RETURNING, OVER = range(4)


class Mark(NamedTuple):
    """How far the call of a thread is, and the outcome that it will return with."""

    phase: int
    outcome: str


class Node(NamedTuple):
    """A state, and how far each thread's call is."""

    state: State
    marks: tuple[Mark, ...]


Edge = tuple[Event | None, int]
"""A step: the event that is seen of it, ``None`` for nothing, and the node it leads to."""


class TooLargeError(Exception):
    """A graph has more nodes than a comparison will look at."""


class Histories:
    """The graph of ``system`` as it is seen from outside; nodes are numbers, 0 is the first."""

    def __init__(
        self, system: System, *, effects: bool, calls: bool = False, most: int = LARGEST
    ) -> None:
        self.system = system
        self._calls = SYSTEM_CALLS if calls else frozenset()
        self._most = most
        names = [v.name for v in system.table.shared]
        self._effects = [names.index(n) for n in EFFECTS if n in names] if effects else []
        self._size = len(system.locations)
        marks = tuple(Mark(IDLE, "") for _ in system.scenario.threads)
        self._nodes = [Node(system.initial, marks)]
        self._index = {self._nodes[0]: 0}
        self.edges: list[list[Edge]] = []
        self._build()
        self._closures: dict[frozenset[int], frozenset[int]] = {}
        self._follows: dict[tuple[frozenset[int], Event], frozenset[int]] = {}

    def _build(self) -> None:
        while len(self.edges) < len(self._nodes):
            if len(self._nodes) > self._most:
                raise TooLargeError
            node = self._nodes[len(self.edges)]
            edges = [(event, self._number(after)) for event, after in self._edges(node)]
            self.edges.append(edges or [(END_EVENT, len(self.edges))])
        for number in self._hanging():
            self.edges[number].append((HANG, number))

    def _number(self, node: Node) -> int:
        known = self._index.get(node)
        if known is None:
            known = self._index[node] = len(self._nodes)
            self._nodes.append(node)
        return known

    def _hanging(self) -> Iterable[int]:
        """Return the nodes from which no end can be reached."""
        into: list[list[int]] = [[] for _ in self.edges]
        ends = []
        for number, edges in enumerate(self.edges):
            for event, to in edges:
                if event == END_EVENT:
                    ends.append(number)
                else:
                    into[to].append(number)
        reached = set(ends)
        while ends:
            for before in into[ends.pop()]:
                if before not in reached:
                    reached.add(before)
                    ends.append(before)
        return [n for n in range(len(self.edges)) if n not in reached]

    def _edges(self, node: Node) -> Iterable[tuple[Event | None, Node]]:
        system, marks = self.system, node.marks
        for i, thread in enumerate(system.scenario.threads):
            phase, outcome = marks[i]
            if phase == IDLE:
                yield ("invoke", thread.name), self._marked(node, i, Mark(RUNNING, ""))
            elif phase == RETURNING:
                more = not system.is_done(node.state[1][i], i)
                after = Mark(IDLE if more else OVER, "")
                yield ("return", thread.name, outcome), self._marked(node, i, after)
            elif phase == RUNNING:
                for step in system.thread_steps(node.state, i):
                    fixed = outcome if step.command is None else step.command.outcome or outcome
                    mark = self._after(i, node.state, step.state, fixed)
                    seen = self._seen(node.state, step.state)
                    if step.command is not None and step.command.op in self._calls:
                        seen = ("call", thread.name, step.command.op, *(seen or ())[1:])
                    yield seen, self._marked(Node(step.state, marks), i, mark)
        for step in system.kernel_steps(node.state):
            yield self._seen(node.state, step.state), Node(step.state, marks)

    def _after(self, index: int, before: State, after: State, outcome: str) -> Mark:
        old, new = before[1][index], after[1][index]
        if self.system.location(new[0]) == BLOCKED:
            return Mark(OVER, "")
        over = self.system.is_done(new, index) or old[0] // self._size != new[0] // self._size
        return Mark(RETURNING if over else RUNNING, outcome)

    @staticmethod
    def _marked(node: Node, index: int, mark: Mark) -> Node:
        return Node(node.state, (*node.marks[:index], mark, *node.marks[index + 1 :]))

    def _seen(self, before: State, after: State) -> Event | None:
        changed = any(before[0][i] != after[0][i] for i in self._effects)
        return ("see", *(str(int(after[0][i])) for i in self._effects)) if changed else None

    def closure(self, nodes: Iterable[int]) -> frozenset[int]:
        """Return the nodes that unseen steps lead to."""
        first = frozenset(nodes)
        known = self._closures.get(first)
        if known is None:
            reached, todo = set(first), list(first)
            while todo:
                for event, to in self.edges[todo.pop()]:
                    if event is None and to not in reached:
                        reached.add(to)
                        todo.append(to)
            known = self._closures[first] = frozenset(reached)
        return known

    def follow(self, nodes: frozenset[int], event: Event) -> frozenset[int]:
        """Return where ``event`` leads from the closed set ``nodes``; empty: it cannot happen."""
        known = self._follows.get((nodes, event))
        if known is None:
            found = (to for n in nodes for seen, to in self.edges[n] if seen == event)
            known = self._follows[nodes, event] = self.closure(found)
        return known

    def start(self) -> frozenset[int]:
        """Return the nodes in which nothing has been seen yet."""
        return self.closure([0])


def not_among(one: Histories, other: Histories) -> History | None:
    """Return a shortest history of ``one`` that ``other`` does not have, or ``None``."""
    begin = (0, other.start())
    came: dict[tuple[int, frozenset[int]], tuple[tuple[int, frozenset[int]], Event | None]] = {}
    seen, queue = {begin}, deque([begin])
    while queue:
        here = queue.popleft()
        number, others = here
        for event, to in one.edges[number]:
            after = others if event is None else other.follow(others, event)
            if not after:
                return (*_history(came, here), *([event] if event is not None else []))
            there = (to, after)
            if there not in seen:
                seen.add(there)
                came[there] = (here, event)
                queue.append(there)
                if len(seen) > LARGEST:
                    raise TooLargeError
    return None


def _history(
    came: dict[tuple[int, frozenset[int]], tuple[tuple[int, frozenset[int]], Event | None]],
    node: tuple[int, frozenset[int]],
) -> History:
    events: list[Event] = []
    while node in came:
        node, event = came[node]
        if event is not None:
            events.append(event)
    return tuple(reversed(events))


def difference(one: Histories, other: Histories) -> History | None:
    """Return a shortest history that only one of the two has, or ``None`` if they are equal."""
    return not_among(one, other) or not_among(other, one)


def show_history(history: History) -> str:
    """Return a history in one line: ``invoke W1, W1 -> ok, see …, end``."""
    return ", ".join(_shown(e) for e in history)


def _shown(event: Event) -> str:
    kind, *rest = event
    if kind == "return":
        return f"{rest[0]} -> {rest[1]}"
    return f"{kind} {'/'.join(rest)}".strip()


__all__ = [
    "EFFECTS",
    "Histories",
    "TooLargeError",
    "difference",
    "not_among",
    "show_history",
]
