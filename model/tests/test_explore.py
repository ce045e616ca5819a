"""The search: exact counts, laws that hold, and laws that are seen to break."""

from dataclasses import replace

import pytest

from lastref.model.algebra import FALSE, TRUE
from lastref.model.designs.go_2024 import GO_2024, word
from lastref.model.explore import DEADLOCK, explore
from lastref.model.system import System, scenario
from lastref.model.table import DesignError, Law, Table
from lastref.model.word import DONE, RELEASED

MIXED = "signal|wait|release"


def with_command(table: Table, name: str, **changes: object) -> Table:
    """Return `table` with one command changed: a mutant."""
    assert name in table.by_name
    return replace(
        table,
        commands=tuple(
            replace(c, **changes) if c.name == name else c  # type: ignore[arg-type]
            for c in table.commands
        ),
    )


def without_command(table: Table, *names: str) -> Table:
    """Return `table` without the commands `names`."""
    return replace(table, commands=tuple(c for c in table.commands if c.name not in names))


@pytest.mark.parametrize(("threads", "states", "transitions"), [(2, 466, 899), (3, 11009, 31776)])
def test_states_of_the_mixed_system_are_counted_exactly(
    threads: int, states: int, transitions: int
) -> None:
    """Threads that each pick a method, on a zombie: the counts of an independent model checker."""
    found = explore(System(GO_2024, scenario(*[MIXED] * threads, initial={"exited": 1})))
    assert (found.states, found.transitions) == (states, transitions)
    assert found.holds


@pytest.mark.parametrize(
    ("calls", "states", "transitions"),
    [
        (("wait", "signal", "release"), 574, 1445),
        (("wait", "kill", "release"), 508, 1242),
    ],
)
def test_go_2024_breaks_no_law_and_leaves_none_vacuous(
    calls: tuple[str, ...], states: int, transitions: int
) -> None:
    """Every law holds in every state, and every `sometimes` beside them is seen."""
    found = explore(System(GO_2024, scenario(*calls)))
    assert found.holds
    assert found.unseen == ()
    assert (found.states, found.transitions) == (states, transitions)


def test_one_release_has_the_five_states_of_the_picture() -> None:
    """The smallest case is the one that the search's docstring draws."""
    found = explore(System(GO_2024, scenario("release", initial={"exited": 1})))
    assert (found.states, found.transitions, found.holds) == (5, 4, True)


def test_a_sight_that_nothing_shows_is_reported() -> None:
    """Release alone never has two holders: the claims beside that would be vacuous."""
    found = explore(System(GO_2024, scenario("release")))
    assert found.holds
    assert {"sometimes-two-holders", "sometimes-done", "sometimes-last-user-closes"} <= set(
        found.unseen
    )


@pytest.mark.parametrize(
    ("name", "changes", "law"),
    [
        ("wait.load.released", {"guard": FALSE}, DEADLOCK),
        ("free.cas", {"update": ()}, "refs-are-holders"),
        ("signal.cas", {"update": ()}, "refs-are-holders"),
        ("release.cas.last", {"to": "end"}, "closed-at-rest"),
        ("free.cas.last", {"to": "end"}, "closed-at-rest"),
        ("release.load", {"to": "release.close"}, "no-double-close"),
        ("kill.load", {"to": "kill.send"}, "no-use-after-close"),
    ],
)
def test_a_broken_command_breaks_a_law(name: str, changes: dict[str, object], law: str) -> None:
    """Each guard, update or jump that is taken out turns some law red."""
    mutant = with_command(GO_2024, name, **changes)
    found = explore(System(mutant, scenario("wait", "signal", "kill", "release")), limit=200_000)
    assert law in found.counterexamples


def test_a_wait_that_keeps_the_persistent_reference_is_seen_at_rest() -> None:
    """A Wait that succeeded and dropped nothing leaves a status that says nothing happened."""
    mutant = with_command(GO_2024, "drop.load", to="free.load")
    found = explore(System(mutant, scenario("wait", "signal")))
    assert set(found.counterexamples) == {"waited-at-rest"}


def test_acquire_without_its_guard_uses_a_recycled_handle() -> None:
    """Without the status check a late Signal reaches the bystander; the run is a shortest one."""
    mutant = with_command(
        without_command(GO_2024, "kill.load.done", "kill.load.released"), "kill.load", guard=TRUE
    )
    found = explore(System(mutant, scenario("kill", "release")), stop_at="no-wrong-process")
    wrong = found.counterexamples["no-wrong-process"]
    assert wrong.schedule[-1] == ("K1", "kill.send.wrong")
    assert ("kernel", "reopen") in wrong.schedule
    assert len(wrong.steps) == 7


def test_the_search_stops_at_its_limit_and_says_so() -> None:
    """A search that was cut off is not complete, so nothing is claimed to hold."""
    found = explore(System(GO_2024, scenario(*[MIXED] * 3)), limit=100)
    assert not found.complete
    assert not found.holds


def test_a_status_that_changes_breaks_the_step_law() -> None:
    """A persistent release that ignores the status rewrites done as released."""
    mutant = without_command(GO_2024, "release.load.late")
    mutant = with_command(mutant, "release.load", guard=word != 0)
    found = explore(System(mutant, scenario("wait", "release")), stop_at="status-set-once")
    assert "status-set-once" in found.counterexamples


def test_a_law_about_states_has_a_shortest_counterexample() -> None:
    """The search reports the first state that breaks an `always` law, and how it came about."""
    laws = [
        Law("never-done", "always", "", word < DONE),
        Law("live", "always", "", word < RELEASED),
    ]
    found = explore(System(GO_2024, scenario("release")), laws)
    assert set(found.counterexamples) == {"never-done", "live"}
    assert [s.name for s in found.counterexamples["live"].steps] == [
        "release.load",
        "release.cas.last",
    ]


@pytest.mark.parametrize(
    "bad",
    [
        scenario("fly"),
        scenario("wait", initial={"speed": 1}),
        scenario("wait", adversary=["gremlin"]),
        scenario("wait", urgent=["gremlin"]),
    ],
)
def test_a_scenario_with_unknown_names_is_refused(bad: object) -> None:
    """A misspelled method, variable or adversary is not silently nothing."""
    with pytest.raises(DesignError, match="use one of these"):
        System(GO_2024, bad)  # type: ignore[arg-type]


def test_a_thread_can_call_several_methods_in_turn() -> None:
    """W;W: the second Wait is refused, and the handle is closed once."""
    system = System(GO_2024, scenario("wait;wait"))
    found = explore(system)
    assert found.holds
    state, outcomes = system.initial, []
    while steps := system.steps(state):
        step = steps[0]
        assert step.command is not None
        if step.command.outcome is not None:
            outcomes.append(step.command.outcome)
        state = step.state
    assert outcomes == ["ok", "EPD"]
