"""``pytest --lastref-adapter CMD``: a test per case, in a real pytest in a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lastref.conformance.suite import all_cases

pytestmark = pytest.mark.timeout(600)
"""Each starts several interpreters, one after another: a busy machine takes its time."""

FLEET = Path(__file__).parent / "fleet" / "adapter.py"
GOOD = f"'{sys.executable}' -S '{FLEET}' none"
LYING = f"'{sys.executable}' -S '{FLEET}' lies-about-the-exit"

PATIENT = ("--lastref-deadline", "60")
"""No message takes that long, on a machine however busy."""

Outcomes = dict[str, str]


def run(folder: Path, *options: str, installed: bool = False) -> subprocess.CompletedProcess[str]:
    """Run pytest in ``folder``, a project that knows nothing of this one.

    ``installed`` lets pytest find the plugins by their entry points, as it does by itself; without
    it there is this one only, which is quicker.
    """
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    environment = {name: v for name, v in os.environ.items() if not name.startswith("PYTEST_")}
    if not installed:
        command += ["-p", "lastref.conformance.pytest_plugin"]
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return subprocess.run(
        [*command, *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def cases(
    folder: Path,
    adapter: str,
    *patterns: str,
    options: tuple[str, ...] = (),
    installed: bool = False,
) -> Outcomes:
    """Run some cases; return how each ended, by what JUnit's file of pytest itself says."""
    chosen = [word for pattern in patterns for word in ("--lastref-case", pattern)]
    file = folder / "junit.xml"
    asked = ("--lastref-adapter", adapter, *chosen, f"--junit-xml={file}", *PATIENT, *options)
    told = run(folder, *asked, installed=installed)
    assert file.exists(), told.stdout + told.stderr
    return {case.get("name", ""): _ended(case) for case in ElementTree.parse(file).iter("testcase")}


def _ended(case: ElementTree.Element) -> str:
    for child in case:
        if child.tag == "skipped":
            return "xfailed" if child.get("type") == "pytest.xfail" else "skipped"
        if child.tag in ("failure", "error"):
            return f"failed: {child.get('message')}"
    return "passed"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a test of its own."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    (tmp_path / "test_own.py").write_text(
        "import sys\n\n\ndef test_own():\n"
        "    ours = {n for n in sys.modules if n.startswith('lastref.')}\n"
        "    assert ours <= {'lastref.conformance', 'lastref.conformance.pytest_plugin'}, ours\n"
    )
    return tmp_path


def test_who_does_not_ask_for_it_does_not_notice_it(project: Path) -> None:
    """Without the option no test is added and no other module of lastref is imported."""
    told = run(
        project,
    )
    assert re.search(r"^=+ 1 passed in ", told.stdout, flags=re.MULTILINE), told.stdout


def test_there_is_one_test_for_each_case(project: Path) -> None:
    """Each case is collected once, under its id, beside the project's own test; marks choose."""
    asked = ("--lastref-adapter", GOOD, "--collect-only", "-q")
    found = run(project, *asked).stdout.splitlines()
    ids = [line.removeprefix("lastref::") for line in found if line.startswith("lastref::")]
    assert ids == [case.id for case in all_cases()]
    assert "test_own.py::test_own" in found
    chosen = run(project, *asked, "-m", "lastref_literal_other").stdout.splitlines()
    of_it = [line for line in chosen if "::" in line]
    assert of_it
    assert all(line.startswith("lastref::literal-other/") for line in of_it)


def test_workers_have_an_adapter_each_and_share_the_cases(tmp_path: Path) -> None:
    """With two workers each case runs once, and two adapters are started, one by each."""
    log = tmp_path / "started"
    (tmp_path / "adapter.py").write_text(
        f"import os, runpy, sys\n"
        f"with open({str(log)!r}, 'a') as log:\n    log.write('started\\n')\n"
        f"sys.argv = ['adapter', 'none']\n"
        f"runpy.run_path({str(FLEET)!r}, run_name='__main__')\n"
    )
    adapter = f"'{sys.executable}' adapter.py"
    ended = cases(tmp_path, adapter, "child/signal*", options=("-n", "2"), installed=True)
    wanted = [case.id for case in all_cases() if case.id.startswith("child/signal")]
    assert sorted(ended) == sorted(wanted)
    assert log.read_text().splitlines() == ["started"] * 2


