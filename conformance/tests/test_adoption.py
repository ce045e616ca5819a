"""A throwaway project adopts the suite: wrong it goes red, mended it goes green, by each way in.

The ways are the pytest plugin and the action.  Of the action the one step that does anything is
run as GitHub would run it: its command and its environment are read from ``action.yml``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lastref.conformance.adapters import minimal

pytestmark = pytest.mark.timeout(600)
"""Each starts several interpreters, one after another: a busy machine takes its time."""

ROOT = Path(__file__).resolve().parents[2]
ACTION = ROOT / "action.yml"
RIGHT = "code = PROCESSES[name].wait()"
WRONG = "code = abs(PROCESSES[name].wait()) - 1"
CASES = "child/wait zombie/wait adapter/pipes"


class Project:
    """A folder with an adapter, which is wrong at first, and what a run of it leaves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._right = Path(minimal.__file__).read_text(encoding="utf-8")
        assert self._right.count(RIGHT) == 1
        self._write(self._right.replace(RIGHT, WRONG))
        self.adapter = f"'{sys.executable}' adapter.py"
        self.summary = folder / "step-summary.md"
        self.out = folder / "lastref-results"

    def _write(self, text: str) -> None:
        (self.folder / "adapter.py").write_text(text, encoding="utf-8")

    def mend(self) -> None:
        """Write the adapter as it should be."""
        self._write(self._right)

    def run(
        self, command: list[str], environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder, with the lastref of these tests on PATH."""
        path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
        around = {k: v for k, v in os.environ.items() if not k.startswith(("LASTREF_", "PYTEST_"))}
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**around, "PATH": path, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def act(
        self, inputs: Mapping[str, str], home: Path = ROOT, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the action's step with these inputs, as GitHub does; ``home`` is its checkout."""
        command, given = step(inputs, home)
        github = {"GITHUB_ACTION_PATH": str(home), "GITHUB_STEP_SUMMARY": str(self.summary)}
        options = ["--noprofile", "--norc", "-e", "-o", "pipefail"]  # what `shell: bash` stands for
        return self.run(["bash", *options, "-c", command], {**given, **github, **environment})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose adapter tells a wrong exit code."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not on PATH")
    return Project(tmp_path)


def step(inputs: Mapping[str, str], home: Path) -> tuple[str, dict[str, str]]:
    """Return the command of the action's own step, and its environment for these inputs."""
    text = ACTION.read_text(encoding="utf-8")
    (command,) = re.findall(r"^      run: '(.*)'$", text, flags=re.MULTILINE)
    names = re.findall(r"^        (\w+): \$\{\{ (.*) \}\}$", text, flags=re.MULTILINE)
    defaults = dict(
        re.findall(
            r"^  (\w+):\n    description: .*\n    required: false\n    default: \"?(.*?)\"?$",
            text,
            flags=re.MULTILINE,
        )
    )
    values = {f"inputs.{name}": value for name, value in {**defaults, **inputs}.items()}
    values |= {
        "github.action_path": str(home),
        "'python3'": "python3",
        "steps.python.outputs.python-path": "",
    }
    given = {}
    for name, expression in names:
        if name.startswith("LASTREF_"):
            given[name] = next(filter(None, (values[t] for t in expression.split(" || "))), "")
    assert set(given) == {
        *("LASTREF_ADAPTER", "LASTREF_CASES", "LASTREF_EXPECT", "LASTREF_SHARD"),
        *("LASTREF_OUT", "LASTREF_FROM", "LASTREF_PYTHON"),
    }
    return command, given


def test_through_the_plugin_it_goes_red_and_mended_green(project: Project) -> None:
    """pytest fails at the cases that are wrong, and at no other, until the adapter is mended."""
    command = [sys.executable, "-m", "pytest", "-p", "lastref.conformance.pytest_plugin"]
    command += [
        "-p",
        "no:cacheprovider",
        "--lastref-adapter",
        project.adapter,
        "--lastref-expect",
        "none",
    ]
    command += [word for case in CASES.split() for word in ("--lastref-case", case)]
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    red = project.run(command, alone)
    assert red.returncode == 1, red.stdout + red.stderr
    assert "FAILED lastref::child/wait - " in red.stdout
    assert "FAILED lastref::zombie/wait - " in red.stdout
    assert re.search(r"^=+ 2 failed, 1 passed in ", red.stdout, flags=re.MULTILINE)
    project.mend()
    green = project.run(command, alone)
    assert green.returncode == 0, green.stdout + green.stderr
    assert re.search(r"^=+ 3 passed in ", green.stdout, flags=re.MULTILINE)


