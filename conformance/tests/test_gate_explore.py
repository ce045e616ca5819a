"""Exploring: every order once, shortest beginnings first, and the truth about what is left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lastref.conformance.adapters import minimal, registry
from lastref.conformance.errors import UserError
from lastref.conformance.gate.explore import Budget, Exploration, explore
from lastref.conformance.gate.filter import Refusal
from lastref.conformance.gate.judged import can_be_judged, specification_of
from lastref.conformance.gate.outcome import WRONG_SIGNAL, Outcome
from lastref.conformance.gate.record import is_record, read
from lastref.conformance.gate.rest import family
from lastref.conformance.gate.run import examine, find_handle, program
from lastref.conformance.gate.scenario import Scenario
from lastref.conformance.gate.session import Session
from lastref.conformance.gate.started import pass_tick, tick_of
from lastref.conformance.gate.testee import Program
from lastref.conformance.sandbox import run_in_namespace, unavailable

_REASON = unavailable()
pytestmark = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))

_POPEN = (sys.executable, "-S", "-E", str(Path(minimal.__file__)))
_RACE = Scenario.parse("start|wait,kill")

PATIENCE = 1000.0
"""Seconds until an exploration is given up, on a machine however busy."""


def orders(budget: Budget) -> tuple[Exploration, list[Outcome]]:
    """Explore the race, and keep every order."""
    seen: list[Outcome] = []
    with Session(Program(_POPEN)) as session:
        return explore(session, _RACE, budget, seen.append), seen


def test_all_orders_are_run_and_none_twice() -> None:
    """Every alternative in every gap is the beginning of some order that was run."""
    exploration, seen = run_in_namespace(orders, Budget(seconds=PATIENCE, every=True))
    schedules = {outcome.schedule for outcome in seen}
    assert exploration.complete
    assert len(schedules) == len(seen) == exploration.orders
    for outcome in seen:
        assert outcome.open == ()
        for index, step in enumerate(outcome.steps):
            for other in step.enabled:
                beginning = (*outcome.schedule[:index], other)
                assert any(each[: index + 1] == beginning for each in schedules)


def test_shorter_beginnings_come_first() -> None:
    """The first deviations are those from the first step on."""
    _, seen = run_in_namespace(orders, Budget(seconds=PATIENCE))
    first = seen[0].schedule
    lengths = [
        next((i for i, actor in enumerate(o.schedule) if actor != first[i]), len(first))
        for o in seen[:3]
    ]
    assert lengths == [5, 0, 0] or lengths[1:] == [0, 0]


def test_a_budget_that_ends_before_the_orders_do_is_told() -> None:
    """What is left over is counted, and nobody calls it complete."""
    exploration, seen = run_in_namespace(orders, Budget(orders=5, seconds=PATIENCE))
    assert exploration.orders == len(seen) == 5
    assert exploration.left > 0
    assert not exploration.complete
    assert f"{exploration.left} beginnings left" in str(exploration)


def test_an_exploration_of_nothing_is_not_complete() -> None:
    """No order, no claim."""
    exploration, _ = run_in_namespace(orders, Budget(orders=0))
    assert not exploration.complete


def test_a_failure_is_a_file_that_names_no_path_and_comes_back_the_same(tmp_path: Path) -> None:
    """The record is written, fits its schema, is read again, and carries its command."""
    (record,) = examine(Program(_POPEN), _RACE, Budget(seconds=PATIENCE)).records
    file = tmp_path / "failure.json"
    record.write(file, "cpython-popen")
    text = file.read_text(encoding="utf-8")
    document = json.loads(text)
    assert is_record(document)
    assert read(document) == record
    assert record.verdict == WRONG_SIGNAL
    assert document["replay"] == "lastref replay failure.json --adapter cpython-popen"
    assert "/" not in document["scenario"] + "".join(document["schedule"])
    assert str(tmp_path) not in text
    assert sys.executable not in text


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    """A missing field, an unknown thread, an unknown refusal: told in one line."""
    (record,) = examine(Program(_POPEN), _RACE, Budget(seconds=PATIENCE)).records
    good = record.document()
    changes: list[dict[str, object]] = [
        {"schedule": []},
        {"schedule": ["X9"]},
        {"refused": ["open=ENOENT"]},
        {"scenario": "start"},
        {"verdict": "fine"},
    ]
    for change in changes:
        with pytest.raises(UserError) as error:
            read({**good, **change})
        assert "\n" not in str(error.value)
    del tmp_path


@pytest.mark.parametrize(
    "text",
    [
        *("", "start", "start|", "start|fly", "start|wait;exit", "|wait:"),
        *("wait|kill", "exit|kill", "start|kill.b", "start;wait.b|kill", "|find.b@a"),
        *("start|start", "start;find.b|wait,find.b", "start;find.b;exit.b|kill"),
        *("start;find.b|find.c@b", "start;start.b;start.c|start.d,start.e,start.f"),
    ],
)
def test_what_is_no_scenario_is_refused(text: str) -> None:
    """Nor what nobody could carry out, or would pass by doing nothing; each is told in one line."""
    with pytest.raises(UserError, match=r"start\|wait,kill"):
        Scenario.parse(text)


@pytest.mark.parametrize(
    "text",
    ["start|wait,kill", "start;exit;wait|find.b@a;wait.b,start.c", "start|wait,wait,start.b"],
)
def test_a_scenario_is_read_as_it_is_written(text: str) -> None:
    """One text, one scenario."""
    assert str(Scenario.parse(text)) == text


def test_an_implementation_without_what_a_scenario_needs_is_told() -> None:
    """The suite decides by what was declared, not by what fails."""
    with pytest.raises(UserError, match="does not declare find"):
        examine(Program(_POPEN), Scenario.parse("start|find.b,wait"), Budget(seconds=PATIENCE))


def test_a_program_that_cannot_be_started_is_told() -> None:
    """Its name, and why."""
    with pytest.raises(UserError, match="no-such-program"):
        examine(program(["/no-such-program"], _RACE), _RACE, Budget(seconds=PATIENCE))


def test_a_program_that_ends_before_it_has_said_anything_is_told() -> None:
    """One line, not a bug of ours; nothing of it is left."""
    with pytest.raises(UserError, match="cannot be held at the gate: it exited with 0"):
        examine(Program((sys.executable, "-S", "-c", "")), _RACE, Budget(seconds=PATIENCE))


def test_a_program_that_does_not_use_pidfds_has_no_handle() -> None:
    """Python's Popen holds a child by its pid alone."""
    assert find_handle(Program(_POPEN)) is None


