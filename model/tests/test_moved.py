"""Tests of `lastref.model.moved`: a call that may end where the design looks again, or may not."""

from dataclasses import replace
from typing import Any

import pytest

from lastref.model.algebra import TRUE
from lastref.model.designs import get
from lastref.model.histories import Histories, difference
from lastref.model.invariants import INVARIANTS
from lastref.model.moved import LATER, SOONER, sooner_or_later
from lastref.model.proof import Proof
from lastref.model.reprove import Unbounded
from lastref.model.system import System, scenario
from lastref.model.table import END, Table

ON_WINDOWS = ("go-2025", "windows")
DESIGN = get(*ON_WINDOWS)


def proofs(table: Table, name: str) -> tuple[Proof, ...]:
    """Return what is proved of ``table`` if the command of that name ended the call."""
    ours = table.by_name[name]
    unbounded = Unbounded(table, INVARIANTS[table.id, table.platform])
    return sooner_or_later(unbounded, ours, replace(ours, to=END))


def changed(name: str, **change: Any) -> Table:
    """Return the design with one command changed."""
    commands = (replace(c, **change) if c.name == name else c for c in DESIGN.commands)
    return replace(DESIGN, commands=tuple(commands))


@pytest.mark.parametrize("method", ["signal", "foreign"])
def test_an_error_that_every_signal_has_may_come_at_once(method: str) -> None:
    """All is proved: the state was ok, and what the second look says the first could have said."""
    found = proofs(DESIGN, f"{method}.refs.closed")
    assert [p.law for p in found] == [SOONER, LATER, LATER, LATER]
    assert all(p.holds for p in found)


def test_the_histories_are_the_same() -> None:
    """What is proved for any number of threads, looked at with three."""
    ours = DESIGN.by_name["signal.refs.closed"]
    mutant = changed(ours.name, to=END)
    made = (System(t, scenario("signal", "release", "wait")) for t in (mutant, DESIGN))
    one, other = (Histories(s, effects=True, calls=True) for s in made)
    assert len(one.edges) != len(other.edges)
    assert difference(one, other) is None


@pytest.mark.parametrize("method", ["wait", "kill"])
def test_a_call_with_work_to_do_may_not_end(method: str) -> None:
    """There is no way out of a Wait or a Kill that nobody sees."""
    (found,) = proofs(DESIGN, f"{method}.refs.closed")
    assert found.law == SOONER
    assert not found.holds


def test_whoever_has_not_looked_might_find_the_handle_closed() -> None:
    """Without the first look no reference need be there to be taken."""
    (found,) = proofs(changed("signal.state", guard=TRUE), "signal.refs.closed")
    assert found.law == SOONER
    assert not found.holds


def test_another_answer_of_the_second_look_is_not_the_firsts() -> None:
    """A Signal that begins later would not give that outcome."""
    found = proofs(changed("signal.again.released", outcome="EPD"), "signal.refs.closed")
    assert found[0].holds
    assert found[-1].law == LATER
    assert not found[-1].holds


def test_a_step_on_the_way_that_changes_something_is_not_moved() -> None:
    """If the first look leaves a mark, it cannot be left out: there is nothing to prove."""
    look = DESIGN.by_name["signal.state"]
    marked = changed(look.name, update=DESIGN.by_name["release.state_cas"].update)
    assert proofs(marked, "signal.refs.closed") == ()


def test_a_place_with_another_way_to_it_is_left_alone() -> None:
    """Who comes to the second look by another way has not been looked at."""
    other = replace(DESIGN.by_name["signal.state"], name="signal.at_once", to="signal.again")
    table = replace(DESIGN, commands=(*DESIGN.commands, other))
    assert proofs(table, "signal.refs.closed") == ()
