"""Bounded search with a symbolic schedule: as short as the explorer's breadth-first runs."""

from dataclasses import replace

import pytest

from lastref.model.algebra import TRUE
from lastref.model.bmc import shortest, walk
from lastref.model.cases import CASES, Case
from lastref.model.designs.go_2024 import GO_2024, word
from lastref.model.explore import explore
from lastref.model.proof import REFUTED, UNKNOWN
from lastref.model.system import System, scenario
from lastref.model.table import DesignError, Law
from lastref.model.word import RELEASED


@pytest.mark.parametrize("named", CASES, ids=lambda c: c.id)
def test_the_shortest_interleaving_of_a_case_is_the_explorers(named: Case) -> None:
    """Two engines that share only the table find the same length, and the run is a real one."""
    found = shortest(named.table, named.scenario, named.table.law(named.law))
    assert (found.verdict, found.depth) == (REFUTED, named.steps)
    assert len(found.schedule) == named.steps
    assert walk(named.table, named.scenario, found.schedule) == named.law


def test_a_mutant_of_go_2024_is_refuted_in_as_many_steps_as_the_explorer_needs() -> None:
    """Kill without its status check, over 64-bit words with load and exchange apart."""
    commands = tuple(
        replace(c, guard=TRUE) if c.name == "kill.load" else c
        for c in GO_2024.commands
        if not c.name.startswith("kill.load.")
    )
    mutant, plan = replace(GO_2024, commands=commands), scenario("kill", "release")
    law = mutant.law("no-wrong-process")
    searched = explore(System(mutant, plan), stop_at=law.id).counterexamples[law.id]
    found = shortest(mutant, plan, law)
    assert found.depth == len(searched.steps)
    assert walk(mutant, plan, found.schedule) == law.id


def test_a_sound_design_has_no_run_within_the_bound() -> None:
    """Nothing is found, and that is not called a proof."""
    law = GO_2024.law("no-use-after-close")
    seen: list[int] = []
    found = shortest(
        GO_2024, scenario("signal", "release"), law, depth=8, progress=lambda n, _: seen.append(n)
    )
    assert (found.verdict, found.depth, found.schedule) == (UNKNOWN, 8, ())
    assert seen == list(range(1, 9))


def test_a_law_about_states_is_searched_too() -> None:
    """The first state in which the word says released is two steps away."""
    law = Law("live", "always", "", word < RELEASED)
    found = shortest(GO_2024, scenario("release"), law)
    assert [name for _, name in found.schedule] == ["release.load", "release.cas.last"]


def test_what_a_bounded_search_cannot_be_asked_is_refused() -> None:
    """Laws about the end, threads that pick, and schedules that do not fit, say so."""
    law = GO_2024.law("no-use-after-close")
    with pytest.raises(DesignError, match="kind 'rest'"):
        shortest(GO_2024, scenario("release"), GO_2024.law("closed-at-rest"))
    with pytest.raises(DesignError, match="picks its method"):
        shortest(GO_2024, scenario("wait|signal"), law)
    with pytest.raises(DesignError, match="step 1"):
        walk(GO_2024, scenario("release"), [("R1", "release.cas")])
