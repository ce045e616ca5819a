"""The main job: it passes on go-2024, and whatever is broken each engine sees for itself."""

import json
import pickle
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from lastref.conformance import replays
from lastref.conformance.coverage import Key, every_transition, every_view, runs_through
from lastref.conformance.interleavings import Interleavings
from lastref.conformance.lanes import Lanes
from lastref.conformance.named_cases import named_case, named_cases
from lastref.conformance.replay import SubjectFactory
from lastref.conformance.replays import (
    Campaign,
    Plan,
    Tally,
    plan,
    recyclings,
    replay_inside,
    run,
    scenario_of,
)
from lastref.conformance.results import Check, Result, Verdict, validate
from lastref.conformance.sandbox import Sandbox, unavailable
from lastref.conformance.stage import Stage
from lastref.conformance.subjects import SUBJECTS
from lastref.conformance.trace import parse, walk
from lastref.conformance.verify import (
    Finding,
    campaigns,
    judge,
    model_tasks,
    per_design,
    planned,
    replay_task,
    without_find,
)
from lastref.conformance.verify import check as check_of
from lastref.model.algebra import TRUE
from lastref.model.designs import get
from lastref.model.explore import explore
from lastref.model.system import System, scenario
from lastref.model.table import Table

GO_2024 = get("go-2024")
REOPEN = frozenset({"reopen"})


def idle(_: int) -> None:
    """Ignore progress."""


def model_checks(table: Table, kind: str) -> list[Check]:
    """Run the model's checks of `table` of one kind."""
    return [task.run(idle) for task in model_tasks(table) if task.kind == kind]


def replayed(
    calls: tuple[str, ...], table: Table = GO_2024, factory: SubjectFactory | None = None
) -> Finding:
    """Replay what takes every view, of a table and an implementation that need not agree."""
    campaign = Campaign(table.id, table.platform, calls, REOPEN, every=False, views=True)
    work = plan(campaign, table)
    with Stage() as stage:
        return judge(work, run(work, stage, idle, table=table, factory=factory))


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


def test_go_2024_passes_every_check_in_the_model() -> None:
    """Proof and exploration of the sound design pass, and each has run something."""
    for kind in ("proof", "explore"):
        made = model_checks(GO_2024, kind)
        assert made
        for check in made:
            assert check.verdict is Verdict.PASS, check.reason
            assert check.count > 0