def test_the_history_of_every_order_is_judged_by_the_model() -> None:
    """Popen tells a second caller nothing of ErrProcessDone; that is the one thing that differs."""
    exploration, seen = run_in_namespace(orders, Budget(seconds=PATIENCE))
    assert set(exploration.judged) == {outcome.history for outcome in seen}
    assert exploration.deviations
    for wrong, schedule in exploration.deviations.items():
        assert "the specification allows" in wrong
        assert schedule in {outcome.schedule for outcome in seen}


def test_our_own_design_fits_its_specification_in_every_order() -> None:
    """go-2024 as it is written in impl/: nobody is hit, and every history is one of the model's."""
    for text in ("start|wait,kill", "start|kill,release", "start|wait,release"):
        scenario = Scenario.parse(text)
        found = examine(
            program(registry.resolve("lastref-go-2024").prepare(), scenario),
            scenario,
            Budget(300, PATIENCE),
        )
        assert found.exploration.complete
        assert found.records == ()
        assert found.exploration.judged
        assert not found.exploration.deviations


_POLLING = """
import lastref.conformance.adapters.minimal as minimal, os, runpy, subprocess
def wait(popen):
    while not (ended := os.waitpid(popen.pid, os.WNOHANG))[0]:
        pass
    popen.returncode = os.waitstatus_to_exitcode(ended[1])
    return popen.returncode
subprocess.Popen.wait = wait
del subprocess.Popen.__del__  # it polls as well, whenever the last thread lets go of the object
runpy.run_path(minimal.__file__, run_name="__main__")
"""


