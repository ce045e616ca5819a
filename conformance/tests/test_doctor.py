"""The doctor tries for real, and says what is missing and what would help."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from lastref.conformance import doctor
from lastref.conformance.cli import main
from lastref.conformance.doctor import PROBES, Capability, Probe, Unavailable, examine
from lastref.conformance.probes import PROBES as OWN_PROCESS
from lastref.conformance.results import Verdict, validate

linux = pytest.mark.skipif(sys.platform != "linux", reason="the probe is Linux's")


def failing(error: Exception) -> Probe:
    """Return a probe that ends with the error."""

    def ask() -> str:
        raise error

    return Probe("it", ask, "get one")


def test_the_doctor_reports_every_probe_once() -> None:
    """One check per probe, in order, with an advance for each; whatever fails says why."""
    advances: list[int] = []
    result = examine(advances.append)
    assert [check.id for check in result.checks] == [probe.id for probe in PROBES]
    assert sum(advances) == len(PROBES)
    assert all(check.reason for check in result.checks)


def test_the_doctors_json_is_a_result(capsys: pytest.CaptureFixture[str]) -> None:
    """`lastref doctor --json` prints one object of the published schema and exits by it."""
    code = main(["doctor", "--json"])
    document = json.loads(capsys.readouterr().out)
    validate(document)
    assert document["command"] == "doctor"
    assert Verdict(document["verdict"]).exit_code == code
    assert {check["kind"] for check in document["checks"]} == {"capability"}


def test_every_probe_has_a_name_and_a_remedy() -> None:
    """Names are unique, and no missing capability leaves one helpless."""
    assert max(Counter(probe.id for probe in PROBES).values()) == 1
    assert all(probe.remedy for probe in PROBES)


def test_every_probe_of_its_own_process_is_asked() -> None:
    """No probe of probes.py is forgotten by the doctor."""
    asked = {
        probe.ask.args[0]
        for probe in PROBES
        if isinstance(probe.ask, partial) and probe.ask.func is doctor.own_process
    }
    assert asked == set(OWN_PROCESS)


def test_a_missing_capability_says_what_was_seen_and_what_helps() -> None:
    """A required one makes the machine unable, any other is skipped."""
    capability = failing(Unavailable("none here")).run()
    assert capability == Capability("it", False, "none here", "get one", False, capability.seconds)
    assert capability.check().verdict is Verdict.SKIPPED
    assert capability.check().reason == "none here; get one"
    required = Capability("it", False, "none here", "get one", required=True)
    assert required.check().verdict is Verdict.UNABLE


def test_a_fault_of_a_probe_is_not_taken_for_a_missing_capability() -> None:
    """An unexpected exception is a bug and surfaces as one."""
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError()).run()


def test_a_tool_that_is_not_there_is_said_to_be_missing() -> None:
    """A name that no PATH has is unavailable."""
    with pytest.raises(Unavailable, match="not on PATH"):
        doctor.tool(("no-such-tool-anywhere",), "--version")


@pytest.mark.skipif(os.name != "posix", reason="makes a shell script")
@pytest.mark.parametrize(
    ("script", "told"),
    [("exit 4", "ended with 4"), ("exit 0", "ended with 0")],
    ids=["fails", "says nothing"],
)
def test_a_tool_that_does_not_work_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    """Being on PATH is not enough: the tool must run and say its version."""
    tool = tmp_path / "brokentool"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(Unavailable, match=told):
        doctor.tool(("brokentool",), "--version")


def test_a_tool_that_is_there_says_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line of a real tool's answer is the detail."""
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)
    said = doctor.tool(("no-such-tool", os.path.basename(sys.executable)), "--version")
    assert said.startswith("Python 3.")


@linux
@pytest.mark.parametrize("name", OWN_PROCESS)
def test_a_probe_leaves_no_trace_in_the_process_that_asked(name: str) -> None:
    """Namespaces, filters and children of a probe end with its own process."""
    before = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "user")]
    status = _status("Seccomp"), _status("TracerPid")
    with contextlib.suppress(Unavailable):
        doctor.own_process(name)
    assert [os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "user")] == before
    assert (_status("Seccomp"), _status("TracerPid")) == status


def _status(field: str) -> str:
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(line.split()[1] for line in lines if line.startswith(f"{field}:"))


@linux
def test_a_broken_probe_process_is_a_bug_and_not_a_missing_capability() -> None:
    """An unknown name makes the probe's process fail, which must not read as "unable"."""
    with pytest.raises(RuntimeError, match="KeyError"):
        doctor.own_process("nonsense")


def _as_nobody(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-P", *arguments]
    return subprocess.run(
        argv, user=65534, group=65534, extra_groups=[], cwd="/", capture_output=True, text=True
    )


@linux
def test_an_ordinary_user_gets_an_answer_to_every_probe() -> None:
    """Without root each probe still answers, and the required ones do not need it."""
    if os.geteuid() != 0:
        pytest.skip("the whole suite is already run by an ordinary user")
    try:
        readable = _as_nobody("-c", "import lastref.conformance.doctor").returncode == 0
    except PermissionError:
        readable = False
    if not readable:
        pytest.skip("this Python is installed where no other user can read it")
    ended = _as_nobody("-m", "lastref.conformance.cli", "doctor", "--json")
    checks = {check["id"]: check for check in json.loads(ended.stdout)["checks"]}
    assert len(checks) == len(PROBES)
    assert checks["root"]["verdict"] == "skipped"
    assert ended.returncode == 0, ended.stdout
