"""The least schedule that still fails in the same way.

Steps are left out, from the last to the first, as long as the same verdict comes out; then the same
is done with the last operations of the threads. What remains is least in the sense that no single
step and no single operation can be left out of it.

A program that goes by the clock (one that polls and sleeps) may not fail in the same order again;
then `shrink` says so by `NotAgain`, and the order stays as it was found.

A step that nobody can take any more is skipped by the run, so leaving one out never makes a
schedule invalid; the result is what was really taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lastref.conformance.gate.explore import Schedule
from lastref.conformance.gate.gate import Outcome
from lastref.conformance.gate.scenario import Scenario, Thread
from lastref.conformance.gate.session import Session
from lastref.conformance.gate.testee import Lost


class NotAgain(Exception):
    """The order did not end with the same verdict when it was run again."""


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


def shrink(session: Session, scenario: Scenario, schedule: Schedule, verdict: str) -> Least:
    """Return a least schedule with the same verdict; NotAgain if this one does not have it."""
    tries = _Tries(session, verdict)
    best = tries.attempt(scenario, schedule)
    if best is None:
        raise NotAgain(f"{'.'.join(schedule)} did not end with '{verdict}' again")
    while True:
        shorter = tries.without_a_step(scenario, best) or tries.without_an_operation(scenario, best)
        if shorter is None:
            return Least(scenario, best, tries.runs)
        scenario, best = shorter


class _Tries:
    def __init__(self, session: Session, verdict: str) -> None:
        self._session = session
        self._verdict = verdict
        self.runs = 0

    def attempt(self, scenario: Scenario, schedule: Schedule) -> Outcome | None:
        self.runs += 1
        try:
            outcome = self._session.run(scenario, schedule)
        except Lost:
            return None
        return outcome if outcome.verdict == self._verdict else None

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