def test_a_program_that_polls_has_an_end_all_the_same(tmp_path: Path) -> None:
    """Its call is made again and again; what changes nothing is not taken for ever."""
    script = tmp_path / "polling.py"
    script.write_text(_POLLING, encoding="utf-8")
    scenario = Scenario.parse("start|wait,kill")
    found = examine(Program((sys.executable, str(script))), scenario, Budget(seconds=PATIENCE))
    assert found.exploration.complete
    assert found.exploration.orders > 5
    assert found.exploration.longest > 5  # it did poll while the child ran
    assert [record.verdict for record in found.records] == [WRONG_SIGNAL]


_GROUP = """
import lastref.conformance.adapters.minimal as minimal, os, runpy, subprocess
subprocess.Popen.send_signal = lambda popen, number: os.kill(0, number)
runpy.run_path(minimal.__file__, run_name="__main__")
"""


def test_a_kill_of_the_programs_own_process_group_is_a_wrong_process_signalled(
    tmp_path: Path,
) -> None:
    """The program itself is hit, and dies of it: that is no accident on the way."""
    script = tmp_path / "group.py"
    script.write_text(_GROUP, encoding="utf-8")
    found = examine(
        Program((sys.executable, str(script))),
        Scenario.parse("start|kill"),
        Budget(seconds=PATIENCE),
    )
    (record,) = found.records
    assert (record.verdict, record.schedule) == (WRONG_SIGNAL, ("K1", "K1"))
    assert record.shown[0][1] == ("K1 at kill(0)",)
    assert record.shown[1][1] == ("it has signalled its own process group",)
    assert found.exploration.complete
    assert found.unsteady == ()


def left_behind(argv: tuple[str, ...]) -> tuple[int, int]:
    """End a run while a start is held; return the children of the testee, and the testees."""
    race = Scenario.parse("start|start.b")
    with Session(program(argv, race)) as session:
        outcome = session.run(race, ["S1"])
        assert outcome.steps[0].shown == ("S1 at fork()",)
        return len(family(session.ready.pid)) - 1, session.started


def test_a_child_whose_start_was_held_to_the_end_is_ended_too() -> None:
    """It would show in later runs of the same testee, which so would end in another way."""
    assert run_in_namespace(left_behind, _POPEN) == (0, 1)


@pytest.mark.parametrize(
    ("declared", "refused", "judged"),
    [
        ("go-2024/linux", [], "go-2024/linux"),
        ("go-2024/linux", ["pidfd_open=ENOSYS"], "go-2024/linux-pid"),
        ("go-2024/linux", ["waitid[0]=3=EINVAL"], "go-2024/linux"),
        ("go-2024/linux-pid", ["pidfd_open=ENOSYS"], "go-2024/linux-pid"),
        ("go-2024/windows", ["pidfd_open=ENOSYS"], "go-2024/windows"),
    ],
)
def test_without_pidfds_a_design_is_judged_as_it_is_without_them(
    declared: str, refused: list[str], judged: str
) -> None:
    """The table of the platform without pidfds, where the design has one."""
    assert specification_of(declared, map(Refusal.parse, refused)) == judged


def test_a_pid_is_not_given_away_in_the_tick_of_its_owners_start() -> None:
    """Who starts after `pass_tick` is told from the one before by the time of its start."""
    for _ in range(5):
        with subprocess.Popen(["sleep", "infinity"]) as first:
            tick = tick_of(first.pid)
            pass_tick(tick)
            with subprocess.Popen(["sleep", "infinity"]) as second:
                assert tick_of(second.pid) > tick
                second.kill()
            first.kill()


def test_what_the_specification_says_nothing_of_is_not_judged() -> None:
    """A found process, or a second child, is another matter."""
    assert can_be_judged(_RACE)
    assert can_be_judged(Scenario.parse("start|wait,wait,start.b"))
    for text in ("start;exit;wait|find.b@a;wait.b,start.c", "start|kill,reap", "start.b|wait.b"):
        assert not can_be_judged(Scenario.parse(text))
