"""A session: one program, driven through one order after another, re-used where it comes out fit.

A testee that has an operation stuck, or a child that nobody will reap, is ended and a new one
started; so no order sees what another left.

A language does some things only once: Go tries pidfds out at their first use. A testee that is to
be re-used is therefore warmed up, by the scenario itself, before anything is taken from it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lastref.conformance.closing import Closing
from lastref.conformance.errors import UserError
from lastref.conformance.gate.gate import Run
from lastref.conformance.gate.judged import can_be_judged, deviation, specification_of
from lastref.conformance.gate.outcome import Outcome
from lastref.conformance.gate.scenario import Scenario
from lastref.conformance.gate.testee import Lost, Program, Testee, idle_argv
from lastref.conformance.gate.victims import Victims
from lastref.conformance.protocol.conversation import Ready
from lastref.impl.guard import Guard


@dataclass(frozen=True)
class Timed:
    """How many seconds some runs took together, and the different verdicts that came of them."""

    seconds: float
    verdicts: tuple[str | None, ...]


class Session(Closing):
    """Runs orders on a program; for use inside a sandbox, as a context manager.

    ``fresh`` starts the program anew for each order. ``values`` records what the let-go calls
    returned. ``aged`` lets a pid be recycled only when its owner can be told from the next one by
    the time of its start, see `started`. ``started`` counts how often the program was started.
    """

    def __init__(
        self, program: Program, *, fresh: bool = False, values: bool = False, aged: bool = True
    ) -> None:
        self.program = program
        self.started = 0
        self._fresh = fresh
        self._values = values
        self._aged = aged
        self._guard = Guard()
        self._guard.enter_private_namespace()
        self._victims = Victims(self._guard)
        self._testee: Testee | None = None
        self.last_ready: Ready
        self._warm_for: Scenario | None = None
        self.calls: dict[str, int] = {}
        self._judged: dict[tuple[str, ...], str | None] = {}

    @property
    def ready(self) -> Ready:
        """What the program says about itself; UserError where it does not say anything."""
        try:
            self._ready_testee()
        except Lost as error:
            raise UserError(
                f"'{self.program.argv[0]}' cannot be held at the gate",
                str(error),
                "see what 'lastref check' says of it, or try again when the machine is less busy",
            ) from None
        return self.last_ready

    def rehearse(self, scenario: Scenario) -> None:
        """Start the program and warm it up for ``scenario``; `run` does it by itself if need be."""
        if not self._fresh:
            self._warm_testee(scenario)

    def handle_number(self) -> int | None:
        """Return the number of the descriptor by which the program holds a new child, if any."""
        testee = self._ready_testee()
        before = testee.pidfds()
        testee.call("start", "handle", argv=idle_argv())
        new = testee.pidfds() - before
        self._drop_testee()
        return min(new, default=None)

    def run(
        self, scenario: Scenario, schedule: Sequence[str], *, complete: bool = False
    ) -> Outcome:
        """Carry out ``schedule`` and judge it; ``complete`` goes on until nobody can step.

        A step that nobody can take is skipped, and told. `Lost` if the program is lost on the way.
        """
        testee = self._warm_testee(scenario)
        run = Run(testee, scenario, self._victims, self._guard, self._values, self._aged, complete)
        reusable = False
        try:
            run.set_up()
            skipped: list[str] = []
            for actor in schedule:
                if actor in run.enabled():
                    run.step(actor)
                else:
                    skipped.append(actor)
            while complete and (choices := run.enabled()):
                run.step(choices[0])
            open_choices = run.enabled()
            run.judge()
            outcome = run.outcome(skipped, open_choices)
            reusable = outcome.reusable
            return replace(outcome, deviation=self._deviation(scenario, outcome))
        finally:
            run.close()
            if self._fresh or not reusable:
                self._drop_testee()

    def _deviation(self, scenario: Scenario, outcome: Outcome) -> str | None:
        """Return what the specification does not allow of the history; None if it may be so."""
        if not can_be_judged(scenario):
            return None
        if outcome.history not in self._judged:
            promised = specification_of(self.last_ready.specification, self.program.refused)
            self._judged[outcome.history] = deviation(promised, outcome.events)
        return self._judged[outcome.history]

    def timed(self, scenario: Scenario, schedule: Sequence[str], times: int) -> Timed:
        """Carry ``schedule`` out so many times, and say how long all of it took."""
        start = time.perf_counter()
        verdicts = {self.run(scenario, schedule).verdict for _ in range(times)}
        return Timed(time.perf_counter() - start, tuple(verdicts))

    def check_needs(self, scenario: Scenario) -> None:
        """Raise UserError unless the program declares what the scenario needs."""
        missing = scenario.needs - self.ready.capabilities
        if missing:
            raise UserError(
                f"'{scenario}' cannot run on {self.ready.implementation}",
                f"it does not declare {', '.join(sorted(missing))}",
                "choose another scenario or adapter",
            )

    def close(self) -> None:
        """End the program."""
        self._drop_testee()
        self._victims.close()

    def _ready_testee(self) -> Testee:
        if self._testee is None:
            testee = Testee(self.program, self._guard)
            self.started += 1
            try:
                self.last_ready = testee.handshake()
                testee.rest()
            except Lost:
                testee.close()
                raise
            self._testee = testee
        return self._testee

    def _warm_testee(self, scenario: Scenario) -> Testee:
        if self._testee is not None and self._warm_for == scenario:
            return self._testee
        for rehearsed in (True, False):
            testee = self._ready_testee()
            if self._fresh or self._rehearse(testee, scenario, rehearsed):
                break
            self._drop_testee()  # no testee comes out of all of it; the set-up alone must do
        self._warm_for = scenario
        return self._ready_testee()

    def _rehearse(self, testee: Testee, scenario: Scenario, whole: bool) -> bool:
        """Run the scenario in some order, and return whether the testee came out of it fit."""
        run = Run(testee, scenario, self._victims, self._guard, values=False, aged=False)
        try:
            run.set_up()
            while whole and (choices := run.enabled()):
                run.step(choices[0])
            run.judge()
            return run.outcome((), ()).reusable
        finally:
            run.close()

    def _drop_testee(self) -> None:
        if self._testee is not None:
            for call, count in self._testee.counts.items():
                self.calls[call] = self.calls.get(call, 0) + count
            self._testee.close()
            self._testee = None
            self._warm_for = None
