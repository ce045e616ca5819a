"""Liveness: every call returns, whoever is scheduled, as long as everybody is at times.

Three questions to the whole graph of a small system, load and exchange apart:

    no deadlock         from every state a thread can go on, or a process will end and let it,
                        until all calls have returned
    lock-free           no cycle with a step of a thread in it.  Calls that return do not come back,
                        so whoever goes round in a failed exchange does so because another thread
                        has got on, and that comes to an end
    fair termination    no run that goes on for ever while every thread that can take a step does so
                        at times, and processes end at some time; so every call returns, and the
                        states in which runs end satisfy the laws about rest (the handle is closed)

A spin lock, for comparison, is deadlock-free and terminates under fairness, and is not lock-free:
a spinner goes round while the owner sleeps.  A loop that waits for what nobody does fails the
third as well.  Of a design that takes locks lock-freedom is not claimed.

        ┌─ load: 1 ─┐                   load ──▶ exchange fails ──▶ load ──▶ …
        ▼           │ for ever            ▲   somebody's exchange   │
      spin ─────────┘                     └──── succeeded: once ────┘

As in the explorer, a step that breaks an obligation is not followed.  For any number of threads,
see :mod:`~lastref.model.lockfree`.

Source: Herlihy, Wait-free synchronization (1991); fair cycles by strongly connected components as
in Lichtenstein and Pnueli (1985).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from lastref.model.explore import DEADLOCK
from lastref.model.kernel import EVENTUALLY
from lastref.model.proof import PROVED, REFUTED, UNKNOWN, Decider, Proof
from lastref.model.system import KERNEL, Scenario, State, Step, System
from lastref.model.table import Table

LOCK_FREE, TERMINATES = "lock-free", "fair-termination"
LOCKING = frozenset({"lock", "rlock", "semacquire"})
"""The operations in which a thread waits for another one."""
ENOUGH = 400_000
"""How many states a graph may have."""


@dataclass(frozen=True)
class Liveness:
    """What the graph of a system says.

    ``cycles`` counts the components in which states come back.  ``stuck`` are states in which
    nobody can go on; ``spins`` is a cycle with a thread's step in it, ``endless`` one that a fair
    scheduler can go round for ever; ``resting`` counts the states in which all calls have returned,
    and ``unrest`` are the laws about rest that one of them breaks.
    """

    states: int
    transitions: int
    cycles: int
    resting: int
    stuck: tuple[State, ...]
    spins: tuple[tuple[str, str], ...]
    endless: tuple[tuple[str, str], ...]
    unrest: tuple[str, ...]

    @property
    def ends_well(self) -> bool:
        """Whether every fair run ends, in a state of rest that is as it should be."""
        return bool(self.resting) and not (self.stuck or self.endless or self.unrest)


class Graph:
    """The reachable states of a system as numbers, and the steps between them.

    ``broken`` are the states out of which a step breaks an obligation; it leads nowhere.
    """

    def __init__(self, system: System, *, limit: int = ENOUGH) -> None:
        self.system = system
        self.states: list[State] = [system.initial]
        self.steps: list[list[tuple[Step, int]]] = []
        index = {system.initial: 0}
        self.broken: set[int] = set()
        self.complete = True
        while len(self.steps) < len(self.states):
            if len(self.states) > limit:
                self.complete = False
                break
            found, here = [], len(self.steps)
            for step in system.steps(self.states[here]):
                if step.broken is not None:
                    self.broken.add(here)
                    continue
                number = index.setdefault(step.state, len(self.states))
                if number == len(self.states):
                    self.states.append(step.state)
                found.append((step, number))
            self.steps.append(found)

    def components(self) -> Iterator[list[int]]:
        """Yield the strongly connected components that have a cycle."""
        for component in _tarjan([[to for _, to in out] for out in self.steps]):
            only = component[0]
            if len(component) > 1 or any(to == only for _, to in self.steps[only]):
                yield component

    def cycle(self, component: Iterable[int], *, of_a_thread: bool) -> tuple[tuple[str, str], ...]:
        """Return who steps by which command once round a cycle in ``component``.

        With ``of_a_thread``, the cycle begins with a thread's step; it is empty if there is none.
        """
        inside = set(component)
        for start in sorted(inside):
            for step, to in self.steps[start]:
                if to in inside and not (of_a_thread and step.actor == KERNEL):
                    return ((step.actor, step.name), *self._way(to, start, inside))
        return ()

    def _way(self, start: int, goal: int, inside: set[int]) -> tuple[tuple[str, str], ...]:
        """Return a shortest way from one state to another of a component."""
        came: dict[int, tuple[int, Step]] = {}
        queue = [start]
        for n in queue:
            if n == goal:
                return _back(came, start, n)
            for step, to in self.steps[n]:
                if to in inside and to not in came:
                    came[to] = (n, step)
                    queue.append(to)
        raise AssertionError("a component leads from each of its states to each")


def _back(came: dict[int, tuple[int, Step]], start: int, node: int) -> tuple[tuple[str, str], ...]:
    steps: list[tuple[str, str]] = []
    while node != start:
        node, step = came[node]
        steps.append((step.actor, step.name))
    return tuple(reversed(steps))


def _tarjan(successors: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Yield the strongly connected components (Tarjan 1972, without recursion)."""
    order = [-1] * len(successors)
    low = [0] * len(successors)
    on_stack = [False] * len(successors)
    stack: list[int] = []
    counter = 0
    for root in range(len(successors)):
        if order[root] >= 0:
            continue
        work = [(root, 0)]
        while work:
            node, edge = work.pop()
            if edge == 0:
                order[node] = low[node] = counter
                counter += 1
                stack.append(node)
                on_stack[node] = True
            descended = False
            for i in range(edge, len(successors[node])):
                to = successors[node][i]
                if order[to] < 0:
                    work += [(node, i + 1), (to, 0)]
                    descended = True
                    break
                if on_stack[to]:
                    low[node] = min(low[node], order[to])
            if descended:
                continue
            if low[node] == order[node]:
                component = []
                while True:
                    member = stack.pop()
                    on_stack[member] = False
                    component.append(member)
                    if member == node:
                        break
                yield component
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[node])


