"""Invariants that Spacer finds, checked again without it; and runs, walked through the system."""

from dataclasses import replace

import pytest
import z3

from lastref.model.algebra import TRUE
from lastref.model.cases import case
from lastref.model.conserve import conserved
from lastref.model.designs import get
from lastref.model.designs.go_2024 import GO_2024
from lastref.model.fresh import answer, prove, refute
from lastref.model.fuse import only
from lastref.model.horn import EXACT, MERGED, Horn
from lastref.model.proof import PROVED, REFUTED
from lastref.model.spacer import LAYOUTS, Found, Run, concrete, find, recheck, search
from lastref.model.system import System
from lastref.model.table import DesignError, Table

START = [GO_2024.starts["start"]]


def merged(table: Table) -> Horn:
    """Return the clauses of `table` with merged crowds, from its first start."""
    return Horn(
        table,
        table.laws,
        crowding=MERGED,
        layouts=LAYOUTS[table.id],
        starts=[table.starts["start"]],
    )


def walked(table: Table, run: Run) -> str | None:
    """Walk `run` through the explorer's system; return the law that its last step breaks."""
    system = System(table, run.scenario)
    state, broken = system.initial, None
    for actor, name in run.schedule:
        step = next(s for s in system.steps(state) if (s.actor, s.name) == (actor, name))
        state, broken = step.state, step.broken
    return broken


@pytest.mark.parametrize("seed", range(8))
def test_spacer_finds_the_invariant_of_go_2024_by_itself(seed: int) -> None:
    """In a fresh process with any seed; plain queries confirm what it found."""
    found = prove("go-2024", "linux", seed=seed).found
    assert found.verdict == PROVED
    assert found.rechecked > 50


@pytest.mark.parametrize("key", [("go-2024", "windows"), ("dotnet-safehandle", "any")])
def test_spacer_finds_the_invariant_of_other_sound_designs(key: tuple[str, str]) -> None:
    """Another platform and another word, without a hint."""
    assert answer({"design": key[0], "platform": key[1]}).found.verdict == PROVED


@pytest.mark.slow
@pytest.mark.parametrize("key", [("go-2025", "linux"), ("go-fdmutex", "any")])
def test_spacer_finds_the_invariants_that_take_longer(key: tuple[str, str]) -> None:
    """Two words instead of one; and a lock's references."""
    assert prove(*key).found.verdict == PROVED


def test_the_conservation_law_is_found_by_linear_algebra() -> None:
    """References = persistent + holders: nobody wrote it down for this engine."""
    horn = merged(GO_2024)
    (equation,) = conserved(horn)
    solver = z3.SimpleSolver()
    names = {str(t): t for t in horn.state}
    done, released, refs = names["word.62"], names["word.63"], names["word.0"]
    solver.add(equation, z3.Not(z3.Or(done, released)), names["#holds closes"] == 0)
    assert solver.check(refs != names["#holds"] + 1) == z3.unsat


def test_a_wrong_certificate_is_not_confirmed() -> None:
    """What the engine says is not believed: true is no invariant, and neither is false."""
    horn = merged(GO_2024)
    assert recheck(horn, z3.BoolVal(True)) == 0
    assert recheck(horn, z3.BoolVal(False)) == 0


def test_an_acquire_without_its_guard_is_refuted() -> None:
    """A mutant that acquires whatever the status has a run, and threads can take it."""
    acquire = GO_2024.by_name["signal.load"]
    commands = tuple(
        replace(c, guard=TRUE) if c is acquire else c
        for c in GO_2024.commands
        if not c.name.startswith("signal.load.")
    )
    table = only(replace(GO_2024, commands=commands), ("signal", "release"))
    found = find(table, [table.law("no-use-after-close")], crowding=EXACT, starts=START)
    assert found.verdict == REFUTED
    run = concrete(table, found)
    assert run is not None
    assert walked(table, run) == "no-use-after-close"


@pytest.mark.parametrize(
    "name", ["go-67641", "go-67634", "go-67642", "kill-minus-one", "go-71564", "found-dead-wait"]
)
def test_spacer_finds_a_run_of_each_named_case(name: str) -> None:
    """A run in named threads that breaks the law of the case in the explorer's own system."""
    told = refute(name)
    assert told.found.verdict == REFUTED
    assert told.run is not None
    assert walked(case(name).table, told.run) == case(name).law


def test_a_run_that_no_threads_can_take_is_not_returned() -> None:
    """go-13987 without the Wait that reaps: the pid cannot come back; with it, it can."""
    named = case("go-13987")
    table = only(named.table, named.methods)
    _, run = search(table, table.law(named.law), named.initial)
    assert run is not None
    assert walked(table, run) == named.law
    trace = ("kill.check", "kill.status", "kill.load_pid", "kill.kill.stranger")
    made_up = Found(REFUTED, EXACT, 0, 0.0, trace=trace, law=named.law)
    assert concrete(table, made_up) is None


def test_an_unsound_design_is_not_asked_about() -> None:
    """An invariant of a design that breaks its laws is refused, with what can be asked."""
    with pytest.raises(DesignError, match="named cases"):
        prove("go-2023-pidfd", "linux")
    with pytest.raises(ValueError, match="crowding"):
        Horn(get("go-2024"), (), crowding="loose")