MUTANTS = {
    "acquire-without-guard": mutant(
        ("signal.load.done", "signal.load.released"), signal__load={"guard": TRUE}
    ),
    "last-release-does-not-close": mutant(free__cas__last={"to": "end"}),
    "release-forgets-its-reason": mutant(release__cas__last={"update": ()}),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_guard_is_noticed_by_proof_exploration_and_replay(name: str) -> None:
    """Each of the three engines alone turns red, and says what it saw."""
    table = MUTANTS[name]
    for kind in ("proof", "explore"):
        broken = [c for c in model_checks(table, kind) if c.verdict is Verdict.BROKEN]
        assert broken, kind
        assert all(c.reason for c in broken)
    found = replayed(("wait", "signal", "release"), table)
    assert found.verdict is Verdict.BROKEN
    assert "lastref replay 'go-2024/linux:wait,signal,release:" in found.reason


def test_a_broken_exploration_gives_the_schedule() -> None:
    """The reason names the law and ends with the schedule string that breaks it."""
    broken = model_checks(mutant(free__cas__last={"to": "end"}), "explore")[0]
    schedule = broken.extra["counterexample"]
    assert schedule.startswith("go-2024/linux:wait,signal,release:")
    assert broken.reason.startswith("closed-at-rest is broken after")
    assert broken.reason.endswith(schedule)


@pytest.mark.parametrize("key", [every_transition, every_view])
def test_the_chosen_runs_take_all_that_they_should(key: Key) -> None:
    """Together they take every transition of the graph, as the key tells them apart."""
    system = System(GO_2024, scenario_of(GO_2024, ("wait", "signal", "release"), REOPEN))
    found = Interleavings(system)
    taken, wanted, seen, todo = set(), set(), {system.initial}, [system.initial]
    for schedule in runs_through(system, key):
        state, left = system.initial, list(schedule)
        while left:
            move = next(m for m in found.moves(state) if list(m.steps) == left[: len(m.steps)])
            taken.add(key(state, move))
            left, state = left[len(move.steps) :], move.state
    while todo:
        state = todo.pop()
        for move in found.moves(state):
            wanted.add(key(state, move))
            if move.state not in seen:
                seen.add(move.state)
                todo.append(move.state)
    assert taken == wanted


def test_too_many_interleavings_are_replaced_by_the_fused_ones_and_every_transition() -> None:
    """Four threads: the fused interleavings, each a run of the fine system, and the rest beside."""
    campaign = Campaign("go-2024", "linux", ("wait", "kill", "kill", "release"), REOPEN)
    work = plan(campaign)
    assert (work.interleavings, work.fine) == (83, 25_056_948)
    fused = 83 - work.mirrored
    assert work.chosen == (
        "every fused interleaving, one of two that differ only in who is K1 and who K2 "
        f"({fused} of 83), every transition; of the fine ones there are 25,056,948"
    )
    system = System(GO_2024, scenario_of(GO_2024, campaign.calls, REOPEN))
    assert 83 / 2 <= fused < 83
    for actors in work.runs[:fused]:
        last = walk(system, actors)[-1].state
        assert system.at_rest(last)
        assert system.steps(last) == []


def test_of_a_faulty_design_fewer_are_replayed_one_by_one() -> None:
    """What a verification leaves out is a matter of the number, and it is told."""
    calls = ("wait", "signal", "release")
    double = Campaign("go-2025-double", "linux", calls, REOPEN)
    assert planned(double).chosen == (
        "every fused interleaving, every transition; of the fine ones there are 463,046"
    )
    assert plan(double, most=463_046).chosen == "every interleaving"
    sound = planned(Campaign("go-2025", "linux", ("wait", "wait", "kill"), REOPEN))
    assert (sound.interleavings, len(sound.runs)) == (940_144, 470_072)


def test_hundreds_of_thousands_are_worked_out_where_they_are_replayed() -> None:
    """A plan of them holds none; any part of it has its runs, and its shares have all."""
    campaign = Campaign("go-2024", "linux", ("wait", "wait", "kill"), REOPEN)
    work = plan(campaign, most=400_000)
    assert work.chosen == (
        "every interleaving, one of two that differ only in who is W1 and who W2 "
        "(174,010 of 348,020)"
    )
    assert (work.interleavings, work.mirrored) == (348_020, 174_010)
    assert len(pickle.dumps(work)) < 1000
    assert sum(len(share.runs) for share in work.shares()) == len(work.runs) == 174_010
    middle = work.runs[100_000:100_050]
    assert list(middle) == [work.runs[n] for n in range(100_000, 100_050)]
    assert len(set(middle)) == len(middle) == 50
    assert work.runs[100_000:100_050:7] == tuple(middle)[::7]


def test_an_implementation_with_a_fault_is_noticed() -> None:
    """The old swap-and-close implementation does not pass for the word."""
    found = replayed(("wait", "release"), factory=SUBJECTS["go-2023-pidfd", "linux"])
    assert found.verdict is Verdict.BROKEN
    assert "lastref replay" in found.reason


@pytest.mark.parametrize(
    ("tally", "verdict", "said"),
    [
        (Tally(replayed=9), Verdict.PASS, "every command"),
        (Tally(replayed=0), Verdict.INCOMPLETE, "nothing was replayed"),
        (Tally(replayed=9, broken=1), Verdict.BROKEN, "1 of 9 traces of a sound design"),
        (Tally(replayed=9, first="step 1"), Verdict.BROKEN, "step 1"),
    ],
)
def test_a_tally_is_judged(tally: Tally, verdict: Verdict, said: str) -> None:
    """Agreement passes; nothing run, a broken law of a sound design, or a divergence does not."""
    work = plan(Campaign("go-2024", "linux", ("release",), REOPEN, every=False, views=True))
    found = judge(work, tally)
    assert (found.verdict, found.reason.startswith(said)) == (verdict, True)


def test_every_design_with_an_implementation_is_replayed() -> None:
    """Both ways of recycling, all pairs and threes, and four threads where that is feasible."""
    full = list(campaigns(quick=False))
    assert {(c.design, c.platform) for c in full} == set(SUBJECTS)
    assert len({(c.design, c.platform, c.name) for c in full}) == len(full)
    assert any(len(c.calls) == 4 for c in full)
    assert all(len(c.calls) < 4 and not c.every for c in campaigns(quick=True))


@pytest.mark.parametrize("name", [("go-2024", "linux"), ("go-2023-pidfd", "linux")])
def test_real_threads_take_every_transition_of_two_calls(name: tuple[str, str]) -> None:
    """What is replayed by threads takes each command that any two calls can, recycled or not."""
    table = get(*name)
    taken: set[str] = set()
    for campaign in campaigns(quick=False):
        if (campaign.design, campaign.platform, campaign.driver) == (*name, "threads"):
            system = System(table, scenario_of(table, campaign.calls, campaign.recycled))
            for actors in plan(campaign).runs:
                taken.update(step.name for step in walk(system, actors))
    pairs = combinations_with_replacement(("wait", "kill", "signal", "release"), 2)
    free = frozenset(c.name for c in table.kernel) - {"autoreap"}
    possible: set[str] = set()
    for pair in pairs:
        possible |= explore(System(table, scenario(*pair, adversary=free))).covered
    assert possible & table.by_name.keys() <= taken


@pytest.mark.parametrize(
    "name",
    [
        ("pid-naive", "linux-pid"),
        ("go-2016", "linux-pid"),
        ("go-2023-pidfd", "linux"),
        ("go-2024", "linux"),
        ("go-2024", "linux-pid"),
        ("go-2025", "linux"),
        ("go-2025-double", "linux"),
    ],
)
def test_a_design_and_its_implementation_agree_where_pids_come_back(
    name: tuple[str, str],
) -> None:
    """In the sandbox: faulty designs really hit a wrong process, sound ones never do."""
    table = get(*name)
    hits = 0
    with Lanes(1) as lanes:
        if lanes.without is not None:
            pytest.skip(lanes.without)
        for recycled in recyclings(table):
            calls = ("wait", "kill", "release")
            campaign = Campaign(*name, calls, recycled, every=False, views=True)
            made = replay_task(planned(campaign), lanes.replay).run(idle)
            assert made.verdict is Verdict.PASS, made.reason
            hits += made.extra["wrong_process"]
    assert (hits == 0) == (name in {("go-2024", "linux"), ("go-2025", "linux"), DOUBLE})


DOUBLE = ("go-2025-double", "linux")
"""It is faulty in another way: it panics."""


def test_shares_are_replayed_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is worked out in the sandbox, two lanes replay all, each its shares."""
    monkeypatch.setattr(replays, "SHARE", 10)
    campaign = Campaign("go-2024", "linux", ("wait", "wait", "kill"), REOPEN)
    work = plan(campaign, most=400_000)
    told: list[int] = []
    with Lanes(2) as lanes:
        if lanes.without is not None:
            pytest.skip(lanes.without)
        tally = lanes.replay(replace(work, runs=work.runs[123_456:123_481]), told.append)
    assert (tally.first, tally.replayed, tally.wrong_process) == (None, 25, 0)
    assert sum(told) == 25


@pytest.mark.parametrize(
    ("name", "late"),
    [
        ("go-2023-pidfd", {"wait.pidfd.closed", "kill.send.closed", "signal.send.closed"}),
        ("go-2025", {"wait.refs.closed", "kill.refs.closed", "signal.refs.closed"}),
    ],
)
def test_where_nothing_is_recycled_a_late_use_finds_nobody(name: str, late: set[str]) -> None:
    """A number that is closed stays closed, and what a call on it returns is the kernel's own."""
    taken: Counter[str] = Counter()
    with Lanes(1) as lanes:
        if lanes.without is not None:
            pytest.skip(lanes.without)
        for campaign in campaigns(quick=True):
            asked = (campaign.design, campaign.platform, campaign.recycled)
            if asked == (name, "linux", frozenset()):
                made = replay_task(planned(campaign), lanes.replay).run(idle)
                assert made.verdict is Verdict.PASS, made.reason
                taken.update(made.extra["coverage"])
    assert {command for command in late if taken[command]} == late


def test_without_a_sandbox_only_what_is_safe_is_replayed() -> None:
    """A pid that is free may be anybody's: such designs wait for a namespace of our own."""
    with Lanes(1) as lanes:
        lanes.without = "not allowed here"
        assert lanes.can_replay("go-2024", "linux")
        assert not lanes.can_replay("go-2024", "linux-pid")
        assert not lanes.can_replay("go-2023-pidfd", "linux")
        campaign = Campaign("go-2024", "linux", ("kill", "release"), REOPEN)
        made = replay_task(planned(campaign), lanes.replay).run(idle)
    assert made.verdict is Verdict.PASS
    assert made.count == 20


def test_every_run_of_a_plan_is_one_string_that_replays() -> None:
    """What a report prints is enough to work out the same trace again."""
    work = plan(Campaign("go-2024", "linux", ("wait", "release"), REOPEN))
    assert work.interleavings == len(work.runs) == 10
    for actors in work.runs:
        trace = parse(f"go-2024/linux:wait,release:{'.'.join(actors)}")
        assert trace.broken is None


def lastref(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "lastref.conformance.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
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


def test_what_was_replayed_is_written_with_its_coverage() -> None:
    """A campaign's tally becomes a check that can be written, with a number for each command."""
    campaign = Campaign("go-2024", "linux", ("kill", "release"), frozenset({"reopen"}))
    work = Plan(campaign, "some runs", 1, (("K1", "R1"),))
    tally = Tally(replayed=1, steps=2, coverage=Counter({"kill.load": 1, "kill.cas": 0}))
    finding = judge(work, tally)
    written = check_of("replay", "replay", "go-2024", "linux", finding, 0.0)
    document = json.loads(Result("verify", (written,)).to_json())
    assert document["checks"][0]["coverage"] == {"kill.load": 1, "kill.cas": 0}


HITS = frozenset(
    {
        "go-13987",
        "go-67641",
        "go-67641-wait",
        "go-67642",
        "go-67642-again",
        "kill-minus-one",
        "found-dead-wait",
        "wait-release-minus-one",
        "wait4-minus-one",
    }
)
"""The named cases in which a process is really hit; signal 0 hits nobody."""
REPLAYED_CASES = [
    case.id
    for case in named_cases().values()
    if (case.where.design, case.where.platform) in SUBJECTS
]


@pytest.mark.parametrize("case", REPLAYED_CASES)
def test_a_named_case_has_its_real_run(case: str) -> None:
    """On the real kernel each does what its model does, step by step, every time."""
    reason = unavailable()
    if reason is not None:
        pytest.skip(reason)
    trace = named_case(case).trace()
    with Sandbox() as sandbox:
        runs = replay_inside(sandbox, trace, 3)
    assert len({str(run_.log) for run_ in runs}) == 1
    for run_ in runs:
        assert run_.divergence is None, run_.divergence
        assert run_.hit or case not in HITS
        assert trace.broken is not None or not run_.hit


def test_every_case_of_linux_is_replayed() -> None:
    """None is left out: what remains is of systems that this one is not."""
    left = {case.where.platform for case in named_cases().values() if case.id not in REPLAYED_CASES}
    assert left <= {"windows", "plan9", "unix"}
    assert set(REPLAYED_CASES) >= HITS | {"go-65866", "go-67634", "go-67634-signal", "go-67640"}


@pytest.mark.needs("pidfd-open")
def test_what_a_careless_caller_meets_is_told() -> None:
    """`lastref replay` says what each thread returned: here, what Go says to a nil pointer."""
    ran = lastref("replay", "go-65866")
    assert ran.returncode == 0, ran.stderr
    assert "nil pointer dereference" in ran.stdout


@pytest.mark.parametrize(
    "schedule",
    [
        "go-2024/linux?kin=foreign:wait:W1.W1.W1.W1.W1",
        "go-2024/linux?handle=reused:signal:S1.S1.S1.S1.S1",
    ],
)
def test_a_start_that_cannot_be_made_here_says_why(schedule: str) -> None:
    """A start that no stage can make: exit 3, one line."""
    ran = lastref("replay", schedule)
    assert ran.returncode == 3, ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


def test_a_check_takes_as_long_as_its_own_work() -> None:
    """What was replayed in the lanes counts, and not the waiting for a lane that is free."""
    work = plan(Campaign("go-2024", "linux", ("kill", "release"), REOPEN))
    parts = Tally(replayed=1, seconds=1.5) + Tally(replayed=1, seconds=2.0)
    assert replay_task(work, lambda *_: parts).run(idle).seconds == 3.5
    with Lanes(1) as lanes:
        assert lanes.without is not None or lanes.replay(work, idle).seconds


def test_each_design_has_its_sums_and_its_reasons() -> None:
    """The figures of the checks are added up by design; a reason is counted, not repeated."""
    replays = {"interleavings": 3, "mirrored": 1, "replayed": 4}
    replays |= {"diverged": 1, "nondeterministic": 0}
    replays |= {"broken": 2, "wrong_process": 2}
    differing = (
        {"coverage": {"a": 1, "b": 0}, "fine": 3},
        {"coverage": {"a": 0, "b": 0, "c": 2}, "fine": 99},
    )
    checks = [
        *(
            Check(f"d/p/{i}", "replay", Verdict.BROKEN, 4, 0.0, "x", "d", "p", {**replays, **each})
            for i, each in enumerate(differing)
        ),
        *(Check(f"d/p/s{i}", "replay", Verdict.SKIPPED, 0, 0.0, "none", "d", "p") for i in "ab"),
        Check("d/p/o", "outcomes", Verdict.PASS, 7, 0.0, "", "d", "p"),
        Check("d/p/proof", "proof", Verdict.PASS, 7, 0.0, "", "d", "p"),
    ]
    assert per_design(checks) == {
        "d/p": {
            "interleavings": 6,
            "mirrored": 2,
            "replayed": 8,
            "diverged": 2,
            "nondeterministic": 0,
            "broken": 4,
            "wrong_process": 4,
            "sequences": 7,
            "skipped": {"none": 2},
            "fused": {"d/p/1": 99},
            "never_taken": ["b"],
        }
    }


def test_whoever_looks_a_process_up_is_replayed_or_it_is_said_why_not() -> None:
    """Every real design is replayed with FindProcess beside it, or has a reason."""
    finds = {(c.design, c.platform) for c in campaigns(quick=True) if "find" in c.calls}
    skipped = {(c.design, c.platform) for c in without_find()}
    assert not finds & skipped
    assert finds | skipped | {("go-2024", "linux")} == set(SUBJECTS)


NAIVE = ("pid-naive", "linux-pid")


def test_one_design_alone_is_verified(tmp_path: Path) -> None:
    """Its checks are those that the whole run has of it, with the kernel that it relies on."""
    where = tmp_path / "one.json"
    ran = lastref("verify", "pid-naive/linux-pid", "--quick", "--json", str(where))
    assert ran.returncode == 0, ran.stderr
    checks = json.loads(where.read_text(encoding="utf-8"))["checks"]
    kinds = {c["kind"] for c in checks if (c["design"], c["platform"]) == NAIVE}
    assert kinds >= {"proof", "case", "laws", "replay"}
    assert {(c["design"], c["platform"]) for c in checks if c["design"] is not None} == {NAIVE}


@pytest.mark.parametrize("arguments", [["no-such"], ["go-2024/plan-10"], ["go-2024", "--design=x"]])
def test_what_cannot_be_verified_is_refused_in_a_line(arguments: list[str]) -> None:
    """An unknown design, or one beside a file: exit 2."""
    ran = lastref("verify", *arguments)
    assert ran.returncode == 2
    assert len(ran.stderr.strip().splitlines()) == 1
