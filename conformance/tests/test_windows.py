"""On Windows the real thing does what the model does, wrong processes included.

The adversary lets our process end at any time and hands a closed handle's value out again at once,
for the bystander.  Pids are not recycled here: an open handle pins its process's.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations_with_replacement

import pytest

from lastref.conformance.coverage import every_view, runs_through
from lastref.conformance.doctor import PROBES
from lastref.conformance.driver import GreenletDriver
from lastref.conformance.driver_threads import ThreadDriver
from lastref.conformance.interleavings import Schedule, interleavings
from lastref.conformance.lanes_windows import WindowsLanes, replay_here
from lastref.conformance.other_caller_windows import LookUps
from lastref.conformance.replay import DriverFactory, replay
from lastref.conformance.replays import Campaign, plan
from lastref.conformance.replays_windows import REOPEN, windows_campaigns, windows_tasks
from lastref.conformance.results import Verdict
from lastref.conformance.stage_windows import WindowsStage
from lastref.conformance.stale_windows import DESIGNS, Stale, judge, late_kills
from lastref.conformance.subjects_windows import WINDOWS_SUBJECTS
from lastref.conformance.trace import parse, record
from lastref.impl.errors import Win32Error
from lastref.model import designs
from lastref.model.kernel import NO_WRONG_PROCESS
from lastref.model.system import System, scenario

SOUND = ("go-2024", "go-2025")
METHODS = ("wait", "kill", "release")
TRIPLES = (
    ("wait", "signal", "release"),
    ("wait", "kill", "release"),
    ("wait", "wait", "release"),
    ("kill", "kill", "release"),
)
PAIRS = {"go-2016": 29, "go-2024": 418, "go-2025": 668}
"""How many inequivalent interleavings the pairs of methods have."""
STILL_RUNNING = (
    "go-2016/windows:wait,release:W1.exit.W1.R1.R1.reopen.W1.W1.W1.W1"  # and Wait is content
)
STALE = "go-2016/windows:kill,release:K1.K1.R1.R1.reopen.K1.K1.K1"


def system(design: str, *calls: str) -> System:
    """Return the scenario that is replayed."""
    urgent = frozenset({"reopen"})
    table = designs.get(design, "windows")
    return System(table, scenario(*calls, urgent=urgent, adversary=urgent | {"exit"}))


def replayed(
    windows_stage: WindowsStage,
    over: System,
    schedules: Iterable[Schedule],
    driver: DriverFactory = GreenletDriver,
) -> Counter[str]:
    """Replay ``schedules``, stop at the first divergence, and count what was seen."""
    seen: Counter[str] = Counter()
    design = over.table.id
    for schedule in schedules:
        trace = record(over, schedule)
        done = replay(trace, WINDOWS_SUBJECTS[design, "windows"], windows_stage, driver)
        assert done.divergence is None, str(done.divergence)
        assert done.steps == len(trace.steps)
        assert not done.hit or trace.broken is not None, f"hit in {trace.schedule}"
        seen["replayed"] += 1
        seen["wrong process"] += done.hit
        seen["broken"] += trace.broken is not None
    return seen


@pytest.mark.parametrize(
    "design", ["go-2016", "go-2024", pytest.param("go-2025", marks=pytest.mark.slow)]
)
def test_every_interleaving_of_two_calls(windows_stage: WindowsStage, design: str) -> None:
    """Each inequivalent interleaving of each pair of methods goes as the model says."""
    total: Counter[str] = Counter()
    for pair in combinations_with_replacement(METHODS, 2):
        over = system(design, *pair)
        total += replayed(windows_stage, over, interleavings(over))
    assert total["replayed"] == PAIRS[design]
    assert (total["wrong process"] > 0) is (design not in SOUND)
    assert (total["broken"] > 0) is (design not in SOUND)


@pytest.mark.parametrize("calls", TRIPLES)
@pytest.mark.parametrize("design", SOUND)
def test_every_command_in_every_view_of_three_calls(
    windows_stage: WindowsStage, design: str, calls: tuple[str, ...]
) -> None:
    """Runs that take every command in every view of its thread break no law and hit nobody."""
    over = system(design, *calls)
    seen = replayed(windows_stage, over, runs_through(over, every_view))
    assert seen["replayed"] >= 10
    assert (seen["wrong process"], seen["broken"]) == (0, 0)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_interleaving_of_wait_kill_release_with_the_word(windows_stage: WindowsStage) -> None:
    """With the reference count a stale value ends nobody, in any inequivalent interleaving."""
    over = system("go-2024", "wait", "kill", "release")
    seen = replayed(windows_stage, over, interleavings(over))
    assert seen == Counter({"replayed": 3490})


@pytest.mark.parametrize("calls", [*TRIPLES, ("wait", "wait", "kill")])
def test_every_interleaving_of_three_calls_before_2024(
    windows_stage: WindowsStage, calls: tuple[str, ...]
) -> None:
    """The Swap design follows its model everywhere, and into the wrong process where there is one.

    A wrong process is really ended exactly in the traces in which a Kill's last step on the value
    comes after it was handed out again.
    """
    over = system("go-2016", *calls)
    schedules = list(interleavings(over))
    fatal = [s for s in schedules if any(step.name == "kill.terminate.wrong" for step in s)]
    seen = replayed(windows_stage, over, schedules)
    assert seen["wrong process"] == len(fatal)
    assert (seen["wrong process"] > 0) is ("kill" in calls)


@pytest.mark.parametrize("design", ["go-2016", "go-2023-pidfd", "go-2023-find", "go-2023-reland"])
def test_a_stale_handle_value_ends_the_wrong_process_every_time(
    windows_stage: WindowsStage, design: str
) -> None:
    """The race of go issue 67641 is there on Windows too, in every design before the word."""
    trace = parse(STALE.replace("go-2016", design))
    assert trace.broken == NO_WRONG_PROCESS
    hits = 0
    for _ in range(10):
        done = replay(trace, WINDOWS_SUBJECTS[design, "windows"], windows_stage)
        assert done.divergence is None, str(done.divergence)
        hits += done.hit
    assert hits == 10


@pytest.mark.parametrize("design", DESIGNS)
def test_handle_values_are_reused_and_only_a_reference_count_helps(
    windows_stage: WindowsStage, design: str
) -> None:
    """The seed's author was unsure whether Windows reuses handles: it does, at once.

    A Kill that is late ends a wrong process every time without a count, and never with one.
    """
    seen = late_kills(windows_stage, design, 20)
    assert judge(design, seen).verdict is Verdict.PASS, str(seen)
    expected = (20, 0, 0, 20) if design in SOUND else (20, seen.handed_out, seen.handed_out, 0)
    assert (seen.rounds, seen.handed_out, seen.wrong_process, seen.our_process) == expected
    assert seen.handed_out > 0 or design in SOUND


def test_a_wrong_count_of_late_kills_does_not_pass() -> None:
    """One wrong process with a count is broken; without one, nothing shown is incomplete."""
    assert judge("go-2024", Stale(9, 0, 0, 9)).verdict is Verdict.PASS
    assert judge("go-2024", Stale(9, 1, 1, 8)).verdict is Verdict.BROKEN
    assert judge("go-2024", Stale(9, 0, 0, 8)).verdict is Verdict.BROKEN
    assert judge("go-2016", Stale(9, 0, 0, 0)).verdict is Verdict.INCOMPLETE
    assert judge("go-2016", Stale(9, 9, 8, 0)).verdict is Verdict.BROKEN
    assert judge("go-2016", Stale(9, 9, 9, 0)).verdict is Verdict.PASS


def test_before_2024_a_wait_can_tell_the_exit_code_of_a_process_that_runs(
    windows_stage: WindowsStage,
) -> None:
    """259: the value was handed out again between the wait and the question for the exit code."""
    trace = parse(STILL_RUNNING)
    done = replay(trace, WINDOWS_SUBJECTS["go-2016", "windows"], windows_stage)
    assert done.divergence is None, str(done.divergence)
    assert done.outcomes["W1"] == ("ok:259",)
    assert trace.broken == NO_WRONG_PROCESS


def test_the_workers_of_a_long_campaign_agree_with_one_process(windows_stage: WindowsStage) -> None:
    """Cut in pieces for two workers, or in one piece here: the same tally."""
    work = plan(Campaign("go-2016", "windows", ("wait", "wait", "kill"), REOPEN))
    alone, _ = replay_here(work)
    with WindowsLanes(2, piece=20) as lanes:
        together, _ = lanes.replay(work, lambda _: None)
    assert together == alone
    assert (together.first, together.replayed) == (None, len(work.runs))
    assert together.wrong_process > 0


def test_tasks_side_by_side_say_what_they_say_one_by_one(windows_stage: WindowsStage) -> None:
    """A replay, all sequences and late Kills: two jobs have the checks of one, in its order."""
    wanted = ["replay/kill,release", "outcomes/up-to-2", "late-kill"]

    def checks(jobs: int) -> list[tuple[str, Verdict, int]]:
        with WindowsLanes(jobs) as lanes:
            every = windows_tasks(lanes, quick=True, which={("go-2016", "windows")})
            made = lanes.run([t for t in every if t.id in wanted], lambda _: None)
        return [(check.id, check.verdict, check.count) for check in made]

    alone = checks(1)
    assert [name for name, *_ in alone] == [f"go-2016/windows/{name}" for name in wanted]
    assert {verdict for _, verdict, _ in alone} == {Verdict.PASS}
    assert checks(2) == alone


def test_of_four_threads_every_view_is_taken_and_every_fused_interleaving() -> None:
    """``views`` has the runs of a quick sample beside the fused ones, not every transition."""
    campaign = Campaign("go-2024", "windows", ("wait", "wait", "kill"), REOPEN)
    fine, few = plan(campaign), plan(replace(campaign, views=True))
    fused = few.interleavings - few.mirrored
    assert fused == fine.interleavings - fine.mirrored < len(few.runs) < len(fine.runs)
    assert few.runs[:fused] == fine.runs[:fused]
    assert few.runs[fused:] == plan(replace(campaign, every=False, views=True)).runs
    assert few.chosen.startswith("every fused interleaving, one of two that differ only in who is")
    assert ", every command in every view; of the fine ones" in few.chosen
    four = [c for c in windows_campaigns(quick=False) if len(c.calls) == 4]
    assert {c.design for c in four} == {design for design, _ in WINDOWS_SUBJECTS}
    assert all(c.every and c.views for c in four)


@pytest.mark.parametrize("design", ["go-2016", *SOUND])
def test_another_caller_finds_the_process_whatever_the_others_do(
    windows_stage: WindowsStage, design: str
) -> None:
    """FindProcess beside a Kill and a Release: a handle of his own, and no way into the race."""
    over = system(design, "kill", "release", "find")
    seen = replayed(windows_stage, over, runs_through(over, every_view))
    assert seen["replayed"] >= 10
    assert (seen["wrong process"] > 0) is (design not in SOUND)


def test_what_is_looked_up_never_has_the_value_that_is_watched(windows_stage: WindowsStage) -> None:
    """A closed value that comes up for another caller is left to the adversary."""
    child = windows_stage.new_process()
    watched = windows_stage.system.open_process(child.pid)
    windows_stage.system.close_handle(watched)
    calls: list[str] = []
    look_ups = LookUps(windows_stage.system, lambda op, _: calls.append(op), watched)
    found = look_ups.open_process(child.pid)
    assert found != watched
    assert calls == ["OpenProcess"]
    with pytest.raises(Win32Error, match="CloseHandle: Win32 error 6"):
        windows_stage.system.close_handle(watched)
    windows_stage.system.close_handle(found)


def test_a_trace_of_another_system_is_refused_in_one_line() -> None:
    """Linux' traces on Windows, and the other way round: exit 3, with what would help."""
    (capability,) = (p.run() for p in PROBES if p.id == "win32-processes")
    other = "go-67641" if capability.available else "windows-wait-wait"
    command = [sys.executable, "-m", "lastref.conformance.cli", "replay", other]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 3, ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "run it on" in ran.stderr


