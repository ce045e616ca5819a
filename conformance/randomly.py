"""Hypothesis over a mutant: random mixes under random schedules, with every law.

The seed is fixed, so a run says the same again.  Nothing is shrunk: here it only matters whether a
law breaks; ``stateful_tests`` shrinks.
"""

from __future__ import annotations

from collections.abc import Sequence

from lastref.model.explore import DEADLOCK
from lastref.model.survey import Surveyed
from lastref.model.system import System


class _BrokenError(AssertionError):
    """A law broke; the argument says which, and how."""


class _Runner:
    """Runs schedules of a mutant and judges every step."""

    def __init__(self, system: System) -> None:
        laws = system.table.laws
        self.system = system
        self.must = frozenset(law.id for law in laws if law.kind == "must")
        self.always, self.step, self.rest = (
            system.law_checker(law for law in laws if law.kind == kind)
            for kind in ("always", "step", "rest")
        )

    def run(self, scene: Surveyed, turns: Sequence[int]) -> None:
        """Follow ``turns`` and then whoever comes first; raise at a law the design keeps."""
        system = self.system.under(scene.system.scenario)
        allowed = scene.exploration.counterexamples.keys()
        state, taken = system.initial, 0
        for turn in (*turns, *[0] * len(turns)):
            enabled = system.steps(state)
            broken = set(self.always(state, state))
            if system.at_rest(state):
                broken |= set(self.rest(state, state))
            elif not enabled:
                broken.add(DEADLOCK)
            if not enabled:
                self._fail(broken - allowed, taken)
                return
            step = enabled[turn % len(enabled)]
            if step.broken is not None and step.broken in self.must:
                broken.add(step.broken)
            broken |= set(self.step(state, step.state))
            self._fail(broken - allowed, taken)
            if step.broken is not None:
                return
            state, taken = step.state, taken + 1

    @staticmethod
    def _fail(broken: set[str], taken: int) -> None:
        for law in sorted(broken):
            raise _BrokenError(f"{law} is broken after {taken} steps")


def broken_law(
    system: System, scenes: Sequence[Surveyed], *, examples: int, turns: int
) -> str | None:
    """Return the first law that one of ``examples`` schedules breaks, or ``None``."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    runner = _Runner(system)
    schedules = st.lists(st.integers(0, 7), min_size=turns, max_size=turns)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, len(scenes) - 1), schedules)
    def law_abiding(number: int, schedule: list[int]) -> None:
        runner.run(scenes[number], schedule)

    try:
        law_abiding()
    except _BrokenError as error:
        return str(error)
    return None
