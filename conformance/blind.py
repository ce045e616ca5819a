"""Conformance alone: a real implementation is run, and only what anybody outside can see is judged.

The schedule says who goes next; where the implementation stands, and what its word is, nobody asks.
What is written down is a history: calls begin, calls return with an outcome, and what the kernel
shows after each step (our process running, ended, reaped; the handle open, closed, somebody else's;
the bystander alive or hit).  A history that the design does not have convicts the implementation:

    W1 K1 R1 begin ─ … ─ R1 → nil ─ handle closed ─ handle somebody else's ─ bystander killed  ✗

A step that would block is not taken; at the end the process ends, whatever is free is handed out
again, and everyone runs to the end of his calls, or to where he waits for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lastref.conformance.driver import GreenletDriver
from lastref.conformance.replay import SubjectFactory
from lastref.conformance.stage import Stage
from lastref.conformance.trace import Shown, Trace, read_value, record, show_state
from lastref.model.histories import EFFECTS, END_EVENT, Event, Histories, History
from lastref.model.system import System

PATIENCE = 200
"""How many steps an implementation may take after the schedule; more, and it does not end."""


@dataclass(frozen=True)
class Sighting:
    """What was seen of one run, and what the design does not allow of it (``None``: nothing)."""

    history: History
    wrong: Event | None


class BlindRun:
    """One run of an implementation under a schedule, judged by the histories of its design."""

    def __init__(
        self, design: Histories, factory: SubjectFactory, stage: Stage, trace: Trace
    ) -> None:
        self._design, self._stage, self._trace = design, stage, trace
        system = design.system
        self._variables = {v.name: v for v in system.table.shared if v.name in EFFECTS}
        self._driver = GreenletDriver(
            lambda method: self._subject.call(method), ((t.name, t.calls) for t in trace.threads)
        )
        self._subject = factory(stage, trace, self._driver.hook)
        self._returned = dict.fromkeys(self._driver.actors, 0)
        self._possible = design.start()
        self._history: list[Event] = []
        self._shown = self._effects(show_state(system, system.initial))
        self._wrong: Event | None = None

    def run(self, actors: Iterable[str]) -> Sighting:
        """Follow ``actors`` as far as they can go, then let everyone go on to the end."""
        try:
            for name in self._driver.actors:
                self._see(("invoke", name))
            self._driver.start()
            self._look()
            for actor in actors:
                if actor in self._driver.actors:
                    self._step(actor)
                elif actor == "exit":
                    self._kernel(actor)
                self._recycle()
            self._finish()
            self._see(END_EVENT)
        finally:
            self._driver.close()
            self._subject.close()
            self._stage.reset()
        return Sighting(tuple(self._history), self._wrong)

    def _finish(self) -> None:
        for _ in range(PATIENCE):
            moved = [name for name in self._driver.actors if self._step(name)]
            self._recycle()
            if not moved and not self._kernel("exit"):
                return

    def _step(self, name: str) -> bool:
        """Let ``name`` take a step if there is one that would not block; say whether it did."""
        pending = self._driver.actors[name].pending
        if pending is None or self._subject.would_block(pending.op, pending.args):
            return False
        settled = self._subject.settle(pending.op, pending.args)
        self._driver.step(name)
        settled()
        self._look()
        return True

    def _kernel(self, command: str) -> bool:
        if self._shown[0] == "1":
            return False
        self._subject.kernel(command)
        self._look()
        return True

    def _recycle(self) -> None:
        """Hand out at once what is free: the strongest moment for a late use."""
        if self._subject.observe().get("handle") == "closed":
            self._subject.kernel("reopen")
            self._look()

    def _look(self) -> None:
        """Write down what has become visible: effects first, then returns and the next calls."""
        now = self._effects(self._subject.observe())
        if now != self._shown:
            self._shown = now
            self._see(("see", *now))
        for actor in self._driver.actors.values():
            for outcome in actor.outcomes[self._returned[actor.name] :]:
                self._returned[actor.name] += 1
                self._see(("return", actor.name, outcome))
                if self._returned[actor.name] < len(actor.calls):
                    self._see(("invoke", actor.name))
            if actor.error is not None:
                self._see(("error", actor.name, repr(actor.error)))

    def _effects(self, shown: Mapping[str, Shown]) -> tuple[str, ...]:
        """Return the values of the effects as histories have them."""
        names = [n for n in EFFECTS if n in self._variables]
        return tuple(str(int(read_value(self._variables[n], shown[n]))) for n in names)

    def _see(self, event: Event) -> None:
        self._history.append(event)
        if self._wrong is None:
            self._possible = self._design.follow(self._possible, event)
            if not self._possible:
                self._wrong = event


def watch(
    design: Histories, factory: SubjectFactory, stage: Stage, actors: Sequence[str]
) -> Sighting:
    """Run an implementation of ``design``'s scenario under the schedule ``actors``."""
    return BlindRun(design, factory, stage, record(design.system, ())).run(actors)


def judge_of(system: System) -> Histories:
    """Return the histories of a design, as they are judged here."""
    return Histories(system, effects=True)
