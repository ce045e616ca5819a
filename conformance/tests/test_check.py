"""``lastref check`` and ``matrix`` on real programs: selections, files, exit codes."""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from lastref.conformance import testrun
from lastref.conformance.adapters.registry import known, resolve
from lastref.conformance.checker import Checker
from lastref.conformance.cli import main
from lastref.conformance.errors import UserError
from lastref.conformance.journal import Journal
from lastref.conformance.outcomes import Outcome, Status
from lastref.conformance.selection import Selection, parse_shard
from lastref.conformance.suite import all_cases
from lastref.conformance.testrun import Plan

FLEET = Path(__file__).parent / "fleet" / "adapter.py"
OURS = "lastref-go-2024"


def fleet(vice: str) -> str:
    """Return the command line of an adapter of the fleet."""
    return f"'{sys.executable}' -S '{FLEET}' {vice}"


def test_ids_are_unique_and_say_what_is_called() -> None:
    """No two cases have one id, and an id is made of the situation and the calls."""
    ids = [case.id for case in all_cases()]
    assert len(ids) == len(set(ids))
    for case in all_cases():
        assert case.id.startswith(f"{case.situation}/")
        assert ".".join(case.calls) in case.id or case.situation in ("adapter", "overlap")


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_shards_are_exact_and_disjoint(shards: int) -> None:
    """All shards together take every case once, each keeping the order."""
    taken = [Selection(shard=(i, shards)).of(all_cases()) for i in range(1, shards + 1)]
    ids = [case.id for part in taken for case in part]
    assert sorted(ids) == sorted(case.id for case in all_cases())
    assert max(map(len, taken)) - min(map(len, taken)) <= 1


def test_a_seed_shuffles_always_alike() -> None:
    """The same seed gives the same order, of the same cases; the handshake stays first."""
    plain, one, again, other = (Selection(seed=n).of(all_cases()) for n in (0, 1, 1, 2))
    assert one == again
    assert one not in (plain, other)
    assert set(one) == set(plain)
    assert (one[0].id, one[-1].id) == ("adapter/handshake", "adapter/ending")


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    """Only I/N with 1 ≤ I ≤ N is a shard."""
    with pytest.raises(UserError, match="is no shard"):
        parse_shard(text)


@pytest.mark.parametrize("seconds", [0.0, -3.0, math.nan, math.inf])
def test_what_is_no_deadline_is_refused_before_anything_runs(seconds: float) -> None:
    """A message gets some time, and not for ever."""
    with pytest.raises(UserError, match="seconds are no deadline"):
        Checker(["/no-such-program"], seconds)


def test_our_implementation_passes(tmp_path: Path, sarif_schema: Draft7Validator) -> None:
    """go-2024 passes a shard of the cases, and every file that is asked for is written."""
    files = {name: tmp_path / name for name in ("json", "junit", "sarif", "markdown", "badge")}
    options = [f"--{name}={path}" for name, path in files.items()]
    # Not those at the gate: without pidfds our go-2024 has what Go has, see its list.
    assert main(["check", OURS, "--case", "[!g]*", "--shard", "1/9", *options]) == 0
    assert all(path.stat().st_size for path in files.values())
    sarif_schema.validate(json.loads(files["sarif"].read_text(encoding="utf-8")))
    document = json.loads(files["json"].read_text())
    assert (document["verdict"], document["command"]) == ("pass", "check")
    assert {check["status"] for check in document["checks"]} <= {"pass", "not supported"}
    assert document["adapters"][0]["specification"] == "go-2024/linux"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["lastref-go-2024", "--case", "child/wait"], 0),
        (["cpython-popen", "--case", "child/wait.wait"], 0),
        (["cpython-popen", "--case", "child/wait.wait", "--expect", "none"], 1),
        ([fleet("crashes-in-an-operation"), "--case", "child/wait"], 1),
        ([fleet("garbage"), "--case", "child/wait"], 2),
        ([fleet("crashes-at-start"), "--case", "child/wait"], 2),
        (["lastref-go-2024", "--case", "child/fly"], 2),
        (["lastref-go-2024", "--case", "child/wait", "--shard", "2/2"], 2),
        (["cpython-popen", "--case", "zero/*"], 2),
        (["no-such-adapter"], 2),
        (["lastref-go-2024", "--resume"], 2),
        (["lastref-go-2024", "--case", "child/wait", "--expect", "no-such-list.toml"], 2),
        (["lastref-go-2024", "--expect", "no/such/folder/x.toml", "--fix"], 2),
        (["lastref-go-2024", "--junit", "no/such/folder/x.xml"], 2),
    ],
    ids=lambda value: value if isinstance(value, int) else value[-1].rpartition(" ")[2],
)
def test_exit_codes_say_what_came_of_it(arguments: list[str], code: int) -> None:
    """0 as it should be, 1 a law is broken, 2 nothing was shown; skips alone are no pass."""
    assert main(["check", *arguments]) == code


