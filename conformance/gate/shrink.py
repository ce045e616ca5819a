"""The least schedule that still fails in the same way.

Steps are left out, from the last to the first, as long as the same thing is wrong; then the same
is done with the last operations of the threads. What remains is least in the sense that no single
step and no single operation can be left out of it.

A program that goes by the clock (one that polls and sleeps) may not fail in the same order again;
then `shrink` says so by `NotAgain`, and the order stays as it was found.

A step that nobody can take any more is skipped by the run, so leaving one out never makes a
schedule invalid; the result is what was really taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from lastref.conformance.gate.explore import Schedule
from lastref.conformance.gate.outcome import Outcome
from lastref.conformance.gate.scenario import Scenario, Thread
from lastref.conformance.gate.session import Session
from lastref.conformance.gate.testee import Lost


class NotAgain(Exception):
    """The order was not wrong in the same way when it was run again."""

    def __init__(self, schedule: Schedule, wrong: str) -> None:
        super().__init__(f"{'.'.join(schedule)} did not end with '{wrong}' again")


@dataclass(frozen=True)
class Least:
    """A least failing schedule, the scenario it is of, and its outcome."""

    scenario: Scenario
    outcome: Outcome
    runs: int

    @property
    def schedule(self) -> Schedule:
        """The steps."""
        return self.outcome.schedule


Aspect = Callable[[Outcome], str | None]
"""What of an outcome is to stay the same."""


def verdict(outcome: Outcome) -> str | None:
    """Return who was hit."""
    return outcome.verdict


def deviation(outcome: Outcome) -> str | None:
    """Return what the specification does not allow of the history."""
    return outcome.deviation


def shrink(
    session: Session, scenario: Scenario, schedule: Schedule, wrong: str, aspect: Aspect = verdict
) -> Least:
    """Return a least schedule that is wrong in the same way; NotAgain if this one is not."""
    tries = _Tries(session, wrong, aspect)
    best = tries.attempt(scenario, schedule)
    if best is None:
        raise NotAgain(schedule, wrong)
    while True:
        shorter = tries.without_a_step(scenario, best) or tries.without_an_operation(scenario, best)
        if shorter is None:
            return Least(scenario, best, tries.runs)
        scenario, best = shorter


class _Tries:
    def __init__(self, session: Session, wrong: str, aspect: Aspect) -> None:
        self._session = session
        self._wrong = wrong
        self._aspect = aspect
        self.runs = 0

    def attempt(self, scenario: Scenario, schedule: Schedule) -> Outcome | None:
        self.runs += 1
        try:
            outcome = self._session.run(scenario, schedule)
        except Lost:
            return None
        return outcome if self._aspect(outcome) == self._wrong else None

    def without_a_step(self, scenario: Scenario, best: Outcome) -> tuple[Scenario, Outcome] | None:
        schedule = best.schedule
        for index in reversed(range(len(schedule))):
            shorter = self.attempt(scenario, schedule[:index] + schedule[index + 1 :])
            if shorter is not None and len(shorter.steps) < len(schedule):
                return scenario, shorter
        return None

    def without_an_operation(
        self, scenario: Scenario, best: Outcome
    ) -> tuple[Scenario, Outcome] | None:
        for thread in scenario.threads:
            smaller = _without_last(scenario, thread)
            if smaller is None:
                continue
            outcome = self.attempt(smaller, best.schedule)
            if outcome is not None:
                return smaller, outcome
        return None


def _without_last(scenario: Scenario, thread: Thread) -> Scenario | None:
    """Return the scenario without the last operation of a thread; None if nothing would be left.

    The names of the other threads stay, so the schedule still means the same.
    """
    kept = replace(thread, operations=thread.operations[:-1])
    threads = [kept if each is thread else each for each in scenario.threads]
    left = tuple(each for each in threads if each.operations)
    return replace(scenario, threads=left) if left else None
