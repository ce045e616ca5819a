"""``lastref report`` and ``lastref play`` as commands: what they write, refuse and exit with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from lastref.conformance.cli import main
from lastref.conformance.cli.play import server
from lastref.conformance.results import Check, Result, Verdict, validate
from lastref.conformance.trace import parse
from lastref.model import designs

RACE = "go-2023-pidfd/linux:kill,release:K1.K1.R1.R1.reopen.K1"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a result of one check and returns its path."""

    def write(name: str, verdict: Verdict, **extra: object) -> Path:
        reason = "" if verdict is Verdict.PASS else "because"
        check = Check(name, "replay", verdict, 1, reason=reason, design="go-2024", extra=extra)
        path = tmp_path / f"{name}.json"
        path.write_text(Result("check", (check,)).to_json(), encoding="utf-8")
        return path

    return write


def test_a_schedule_in_a_result_is_drawn_from_the_model(write: Write, tmp_path: Path) -> None:
    """The page has a row for every step of a run that the result names by a string only."""
    path = write("race", Verdict.BROKEN, counterexample=RACE)
    assert main(["report", str(path), "-o", str(tmp_path / "site")]) == 0
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert page.count('<circle class="dot') == len(parse(RACE).steps)
    assert "breaks no-wrong-process" in page
    assert (tmp_path / "site" / "report.md").read_text(encoding="utf-8").startswith("## ✕")


def test_a_schedule_that_the_model_does_not_have_is_no_error(write: Write, tmp_path: Path) -> None:
    """A result of a design of somebody's own is reported, its history as the command only."""
    path = write("race", Verdict.BROKEN, counterexample="my-own/linux:kill:K1.K1")
    assert main(["report", str(path), "-o", str(tmp_path)]) == 0
    assert "lastref replay my-own/linux:kill:K1.K1" in (tmp_path / "index.html").read_text("utf-8")


def test_a_report_that_was_written_exits_with_0_and_on_request_with_the_verdict(
    write: Write,
) -> None:
    """Writing a report of a broken law is no failure, unless --verdict asks for it to be one."""
    broken, passed = write("a", Verdict.BROKEN), write("b", Verdict.PASS)
    assert main(["report", str(broken)]) == 0
    assert main(["report", str(broken), "--verdict"]) == 1
    assert main(["report", str(passed), "--verdict"]) == 0


def test_a_shard_alone_is_not_the_verdict_of_all(write: Write) -> None:
    """Where the verdict is asked for, a run of which a part is not there is incomplete."""
    path = write("part", Verdict.PASS)
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "shard": "1/2"}))
    assert main(["report", str(path)]) == 0
    assert main(["report", str(path), "--verdict"]) == 2


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX pipe")
def test_a_closed_pipe_under_a_report_is_no_broken_law(write: Write) -> None:
    """A reader that went away gets exit code 2, not 1."""
    argv = [
        sys.executable,
        "-m",
        "lastref.conformance.cli",
        "report",
        str(write("a", Verdict.PASS)),
    ]
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (2, "")


def test_shards_are_joined_into_one_valid_result(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """--json holds the checks of all files, with their verdict, and validates."""
    paths = [write("a", Verdict.PASS), write("b", Verdict.BROKEN, status="crash")]
    assert main(["report", *map(str, paths), "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    validate(document)
    assert [c["id"] for c in document["checks"]] == ["a", "b"]
    assert document["verdict"] == "broken"
    assert document["checks"][1]["status"] == "crash"
    assert "broken" in err


def test_one_check_in_two_files_is_two_checks(write: Write, tmp_path: Path) -> None:
    """The same check of two runs keeps both verdicts, told apart by the file."""
    first = write("a", Verdict.PASS)
    second = tmp_path / "second.json"
    second.write_text(first.read_text(encoding="utf-8"), encoding="utf-8")
    target = tmp_path / "joined.json"
    assert main(["report", str(first), str(second), "--json", str(target)]) == 0
    ids = [c["id"] for c in json.loads(target.read_text(encoding="utf-8"))["checks"]]
    assert ids == ["a.json: a", "second.json: a"]


def test_markdown_goes_to_stdout_alone(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """A step summary can be appended to; the terminal's table goes to stderr."""
    assert main(["report", str(write("a", Verdict.PASS)), "--markdown", "-"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("## ✓ lastref: pass\n")
    assert "✓ pass" in err


@pytest.mark.parametrize("text", ["", "{", '{"schema": "lastref-result-1", "checks": []}', "[]"])
def test_bad_input_exits_with_2_and_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Empty, malformed or without a check: one line that names the file, and no page."""
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    assert main(["report", str(path), "-o", str(tmp_path / "site")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "bad.json" in err
    assert not (tmp_path / "site").exists()


def test_play_writes_a_page_and_its_tables(tmp_path: Path) -> None:
    """The page and the JSON hold every table of the model, with every command."""
    tables = tmp_path / "tables.json"
    assert main(["play", "-o", str(tmp_path), "--json", str(tables)]) == 0
    document = json.loads(tables.read_text(encoding="utf-8"))
    told = {(t["id"], t["platform"]): len(t["commands"]) for t in document["tables"]}
    assert told == {(t.id, t.platform): len(t.commands) for t in designs.all_tables()}
    assert '<script type="application/json" id="tables">' in (tmp_path / "index.html").read_text(
        encoding="utf-8"
    )


def test_the_explorer_is_served_on_this_machine_only_and_nothing_else_is() -> None:
    """The page at the root, 404 anywhere else, bound to the loopback address."""
    with server("<p>the page</p>", 0) as serving:
        assert serving.server_address[0] == "127.0.0.1"
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{serving.server_port}"
        with urllib.request.urlopen(f"{address}/") as answer:
            assert answer.read() == b"<p>the page</p>"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/etc/passwd")
        serving.shutdown()
        thread.join()


def test_a_port_that_is_taken_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """The port is named, with the system's reason and what to do."""
    with server("", 0) as serving:
        assert main(["play", "--port", str(serving.server_port)]) == 2
    assert f"cannot serve on port {serving.server_port}" in capsys.readouterr().err


def test_a_check_of_an_implementation_writes_its_page(tmp_path: Path) -> None:
    """--html gives the matrix of what was really run, a cell for each case."""
    target, site = tmp_path / "check.json", tmp_path / "site"
    arguments = ["--case", "overlap/wait.kill*", "--json", str(target), "--html", str(site)]
    code = main(["check", "lastref-go-2024", *arguments])
    if code == 3:
        pytest.skip("this machine cannot run it: see lastref doctor")
    checks = json.loads(target.read_text(encoding="utf-8"))["checks"]
    page = (site / "index.html").read_text(encoding="utf-8")
    assert len(checks) > 1
    for check in checks:
        assert f'<th scope="row">{check["case"]}</th>' in page
