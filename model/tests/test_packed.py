"""Counting threads loses nothing: verdicts, shortest runs and orbits are the plain search's."""

import pytest

from lastref.model.designs import all_tables, get
from lastref.model.explore import Search, explore
from lastref.model.fuse import fuse
from lastref.model.packed import CountingSearch, count_states
from lastref.model.system import System, scenario
from lastref.model.table import HOLDERS, Law, Table

MIXED = "signal|wait|release"
SPINS = {"exited": 1}


def _calls(table: Table) -> tuple[str, ...]:
    first, *rest = table.methods
    return (first, *rest[:1], first)


@pytest.mark.parametrize("table", all_tables(), ids=lambda t: f"{t.id}-{t.platform}")
@pytest.mark.parametrize("fused", [False, True], ids=["fine", "fused"])
def test_the_verdict_and_what_was_seen_are_the_plain_searchs(table: Table, fused: bool) -> None:
    """Every design, sound or faulty: the same laws broken, in as few steps; the same sights."""
    level = fuse(table).fused if fused else table
    system = System(level, scenario(*_calls(table)))
    plain, counted = explore(system), count_states(system)
    assert counted.complete
    assert counted.unseen == plain.unseen
    assert counted.covered == plain.covered
    assert counted.depth == plain.depth
    assert {law: len(c.steps) for law, c in counted.counterexamples.items()} == {
        law: len(c.steps) for law, c in plain.counterexamples.items()
    }


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        (("go-2024", "linux"), ("wait", "signal", "signal", "release")),
        (("go-2024", "linux"), ("wait;release", "kill", "kill")),
        (("go-2025", "linux"), ("kill", "release", "kill")),
        (("dotnet-safehandle", "any"), ("use", "use", "dispose")),
        (("go-2023-pidfd", "linux"), ("kill", "kill", "release")),
    ],
)
def test_the_states_are_exactly_the_orbits_of_the_plain_ones(
    name: tuple[str, str], calls: tuple[str, ...]
) -> None:
    """Projecting every plain state gives the counted ones: none is missing, none invented."""
    system = System(get(*name), scenario(*calls))
    plain, counting = Search(system), CountingSearch(system)
    plain.run()
    found = counting.run()
    assert {counting.projected(state) for state in plain._came} == counting._came.keys()
    assert len(counting._came) == found.states < len(plain._came)


@pytest.mark.parametrize(("threads", "states"), [(2, 466), (3, 11_009)])
def test_the_orbits_sizes_add_up_to_the_plain_count(threads: int, states: int) -> None:
    """For equal threads the multinomials give the number of states that Spin stores."""
    system = System(get("go-2024"), scenario(*[MIXED] * threads, initial=SPINS))
    counting = CountingSearch(system)
    assert counting.run().holds
    assert counting.represented() == states == explore(system).states


def test_different_calls_are_not_counted_by_a_multinomial() -> None:
    """Asked for what it cannot know, it says so."""
    counting = CountingSearch(System(get("go-2024"), scenario("wait", "release")))
    counting.run()
    with pytest.raises(ValueError, match="different calls"):
        counting.represented()


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        (("go-2023-pidfd", "linux"), ("kill", "kill", "release")),
        (("go-2025-double", "linux"), ("wait", "wait", "release")),
        (("pid-naive", "linux-pid"), ("kill", "wait", "kill")),
        (("go-2016", "windows"), ("kill", "kill", "release")),
    ],
)
def test_a_counterexample_is_a_run_with_names_that_the_system_takes(
    name: tuple[str, str], calls: tuple[str, ...]
) -> None:
    """Each step is one of the system's own, from the state before; the last one breaks the law."""
    system = System(get(*name), scenario(*calls))
    found = count_states(system)
    assert found.counterexamples
    names = {t.name for t in system.scenario.threads} | {"kernel"}
    musts = {law.id for law in system.table.laws if law.kind == "must"}
    for law, example in found.counterexamples.items():
        state = example.initial
        assert state == system.initial
        for step in example.steps:
            assert step in system.steps(state)
            assert step.actor in names
            state = step.state
        if law in musts:
            assert example.steps[-1].broken == law


def test_an_urgent_kernel_comes_first_here_too() -> None:
    """With recycling at the strongest moment, the states and the verdict agree."""
    system = System(
        get("go-2023-pidfd"), scenario("kill", "release", adversary=["reopen"], urgent=["reopen"])
    )
    plain, counted = explore(system), count_states(system)
    assert counted.counterexamples.keys() == plain.counterexamples.keys() != set()
    assert counted.states == plain.states


def test_a_search_that_was_given_up_says_so() -> None:
    """A limit leaves the search incomplete, and it does not hold."""
    system = System(get("go-2024"), scenario(*[MIXED] * 3))
    found = count_states(system, limit=100)
    assert (found.states, found.complete, found.holds) == (100, False, False)


def test_a_law_about_states_is_checked_with_the_holders() -> None:
    """A law that no state with two holders obeys is broken, as it is in the plain search."""
    law = Law("lonely", "always", "nobody shares the handle", HOLDERS < 2)
    system = System(get("go-2024"), scenario("signal", "signal"))
    plain, counted = explore(system, [law]), count_states(system, [law])
    assert len(counted.counterexamples["lonely"].steps) == len(
        plain.counterexamples["lonely"].steps
    )
