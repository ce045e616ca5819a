"""The worked examples of CONTRIBUTING.md, followed to the letter in a copy of the checkout.

A fence of code whose paragraph ends with a file name is that file; a diff is applied; a line of
shell is run, and exits with 0 unless it says otherwise.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("model", "impl", "conformance", "reports")
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Worked examples")[2]
EXAMPLES = dict(re.findall(r"^### (.+?)\n(.*?)(?=^### |\Z)", TEXT, re.MULTILINE | re.DOTALL))
FENCE = re.compile(r"(?P<before>[^\n]*)\n\n```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"\.venv/bin/(?P<words>.+?)(?:  # exits with (?P<code>\d))?")
linux = pytest.mark.skipif(sys.platform != "linux", reason="it needs pidfds and links")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy the sources; return the copy, in which `lastref` is found by way of links."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "stateful_tests").mkdir()  # a place that pyproject.toml names
    (tmp_path / "links" / "lastref").mkdir(parents=True)
    for name in FOLDERS:
        (tmp_path / "links" / "lastref" / name).symlink_to(tmp_path / name)
    return tmp_path


def run(checkout: Path, line: str) -> None:
    """Run a line of shell in the copy, by the programs of this environment."""
    asked = COMMAND.fullmatch(line)
    assert asked, f"no line that a newcomer could type: {line}"
    here = Path(sys.executable).parent
    argv = [word.replace(".venv/bin", str(here)) for word in shlex.split(asked["words"])]
    argv[0] = str(here / argv[0])
    around = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    ended = subprocess.run(
        argv,
        cwd=checkout,
        env={**around, "PYTHONPATH": str(checkout / "links"), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == int(asked["code"] or 0), f"{line}\n{ended.stdout}{ended.stderr}"


def apply(checkout: Path, patch: str) -> None:
    """Apply a diff to the copy, whose every hunk has to fit."""
    ended = subprocess.run(
        ["git", "apply", "--recount", "-"],
        cwd=checkout,
        input=patch,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(checkout.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_there_is_an_example_for_each_thing_that_is_added() -> None:
    """A design, a case, an adapter and a law, each with something to write and something to run."""
    assert list(EXAMPLES) == ["A design", "A case", "An adapter", "A law"]
    for text in EXAMPLES.values():
        kinds = {fence["kind"] for fence in FENCE.finditer(text)}
        assert "sh" in kinds
        assert kinds & {"python", "json", "diff"}


@linux
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_newcomer_who_follows_an_example_comes_to_its_end(checkout: Path, name: str) -> None:
    """Every file is written where it is said to be, and every line ends as it is said to end."""
    ran = 0
    for fence in FENCE.finditer(EXAMPLES[name]):
        if fence["kind"] == "sh":
            for line in fence["body"].splitlines():
                run(checkout, line)
                ran += 1
        elif fence["kind"] == "diff":
            apply(checkout, fence["body"])
        else:
            named = re.findall(r"`([\w./-]+\.(?:py|json))`[^`]*:$", fence["before"])
            assert named, f"no file is named before: {fence['before']}"
            (checkout / named[-1]).write_text(fence["body"], encoding="utf-8")
    assert ran
