"""A run that is killed at any moment goes on from its NDJSON, and repeats and loses nothing.

The moments are drawn from a seed: a number of messages that the adapter has read.  The adapter then
writes to a FIFO, which lets the test go on, and the test kills the run with SIGKILL: while the
adapter waits, so the run is in the middle of a case; or while it goes on, so the run may be
anywhere, writing its journal among other places.  What must hold does not depend on where it was.
"""

from __future__ import annotations

import json
import os
import random
import select
import subprocess
import sys
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest

from lastref.conformance.checker import Checker
from lastref.conformance.cli import main
from lastref.conformance.outcomes import Outcome
from lastref.conformance.suite import Case, all_cases

pytestmark = pytest.mark.timeout(600)
"""Each starts several interpreters, one after another: a busy machine takes its time."""

CASES = "child/kill*"
ADAPTER = """\
import runpy, sys, threading


class Told:
    def __iter__(self):
        for number, line in enumerate(sys.__stdin__, 1):
            if number == {moment}:
                with open({fifo!r}, "w") as fifo:
                    fifo.write("now")
                if {waits}:
                    threading.Event().wait()  # whoever started this ends it
            yield line


sys.stdin = Told()
runpy.run_module("lastref.conformance.adapters.minimal", run_name="__main__")
"""


class Run:
    """``lastref check`` on an adapter in ``folder``, with a journal there."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.journal = folder / "run.ndjson"
        self.fifo = folder / "moment"
        os.mkfifo(self.fifo)
        adapter = f"'{sys.executable}' '{folder / 'adapter.py'}'"
        self._arguments = ["check", adapter, "--case", CASES, "--expect", "none", *options]
        self._arguments += ["--deadline", "60"]
        self._arguments += ["--ndjson", str(self.journal), "--resume"]

    def _write(self, moment: int, *, waits: bool) -> None:
        text = ADAPTER.format(fifo=str(self.fifo), moment=moment, waits=waits)
        (self.folder / "adapter.py").write_text(text, encoding="utf-8")

    def kill_at(self, moment: int, *, waits: bool) -> None:
        """Start the run, and kill it when the adapter has read ``moment`` messages, if it does."""
        self._write(moment, waits=waits)
        command = [sys.executable, "-m", "lastref.conformance.cli", *self._arguments]
        quiet = subprocess.DEVNULL
        told = os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK)
        with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
            ended = os.pidfd_open(process.pid)
            select.select([told, ended], [], [])
            process.kill()
            process.wait()
        os.close(ended)
        os.close(told)

    def finish(self) -> dict[str, str]:
        """Run to the end, and return the cases with their verdicts, as the result has them."""
        self._write(0, waits=False)
        result = self.folder / "result.json"
        assert main([*self._arguments, f"--json={result}"]) == 1
        checks = json.loads(result.read_text(encoding="utf-8"))["checks"]
        return {check["case"]: check["verdict"] for check in checks}

    @property
    def lines(self) -> list[bytes]:
        """The whole lines of the journal."""
        if not self.journal.exists():
            return []
        lines = self.journal.read_bytes().splitlines(keepends=True)
        return [line for line in lines if line.endswith(b"\n")]

    @property
    def cases(self) -> list[str]:
        """The cases that the journal has, in its order."""
        return [json.loads(line)["case"] for line in self.lines[1:]]


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The cases of a run that nobody disturbed, each with its verdict, in their order."""
    return Run(tmp_path_factory.mktemp("undisturbed")).finish()


def test_killed_again_and_again_a_run_repeats_and_loses_nothing(
    tmp_path: Path, wanted: dict[str, str]
) -> None:
    """After each kill the journal begins with what it had; at the end it has each case once."""
    run, draw = Run(tmp_path), random.Random(1)
    for waits in (True, False, True, False):
        before = run.lines
        run.kill_at(draw.randint(1, 40), waits=waits)
        assert run.lines[: len(before)] == before
        assert run.cases == list(wanted)[: len(run.cases)]
    before = run.lines
    assert run.finish() == wanted
    assert run.lines[: len(before)] == before
    assert run.cases == list(wanted)