@pytest.mark.parametrize(
    "case", ["windows-wait-wait", "windows-literal-panics", "windows-stale-handle"]
)
def test_a_named_case_of_windows_is_replayed(windows_stage: WindowsStage, case: str) -> None:
    """`lastref replay CASE` does what the stored schedule says, on Windows itself."""
    command = [sys.executable, "-m", "lastref.conformance.cli", "replay", case, "--times", "3"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "replay: pass" in ran.stdout


@pytest.mark.parametrize("design", SOUND)
def test_real_threads_do_what_greenlets_do(windows_stage: WindowsStage, design: str) -> None:
    """The schedule decides, not the driver: runs through every transition, with real threads."""
    over = system(design, "kill", "release")
    seen = replayed(windows_stage, over, runs_through(over), ThreadDriver)
    assert seen["wrong process"] == 0


def test_before_2024_a_second_wait_hangs(windows_stage: WindowsStage) -> None:
    """W;W and R;W: the model breaks no-hang, and the real call would not return."""
    for calls in ("wait;wait", "release;wait"):
        over = system("go-2016", calls)
        traces = [record(over, s) for s in interleavings(over)]
        assert {t.broken for t in traces} == {"no-hang"}
        for trace in traces:
            done = replay(trace, WINDOWS_SUBJECTS["go-2016", "windows"], windows_stage)
            assert done.divergence is None, str(done.divergence)
