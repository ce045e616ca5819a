"""An adapter that is asked for one case at a time, as long as it is not closed.

The checker takes the cases as they come and keeps the adapter running in between, so one program
serves all the tests of a worker; after a fault the checker starts a new one.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import NoReturn

import pytest

from lastref.conformance.adapters.registry import Known
from lastref.conformance.call_lanes import draw
from lastref.conformance.checker import Checker
from lastref.conformance.gated import Gating
from lastref.conformance.outcomes import Outcome
from lastref.conformance.protocol.adapter import DEADLINE
from lastref.conformance.protocol.conversation import Ready
from lastref.conformance.suite import Case


@dataclass
class Running:
    """An adapter of which :meth:`outcome` asks a case; ``deadline`` is in seconds."""

    adapter: Known
    deadline: float = DEADLINE
    gating: Gating = field(default_factory=Gating)
    _checker: Checker | None = None
    _outcomes: Generator[Outcome, None, None] | None = None
    _wanted: Case | None = None

    @property
    def ready(self) -> Ready | None:
        """What the adapter said of itself, None if it has not."""
        return None if self._checker is None else self._checker.ready

    def outcome(self, case: Case) -> Outcome:
        """Run one case; UserError where the adapter's toolchain is missing."""
        if self._checker is None:
            self._checker = Checker(
                self.adapter.prepare(),
                self.deadline,
                environment=dict(self.adapter.environment) or None,
                gating=replace(self.gating, adapter=self.adapter.name, asked=self.adapter.asked),
            )
        if self._outcomes is None:
            self._outcomes = self._checker.run(self._asked())
        self._wanted = case
        try:
            return next(self._outcomes)
        except BaseException:
            self._outcomes = None  # it has ended, and the adapter with it
            raise

    def _asked(self) -> Generator[Case, None, None]:
        while self._wanted is not None:
            yield self._wanted

    def close(self) -> None:
        """End the adapter; nothing of it is left.  It is started again if a case is asked."""
        if self._outcomes is not None:
            self._outcomes.close()
            self._outcomes = None


def fail(outcome: Outcome, said: str, *again: str) -> NoReturn:
    """Fail the test: what is wrong, the history as a picture, and the commands that show it again.

    ``said`` may be more than the outcome's own message, such as what a list says of it.
    """
    schedules = [f"order: {schedule}" for schedule in outcome.extra.get("schedules", ())]
    replay = outcome.extra.get("replay")
    commands = [f"see it again: {command}" for command in (*filter(None, [replay]), *again)]
    parts = [f"{outcome.case}: {said}", draw(outcome.history), *schedules, "\n".join(commands)]
    pytest.fail("\n\n".join(filter(None, parts)), pytrace=False)
