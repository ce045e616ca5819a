"""`lastref prove`: a check for every law, with the number of threads that it holds for."""

import json
import subprocess
import sys
from typing import Any

import pytest

from lastref.conformance.proofs import KINDS
from lastref.conformance.results import validate


def lastref(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "lastref.conformance.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def proved(*arguments: str) -> list[dict[str, Any]]:
    """Return the checks of a run that passes."""
    ran = lastref("prove", *arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    validate(document)
    assert all(c["verdict"] in ("pass", "skipped") for c in document["checks"])
    checks: list[dict[str, Any]] = document["checks"]
    return checks


@pytest.mark.parametrize("name", ["go-2024", "go-2024/windows", "go-2025"])
def test_a_sound_design_is_proved_for_any_number_of_threads(name: str) -> None:
    """No use after close, no double close, references = holders: each a check that says "any"."""
    laws = {c["law"]: c for c in proved(name, "--only", "any", "--jobs", "1")}
    assert {c["threads"] for c in laws.values()} == {"any"}
    assert {"no-use-after-close", "no-double-close", "refs-are-holders", "lock-free"} <= laws.keys()
    assert "hold a reference at once" in laws["refs-are-holders"]["reason"]
    assert laws["fair-termination"]["verdict"] == "pass"


def test_everything_is_shown_of_a_design_by_default() -> None:
    """Every kind that applies, in their order, by processes that work at once; any or a number."""
    checks = proved("dotnet-safehandle", "--jobs", "2")
    assert list(dict.fromkeys(c["kind"] for c in checks)) == [k for k in KINDS if k != "bmc"]
    assert all(c["threads"] == "any" or c["threads"] in (2, 3) for c in checks)
    assert all(c["law"] and c["design"] == "dotnet-safehandle" for c in checks)


def test_runs_are_shown_of_a_faulty_design() -> None:
    """Spacer and the bounded search find a run each, in named threads, of one law."""
    checks = proved("go-2016/windows", "--only", "spacer", "--only", "bmc", "--jobs", "1")
    assert [(c["kind"], c["law"], len(c["schedule"])) for c in checks] == [
        ("spacer", "no-hang", 3),
        ("bmc", "no-hang", 3),
    ]
    assert checks[1]["schedule"][-1].startswith("W1 ")


def test_what_applies_to_no_table_is_incomplete() -> None:
    """A sound design has no faulty run to look for: nothing ran, so nothing passed."""
    ran = lastref("prove", "go-2024", "--only", "bmc")
    assert ran.returncode == 2
    assert "no check ran" in ran.stdout


def test_an_unknown_design_or_kind_is_refused_in_one_line() -> None:
    """Fault, reason, remedy; exit 2."""
    ran = lastref("prove", "go-1999")
    assert ran.returncode == 2
    assert "there is no design 'go-1999'" in ran.stderr
    ran = lastref("prove", "--only", "magic")
    assert ran.returncode == 2
    assert "'magic'" in ran.stderr
