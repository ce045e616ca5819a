"""Every table under an adversarial scheduler: it breaks the laws that it admits, and no other.

Which laws these are, none for a sound design, the explorer says of every call and pair of calls.
"""

import contextlib
import itertools
from typing import ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from machines import Machine, design_machine
from processes import Process

from lastref.conformance.trace import parse
from lastref.model.designs import all_tables, get
from lastref.model.explore import explore
from lastref.model.system import System, scenario
from lastref.model.table import Table

TABLES = list(all_tables())
MADE_BY_HAND = "literal"


class EnoughError(BaseException):
    """Ends a search in which everything was found; no exception that Hypothesis would shrink."""


class Finder(Machine):
    """Fails at a law that the table does not admit, and notes the others."""

    admitted: ClassVar[frozenset[str]]
    least: ClassVar[int]
    """How many runs are made, whatever they find."""
    runs: ClassVar[int]
    found: ClassVar[set[str]]
    wrong: ClassVar[bool]

    def judge(self, process: Process) -> None:
        """Fail unless all laws that the run has broken are admitted."""
        if self.admitted.issuperset(process.broken):
            self.found.update(process.broken)
            return
        type(self).wrong = True
        super().judge(process)

    def teardown(self) -> None:
        """End the search where everything was found, unless something wrong is to be shrunk."""
        cls = type(self)
        cls.runs += 1
        if cls.runs >= cls.least and cls.found >= cls.admitted and not cls.wrong:
            raise EnoughError


def admitted(table: Table) -> frozenset[str]:
    """Return the laws that some call or pair of calls breaks, on an object that was started.

    On one made by hand as well, where the design can have one.
    """
    starts = [table.starts[s] for s in ("start", MADE_BY_HAND) if s in table.starts]
    mixes = [
        mix
        for size in (1, 2)
        for mix in itertools.combinations_with_replacement(table.methods, size)
    ]
    systems = (System(table, scenario(*m, initial=i)) for m in mixes for i in starts)
    return frozenset(law for s in systems for law in explore(s).counterexamples)


@pytest.mark.parametrize("table", TABLES, ids=lambda t: f"{t.id}-{t.platform}")
def test_a_design_breaks_the_laws_that_it_admits_and_no_other(table: Table) -> None:
    """Whatever its start, its methods, the scheduler and the kernel; each of these is found."""
    profile = settings.default
    assert profile is not None
    finder = design_machine(Finder, table, table.starts)
    finder.admitted, finder.least = admitted(table), profile.max_examples // 5
    finder.found, finder.runs, finder.wrong = set(), 0, False
    search = settings(
        max_examples=max(profile.max_examples, 3000),
        stateful_step_count=40,
        derandomize=profile.derandomize,
        database=profile.database,
    )
    with contextlib.suppress(EnoughError):
        run_state_machine_as_test(finder, settings=search)
    assert finder.found == finder.admitted


def test_a_failure_says_the_schedule_that_shows_it() -> None:
    """The string is a run in which the same law breaks, and threads that came late are in it."""
    machine = design_machine(Machine, get("go-2023-pidfd"), ["start"])
    search = settings(max_examples=1000, derandomize=True, database=None, phases=(Phase.generate,))
    with pytest.raises(AssertionError, match="broken; replay it: lastref replay") as failure:
        run_state_machine_as_test(machine, settings=search)
    law, schedule = str(failure.value).split(" broken; replay it: lastref replay ")
    assert parse(schedule.strip("'")).broken == law
