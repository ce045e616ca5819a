"""Real processes, real pidfds: the implementation does what the model says, or it is seen."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace as changed
from pathlib import Path

import pytest

from lastref.conformance.cells import read_word
from lastref.conformance.contained import children, descriptors
from lastref.conformance.driver import GreenletDriver
from lastref.conformance.driver_threads import ThreadDriver
from lastref.conformance.interleavings import interleavings
from lastref.conformance.replay import DriverFactory, Replay, replay
from lastref.conformance.stage import Stage
from lastref.conformance.subjects import SUBJECTS, subject
from lastref.conformance.trace import Trace, parse, record
from lastref.impl.process import Process
from lastref.model.algebra import TRUE
from lastref.model.designs import get
from lastref.model.explore import explore
from lastref.model.system import System, scenario

GO_2024 = SUBJECTS["go-2024", "linux"]
GO_2023 = SUBJECTS["go-2023-pidfd", "linux"]


@pytest.fixture(params=[False, True], ids=["programs", "light"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A stage that must leave no process and no file descriptor behind."""
    before = descriptors()
    others = children()  # such as the tracker of resources that multiprocessing keeps for itself
    with Stage(light=request.param) as made:
        yield made
    assert descriptors() <= before
    assert children() <= others


def traces(design: str, *calls: str) -> Iterator[Trace]:
    """Every inequivalent interleaving of `calls`, recycling at once."""
    system = System(get(design), scenario(*calls, urgent=["reopen"]))
    return (record(system, schedule) for schedule in interleavings(system))


@pytest.mark.parametrize(
    "calls",
    [
        ("signal", "release"),
        ("kill", "release"),
        ("wait", "release"),
        ("wait", "kill"),
        ("wait;wait", "release"),
        ("wait;release;wait", "signal"),
        ("foreign;release;foreign",),
    ],
)
def test_go_2024_follows_the_model_through_every_interleaving(
    stage: Stage, calls: tuple[str, ...]
) -> None:
    """Word, handle, processes and outcomes agree after every step, and the bystander is safe."""
    count = 0
    for trace in traces("go-2024", *calls):
        done = replay(trace, GO_2024, stage)
        assert done.divergence is None, done.divergence
        assert not done.hit
        assert done.steps == len(trace.steps)
        count += 1
    assert count > 0


def test_issue_67641_signals_the_wrong_process(stage: Stage) -> None:
    """Swap, then close: the shortest counterexample of the model kills a real bystander."""
    system = System(get("go-2023-pidfd"), scenario("kill", "release"))
    found = explore(system, stop_at="no-wrong-process")
    shortest = record(system, found.counterexamples["no-wrong-process"].steps)
    assert len(shortest.steps) == 6
    for _ in range(10):
        done = replay(shortest, GO_2023, stage)
        assert done.divergence is None, done.divergence
        assert done.hit
        assert done.outcomes["K1"] == ("nil",)


def test_the_fix_is_immune_to_the_schedule_of_issue_67641(stage: Stage) -> None:
    """Where the 2023 handle is closed under its user, the word keeps it open until the last one."""
    late_kill = parse("go-2024/linux:kill,release:K1.K1.R1.R1.K1.K1.K1.K1.reopen")
    done = replay(late_kill, GO_2024, stage)
    assert done.divergence is None, done.divergence
    assert not done.hit
    assert done.outcomes == {"K1": ("nil",), "R1": ("nil",)}


def first_divergence(done: Iterator[Replay]) -> Replay:
    """Return the first replay that diverged."""
    return next(r for r in done if r.divergence is not None)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("signal.load", {"to": "signal.send"}),
        ("free.cas.last", {"to": "end"}),
        ("release.load.late", {"outcome": "EINVAL"}),
        ("signal.load.released", {"outcome": "EPD"}),
        ("release.cas.last", {"update": ()}),
        ("free.load", {"op": "compare_exchange"}),
    ],
)
def test_a_model_that_says_something_else_diverges(
    stage: Stage, name: str, change: dict[str, object]
) -> None:
    """Each column of the table is compared: where to, outcome, update, action."""
    table = get("go-2024")
    mutant = changed(
        table,
        commands=tuple(
            changed(c, **change) if c.name == name else c  # type: ignore[arg-type]
            for c in table.commands
        ),
    )
    system = System(mutant, scenario("signal", "release;release", urgent=["reopen"]))
    runs = (replay(record(system, schedule), GO_2024, stage) for schedule in interleavings(system))
    diverged = first_divergence(runs)
    assert "lastref replay 'go-2024/linux:signal,release;release:" in str(diverged.divergence)


def test_an_acquire_without_its_guard_is_noticed_by_the_replay(stage: Stage) -> None:
    """The model lets a Signal in after Release; the real word does not: a divergence."""
    table = get("go-2024")
    mutant = changed(
        table,
        commands=tuple(
            changed(c, guard=TRUE) if c.name == "signal.load" else c
            for c in table.commands
            if c.name not in ("signal.load.done", "signal.load.released")
        ),
    )
    system = System(mutant, scenario("signal", "release", urgent=["reopen"]))
    runs = (replay(record(system, schedule), GO_2024, stage) for schedule in interleavings(system))
    assert first_divergence(runs).divergence is not None


def test_a_blocked_wait_is_not_called(stage: Stage) -> None:
    """The stage tells that a waitid would block without calling it, and the model agrees."""
    trace = parse("go-2024/linux:wait,release:W1.W1.R1.R1.exit.W1.W1.W1.W1.W1.reopen")
    done = replay(trace, GO_2024, stage)
    assert done.divergence is None, done.divergence
    assert done.outcomes["W1"] == ("ok",)


