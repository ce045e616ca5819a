"""Coverage is held to floors that only rise; benchmarks have a history; both tools can say no."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = json.loads((ROOT / ".ci" / "floors.json").read_text(encoding="utf-8"))
HISTORY = sorted((ROOT / ".ci" / "benchmarks" / "history").glob("*/*.json"))
needs_git = pytest.mark.skipif(
    shutil.which("git") is None, reason="what was committed is asked of git; install git"
)


def report(covered: float) -> dict[str, Any]:
    """Return a report as coverage.py writes it."""
    missing = {"missing_lines": [1, 2]}
    return {"totals": {"percent_covered": covered}, "files": {"model/word.py": missing}}


def result(**times: int) -> dict[str, Any]:
    """Return a result with a replay of go-2024, each command taken so often."""
    told = {name.replace("_", "."): n for name, n in times.items()}
    check = {"design": "go-2024", "platform": "linux", "coverage": told}
    return {"checks": [check, {"id": "a proof"}]}


def held(
    folder: Path, kind: str, document: object, floor: float, *options: str
) -> tuple[int, str, float]:
    """Hold a document to a floor; return the exit code, what was said, and the floor afterwards."""
    shutil.copy(ROOT / ".ci" / "floors.py", folder)
    (folder / "floors.json").write_text(json.dumps({kind: floor}), encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(document), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "floors.py", kind, "report.json", *options],
        cwd=folder,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    after = json.loads((folder / "floors.json").read_text(encoding="utf-8"))[kind]
    return ran.returncode, ran.stdout + ran.stderr, after


def test_there_is_a_floor_for_lines_and_one_for_transitions() -> None:
    """Neither is idle."""
    assert FLOORS.keys() == {"lines", "transitions"}
    assert all(50 < floor <= 100 for floor in FLOORS.values())


@needs_git
def test_what_is_below_the_floor_fails_and_what_is_above_raises_it(tmp_path: Path) -> None:
    """Below: exit code 1. Above: 0, and --raise moves the floor up to half a percent below."""
    code, said, _ = held(tmp_path, "lines", report(80.0), 80.1)
    assert code == 1
    assert "below the floor" in said
    assert held(tmp_path, "lines", report(80.0), 79.0)[::2] == (0, 79.0)
    assert held(tmp_path, "lines", report(80.0), 79.0, "--raise")[::2] == (0, 79.5)
    assert held(tmp_path, "lines", report(80.0), 79.9, "--raise")[::2] == (0, 79.9)
    assert held(tmp_path, "lines", {"totals": {}}, 79.9)[0] == 2


@needs_git
def test_a_transition_that_nothing_real_takes_is_told(tmp_path: Path) -> None:
    """The commands of the table that two calls can take are asked for; a result of none is none."""
    code, said, _ = held(tmp_path, "transitions", result(wait_load=3, wait_cas=1, kill_cas=0), 90.0)
    assert code == 1
    counts = re.search(r"\((\d+) of (\d+); never: (.*)\)", said)
    assert counts is not None, said
    assert counts[1] == "2"
    assert int(counts[2]) > 30
    assert "go-2024/linux" in counts[3]
    assert held(tmp_path, "transitions", {"checks": []}, 90.0)[0] == 2


def git(folder: Path, *words: str) -> None:
    """Run git, with nobody's configuration."""
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, check=True)


@needs_git
def test_a_floor_that_was_lowered_is_noticed(tmp_path: Path) -> None:
    """What was committed once is the least, whatever the file says now."""
    git(tmp_path, "init")
    held(tmp_path, "lines", report(80.0), 79.0)
    git(tmp_path, "add", "floors.json")
    git(tmp_path, "commit", "-m", "a floor")
    code, said, _ = held(tmp_path, "lines", report(80.0), 78.0)
    assert code == 1
    assert "was 79.0 % before" in said


@pytest.mark.timeout(600)
def test_the_benchmarks_find_what_they_look_for() -> None:
    """Each runs once, untimed, and its answer is right."""
    words = ["-n", "0", "-q", "-p", "no:cacheprovider", "--benchmark-disable"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", ".ci/benchmarks", *words],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"\b9 passed", ran.stdout), ran.stdout


def test_stored_figures_name_every_benchmark_and_no_machine() -> None:
    """The newest has all of today's; none says whose machine it was."""
    assert HISTORY
    source = (ROOT / ".ci" / "benchmarks" / "test_speed.py").read_text(encoding="utf-8")
    stored = [json.loads(path.read_text(encoding="utf-8")) for path in HISTORY]
    names = {made["name"] for made in stored[-1]["benchmarks"]}
    assert names == set(re.findall(r"^def (test_\w+)", source, re.MULTILINE))
    for document in stored:
        assert "node" not in document["machine_info"]
        assert document["commit_info"].keys() == {"id", "time", "dirty"}


@pytest.mark.parametrize("script", ["benchmark", "changelog", "coverage", "release"])
def test_every_script_of_the_house_can_be_run(script: str) -> None:
    """They are executable, and the map of the house names them."""
    assert os.access(ROOT / ".ci" / script, os.X_OK) or os.name != "posix"
    assert f"`.ci/{script}" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
