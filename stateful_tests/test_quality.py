"""Hypothesis shrinks every named case that breaks a law to the explorer's shortest run.

A case's threads are given, and the way in which its law breaks: by which command.  The schedule is
Hypothesis' own, found at random and shrunk.
"""

import os
from collections.abc import Iterator
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, reject, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from machines import Machine, scenario_machine
from processes import Process

from lastref.conformance.named_cases import named_cases
from lastref.model.cases import CASES
from lastref.model.explore import Search
from lastref.model.system import Step, System

SEEDS = 30 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 1
SEARCH = settings(
    max_examples=10_000,
    stateful_step_count=60,
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much),
)


class ShortEnoughError(BaseException):
    """Ends a search at the shortest run; no exception that Hypothesis would shrink."""


class Racer(Machine):
    """Fails only when ``last`` breaks the law."""

    last: ClassVar[str]
    shortest: ClassVar[int]
    lengths: ClassVar[list[int]]
    """How long the runs were that broke it; the last one is the shrunk one's."""

    def judge(self, process: Process) -> None:
        """Fail if the law is broken in the way that is looked for; another way is no use."""
        if process.taken[-1].name != self.last:
            reject()
        self.lengths.append(len(process.taken))
        if len(process.taken) <= self.shortest:
            # What is left to shrink are turns in which nobody can step: no run is any shorter.
            raise ShortEnoughError
        super().judge(process)

    def after(self, process: Process, step: Step) -> None:
        """Give a run up in which all threads are done."""
        if process.over:
            reject()


def cases() -> Iterator[tuple[str, System, str]]:
    """Yield the id, the system and the law of every named case that is about a law."""
    stored = {c.id: (c.system(), c.law) for c in named_cases().values() if c.law is not None}
    known = {c.id: (System(c.table, c.scenario), c.law) for c in CASES}
    for name, (system, law) in sorted((known | stored).items()):
        yield name, system, law


@pytest.mark.parametrize("number", range(1, SEEDS + 1))
@pytest.mark.parametrize(("system", "law"), [pytest.param(s, x, id=n) for n, s, x in cases()])
def test_a_case_is_shrunk_to_its_shortest_run(system: System, law: str, number: int) -> None:
    """The shrunk schedule is as short as the explorer's, which is the shortest there is."""
    chosen = [system.table.law(law)]
    known = Search(system, chosen).run(stop_at=law).counterexamples[law].steps
    racer = scenario_machine(Racer, system, chosen)
    racer.last, racer.shortest, racer.lengths = known[-1].name, len(known), []
    with pytest.raises(ShortEnoughError):
        run_state_machine_as_test(seed(number)(racer), settings=SEARCH)
    assert racer.lengths[-1] == len(known)