def test_real_threads_do_what_greenlets_do(stage: Stage) -> None:
    """The same schedule gives the same log, run after run and whatever carries the actors."""
    sample = list(traces("go-2024", "wait", "kill", "release"))[::97]
    for trace in sample:
        runs = [
            replay(trace, GO_2024, stage, driver)
            for driver in (GreenletDriver, GreenletDriver, ThreadDriver)
        ]
        assert runs[0].divergence is None, runs[0].divergence
        assert len(runs[0].log) == len(trace.steps) + 1
        assert runs[0].log == runs[1].log == runs[2].log
        assert runs[0].outcomes == runs[1].outcomes == runs[2].outcomes


def test_real_threads_hit_the_wrong_process_too(stage: Stage) -> None:
    """Issue 67641 with two operating-system threads: the same schedule, the same victim."""
    trace = parse("go-2023-pidfd/linux:kill,release:K1.K1.R1.R1.reopen.K1")
    done = replay(trace, GO_2023, stage, ThreadDriver)
    assert done.divergence is None, done.divergence
    assert done.hit


class Sneaky(Process):
    """An implementation that closes its handle once more, past every seam."""

    def release(self) -> None:
        """Release, and then close what a Wait may still use."""
        super().release()
        with contextlib.suppress(OSError):
            os.close(self._handle)


def test_what_is_done_unseen_is_found_out_at_the_end(stage: Stage) -> None:
    """Only after a system call is the kernel asked, and once more when all is over."""
    trace = parse("go-2024/linux:kill,release:K1.K1.R1.R1")
    assert replay(trace, GO_2024, stage).divergence is None
    done = replay(trace, subject(Sneaky.adopt, word=read_word), stage)
    assert done.divergence is not None
    assert (done.divergence.what, done.divergence.seen) == ("handle after release.cas", "closed")


def test_a_process_that_is_left_as_it_was_serves_again(stage: Stage) -> None:
    """One that a trace ends or kills is replaced by another."""
    harmless = parse("go-2024/linux:signal,release:S1.S1.S1.S1.S1.R1.R1.R1")
    fatal = parse("go-2024/linux:kill:K1.K1.K1.K1.K1")
    pids = []
    for trace in (harmless, harmless, fatal, harmless):
        assert replay(trace, GO_2024, stage).divergence is None
        assert stage.process is not None
        pids.append(stage.process.pid)
    assert pids[0] == pids[1] == pids[2] != pids[3]


def test_the_elder_of_two_is_who_the_trace_says(stage: Stage) -> None:
    """Where they are the other way round, the two processes change places."""
    first = stage.new_process()
    second = stage.bystander
    assert stage.with_eldest(ours=True) is first
    assert stage.with_eldest(ours=False) is second
    assert stage.bystander is first
    second.end()
    third = stage.new_process()
    assert stage.with_eldest(ours=False) is third
    assert stage.with_eldest(ours=True) is first


@pytest.mark.parametrize("driver_of", [GreenletDriver, ThreadDriver])
def test_the_driver_keeps_an_error_that_is_no_outcome(driver_of: DriverFactory) -> None:
    """A defect in the code under test ends its actor and is kept, not swallowed."""

    def call(method: str) -> str:
        raise RuntimeError(method)

    driver = driver_of(call, [("W1", ("wait",))])
    driver.start()
    assert isinstance(driver.actors["W1"].error, RuntimeError)
    driver.close()


@pytest.mark.parametrize("driver_of", [GreenletDriver, ThreadDriver])
def test_an_actor_that_is_ended_performs_no_further_operation(driver_of: DriverFactory) -> None:
    """Tear-down runs no operation of the code under test, not even in its `finally`."""
    performed: list[str] = []

    def call(method: str) -> str:
        try:
            driver.hook("first", ())
            performed.append("first")
        finally:
            driver.hook("second", ())
            performed.append("second")
        return method

    driver = driver_of(call, [("W1", ("wait",))])
    driver.start()
    driver.close()
    assert performed == []


@pytest.mark.parametrize("driver_of", [GreenletDriver, ThreadDriver])
def test_a_driver_that_was_closed_starts_anew(driver_of: DriverFactory) -> None:
    """Whether a call was ended or had returned, all calls are still to be made, by new actors."""
    performed: list[str] = []

    def call(method: str) -> str:
        try:
            driver.hook("first", (1,))
        finally:
            driver.hook("second", ())
        performed.append(method)
        return method.upper()

    driver = driver_of(call, [("W1", ("wait",)), ("K1", ("kill",))])
    for steps in (0, 1, 2, 1, 2):
        driver.start()
        assert [a.pending for a in driver.actors.values()] == [("first", (1,))] * 2
        for _ in range(steps):
            actor = driver.step("W1")
        if steps == 2:
            assert (actor.pending, actor.outcomes, actor.error) == (None, ["WAIT"], None)
        driver.close()
        assert driver.actors["K1"].outcomes == []
    assert performed == ["wait", "wait"]


def test_a_stage_without_its_program_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A machine that lacks what the replay needs is told so, with exit code 3."""
    from lastref.conformance.errors import UserError

    monkeypatch.setattr("platform.machine", lambda: "pdp11")  # no code of ours for this one
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="was not found") as caught:
        Stage()
    assert caught.value.exit_code == 3