def test_a_missing_toolchain_exits_with_3(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its compiler an adapter cannot run: one line, with the remedy."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["check", "c-pid"]) == 3
    said = capsys.readouterr().err.strip().splitlines()
    assert said == [
        "lastref: the adapter 'c-pid' cannot run here: 'cc' was not found on PATH; "
        "install a C compiler"
    ]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: nothing is built")
def test_a_cache_that_cannot_be_written_exits_with_3(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing can be built an adapter cannot run: one line, with the remedy."""
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    assert main(["check", "c-pid"]) == 3
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "cannot be written" in line
    assert line.endswith("let XDG_CACHE_HOME name a folder that can be")


def test_fix_writes_a_list_with_which_the_same_run_passes(tmp_path: Path) -> None:
    """After --fix, a run that was broken passes with the list that it wrote."""
    listed = tmp_path / "popen.toml"
    run = ["check", "cpython-popen", "--case", "zombie/wait.*", "--expect", str(listed)]
    assert main([*run, "--expect", "none"]) == 1
    assert main([*run, "--fix"]) == 0
    assert main(run) == 0
    listed.write_text(listed.read_text().replace("zombie/wait.wait.wait", "zombie/fly"))
    assert main(run) == 1


def test_the_journal_loses_nothing_and_a_resumed_run_ends_the_same(tmp_path: Path) -> None:
    """Cut off in the middle of a line, a run goes on with the cases that are missing."""
    journal = tmp_path / "run.ndjson"
    run = ["check", OURS, "--case", "child/wait.*", "--ndjson", str(journal)]
    assert main([*run, f"--json={tmp_path / 'whole'}"]) == 0
    lines = journal.read_bytes().splitlines(keepends=True)
    cut = b"".join(lines[:5]) + lines[5][:30]
    journal.write_bytes(cut)
    assert main([*run, "--resume", f"--json={tmp_path / 'resumed'}"]) == 0
    resumed = journal.read_bytes().splitlines(keepends=True)
    assert resumed[:5] == lines[:5]
    assert len(resumed) == len(lines)
    whole, again = (json.loads((tmp_path / name).read_text()) for name in ("whole", "resumed"))
    assert [c["id"] for c in whole["checks"]] == [c["id"] for c in again["checks"]]


def test_a_journal_of_another_run_is_not_resumed(tmp_path: Path) -> None:
    """Other options make another run, which cannot be put together with this one."""
    journal = tmp_path / "run.ndjson"
    assert main(["check", OURS, "--case", "child/wait", "--ndjson", str(journal)]) == 0
    other = ["check", OURS, "--case", "child/kill", "--ndjson", str(journal), "--resume"]
    assert main(other) == 2
    journal.write_text("no journal\n")
    assert main(other) == 2


def test_a_check_in_a_journal_is_the_outcome_it_was_made_of(tmp_path: Path) -> None:
    """What is read back is what was written, field by field."""
    outcome = Outcome(
        "child/wait", Status.CRASH, "it died", 0.5, ("wait?",), 139, extra={"trace": 1}
    )
    with Journal(tmp_path / "j", {"command": "check"}, resume=False) as journal:
        journal.write(outcome.check("x", "go-2024/linux").document())
    with Journal(tmp_path / "j", {"command": "check"}, resume=True) as journal:
        assert [Outcome.from_check(check) for check in journal.done] == [outcome]


def test_a_journal_that_another_run_writes_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two runs at once would mix their lines: the second says so, and the first keeps all of it."""
    path = tmp_path / "run.ndjson"
    run = ["check", OURS, "--case", "child/wait", "--ndjson", str(path)]
    with Journal(path, {"command": "check"}, resume=False) as journal:
        journal.write({"id": "a line"})
        before = path.read_bytes()
        assert main(run) == main([*run, "--resume"]) == 2
        assert capsys.readouterr().err.count("is being written: another run has it open") == 2
        assert path.read_bytes() == before
    assert main(run) == 0


@pytest.mark.parametrize("path", [Path("/dev/full"), Path("/dev/null"), FLEET / "below"])
def test_a_journal_that_cannot_be_written_is_told(path: Path) -> None:
    """A full disk, what is no file, a folder that is none: the user's to mend, in one line."""
    with pytest.raises(UserError, match="cannot write"):
        Journal(path, {"command": "check"}, resume=False)


def test_list_shows_the_cases_that_would_run(capsys: pytest.CaptureFixture[str]) -> None:
    """--list names them, a line each, and runs nothing."""
    assert main(["check", OURS, "--case", "zero/*", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed == [case.id for case in all_cases() if case.situation == "zero"]


def test_the_matrix_puts_adapters_into_one_result(tmp_path: Path) -> None:
    """Each adapter has its checks, by its name; an id says which."""
    target = tmp_path / "m.json"
    names = [OURS, "cpython-popen"]
    chosen = [part for name in names for part in ("--adapter", name)]
    files = [f"--{kind}={tmp_path / kind}" for kind in ("sarif", "badge")]
    options = ["--case", "zombie/wait", "--seed", "3", *files, f"--json={target}"]
    assert main(["matrix", *chosen, *options]) == 0
    assert all(json.loads((tmp_path / kind).read_text()) for kind in ("sarif", "badge"))
    document = json.loads(target.read_text())
    assert [check["id"] for check in document["checks"]] == [f"{n}/zombie/wait" for n in names]
    assert [told["name"] for told in document["adapters"]] == names


def test_a_matrix_goes_on_from_its_journals(tmp_path: Path) -> None:
    """One journal is whole, one cut off, one missing: only what is missing is run, each once."""
    names = [OURS, "cpython-popen", "cpython-pidfd"]
    chosen = [part for name in names for part in ("--adapter", name)]
    journals = tmp_path / "journals"
    run = ["matrix", *chosen, "--case", "zombie/wait.w*", "--ndjson", str(journals)]
    assert main([*run, f"--json={tmp_path / 'whole'}"]) == 0
    whole = {name: (journals / f"{name}.ndjson").read_bytes() for name in names}
    lines = whole[names[1]].splitlines(keepends=True)
    (journals / f"{names[1]}.ndjson").write_bytes(b"".join(lines[:3]) + lines[3][:20])
    (journals / f"{names[2]}.ndjson").unlink()
    assert main([*run, "--resume", f"--json={tmp_path / 'resumed'}"]) == 0
    assert (journals / f"{names[0]}.ndjson").read_bytes() == whole[names[0]]
    again = (journals / f"{names[1]}.ndjson").read_bytes().splitlines(keepends=True)
    assert again[:3] == lines[:3]
    for name in names:
        cases = [
            [json.loads(line)["case"] for line in text.splitlines()[1:]]
            for text in (whole[name], (journals / f"{name}.ndjson").read_bytes())
        ]
        assert cases[0] == cases[1]
    first, second = (json.loads((tmp_path / name).read_text()) for name in ("whole", "resumed"))
    assert [c["id"] for c in first["checks"]] == [c["id"] for c in second["checks"]]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--resume"],
        ["--adapter", OURS, "--adapter", OURS],
        ["--adapter", OURS, "--ndjson", "FILE/journals"],
    ],
)
def test_a_matrix_that_cannot_be_what_is_asked_for_is_refused(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing to go on with, two of one name, no folder: exit 2, one line, and nothing is run."""
    file = tmp_path / "file"
    file.touch()
    asked = [word.replace("FILE", str(file)) for word in arguments]
    assert main(["matrix", "--case", "zombie/wait", *asked]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("name", sorted(known()))
def test_every_adapter_that_can_run_here_does_what_it_declares(name: str) -> None:
    """Handshake, pipes, capabilities and a Wait: nothing of the adapter itself is wrong."""
    adapter = resolve(name)
    try:
        adapter.prepare()
    except UserError as error:
        pytest.skip(str(error))
    cases = ("adapter/*", "child/wait", "overlap/nothing")
    plan = Plan(adapter, Selection(cases), 30.0)
    finished = testrun.run(plan)
    assert finished.ready is not None
    able, outcomes = finished.ready.capabilities, finished.outcomes
    left_out = {o.case: o.message for o in outcomes if o.status is Status.NOT_SUPPORTED}
    assert [o.case for o in outcomes] == [case.id for case in plan.cases]
    assert left_out == {c.id: said for c in plan.cases if (said := c.unsupported(able))}
    assert {o.status for o in outcomes} <= {Status.PASS, Status.NOT_SUPPORTED}, outcomes
    passed = {o.case for o in outcomes if o.status is Status.PASS}
    assert passed >= {"adapter/handshake", "adapter/pipes", "adapter/ending", "child/wait"}
