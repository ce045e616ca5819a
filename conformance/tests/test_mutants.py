"""Who checks the checker: engines kill what is wrong, what is the same is proved."""

import json

import pytest
from click.testing import CliRunner

from lastref.conformance.blind import judge_of, watch
from lastref.conformance.cli.app import app
from lastref.conformance.engines import ENGINES, JUDGES, RUNNERS, Specimen, Workbench
from lastref.conformance.fleet import InterruptedStage, fleet
from lastref.conformance.mutants import Examination, Examined, Kills, examine, replay_all
from lastref.conformance.results import Verdict, validate
from lastref.conformance.stage import Stage
from lastref.conformance.subjects import SUBJECTS
from lastref.impl.faults import Fault
from lastref.model.designs import get
from lastref.model.equivalence import Equivalence
from lastref.model.invariants import INVARIANTS
from lastref.model.mutate import Mutant, mutants
from lastref.model.survey import Survey
from lastref.model.system import System, scenario

GO_2024 = get("go-2024")


@pytest.fixture(scope="module")
def bench() -> Workbench:
    """The workbench of go-2024."""
    return Workbench.of(GO_2024)


@pytest.fixture(scope="module")
def found() -> dict[str, Mutant]:
    """Every mutant of go-2024 by what follows the design in its id."""
    return {m.id.removeprefix("go-2024/linux/"): m for m in mutants(GO_2024)}


def test_the_design_itself_is_killed_by_nobody(bench: Workbench) -> None:
    """A mutant that changes nothing at all passes every engine."""
    itself = Mutant("go-2024/linux/itself", GO_2024, "signal.load", "none", "nothing", GO_2024)
    specimen = Specimen(bench, itself)
    assert {name for name, judge in JUDGES.items() if judge(specimen) is not None} == set()
    assert specimen.witnesses() == ()


KILLED_BY_ALL = (
    "signal.load/status-bit-ignored/1",
    "signal.cas.retry/retry-left-out/1",
    "wait.waitid.reap/release-skipped/1",
)


@pytest.mark.parametrize("name", KILLED_BY_ALL)
def test_a_mutant_that_breaks_a_law_is_killed_by_every_engine(
    bench: Workbench, found: dict[str, Mutant], name: str
) -> None:
    """Each of the seven engines alone convicts it, and says of what."""
    specimen = Specimen(bench, found[name])
    says = {engine: judge(specimen) for engine, judge in JUDGES.items()}
    says["replay"] = replay_all(GO_2024, [specimen.witnesses()])[0][0]
    assert set(says) == set(ENGINES)
    assert [e for e, told in says.items() if not told] == []


def test_a_wrong_outcome_is_for_those_who_look_at_histories(
    bench: Workbench, found: dict[str, Mutant]
) -> None:
    """No law speaks of it; the histories, the view from outside and the replay see it."""
    specimen = Specimen(bench, found["release.load.late/outcome-replaced/1"])
    killed = {e for e, judge in JUDGES.items() if e in RUNNERS and judge(specimen)}
    assert killed == {"histories", "outside"}
    told, _ = replay_all(GO_2024, [specimen.witnesses()])[0]
    assert told is not None
    assert "lastref replay 'go-2024/linux:" in told


def test_a_leak_is_invisible_to_outcomes_alone(bench: Workbench, found: dict[str, Mutant]) -> None:
    """A close that is skipped changes no outcome, and the open handle is seen from outside."""
    specimen = Specimen(bench, found["release.cas.last/close-skipped/1"])
    assert specimen.histories() is None
    assert specimen.outside() is not None


def test_a_call_that_never_returns_is_seen_even_if_it_counts_for_ever(
    bench: Workbench, found: dict[str, Mutant]
) -> None:
    """An acquire that is never done takes reference after reference: no graph of it is complete."""
    told = Specimen(bench, found["signal.cas/destination-changed/1"]).histories()
    assert told is not None
    assert "never returns" in told


def test_a_check_that_cannot_fail_is_proved_equivalent_and_not_run(
    bench: Workbench, found: dict[str, Mutant]
) -> None:
    """An internal panic check dropped does the same, and only a prover of single steps objects."""
    equivalence = Equivalence(GO_2024, INVARIANTS["go-2024", "linux"])
    one = examine(Specimen(bench, found["free.load.zero/panic-dropped/1"]), ENGINES, equivalence)
    assert one.verdict == "equivalent"
    assert one.proofs > 0
    assert not one.killed.keys() & set(RUNNERS)


def test_a_lock_left_behind_after_a_broken_obligation_is_found() -> None:
    """go-2016 kills a stranger, which ends a run; the mutant does not unlock thereafter."""
    table = get("go-2016", "linux-pid")
    survey = Survey(table, [scenario("signal", initial={"kin": 1})])
    name = "signal.kill.stranger/release-skipped/1"
    mutant = next(m for m in mutants(table) if m.id.endswith(name))
    told = Specimen(Workbench(table, survey), mutant).explorer()
    assert told is not None
    assert "readers-are-holders" in told


def test_more_threads_are_looked_at_where_few_show_nothing() -> None:
    """A Wait of any child that skips its exchange: with two threads nobody can tell."""
    table = get("go-2024", "linux-pid")
    start = {"waitid_missing": 1}
    bench = Workbench(table, Survey(table, [scenario("wait", "release", initial=start)]))
    name = "wait.wait4.any-sibling/exchange-skipped/1"
    mutant = next(m for m in mutants(table) if m.id.endswith(name))
    specimen = Specimen(bench, mutant)
    assert specimen.differs
    assert specimen.outside() is None
    assert any(closer.outside() for closer in specimen.closer())


