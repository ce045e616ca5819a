"""Real programs at the gate: who can be brought to hit the wrong process, and who cannot.

Every schedule was found by exploring, and is replayed here; "safe" means that all orders were run
and that the adversary did recycle in them.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lastref.conformance.adapters import registry
from lastref.conformance.errors import UserError
from lastref.conformance.gate.explore import Budget, Exploration, explore
from lastref.conformance.gate.outcome import WRONG_REAP, WRONG_SIGNAL, Outcome
from lastref.conformance.gate.record import Record
from lastref.conformance.gate.run import examine, find_handle, program, replay
from lastref.conformance.gate.scenario import Scenario
from lastref.conformance.gate.session import Session
from lastref.conformance.gate.testee import Program
from lastref.conformance.sandbox import run_in_namespace, unavailable

_REASON = unavailable()
pytestmark = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))

TIMES = 20
PATIENCE = 1000.0
"""Seconds until an exploration is given up, on a machine however busy."""

_RAW = ("pidfd_open=ENOSYS",)
_FOUND_DEAD = "start;exit;wait|find.b@a;wait.b,start.c"


def wanted(name: str, scenario: str, refused: tuple[str, ...] = ()) -> Program:
    """Return a known adapter as what is driven; skip where its toolchain is missing."""
    try:
        argv = registry.resolve(name).prepare()
    except UserError as missing:
        pytest.skip(str(missing))
    return program(argv, Scenario.parse(scenario), refused)


def recorded(driven: Program, scenario: str, schedule: str) -> Record:
    """Return a schedule as a record that expects nothing yet."""
    return Record(
        Scenario.parse(scenario),
        tuple(schedule.split()),
        driven.refused,
        driven.processes,
        driven.handle,
        driven.lines,
        None,
        {},
        (),
        (),
    )


@pytest.mark.parametrize(
    ("name", "refused", "scenario", "schedule", "verdict"),
    [
        ("cpython-popen", (), "start|wait,kill", "W1 K1 exit(a) W1 K1", WRONG_SIGNAL),
        ("java-process", (), "start|kill", "K1 exit(a) K1", WRONG_SIGNAL),
        ("java-processhandle", (), "start|kill", "K1 exit(a) K1", WRONG_SIGNAL),
        ("rust-child", (), "start|kill,reap", "K1 R1 exit(a) R1 K1", WRONG_SIGNAL),
        ("c-pid", (), "start|wait,kill", "K1 exit(a) W1 W1 K1", WRONG_SIGNAL),
        ("c-pidfd", (), "start|kill,release", "K1 R1 K1", WRONG_SIGNAL),
        (
            "go-1.27",
            _RAW,
            "start|wait,wait,start.b",
            "W1 W1 W2 W2 exit(a) W1 S1 S1 W2 exit(b)",
            WRONG_REAP,
        ),
        (
            "go-1.27",
            (*_RAW, "waitid=ENOSYS"),
            "start|wait,kill",
            "K1 exit(a) W1 W1 K1",
            WRONG_SIGNAL,
        ),
        ("go-1.27", (), _FOUND_DEAD, "F1 F1 S1 S1 F1 F1 exit(c) F1", WRONG_REAP),
        ("go-1.25", (), _FOUND_DEAD, "F1 F1 S1 S1 F1 F1 exit(c) F1", WRONG_REAP),
        ("node-child-process", (), "start|wait,kill", "W1 K1 exit(a) K1", None),
        ("go-1.27", (), "start|wait,kill", "W1 W1 K1 exit(a) K1", None),
        ("go-1.27", _RAW, "start|wait,kill", "K1 W1 W1 exit(a) K1 W1", None),
        ("go-1.24", (), _FOUND_DEAD, "F1 F1 S1 S1 F1", None),
    ],
)
def test_a_schedule_ends_the_same_way_every_time(
    name: str, refused: tuple[str, ...], scenario: str, schedule: str, verdict: str | None
) -> None:
    """Twenty times out of twenty: the same steps, the same one hit, and no step left out."""
    driven = wanted(name, scenario, refused)
    replays = replay(driven, recorded(driven, scenario, schedule), TIMES)
    assert replays.verdicts == {verdict: TIMES}
    assert replays.different == 0
    assert replays.skipped == ()
    assert replays.started == 1  # one testee re-used: no run leaves anything behind


@pytest.mark.parametrize("name", ["cpython-popen", "java-process", "c-pidfd"])
def test_a_fresh_testee_behaves_like_one_that_is_reused(name: str) -> None:
    """What comes out does not depend on what the testee did before."""
    scenario, schedule = {
        "cpython-popen": ("start|wait,kill", "W1 K1 exit(a) W1 K1"),
        "java-process": ("start|kill", "K1 exit(a) K1"),
        "c-pidfd": ("start|kill,release", "K1 R1 K1"),
    }[name]
    driven = wanted(name, scenario)
    record = recorded(driven, scenario, schedule)
    reused, fresh = replay(driven, record, 3), replay(driven, record, 3, fresh=True)
    assert reused.first.shown == fresh.first.shown
    assert reused.verdicts == fresh.verdicts == {WRONG_SIGNAL: 3}
    assert fresh.started == 3


@pytest.mark.parametrize(
    ("name", "refused", "scenario"),
    [
        ("node-child-process", (), "start|wait,kill"),
        ("go-1.27", (), "start|wait,kill"),
        ("go-1.27", _RAW, "start|wait,kill"),
        ("c-pidfd", (), "start|wait,kill"),
        ("go-1.24", (), _FOUND_DEAD),
    ],
)
def test_a_safe_program_hits_nobody_in_any_order(
    name: str, refused: tuple[str, ...], scenario: str
) -> None:
    """All orders were run, none went astray, and in most of them something was recycled."""
    found = examine(
        wanted(name, scenario, refused), Scenario.parse(scenario), Budget(500, PATIENCE)
    )
    exploration = found.exploration
    assert found.records == ()
    assert exploration.complete, (exploration.left, exploration.lost, exploration.diverged)
    assert exploration.recycled.total() > exploration.orders // 2
    assert exploration.verdicts.total() == exploration.orders > 10


def explored(driven: Program, scenario: Scenario, budget: Budget) -> tuple[Exploration, set[str]]:
    """Explore, and return what every gap was like as well."""
    states: set[str] = set()

    def note(outcome: Outcome) -> None:
        states.update(step.state for step in outcome.steps)

    with Session(driven, aged=False) as session:
        return explore(session, scenario, budget, note), states


@pytest.mark.parametrize(
    ("name", "scenario"), [("c-pidfd", "start|kill,kill"), ("go-1.27", _FOUND_DEAD)]
)
def test_of_alike_orders_one_is_followed_and_nothing_is_lost(name: str, scenario: str) -> None:
    """Fewer orders meet every gap of all of them, and what came of it."""
    driven, race = wanted(name, scenario), Scenario.parse(scenario)
    every, could = run_in_namespace(explored, driven, race, Budget(500, PATIENCE, every=True))
    fewer, met = run_in_namespace(explored, driven, race, Budget(500, PATIENCE))
    assert every.complete
    assert fewer.complete
    assert fewer.orders < every.orders
    assert f"(all, {fewer.alike} times like another)" in str(fewer)
    assert (met, set(fewer.verdicts)) == (could, set(every.verdicts))


@pytest.mark.parametrize(
    ("name", "scenario", "verdict", "steps"),
    [
        ("cpython-popen", "start|wait,kill", WRONG_SIGNAL, 5),
        ("java-process", "start|wait,kill", WRONG_SIGNAL, 3),
        ("c-pidfd", "start|wait,kill,release", WRONG_SIGNAL, 3),
        ("go-1.27", _FOUND_DEAD, WRONG_REAP, 8),
    ],
)
def test_exploring_finds_the_failure_and_shrinks_it_to_the_least_schedule(
    name: str, scenario: str, verdict: str, steps: int
) -> None:
    """Shortest first, so it is found early; no step of what is left can be done without."""
    driven = wanted(name, scenario)
    found = examine(driven, Scenario.parse(scenario), Budget(150, PATIENCE))
    (record,) = (each for each in found.records if each.verdict == verdict)
    assert len(record.schedule) == steps
    replays = replay(driven, record, 3)
    assert replays.verdicts == {verdict: 3}
    assert replays.first.shown == record.shown
    for left_out in range(steps):
        schedule = record.schedule[:left_out] + record.schedule[left_out + 1 :]
        shorter = recorded(driven, str(record.scenario), " ".join(schedule))
        assert replay(driven, shorter).verdicts != {verdict: 1}


def test_a_record_of_one_implementation_replays_on_another() -> None:
    """The schedule that fails on plain pids hits nobody through pidfds, and says what differed."""
    scenario, schedule = "start|wait,kill", "K1 exit(a) W1 W1 K1"
    plain = wanted("c-pid", scenario)
    record = replay(plain, recorded(plain, scenario, schedule)).first
    assert record.verdict == WRONG_SIGNAL
    other = replay(wanted("c-pidfd", scenario), record, 3)
    assert other.verdicts == {None: 3}
    assert other.first.shown != record.shown


def test_the_close_of_the_handle_is_held_where_that_is_asked_for() -> None:
    """Its number is found by itself; between the swap and the close there is one more gap."""
    scenario = "start|kill,release"
    driven = wanted("c-pidfd", scenario)
    handle = find_handle(driven)
    assert handle is not None
    found = examine(replace(driven, handle=handle), Scenario.parse(scenario), Budget(300, PATIENCE))
    without = examine(driven, Scenario.parse(scenario), Budget(300, PATIENCE))
    assert found.exploration.complete
    assert found.exploration.orders > without.exploration.orders
    (record,) = found.records
    assert record.schedule == ("K1", "R1", "R1", "K1")
    assert "R1 at close(handle)" in record.shown[1][1]
    assert replay(driven, record, 3).verdicts == {WRONG_SIGNAL: 3}


@pytest.mark.parametrize("name", ["lastref-go-2024", "go-1.27"])
def test_a_counted_handle_is_closed_by_its_last_user_only(name: str) -> None:
    """With the close held as well, in every order of kill and release nobody is hit."""
    scenario = "start|kill,release"
    driven = wanted(name, scenario)
    handle = find_handle(driven)
    assert handle is not None
    found = examine(replace(driven, handle=handle), Scenario.parse(scenario), Budget(300, PATIENCE))
    assert found.exploration.complete
    assert found.records == ()
    assert not found.exploration.deviations
    assert found.exploration.recycled["number"] == 0  # it was never free while it was used


def returned(driven: Program) -> list[tuple[str, ...]]:
    """Let two kills of one child go, and show what the kernel answered each."""
    with Session(driven, values=True) as session:
        outcome = session.run(
            Scenario.parse("start|kill,kill,wait"), ["K1", "K2", "K1", "exit(a)", "W1", "W1", "K2"]
        )
        return [step.shown for step in outcome.steps]


def test_a_trace_can_show_what_each_call_returned() -> None:
    """Success and ESRCH are told apart, though the program throws both away."""
    shown = run_in_namespace(returned, wanted("c-pidfd", "start|kill,kill,wait"))
    assert "pidfd_send_signal(handle) returned 0" in shown[2]
    assert "pidfd_send_signal(handle) returned No such process" in shown[5]


@pytest.mark.parametrize("name", ["java-process", "node-child-process"])
def test_a_runtime_that_reaps_by_itself_is_not_blamed_for_it(name: str) -> None:
    """Its own thread reaps its own child in whoever's step that falls; nobody wrong is reaped."""
    scenario = "start|wait,wait,start.b"
    found = examine(wanted(name, scenario), Scenario.parse(scenario), Budget(60, PATIENCE))
    assert found.exploration.orders == 60
    assert found.exploration.recycled["child"] > 0
    assert found.records == ()