def test_through_the_actions_script_it_goes_red_and_mended_green(project: Project) -> None:
    """The step fails and leaves result, trace of the run, page and summary; mended it passes.

    The command in the summary shows the failure again.
    """
    inputs = {"adapter": project.adapter, "cases": CASES, "expect": "none"}
    red = project.act(inputs, LASTREF_FROM="")
    assert red.returncode == 1, red.stdout + red.stderr
    document = json.loads((project.out / "result.json").read_text(encoding="utf-8"))
    assert document["verdict"] == "broken"
    assert [c["case"] for c in document["checks"] if c["verdict"] == "broken"] == [
        "child/wait",
        "zombie/wait",
    ]
    left = {path.name for path in project.out.iterdir()}
    assert left == {
        *("result.json", "run.ndjson", "junit.xml", "result.sarif", "summary.md", "page"),
    }
    suite = ElementTree.parse(project.out / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    summary = project.summary.read_text(encoding="utf-8")
    assert summary.startswith("## ✕ lastref: broken")
    command = re.findall(r"<br>`(lastref check .*)`", summary)[0]
    assert project.run(["sh", "-c", command], {}).returncode == 1
    project.mend()
    green = project.act(inputs, LASTREF_FROM="")
    assert green.returncode == 0, green.stdout + green.stderr
    assert "## ✓ lastref: pass" in project.summary.read_text(encoding="utf-8")


def test_parts_of_the_cases_are_inputs_and_a_run_without_a_result_says_so(
    project: Project,
) -> None:
    """A shard is a shard of the named cases; bad input is exit code 2, with a summary."""
    project.mend()
    one = project.act(
        {"adapter": project.adapter, "cases": CASES, "shard": "2/3", "out": "part"},
        LASTREF_FROM="",
    )
    assert one.returncode == 0, one.stdout + one.stderr
    document = json.loads((project.folder / "part" / "result.json").read_text(encoding="utf-8"))
    assert [check["case"] for check in document["checks"]] == ["child/wait"]
    none = project.act({"adapter": "no-such-adapter"}, LASTREF_FROM="")
    assert none.returncode == 2
    assert "there is no adapter 'no-such-adapter'" in none.stderr
    assert "The run ended with exit code 2" in project.summary.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_action_installs_itself(project: Project, tmp_path: Path) -> None:
    """From a checkout of the action the script makes an environment and runs the lastref of it.

    What lastref depends on is taken from the environment of these tests, so nothing is fetched.
    """
    home = tmp_path / "action"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, home / name)
    project.mend()
    pip = {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    inputs = {"adapter": project.adapter, "cases": CASES, "expect": "none"}
    ended = project.act(inputs, home, **pip, PYTHONPATH=sysconfig.get_path("purelib"))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (project.out / "install.log").exists()


def test_the_script_says_what_it_could_not_do(project: Project) -> None:
    """No adapter is bad input, with the usage; no interpreter is a machine that cannot."""
    script = str(ROOT / "docs" / "examples" / "gate.sh")
    ended = project.run([script], {})
    assert ended.returncode == 2
    assert "gate.sh ADAPTER [OPTION...]" in ended.stderr
    ended = project.run([script, "x"], {"LASTREF_PYTHON": "false", "LASTREF_FROM": "lastref"})
    assert ended.returncode == 3
    assert ended.stderr.splitlines()[-1].startswith("lastref: it could not be installed: ")


CLASS = """\
import contextlib, os, threading


class Handle:
    def __init__(self, pid):
        self.pid, self._lock, self._done = pid, threading.Lock(), False

    def wait(self):
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            if self._done:
                raise ProcessLookupError
            os.waitpid(self.pid, 0)
            self._done = True

    def signal(self, number):
        with self._lock:
            if self._done:
                raise ProcessLookupError
            os.kill(self.pid, number)

    def kill(self):
        self.signal(9)
"""
FORGETFUL = CLASS.replace("self._done = True", "pass")


@pytest.mark.needs("seccomp-notification")
def test_the_guides_tests_go_red_and_mended_green(project: Project) -> None:
    """The Python of docs/adopt.md, as it stands there, on a class that forgets it is done."""
    guide = (ROOT / "docs" / "adopt.md").read_text(encoding="utf-8")
    written = "\n\n".join(re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL))
    (project.folder / "test_handle.py").write_text(written, encoding="utf-8")
    package = project.folder / "my_project"
    package.mkdir()
    (package / "__init__.py").write_text("")
    command = [sys.executable, "-m", "pytest", "-p", "lastref.conformance.pytest_plugin"]
    command += ["-p", "no:cacheprovider"]
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for text, code, ended in ((FORGETFUL, 1, "3 failed in "), (CLASS, 0, "3 passed in ")):
        (package / "handles.py").write_text(text, encoding="utf-8")
        shutil.rmtree(package / "__pycache__", ignore_errors=True)  # both of one second and size
        told = project.run(command, alone)
        assert told.returncode == code, told.stdout + told.stderr
        assert ended in told.stdout.splitlines()[-1]
