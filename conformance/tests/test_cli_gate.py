"""``lastref gate`` and ``lastref replay --adapter``: from a failure to the file that shows it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lastref.conformance.cli import main
from lastref.conformance.gate.record import is_record
from lastref.conformance.sandbox import unavailable

FLEET = Path(__file__).parent / "fleet" / "adapter.py"
_REASON = unavailable()
pytestmark = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))


def checks(file: Path) -> list[dict[str, object]]:
    """Return the checks in a result file."""
    found: list[dict[str, object]] = json.loads(file.read_text(encoding="utf-8"))["checks"]
    return found


def test_a_failure_is_found_written_and_replayed_here_and_elsewhere(tmp_path: Path) -> None:
    """Exit 1 with a file; the file fails again on the same, and on a safe one it does not."""
    result = tmp_path / "result.json"
    command = ["gate", "cpython-popen", "wait-kill", "--traces", str(tmp_path / "traces")]
    assert main([*command, "--json", str(result)]) == 1
    (check,) = checks(result)
    assert check["verdict"] == "broken"
    assert check["complete"] is True
    (file,) = (tmp_path / "traces").iterdir()
    assert is_record(json.loads(file.read_text(encoding="utf-8")))
    again = ["replay", str(file), "--times", "5", "--json", str(result), "--adapter"]
    assert main([*again, "cpython-popen"]) == 1
    (check,) = checks(result)
    assert (check["wrong_process"], check["different"]) == (5, 0)
    assert main([*again, "cpython-asyncio"]) in (0, 1)
    assert main([*again, "cpython-pidfd"]) == 0


def test_what_an_implementation_does_not_declare_is_skipped_with_the_reason(
    tmp_path: Path,
) -> None:
    """The standard scenarios are chosen from the declared capabilities, and the rest is named."""
    result = tmp_path / "result.json"
    assert main(["gate", "cpython-popen", "--orders", "3", "--json", str(result)]) in (0, 1)
    skipped = {c["id"]: c["reason"] for c in checks(result) if c["verdict"] == "skipped"}
    assert skipped["gate/found-dead-wait"] == "it does not declare find"


def test_a_scenario_asked_for_and_not_possible_is_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Asking for it by name and skipping it would look like a pass: exit 2, in one line."""
    assert main(["gate", "cpython-popen", "found-dead-wait"]) == 2
    assert "does not declare find" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("vice", "said"),
    [
        ("crashes-in-an-operation", "it was killed by SIGSEGV, in the first; see what it says"),
        ("lies-about-the-pid", "which is no child of its"),
        ("wrong-id", "it broke the protocol: 'return' of operation"),
    ],
)
def test_a_program_that_is_lost_is_told_with_the_reason(
    vice: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It shows nothing of who is hit: exit 2, with the signal or the fault, and what would help."""
    command = f"'{sys.executable}' -S '{FLEET}' {vice}"
    assert main(["gate", command, "start|wait", "--orders", "1", "--json"]) == 2
    (check,) = json.loads(capsys.readouterr().out)["checks"]
    assert said in check["reason"]


def test_a_file_that_is_no_gate_trace_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trace of the model is replayed without --adapter."""
    file = tmp_path / "trace.json"
    file.write_text("{}", encoding="utf-8")
    assert main(["replay", str(file), "--adapter", "cpython-popen"]) == 2
    assert "is no gate trace" in capsys.readouterr().err