def analyse(graph: Graph, *, broken: frozenset[str] = frozenset()) -> Liveness:
    """Return what the complete ``graph`` of a system says about liveness.

    ``broken`` are laws that the design is known to break, which nothing is claimed about.
    """
    system = graph.system
    cycles = list(graph.components())
    ends = [n for n, out in enumerate(graph.steps) if not _goes_on(graph, n, out)]
    resting = [graph.states[n] for n in ends if system.at_rest(graph.states[n])]
    judge = system.law_checker(
        law for law in system.table.laws if law.kind == "rest" and law.id not in broken
    )
    turns = (graph.cycle(c, of_a_thread=True) for c in cycles)
    fair = (graph.cycle(c, of_a_thread=False) for c in cycles if _is_fair(graph, c))
    return Liveness(
        states=len(graph.states),
        transitions=sum(map(len, graph.steps)),
        cycles=len(cycles),
        resting=len(resting),
        stuck=tuple(graph.states[n] for n in ends if not system.at_rest(graph.states[n])),
        spins=next((c for c in turns if c), ()),
        endless=next(fair, ()),
        unrest=tuple(sorted({law for s in resting for law in judge(s, s)})),
    )


def _goes_on(graph: Graph, node: int, out: Sequence[tuple[Step, int]]) -> bool:
    """Return whether a thread can step, or the kernel does something that it does at some time."""
    if node in graph.broken:
        return True
    if graph.system.at_rest(graph.states[node]):
        return False
    return any(step.actor != KERNEL or step.name in EVENTUALLY for step, _ in out)


def _is_fair(graph: Graph, component: Sequence[int]) -> bool:
    """Return whether a fair run can stay in ``component`` with some call unfinished.

    It cannot where an actor that must step at some time can do so in every state of it, and every
    such step leaves.
    """
    inside = set(component)
    if all(graph.system.at_rest(graph.states[n]) for n in component):
        return False
    actors = {_actor(step) for n in component for step, _ in graph.steps[n]} - {None}
    for actor in actors:
        stays = any(
            to in inside and _actor(step) == actor for n in component for step, to in graph.steps[n]
        )
        always = all(any(_actor(s) == actor for s, _ in graph.steps[n]) for n in component)
        if always and not stays:
            return False
    return True


def _actor(step: Step) -> str | None:
    """Return whose turn the step is, for fairness; ``None`` if it may be put off for ever."""
    if step.actor != KERNEL:
        return step.actor
    return f"{KERNEL}:{step.name}" if step.name in EVENTUALLY else None


def takes_locks(table: Table) -> bool:
    """Return whether threads of ``table`` wait for one another."""
    return any(c.op in LOCKING for c in table.commands)


def prove_liveness(
    table: Table,
    scenario: Scenario,
    *,
    broken: frozenset[str] = frozenset(),
    limit: int = ENOUGH,
) -> tuple[Proof, ...]:
    """Return the three claims about the threads of ``scenario``, each as a proof record.

    Laws that are ``broken`` are not claimed; without a complete graph the claims are unknown.
    """
    began = perf_counter()
    graph = Graph(System(table, scenario), limit=limit)
    decider = Decider(table.id, table.platform, threads=len(scenario.threads))
    wanted = [law for law in (DEADLOCK, LOCK_FREE, TERMINATES) if law not in broken]
    if takes_locks(table):
        wanted.remove(LOCK_FREE)
    verdicts = dict.fromkeys(wanted, UNKNOWN)
    if graph.complete:
        found = analyse(graph, broken=broken)
        holds = {
            DEADLOCK: not found.stuck,
            LOCK_FREE: not found.spins,
            TERMINATES: found.ends_well,
        }
        verdicts = {law: PROVED if holds[law] else REFUTED for law in wanted}
    seconds, premise = perf_counter() - began, "every thread steps at times, and processes end"
    return tuple(
        decider.result(
            law,
            "",
            verdict,
            seconds,
            premise=premise if law == TERMINATES else "",
            cases=len(graph.states),
        )
        for law, verdict in verdicts.items()
    )