def test_a_failure_shows_the_picture_and_the_command_that_shows_it_again(tmp_path: Path) -> None:
    """What deviates is told with the history drawn; the command, run as printed, fails alike.

    A property in JUnit's file tells a deviation from a crash.
    """
    said = cases(tmp_path, LYING, "child/wait")["child/wait"]
    assert "wait told code 0, and the child code 3" in said
    assert "1  ┌ wait\n2  │        exit\n3  └ ok\n" in said
    (command,) = re.findall(r"see it again: (lastref check .*)", said)
    program = f"'{sys.executable}' -m lastref.conformance.cli {command.removeprefix('lastref')}"
    again = subprocess.run(program, shell=True, capture_output=True, text=True, check=False)
    assert again.returncode == 1, again.stderr
    assert "wait told code 0" in again.stdout
    file = ElementTree.parse(tmp_path / "junit.xml")
    told = {p.get("name"): p.get("value") for p in file.iter("property")}
    assert told == {"lastref-status": "deviates"}


LISTED = """
[[deviation]]
message = "wait told code 0, and the child code 3"
cases = ["child/wait"]

[[deviation]]
message = "something else"
cases = ["zombie/wait"]

[[deviation]]
cases = ["child/signal", "child/release"]

[[deviation]]
flaky = true
cases = ["child/kill"]
"""


def test_known_deviations_are_strict_xfails(tmp_path: Path) -> None:
    """Known: xfailed. Passing, skipped or other than listed: failed. Flaky: either. See the list.

    Under ``--runxfail``, as pytest has it, a known one fails like any other.
    """
    (tmp_path / "known.toml").write_text(LISTED)
    patterns = ("child/wait", "zombie/wait", "child/signal", "child/release", "child/kill")
    options = ("--lastref-expect", "known.toml")
    ended = cases(tmp_path, LYING, *patterns, options=options)
    assert ended["child/wait"] == "xfailed"
    assert "stale entry" in ended["zombie/wait"]
    assert "[XPASS(strict)] unexpected pass" in ended["child/signal"]
    assert "was skipped" in ended["child/release"]
    assert ended["child/kill"] == "passed"
    strict = cases(tmp_path, LYING, "child/wait", options=(*options, "--runxfail"))
    assert "wait told code 0" in strict["child/wait"]


def test_what_is_not_declared_is_skipped_with_the_reason(tmp_path: Path) -> None:
    """The suite decides by the capabilities, and says which one is missing."""
    told = run(tmp_path, "--lastref-adapter", GOOD, "--lastref-case", "child/release", "-rs")
    assert "1 skipped" in told.stdout
    assert "the adapter does not declare release" in told.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--lastref-adapter", "no-such-adapter"), "there is no adapter 'no-such-adapter'"),
        (("--lastref-adapter", GOOD, "--lastref-case", "child/fly"), "no case matches child/fly"),
        (("--lastref-adapter", GOOD, "--lastref-shard", "3/2"), "'3/2' is no shard"),
        (("--lastref-adapter", GOOD, "--lastref-expect", "no.toml"), "'no.toml' cannot be read"),
        (("--lastref-adapter", GOOD, "--lastref-expect", "odd.toml"), "'odd.toml' lists child/fly"),
        (("--lastref-adapter", GOOD, "--lastref-deadline", "nan"), "nan seconds are no deadline"),
        (("--lastref-case", "child/wait"), "--lastref-case says nothing by itself"),
    ],
    ids=["adapter", "case", "shard", "no list", "unknown id", "deadline", "no adapter"],
)
def test_bad_input_is_one_line_and_no_test_runs(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    """A mistake in the options is told with its remedy; pytest exits with its code for that, 4."""
    (tmp_path / "odd.toml").write_text('[[deviation]]\ncases = ["child/fly"]\n')
    told = run(tmp_path, *options)
    assert told.returncode == 4
    (line,) = (line for line in told.stderr.splitlines() if line)
    assert line.startswith(f"ERROR: lastref: {said}")
    assert "; " in line


def test_shards_of_the_plugin_are_those_of_the_command(tmp_path: Path) -> None:
    """The I-th of N parts is the same set of cases, whoever takes it."""
    asked = ("--lastref-adapter", GOOD, "--lastref-shard", "2/3", "--collect-only", "-q")
    found = [line for line in run(tmp_path, *asked).stdout.splitlines() if "::" in line]
    assert found == [f"lastref::{case.id}" for case in all_cases()[1::3]]