def kills(*examined: Examined) -> Kills:
    """Return a kill table of these."""
    return Kills(GO_2024, examined, len(examined), ENGINES)


def test_a_planted_survivor_is_reported(bench: Workbench, found: dict[str, Mutant]) -> None:
    """A mutant that differs and that nobody kills makes the check red, with its id."""
    mutant = found["release.load.late/outcome-replaced/1"]
    blind = examine(Specimen(bench, mutant), ("explorer", "hypothesis"), None)
    assert blind.verdict == "survivor"
    check = kills(blind).check(0.0)
    assert check.verdict is Verdict.BROKEN
    assert check.extra["survivors"] == [mutant.id]
    assert mutant.id in check.reason


def test_a_conviction_of_what_was_proved_equivalent_is_a_survivor(
    found: dict[str, Mutant],
) -> None:
    """Where a runner and the proof contradict each other, one is wrong, and that is told."""
    mutant = found["free.load.zero/panic-dropped/1"]
    assert Examined(mutant, {"proof": "refused"}, proofs=3).verdict == "equivalent"
    assert Examined(mutant, {"explorer": "broken"}, proofs=3).verdict == "survivor"


def test_a_mutant_that_is_the_same_but_unproved_is_no_pass(found: dict[str, Mutant]) -> None:
    """Without an invariant there is no proof: the check is incomplete and says so."""
    same = Examined(found["free.load.zero/panic-dropped/1"], {}, differs=False)
    assert same.verdict == "same"
    assert kills(same).check(0.0).verdict is Verdict.INCOMPLETE
    assert kills().check(0.0).verdict is Verdict.INCOMPLETE


def test_a_sample_is_always_the_same_and_says_of_how_many() -> None:
    """Three of 461, and every one of them is explained."""
    one, two = (Examination(GO_2024, sample=3) for _ in range(2))
    assert [m.id for m in one.mutants] == [m.id for m in two.mutants]
    seen: list[int] = []
    result = one.run(seen.append)
    assert sum(seen) == one.total == 6
    check = result.check(0.0)
    assert check.verdict is Verdict.PASS, check.reason
    assert "a sample of 461" in check.reason
    assert len(check.extra["table"]) == check.extra["mutants"] == 3


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_mutant_of_go_2024_survives_unexplained() -> None:
    """Every one of the 461 is killed or proved equivalent; runners kill whatever is not."""
    result = Examination(GO_2024).run(lambda _: None)
    check = result.check(0.0)
    assert check.verdict is Verdict.PASS, check.reason
    assert len(result.examined) == 461
    assert len(check.extra["equivalent"]) == 119
    assert set(check.extra["killed_by"]) == set(ENGINES)


@pytest.mark.slow
def test_every_fault_is_noticed_by_the_replay_and_from_outside() -> None:
    """Thirteen faults, each seen twice; the sound implementation is convicted of nothing."""
    caught = {c.fault: c for c in fleet(GO_2024)}
    assert set(caught) == {"", *(f.value for f in Fault)}
    sound = caught.pop("")
    assert (sound.replay, sound.outside) == (None, None)
    assert sound.runs > 100
    for one in caught.values():
        assert one.outside is not None, one.fault
        assert one.replay is not None or one.interrupted, one.fault
    assert [c.fault for c in caught.values() if c.interrupted] == [Fault.NO_EINTR_LOOP.value]


@pytest.mark.parametrize("stage", [Stage, InterruptedStage])
def test_the_sound_implementation_shows_a_history_of_the_design(stage: type[Stage]) -> None:
    """Blind, and interrupted in every wait, a Wait beside a Release does what the design does."""
    design = judge_of(System(GO_2024, scenario("wait", "release")))
    with stage() as made:
        seen = watch(
            design, SUBJECTS["go-2024", "linux"], made, ["W1", "W1", "R1", "R1", "exit", "W1"]
        )
    assert seen.wrong is None, seen.history
    assert seen.history[-1] == ("end",)
    assert ("return", "W1", "ok") in seen.history


def test_another_design_is_convicted_from_outside() -> None:
    """The implementation of 2023 closes a handle that is in use: not a history of the word."""
    design = judge_of(System(GO_2024, scenario("kill", "release")))
    with Stage() as stage:
        seen = watch(
            design, SUBJECTS["go-2023-pidfd", "linux"], stage, ["K1", "K1", "R1", "R1", "K1"]
        )
    assert seen.wrong is not None


def test_a_table_without_an_implementation_says_which_engines_are_missing() -> None:
    """Plan 9: there is nothing to replay on, and that is skipped with its reason."""
    examination = Examination(get("go-2016", "plan9"), sample=1)
    result = examination.run(lambda _: None)
    missing = {c.id.rsplit("/", 1)[1]: c for c in result.missing()}
    assert "replay" in missing
    assert all(c.verdict is Verdict.SKIPPED and c.reason for c in missing.values())
    assert "replay" not in result.killed_by


def test_the_command_writes_a_result_of_the_published_schema() -> None:
    """One mutant before one engine: a kill table on stderr, one valid object on stdout."""
    ran = CliRunner().invoke(app, ["mutants", "--engine", "proof", "--sample", "1", "--json"])
    assert ran.exit_code in (0, 1), ran.output
    document = json.loads(ran.stdout)
    validate(document)
    check = document["checks"][0]
    assert check["mutants"] == 1
    assert {"killed_by", "equivalent", "survivors"} <= check.keys()
