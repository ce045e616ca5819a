"""The way in from outside: start a sandbox, and work the gate in it.

    examine   explore a scenario, shrink what fails, and record it
    replay    one recorded order, as often as wanted, and what came of each time

Each runs wholly inside the sandbox as process 1; only the results come out.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from lastref.conformance.gate.explore import Budget, Exploration, explore
from lastref.conformance.gate.filter import Refusal
from lastref.conformance.gate.record import Record
from lastref.conformance.gate.scenario import Scenario
from lastref.conformance.gate.session import Session
from lastref.conformance.gate.shrink import NotAgain, shrink
from lastref.conformance.gate.testee import Program
from lastref.conformance.protocol.conversation import Ready
from lastref.conformance.sandbox import Sandbox


@dataclass(frozen=True)
class Examination:
    """What an exploration found: its coverage, and for each verdict the least failing order.

    ``unsteady`` says of which of these it is as it was found, since it did not fail so again.
    """

    exploration: Exploration
    records: tuple[Record, ...]
    ready: Ready
    unsteady: tuple[str, ...] = ()


@dataclass(frozen=True)
class Replays:
    """What came of replaying an order.

    ``verdicts`` counts the times by verdict (None: nobody hit), ``different`` those in which the
    steps showed something else than the first time. ``first`` is the order as it was seen first.
    """

    verdicts: Counter[str | None]
    different: int
    first: Record
    skipped: tuple[str, ...]
    started: int
    seconds: float

    @property
    def steady(self) -> bool:
        """Whether the same came of it every time."""
        return len(self.verdicts) == 1 and not self.different


def program(
    argv: Sequence[str],
    scenario: Scenario,
    refused: Sequence[str] = (),
    lines: Sequence[str] = (),
) -> Program:
    """Return what is driven, with what the scenario needs held."""
    return Program(
        tuple(argv),
        tuple(map(Refusal.parse, refused)),
        processes=scenario.makes_children_later,
        lines=tuple(lines),
    )


class Examiner:
    """A sandbox in which one program is asked what it declares, then explored."""

    def __init__(self, wanted: Program) -> None:
        self._wanted = wanted
        self._sandbox = Sandbox()
        try:
            self.ready: Ready = self._sandbox.call(_declared, wanted)
        except BaseException:
            self._sandbox.close()
            raise

    def examine(self, scenario: Scenario, budget: Budget) -> Examination:
        """Explore the orders of ``scenario``, and record the least failing ones."""
        return self._sandbox.call(_examine, self._wanted, scenario, budget)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sandbox.close()


def examine(wanted: Program, scenario: Scenario, budget: Budget) -> Examination:
    """Explore the orders of ``scenario`` on ``wanted``, and record the least failing ones."""
    with Examiner(wanted) as examiner:
        return examiner.examine(scenario, budget)


def replay(wanted: Program, record: Record, times: int = 1, *, fresh: bool = False) -> Replays:
    """Replay ``record`` on ``wanted``, as often as wanted.

    What the record held and refused is held and refused again; ``fresh`` starts the program anew
    for each time.
    """
    with Sandbox() as sandbox:
        return sandbox.call(_replay, record.program(wanted), record, times, fresh)


def find_handle(wanted: Program) -> int | None:
    """Return the number of the file descriptor by which ``wanted`` holds a child; None if none."""
    with Sandbox() as sandbox:
        return sandbox.call(_find_handle, wanted)


def _declared(wanted: Program) -> Ready:
    with Session(wanted) as session:
        return session.ready


def _examine(wanted: Program, scenario: Scenario, budget: Budget) -> Examination:
    with Session(wanted) as session:
        exploration = explore(session, scenario, budget)
        records = []
        unsteady = []
        for verdict, failed in exploration.failures.items():
            smallest, outcome = scenario, failed
            try:
                least = shrink(session, scenario, failed.schedule, verdict)
                smallest, outcome = least.scenario, least.outcome
            except NotAgain as error:
                unsteady.append(str(error))
            records.append(Record.of(wanted, smallest, outcome, session.ready))
        return Examination(exploration, tuple(records), session.ready, tuple(unsteady))


def _replay(wanted: Program, record: Record, times: int, fresh: bool) -> Replays:
    verdicts: Counter[str | None] = Counter()
    different = 0
    first: Record | None = None
    skipped: tuple[str, ...] = ()
    with Session(wanted, fresh=fresh) as session:
        session.check_needs(record.scenario)
        session.rehearse(record.scenario)
        start = time.perf_counter()
        for _ in range(times):
            outcome = session.run(record.scenario, record.schedule)
            verdicts[outcome.verdict] += 1
            seen = tuple((step.actor, step.shown) for step in outcome.steps)
            if first is None:
                ready = session.last_ready
                first = Record.of(wanted, record.scenario, outcome, ready)
                skipped = outcome.skipped
            different += seen != first.shown
        seconds = time.perf_counter() - start
        assert first is not None
        return Replays(verdicts, different, first, skipped, session.started, seconds)


def _find_handle(wanted: Program) -> int | None:
    with Session(wanted) as session:
        return session.handle_number()
