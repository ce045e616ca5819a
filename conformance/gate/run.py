"""The way in from outside: start a sandbox, and work the gate in it.

    examine   explore a scenario, shrink what fails, and record it
    replay    one recorded order, as often as wanted, and what came of each time

Each runs wholly inside the sandbox as process 1; only the results come out.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lastref.conformance.closing import Closing
from lastref.conformance.gate.explore import Budget, Exploration, Schedule, explore
from lastref.conformance.gate.filter import Refusal
from lastref.conformance.gate.outcome import Outcome
from lastref.conformance.gate.record import Record
from lastref.conformance.gate.scenario import Scenario
from lastref.conformance.gate.session import Session
from lastref.conformance.gate.shrink import Aspect, NotAgain, deviation, shrink, verdict
from lastref.conformance.gate.testee import Lost, Program
from lastref.conformance.protocol.conversation import Ready
from lastref.conformance.sandbox import Sandbox


@dataclass(frozen=True)
class Examination:
    """What an exploration found: its coverage, and for each verdict the least failing order.

    ``deviations`` are the least orders whose histories no order of the calls explains. ``unsteady``
    says of which of all these it is as it was found, since it did not fail so again.
    """

    exploration: Exploration
    records: tuple[Record, ...]
    deviations: tuple[Record, ...]
    ready: Ready
    unsteady: tuple[str, ...] = ()


@dataclass(frozen=True)
class Replays:
    """What came of replaying an order.

    ``verdicts`` counts the times by verdict (None: nobody hit), ``deviations`` by what no order of
    the calls explains (None: all is explained), ``different`` those in which the
    steps showed something else than the first time. ``first`` is the order as it was seen first.
    """

    verdicts: Counter[str | None]
    deviations: Counter[str | None]
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


class Examiner(Closing):
    """A sandbox in which one program is asked what it declares, then explored."""

    def __init__(self, wanted: Program) -> None:
        self._wanted = wanted
        self._sandbox = Sandbox()
        try:
            self.ready: Ready = self._sandbox.call(_declared, wanted)
        except BaseException:
            self._sandbox.close()
            raise

    def examine(
        self, scenario: Scenario, budget: Budget, hints: Iterable[Schedule] = ()
    ) -> Examination:
        """Explore the orders of ``scenario``, ``hints`` first, and record the least failing."""
        return self._sandbox.call(_examine, self._wanted, scenario, budget, tuple(hints))

    def close(self) -> None:
        """Close the sandbox."""
        self._sandbox.close()


def examine(
    wanted: Program, scenario: Scenario, budget: Budget, hints: Iterable[Schedule] = ()
) -> Examination:
    """Explore the orders of ``scenario`` on ``wanted``, and record the least failing ones."""
    with Examiner(wanted) as examiner:
        return examiner.examine(scenario, budget, hints)


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


def _examine(
    wanted: Program, scenario: Scenario, budget: Budget, hints: tuple[Schedule, ...]
) -> Examination:
    with Session(wanted) as session:
        exploration = explore(session, scenario, budget, hints=hints)
        least = _Least(session, scenario)
        records = [least.of(o, w, verdict) for w, o in exploration.failures.items()]
        deviations = [least.of(o, w, deviation) for w, o in exploration.deviating.items()]
        return Examination(
            exploration, tuple(records), tuple(deviations), session.ready, tuple(least.unsteady)
        )


AGAIN = 3
"""How often a least order must go wrong in the same way once more."""


class _Least:
    """Shrinks what failed and records it; ``unsteady`` tells of what did not fail so again."""

    def __init__(self, session: Session, scenario: Scenario) -> None:
        self._session = session
        self._scenario = scenario
        self.unsteady: list[str] = []

    def of(self, failed: Sequence[Outcome], wrong: str, aspect: Aspect) -> Record:
        """Return the record of the first of some orders that goes wrong each time, shrunk.

        A program that looks at a clock, or whose threads race for a lock of its own, may go wrong
        in one order and then not again; it can still do so in another each time.
        """
        said = []
        for outcome in failed:
            try:
                least = shrink(self._session, self._scenario, outcome.schedule, wrong, aspect)
                for _ in range(AGAIN):
                    again = self._session.run(least.scenario, least.schedule)
                    if aspect(again) != wrong:
                        raise NotAgain(least.schedule, wrong)
            except (NotAgain, Lost) as error:
                said.append(str(error))
                continue
            return self._record(least.scenario, least.outcome)
        self.unsteady += said
        return self._record(self._scenario, failed[0])

    def _record(self, scenario: Scenario, outcome: Outcome) -> Record:
        return Record.of(self._session.program, scenario, outcome, self._session.ready)


def _replay(wanted: Program, record: Record, times: int, fresh: bool) -> Replays:
    verdicts: Counter[str | None] = Counter()
    deviations: Counter[str | None] = Counter()
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
            deviations[outcome.deviation] += 1
            seen = tuple((step.actor, step.shown) for step in outcome.steps)
            if first is None:
                ready = session.last_ready
                first = Record.of(wanted, record.scenario, outcome, ready)
                skipped = outcome.skipped
            different += seen != first.shown
        seconds = time.perf_counter() - start
        assert first is not None
        return Replays(verdicts, deviations, different, first, skipped, session.started, seconds)


def _find_handle(wanted: Program) -> int | None:
    with Session(wanted) as session:
        return session.handle_number()
