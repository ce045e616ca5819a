"""All orders of the steps, shortest first, each once.

An order is known by who steps first, second, and so on. Each run tells at every gap who else could
have stepped; each of those is a beginning that no other run has, so following it gives an order
that was not seen before:

    run            W1  K1  exit(a)  K1            could also have stepped:  K1 | W1, exit(a) | …
    new beginnings K1 ·    W1 W1 ·    W1 exit(a) ·    …

The beginnings wait in a queue, the shortest first. When the queue is empty every order has been
run; when the budget ends before, what is left over is counted and reported. The adversary acts in
every gap of every run.

From a gap that is like one of an earlier run (see `alike`) nothing new can begin, so no beginnings
are taken from there on; how many gaps that were is counted, too.

A beginning must lead to the same choices each time. If it does not, the program has a freedom that
the gate does not hold; it is tried again, and if no run follows it, that is counted as `diverged`,
and such an exploration claims nothing.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lastref.conformance.gate.judged import can_be_judged
from lastref.conformance.gate.outcome import Outcome
from lastref.conformance.gate.scenario import Scenario
from lastref.conformance.gate.session import Session
from lastref.conformance.gate.testee import Lost

Schedule = tuple[str, ...]


@dataclass(frozen=True)
class Budget:
    """How much may be explored: that many orders, or that many seconds, whichever ends first.

    ``every`` also follows those that are like another.
    """

    orders: int = 1000
    seconds: float = 60.0
    every: bool = False


@dataclass
class Exploration:
    """What was explored, and what was found.

    ``failures`` are the shortest orders found for each verdict, at most `MOST`; ``verdicts`` counts
    all orders by theirs, "nobody hit" among them. ``judged`` has every history that the model could
    judge, with what is wrong with it or None, and ``deviating`` the shortest orders for each such
    thing.

    ``left`` beginnings were not followed; it is ``complete`` if none was left and no run was lost
    or went another way (``went`` has the first of these). In ``alike`` gaps it stopped to look for
    beginnings, since it had seen their like.
    """

    scenario: Scenario
    orders: int = 0
    left: int = 0
    alike: int = 0
    diverged: int = 0
    went: list[tuple[Schedule, Outcome]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    longest: int = 0
    gaps: int = 0
    recycled: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    failures: dict[str, list[Outcome]] = field(default_factory=dict)
    histories: Counter[tuple[str, ...]] = field(default_factory=Counter)
    judged: dict[tuple[str, ...], str | None] = field(default_factory=dict)
    deviating: dict[str, list[Outcome]] = field(default_factory=dict)
    started: int = 0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every order was run."""
        return self.orders > 0 and not (self.left or self.diverged or self.lost)

    @property
    def deviations(self) -> dict[str, Schedule]:
        """What the specification does not allow, each with an order that shows it."""
        return {wrong: outcomes[0].schedule for wrong, outcomes in self.deviating.items()}

    def __str__(self) -> str:
        """Return the coverage in one line."""
        whole = "all" if self.complete else f"{self.left} beginnings left"
        whole += f", {self.alike} times like another" if self.alike else ""
        given = ", ".join(f"{n} {what}" for what, n in sorted(self.recycled.items())) or "nothing"
        return (
            f"{self.scenario}: {self.orders} orders ({whole}), at most {self.longest} steps, "
            f"{self.gaps} gaps, recycled {given}"
        )


NOBODY = "nobody hit"
TRIES = 20
"""So often a beginning is tried until a run follows it."""
MOST = 5
"""So many orders are kept of those that go wrong in the same way."""


def explore(
    session: Session,
    scenario: Scenario,
    budget: Budget = Budget(),
    on_order: Callable[[Outcome], None] = lambda _: None,
    hints: Iterable[Schedule] = (),
) -> Exploration:
    """Run the orders of ``scenario`` within ``budget``, shortest beginnings first.

    ``hints`` are orders too long to be met within a budget, and worth a look: they are run before
    the others and not counted among them, and only where every step of them can be taken.
    """
    session.check_needs(scenario)
    found = Exploration(scenario)
    queue: list[tuple[int, Schedule]] = [(0, ())]
    seen: set[str] = set()
    judged = can_be_judged(scenario)
    start = time.monotonic()
    for hint in hints:
        try:
            outcome = session.run(scenario, hint, complete=True)
        except Lost as error:
            found.lost.append(_told(hint, error))
            continue
        if not outcome.skipped:
            _remember(found, outcome)
            if judged:
                _judge(found, outcome)
    while queue and found.orders < budget.orders:
        if time.monotonic() - start > budget.seconds:
            break
        _, beginning = heapq.heappop(queue)
        try:
            outcome = _follow(session, scenario, beginning)
        except Lost as error:
            found.lost.append(_told(beginning, error))
            continue
        if not _followed(outcome, beginning):
            found.diverged += 1
            if len(found.went) < 5:
                found.went.append((beginning, outcome))
            continue
        _note(found, outcome)
        if judged:
            _judge(found, outcome)
        on_order(outcome)
        for index in range(len(beginning), len(outcome.steps)):
            if index and not budget.every:
                state = outcome.steps[index - 1].state
                if state in seen:
                    found.alike += 1
                    break
                seen.add(state)
            step = outcome.steps[index]
            for other in step.enabled:
                if other != step.actor:
                    fork = (*outcome.schedule[:index], other)
                    heapq.heappush(queue, (len(fork), fork))
    found.left = len(queue)
    found.started = session.started
    found.seconds = time.monotonic() - start
    return found


def _follow(session: Session, scenario: Scenario, beginning: Schedule) -> Outcome:
    """Run an order with ``beginning``; it is tried again where a run goes another way.

    Threads of the program may race for a lock of its own, such as Python's GIL, between two calls;
    what one of them wins once it wins again.
    """
    for _ in range(TRIES):
        outcome = session.run(scenario, beginning, complete=True)
        if _followed(outcome, beginning):
            break
    return outcome


def _told(beginning: Schedule, error: Lost) -> str:
    """Return how the program was lost, and where."""
    where = f"in an order that begins with {'.'.join(beginning)}" if beginning else "in the first"
    return f"{error}, {where}"


def _followed(outcome: Outcome, beginning: Schedule) -> bool:
    return not outcome.skipped and outcome.schedule[: len(beginning)] == beginning


def _judge(found: Exploration, outcome: Outcome) -> None:
    wrong = found.judged[outcome.history] = outcome.deviation
    if wrong is not None:
        _keep(found.deviating.setdefault(wrong, []), outcome)


def _note(found: Exploration, outcome: Outcome) -> None:
    found.orders += 1
    found.longest = max(found.longest, len(outcome.steps))
    found.gaps += len(outcome.steps)
    found.recycled.update(taken.partition("(")[0] for taken in outcome.taken)
    verdict = outcome.verdict or NOBODY
    found.verdicts[verdict] += 1
    found.histories[outcome.history] += 1
    _remember(found, outcome)


def _remember(found: Exploration, outcome: Outcome) -> None:
    if outcome.verdict is not None:
        _keep(found.failures.setdefault(outcome.verdict, []), outcome)


def _keep(shortest: list[Outcome], outcome: Outcome) -> None:
    shortest.append(outcome)
    shortest.sort(key=lambda each: len(each.steps))  # of two alike the first found stays first
    del shortest[MOST:]
