"""A table that somebody brought: verified like ours, and refused in one line where it is none."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from markupsafe import escape

from lastref.conformance.cli import main
from lastref.conformance.errors import UserError
from lastref.conformance.own_design import load

EXERCISE = Path(__file__).parents[2] / "docs" / "lessons" / "exercises" / "wait_and_kill.py"

SOUND = """
from dataclasses import replace
from lastref.model.designs import get
TABLE = replace(get("go-2024"), id="mine")
THREADS = (("wait", "kill", "release"), ("wait", "signal", "release"))
"""


def lastref(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `lastref verify --design`."""
    return subprocess.run(
        [sys.executable, "-m", "lastref.conformance.cli", "verify", "--design", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_sound_table_passes(tmp_path: Path) -> None:
    """A copy of go-2024 under another name is proved and explored, and nothing is vacuous."""
    file = tmp_path / "mine.py"
    file.write_text(SOUND, encoding="utf-8")
    ran = lastref(str(file))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "mine/linux/explore/wait,kill,release" in ran.stdout
    assert "verify: pass (4 pass" in ran.stdout


def test_a_broken_table_is_drawn() -> None:
    """An exercise ends with a diagram of the shortest run and the law in words."""
    ran = lastref(str(EXERCISE))
    assert ran.returncode == 1
    assert "breaks no-wrong-process: nobody is signalled whom the caller did not name" in ran.stdout


def test_a_broken_table_is_drawn_on_the_page(tmp_path: Path) -> None:
    """--html has a row for each step of the counterexample, and how to see it again."""
    assert main(["verify", "--design", str(EXERCISE), "--html", str(tmp_path)]) == 1
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.count('<circle class="dot hot"') == 2, "one for each mix of threads"
    assert "breaks no-wrong-process" in page
    assert escape(f"lastref verify --design {shlex.quote(str(EXERCISE))}") in page


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x = 1", "has no design"),
        ("TABLE = 1", "has no design"),
        ("TABLE =", "is no Python"),
        ("1 / 0", "fails when it is run"),
        (SOUND + "THREADS = 7", "names nothing to explore"),
        (SOUND + "THREADS = ()", "names nothing to explore"),
        (SOUND + "TABLE = replace(TABLE, methods={'go': 'nowhere'})", "method 'go' of design mine"),
    ],
)
def test_what_is_no_design_is_refused_in_three_parts(tmp_path: Path, text: str, fault: str) -> None:
    """The fault, the reason and the remedy, whatever is wrong with the file."""
    file = tmp_path / "mine.py"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load(file)
    assert fault in caught.value.fault
    assert caught.value.reason
    assert caught.value.remedy


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there is a user's error."""
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "missing.py")


def test_without_threads_all_pairs_and_threes_are_explored(tmp_path: Path) -> None:
    """Five methods: 15 pairs and 35 threes."""
    file = tmp_path / "mine.py"
    file.write_text(SOUND.replace("THREADS", "OTHER"), encoding="utf-8")
    _, mixes = load(file)
    assert len(mixes) == 15 + 35
