"""The cases at the gate: what `lastref check` says of the named races, on real programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lastref.conformance.adapters.registry import resolve
from lastref.conformance.cli import main
from lastref.conformance.errors import UserError
from lastref.conformance.gate.judged import can_be_judged
from lastref.conformance.gate.scenario import Scenario
from lastref.conformance.gated import RECIPES, Gating, Memory, examine
from lastref.conformance.outcomes import Outcome, Status
from lastref.conformance.sandbox import unavailable
from lastref.conformance.suite import JUDGED_RACES, RACES, Case, all_cases

_REASON = unavailable()
here = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))

PATIENCE = 1000.0
"""Seconds until an exploration is given up, on a machine however busy."""


def case(wanted: str) -> Case:
    """Return a case by its id."""
    return next(case for case in all_cases() if case.id == wanted)


def explored(name: str, wanted: str, gating: Gating | None = None) -> Outcome:
    """Explore one race on a known adapter; skip where its toolchain is missing."""
    try:
        argv = resolve(name).prepare()
    except UserError as missing:
        pytest.skip(str(missing))
    return examine(case(wanted), argv, gating or Gating(name, seconds=PATIENCE))


@pytest.mark.parametrize("race", sorted(RACES))
def test_every_race_is_a_scenario_and_is_run_without_pidfds_too(race: str) -> None:
    """The scenario can be read; the case needs what it calls, and pidfds where they are refused."""
    plain, refused = case(f"gate/{race}"), case(f"gate/{race}/no-pidfd")
    assert str(Scenario.parse(plain.scenario)) == plain.scenario.replace(" ", "")
    assert refused.needs == plain.needs | {"pidfd"}
    assert refused.scenario == plain.scenario


@pytest.mark.parametrize("race", sorted(RACES))
def test_every_race_that_the_specification_speaks_of_is_judged_by_it_too(race: str) -> None:
    """Those have a case for the histories, with pidfds and without, and no others have."""
    assert can_be_judged(Scenario.parse(RACES[race])) is (race in JUDGED_RACES)
    ids = {each.id for each in all_cases()}
    for plain in (f"gate/{race}", f"gate/{race}/no-pidfd"):
        assert (f"{plain}/history" in ids) is (race in JUDGED_RACES)


def test_every_recipe_is_of_a_race() -> None:
    """A recipe whose scenario nobody explores would never be tried."""
    assert set(RECIPES) <= set(RACES.values())


@here
@pytest.mark.parametrize(
    ("name", "wanted", "status"),
    [
        ("cpython-popen", "gate/go-13987", Status.DEVIATES),
        ("c-pid", "gate/go-13987", Status.DEVIATES),
        ("c-pidfd", "gate/go-67641", Status.DEVIATES),
        ("lastref-go-2024", "gate/go-67641", Status.PASS),
        ("node-child-process", "gate/go-13987", Status.PASS),
        ("c-pidfd", "gate/go-13987/no-pidfd", Status.PRECONDITION_FAILED),
    ],
)
def test_a_race_is_found_where_it_is_and_nowhere_else(
    name: str, wanted: str, status: Status
) -> None:
    """A wrong process hit deviates; one that cannot start at all has not passed anything."""
    outcome = explored(name, wanted)
    assert outcome.status is status, outcome.message
    if status is Status.DEVIATES:
        assert outcome.message.startswith("wrong process")
        assert outcome.extra["schedules"]


@here
def test_who_was_hit_and_what_was_returned_are_asked_of_one_exploration() -> None:
    """go-2024 is right in both; the answers come from the same orders, run once."""
    memory: Memory = {}
    plain, history = case("gate/go-67641"), case("gate/go-67641/history")
    argv = resolve("lastref-go-2024").prepare()
    first = examine(plain, argv, Gating("lastref-go-2024", seconds=PATIENCE), memory)
    (found,) = memory.values()
    second = examine(history, argv, Gating("lastref-go-2024", seconds=PATIENCE), memory)
    assert (first.status, second.status) == (Status.PASS, Status.PASS), second.message
    assert list(memory.values()) == [found]
    assert second.extra["histories"] > 1


@here
def test_a_return_that_no_order_of_the_calls_explains_is_shrunk_and_replays(tmp_path: Path) -> None:
    """Popen's kill gives nil for a process that was reaped; in four steps, each time again."""
    gating = Gating("cpython-popen", seconds=PATIENCE, traces=tmp_path)
    outcome = explored("cpython-popen", "gate/go-13987/history", gating)
    assert outcome.status is Status.DEVIATES
    assert outcome.message == "kill gave nil, the specification allows EPD"
    assert outcome.extra["unsteady"] == []
    (schedule,) = outcome.extra["schedules"]
    assert len(schedule.split(".")) == 4
    trace = tmp_path / outcome.extra["trace"]
    assert json.loads(trace.read_text())["deviation"] == outcome.message
    target = tmp_path / "result.json"
    replayed = ["replay", str(trace), "--adapter", "cpython-popen", "--times", "3"]
    assert main([*replayed, f"--json={target}"]) == 1
    (told,) = json.loads(target.read_text())["checks"]
    assert (told["wrong_outcome"], told["wrong_process"]) == (3, 0)


@here
def test_without_its_time_an_exploration_says_nothing() -> None:
    """Orders that were not run for want of time are no pass: the run is incomplete."""
    gating = Gating("lastref-go-2024", orders=10_000, seconds=0.0)
    outcome = explored("lastref-go-2024", "gate/go-67641", gating)
    assert outcome.incomplete
    assert "--seconds" in outcome.message


@here
def test_the_trace_of_a_race_replays_with_the_command_that_it_names(tmp_path: Path) -> None:
    """check writes the trace; the command in the result replays it, and it hits again."""
    target = tmp_path / "result.json"
    run = ["check", "c-pidfd", "--case", "gate/go-67641", "--traces", str(tmp_path / "traces")]
    assert main([*run, "--expect", "none", f"--json={target}"]) == 1
    (told,) = json.loads(target.read_text())["checks"]
    assert told["replay"] == f"lastref replay {told['trace']} --adapter c-pidfd"
    trace = tmp_path / "traces" / told["trace"]
    assert main(["replay", str(trace), "--adapter", "c-pidfd", "--times", "3"]) == 1
    assert main([*run, f"--json={target}"]) == 0  # known: it is on the adapter's own list
