"""What a user can ask of ``lastref gate``: each option does what its help says."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from lastref.conformance import adapters
from lastref.conformance.adapters.registry import resolve
from lastref.conformance.cli import main
from lastref.conformance.gate.record import Record
from lastref.conformance.gate.run import replay
from lastref.conformance.gate.scenario import Scenario
from lastref.conformance.gate.testee import Program
from lastref.conformance.sandbox import unavailable

_REASON = unavailable()
pytestmark = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))

PIDFD, POPEN = "cpython-pidfd", "cpython-popen"


class Told:
    """Runs ``lastref gate --json``, and reads what it says."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def check(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Return the one check of a run that ends with ``code``."""
        assert main(["gate", *arguments, "--json"]) == code
        (check,) = json.loads(self._capsys.readouterr().out)["checks"]
        return dict(check)

    def complaint(self, *arguments: str) -> str:
        """Return the one line that is said of options that cannot be."""
        assert main(["gate", *arguments]) == 2
        (line,) = self._capsys.readouterr().err.strip().splitlines()
        return str(line)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Return what runs the gate."""
    return Told(capsys)


def test_a_call_that_is_refused_fails_with_that_errno(told: Told) -> None:
    """--refuse: the program's kill gives EPERM, and no refusal is guessed."""
    refused = told.check(PIDFD, "start|kill", "--refuse", "pidfd_send_signal=EPERM")
    assert any("kill gave EPERM" in wrong for wrong in refused["deviations"])
    assert "names no refusal" in told.complaint(PIDFD, "start|kill", "--refuse", "kill")


def test_who_cannot_start_anything_has_passed_nothing(told: Told) -> None:
    """--refuse of what a start needs: no step can be taken, and that is no pass."""
    check = told.check(PIDFD, "start|kill", "--refuse", "pidfd_open=ENOSYS", code=2)
    assert check["reason"].startswith("no step was taken")


def test_a_line_that_is_held_is_one_more_step(told: Told) -> None:
    """--line: before each line of the function there is a gap; of what is none that is told."""
    asked = [POPEN, "start|kill", "--orders", "1"]
    held = told.check(*asked, "--line", "subprocess:Popen.send_signal")
    assert held["gaps"] > told.check(*asked)["gaps"]
    assert "there is no Python function" in told.complaint(*asked, "--line", "os:fly")


def test_the_lines_of_a_trace_are_held_again_where_a_program_has_lines() -> None:
    """What --line found comes again in a replay; on a program of another language it can't."""
    wanted = Program(tuple(resolve(POPEN).prepare()))
    line = "subprocess:Popen.send_signal"
    bare = Record(Scenario.parse("start|kill"), ("K1",), (), False, None, (line,), None, {}, (), ())
    (step,) = replay(wanted, bare).first.shown
    assert step[1][0].startswith("K1 at line(0+")
    assert bare.program(Program(("/bin/true",))).lines == ()


def test_a_trace_of_a_command_line_says_how_to_ask_for_it_again(told: Told, tmp_path: Path) -> None:
    """Its replay command is one that a shell understands, whatever is in the adapter's."""
    minimal = f"{sys.executable} -S '{Path(adapters.__file__).with_name('minimal.py')}'"
    told.check(minimal, "start|wait,kill", "--traces", str(tmp_path), code=1)
    (file,) = tmp_path.iterdir()
    words = shlex.split(json.loads(file.read_text(encoding="utf-8"))["replay"])
    assert words[:4] == ["lastref", "replay", file.name, "--adapter"]
    assert [shlex.split(word) for word in words[4:]] == [shlex.split(minimal)]


def test_a_close_that_is_held_is_one_more_step(told: Told) -> None:
    """--hold-close: the release begins and stands before its close; then the child ends."""
    held = told.check(PIDFD, "start|release", "--orders", "1", "--hold-close")
    assert held["gaps"] == len(["R1", "R1", "exit(a)"])
    assert "there is no close to hold" in told.complaint(POPEN, "start|kill", "--hold-close")


def test_every_order_is_followed_where_that_is_asked_for(told: Told) -> None:
    """--every: none is left out for being like another, and nothing else comes of it."""
    every = told.check(PIDFD, "start|kill,kill", "--every")
    fewer = told.check(PIDFD, "start|kill,kill")
    assert every["alike"] == 0 < fewer["alike"]
    assert every["count"] > fewer["count"]
    assert set(every["verdicts"]) == set(fewer["verdicts"])