def test_a_kill_comes_in_the_middle(tmp_path: Path, wanted: dict[str, str]) -> None:
    """The test above is about something: a kill leaves some cases done and some not."""
    run = Run(tmp_path)
    run.kill_at(40, waits=True)
    assert 0 < len(run.cases) < len(wanted)


def test_cut_off_at_any_byte_a_journal_is_gone_on_with(
    tmp_path: Path, wanted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever part of the file was written, only what is missing is run, and the end is the same.

    The bytes are drawn from a seed; the first ones, the heading's end and the last are among them.
    """
    asked: list[list[str]] = []
    plain = Checker.run

    def noted(self: Checker, cases: Iterable[Case]) -> Generator[Outcome, None, None]:
        chosen = list(cases)
        asked.append([case.id for case in chosen])
        return plain(self, chosen)

    monkeypatch.setattr(Checker, "run", noted)
    run = Run(tmp_path)
    run.finish()
    whole = run.journal.read_bytes()
    heading = whole.index(b"\n") + 1
    drawn = random.Random(3).sample(range(heading, len(whole)), 3)
    for cut in (0, 1, heading - 1, heading, *drawn, len(whole) - 1, len(whole)):
        run.journal.write_bytes(whole[:cut])
        kept = run.cases
        asked.clear()
        assert run.finish() == wanted
        assert run.cases == list(wanted)
        assert asked[0] == list(wanted)[len(kept) :]


def test_shards_of_which_one_was_killed_join_to_the_same_as_one_run(
    tmp_path: Path, wanted: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Three journals, one of a killed run: the report says so, until that is gone on with."""
    runs = []
    for part in (1, 2, 3):
        folder = tmp_path / str(part)
        folder.mkdir()
        runs.append(Run(folder, "--shard", f"{part}/3"))
    journals = [str(run.journal) for run in runs]
    runs[0].finish()
    runs[1].kill_at(12, waits=True)
    runs[2].finish()
    capsys.readouterr()
    assert main(["report", *journals]) == 0
    assert "the run was cut short" in capsys.readouterr().out
    runs[1].finish()
    capsys.readouterr()
    joined = tmp_path / "joined.json"
    assert main(["report", *journals, "--json", str(joined)]) == 0
    assert "the run was cut short" not in capsys.readouterr().out
    checks = json.loads(joined.read_text(encoding="utf-8"))["checks"]
    assert len(checks) == len(wanted)
    assert {check["case"]: check["verdict"] for check in checks} == wanted


def test_the_matrix_can_be_sharded_and_joined(tmp_path: Path) -> None:
    """Two shards of a matrix, put together by the report, have every cell once."""
    names = ["lastref-go-2024", "cpython-popen"]
    asked = ["matrix", "--case", "zombie/wait*"]
    asked += [word for name in names for word in ("--adapter", name)]
    parts = [str(tmp_path / f"part-{part}.json") for part in (1, 2)]
    for part, path in enumerate(parts, 1):
        assert main([*asked, "--shard", f"{part}/2", "--deadline", "60", "--json", path]) == 0
    joined = tmp_path / "joined.json"
    assert main(["report", *parts, "--json", str(joined), "--verdict"]) == 0
    ids = [c["id"] for c in json.loads(joined.read_text(encoding="utf-8"))["checks"]]
    cases = [case.id for case in all_cases() if case.id.startswith("zombie/wait")]
    assert sorted(ids) == sorted(f"{name}/{case}" for name in names for case in cases)


def test_a_run_of_another_command_is_not_gone_on_with(tmp_path: Path) -> None:
    """Two programs that are started by one interpreter are two adapters."""
    journal = tmp_path / "run.ndjson"
    rest = ["--case", "child/kill", "--expect", "none", "--ndjson", str(journal), "--resume"]
    minimal = f"'{sys.executable}' -m lastref.conformance.adapters.minimal"
    other = f"'{sys.executable}' -m lastref.conformance.adapters.lastref_process"
    assert main(["check", minimal, *rest]) == 0
    assert main(["check", other, *rest]) == 2
