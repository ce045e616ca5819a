"""The main job: it passes on go-2024, and whatever is broken each engine sees for itself."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lastref.conformance.interleavings import interleavings
from lastref.conformance.replay import replay
from lastref.conformance.results import Check, Result, Verdict, validate
from lastref.conformance.stage import Stage
from lastref.conformance.subjects import SUBJECTS
from lastref.conformance.trace import parse, record
from lastref.conformance.verify import covering, replayed_scenario, tasks
from lastref.model.algebra import TRUE
from lastref.model.designs import get
from lastref.model.explore import explore
from lastref.model.system import System
from lastref.model.table import Table

GO_2024 = get("go-2024")


def checks(table: Table, *kinds: str) -> dict[str, list[Check]]:
    """Run the quick tasks of `table` and return the checks by kind."""
    found: dict[str, list[Check]] = {kind: [] for kind in kinds}
    for task in tasks(table, quick=True):
        if task.kind in kinds:
            found[task.kind].append(task.run(lambda _: None))
    return found


def mutant(drop: tuple[str, ...] = (), **changed: dict[str, object]) -> Table:
    """Return go-2024 without the commands `drop` and with some fields changed."""
    edits = {name.replace("__", "."): fields for name, fields in changed.items()}
    assert (set(drop) | set(edits)) <= GO_2024.by_name.keys()
    return replace(
        GO_2024,
        commands=tuple(
            replace(c, **edits.get(c.name, {}))  # type: ignore[arg-type]
            for c in GO_2024.commands
            if c.name not in drop
        ),
    )


def test_go_2024_passes_every_check() -> None:
    """Proof, exploration and replay of the sound design pass, and each has run something."""
    found = checks(GO_2024, "proof", "explore", "replay")
    for kind, made in found.items():
        assert made, kind
        for check in made:
            assert check.verdict is Verdict.PASS, check.reason
            assert check.count > 0


MUTANTS = {
    "acquire-without-guard": mutant(
        ("signal.load.done", "signal.load.released"), signal__load={"guard": TRUE}
    ),
    "last-release-does-not-close": mutant(free__cas__last={"to": "end"}),
    "release-forgets-its-reason": mutant(
        release__cas__last={"update": (("word", GO_2024.shared[0]),)}
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_guard_is_noticed_by_proof_exploration_and_replay(name: str) -> None:
    """Each of the three engines alone turns red, and says what it saw."""
    found = checks(MUTANTS[name], "proof", "explore", "replay")
    for kind, made in found.items():
        broken = [c for c in made if c.verdict is Verdict.BROKEN]
        assert broken, kind
        assert all(c.reason for c in broken)


def test_a_broken_exploration_gives_a_schedule_that_breaks_the_law_again() -> None:
    """The reason ends with a schedule string; on the sound table it breaks nothing or is no run."""
    table = mutant(free__cas__last={"to": "end"})
    broken = [c for c in checks(table, "explore")["explore"] if c.verdict is Verdict.BROKEN]
    schedule = broken[0].extra["counterexample"]
    assert schedule.startswith("go-2024/linux:wait,signal,release:")
    assert schedule in broken[0].reason
    assert explore(System(GO_2024, replayed_scenario(["wait", "signal", "release"]))).holds


def test_the_covering_sample_takes_every_transition() -> None:
    """The sample is smaller, and leaves out no transition that a whole set takes."""
    system = System(GO_2024, replayed_scenario(["wait", "signal", "release"]))
    every = list(interleavings(system))
    sample = covering(every, system)

    def taken(schedules: list[tuple[object, ...]]) -> set[object]:
        found = set()
        for schedule in schedules:
            before: object = system.initial
            for step in schedule:
                found.add((before, step.actor, step.name))  # type: ignore[attr-defined]
                before = step.state  # type: ignore[attr-defined]
        return found

    assert len(sample) < len(every) / 10
    assert taken(list(sample)) == taken(list(every))


def test_an_implementation_with_a_fault_is_noticed() -> None:
    """The old swap-and-close implementation does not pass for the word."""
    found = list(
        tasks(GO_2024, quick=True, subject=SUBJECTS["go-2023-pidfd", "linux"]),
    )
    replays = [t.run(lambda _: None) for t in found if t.kind == "replay"]
    assert replays
    assert all(c.verdict is Verdict.BROKEN for c in replays)
    assert "lastref replay" in replays[0].reason


def test_a_design_without_an_implementation_is_skipped_with_its_reason() -> None:
    """Nothing to replay on is said, and is no pass."""
    orphan = replace(GO_2024, id="go-2099")
    made = [t.run(lambda _: None) for t in tasks(orphan, quick=True) if t.kind == "replay"]
    assert {c.verdict for c in made} == {Verdict.SKIPPED}
    assert all("no implementation" in c.reason for c in made)


def test_every_replayed_schedule_is_one_string_that_replays() -> None:
    """What a report prints is enough to run the same trace again."""
    system = System(GO_2024, replayed_scenario(["wait", "release"]))
    with Stage() as stage:
        for schedule in interleavings(system):
            trace = parse(record(system, schedule).schedule)
            assert replay(trace, SUBJECTS["go-2024", "linux"], stage).divergence is None


def lastref(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "lastref.conformance.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_verify_writes_one_result_of_the_published_schema(tmp_path: Path) -> None:
    """`lastref verify --quick --json FILE` prints a table, exits 0, and the file is valid."""
    target = tmp_path / "result.json"
    ran = lastref("verify", "--quick", "--json", str(target))
    assert ran.returncode == 0, ran.stderr
    assert "verify: pass" in ran.stdout
    document = json.loads(target.read_text(encoding="utf-8"))
    validate(document)
    kinds = {c["kind"] for c in document["checks"]}
    assert {"proof", "explore", "replay"} <= kinds


def test_replay_of_the_old_race_says_which_law_it_breaks() -> None:
    """`lastref replay` of issue 67641 hits the bystander every time, and says so."""
    ran = lastref(
        "replay",
        "go-2023-pidfd/linux:kill,release:K1.K1.R1.R1.reopen.K1",
        "--times",
        "20",
        "--json",
    )
    assert ran.returncode == 0, ran.stderr
    check = json.loads(ran.stdout)["checks"][0]
    assert check["breaks"] == "no-wrong-process"
    assert check["wrong_process"] == check["count"] == 20


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("go-2024/linux:release:R2", "the actors are"),
        ("missing.json", "cannot be read as a trace"),
        ("plan-10/linux:release:R1", "there is no design"),
    ],
)
def test_bad_input_to_replay_is_one_line_and_exit_2(argument: str, said: str) -> None:
    """Fault, reason, remedy; no traceback."""
    ran = lastref("replay", argument)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


def test_a_result_without_checks_is_incomplete() -> None:
    """A verification in which nothing ran never passes."""
    assert Result("verify", ()).verdict is Verdict.INCOMPLETE
