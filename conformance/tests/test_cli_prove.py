"""`lastref prove`: a check for every law, with the number of threads that it holds for."""

import json
import subprocess
import sys

import pytest

from lastref.conformance.results import validate


def lastref(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "lastref.conformance.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["go-2024", "go-2024/windows", "go-2025", "dotnet-safehandle"])
def test_a_sound_design_is_proved_for_any_number_of_threads(name: str) -> None:
    """No use after close, no double close, references = holders: each a check that says "any"."""
    ran = lastref("prove", name, "--json")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    validate(document)
    laws = {c["law"]: c for c in document["checks"] if c["threads"] == "any"}
    assert {"no-use-after-close", "no-double-close", "refs-are-holders"} <= laws.keys()
    assert all(c["verdict"] == "pass" for c in document["checks"])
    assert "hold a reference at once" in laws["refs-are-holders"]["reason"]


def test_an_unknown_design_is_refused_in_one_line() -> None:
    """Fault, reason, remedy; exit 2."""
    ran = lastref("prove", "go-1999")
    assert ran.returncode == 2
    assert "there is no design 'go-1999'" in ran.stderr
