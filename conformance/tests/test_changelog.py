"""The changelog is built from its fragments, and every fragment is one it can be built from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KINDS = [
    kind["directory"]
    for kind in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["towncrier"][
        "type"
    ]
]


def changelog(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the script of a checkout."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(root / ".ci" / "changelog"), *words],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_fragment_is_named_for_its_kind_and_says_something() -> None:
    """`+NAME.KIND.md` or `ISSUE.KIND.md`, one line of prose that ends with a full stop."""
    fragments = sorted((ROOT / "changes").iterdir())
    assert fragments
    for fragment in fragments:
        assert re.fullmatch(rf"(\+[\w-]+|\d+)\.({'|'.join(KINDS)})\.md", fragment.name)
        text = fragment.read_text(encoding="utf-8")
        assert re.fullmatch(r"\S.*\.\n", text), fragment


@pytest.mark.usefixtures("bash")
def test_the_changelog_says_what_its_fragments_say(tmp_path: Path) -> None:
    """It is up to date; another fragment would be missed, and is put in by the script."""
    assert (ran := changelog(ROOT, "--check")).returncode == 0, ran.stdout + ran.stderr
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("changes", ".ci"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "changes" / "+mine.fixed.md").write_text("A fault is mended.\n", encoding="utf-8")
    missed = changelog(tmp_path, "--check")
    assert missed.returncode == 1
    assert "+- A fault is mended." in missed.stdout
    assert changelog(tmp_path).returncode == 0
    assert changelog(tmp_path, "--check").returncode == 0
    assert (tmp_path / "CHANGELOG.md").read_text("utf-8").startswith("# Changelog\n")
    fixed = (tmp_path / "CHANGELOG.md").read_text("utf-8").split("### Fixed\n")[1]
    assert "\n- A fault is mended.\n" in fixed
