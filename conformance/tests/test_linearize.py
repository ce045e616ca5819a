"""The judge of histories: sound for every run of the model, and blind to none of the wrong ones."""

from __future__ import annotations

import itertools

import pytest

from lastref.conformance.interleavings import interleavings
from lastref.conformance.linearize import Judge, NotAllowed
from lastref.conformance.situations import beginning
from lastref.conformance.specification import Specification
from lastref.model import designs
from lastref.model.system import KERNEL, Step, System, scenario


def judge(name: str = "go-2024/linux", situation: str = "child") -> Judge:
    """Return a judge for a design and a situation."""
    specification = beginning(name, situation).specification
    assert specification is not None
    return Judge(specification)


def one(judged: Judge, number: int, method: str, outcome: str) -> object:
    """Let a call run alone and return what the judge says to its outcome."""
    judged.invoke(number, method)
    return judged.returns(number, outcome)


def follow(
    specification: Specification, system: System, steps: tuple[Step, ...]
) -> NotAllowed | None:
    """Return what the judge says to the history that a run of the model shows."""
    judged = Judge(specification)
    numbers = {t.name: n for n, t in enumerate(system.scenario.threads, 1)}
    begun: set[str] = set()
    outcomes: dict[str, str] = {}
    for step in steps:
        if step.actor == KERNEL:
            if step.name == "exit":
                judged.exit()
            continue
        index = numbers[step.actor] - 1
        if step.actor not in begun:
            begun.add(step.actor)
            judged.invoke(numbers[step.actor], system.scenario.threads[index].calls[0])
        assert step.command is not None
        outcomes[step.actor] = step.command.outcome or outcomes.get(step.actor, "")
        if system.is_done(step.state[1][index], index):
            refused = judged.returns(numbers[step.actor], outcomes[step.actor])
            if refused is not None:
                return refused
    return None


@pytest.mark.parametrize("calls", list(itertools.product(["wait", "signal", "release"], repeat=2)))
def test_every_run_of_the_model_is_accepted(calls: tuple[str, ...]) -> None:
    """Whatever two calls of go-2024 do in the full model, step by step, some order explains."""
    system = System(designs.get("go-2024"), scenario(*calls))
    specification = Specification(system.table)
    followed = [follow(specification, system, steps) for steps in interleavings(system)]
    assert followed
    assert not [refused for refused in followed if refused is not None]


@pytest.mark.parametrize(
    ("calls", "outcome"),
    [
        (["wait", "wait"], "ok"),
        (["wait", "signal"], "nil"),
        (["wait", "kill"], "nil"),
        (["release", "wait"], "ok"),
        (["release", "signal"], "nil"),
        (["signal"], "EPD"),
        (["release"], "EINVAL"),
    ],
)
def test_a_wrong_outcome_is_refused_with_the_right_one(calls: list[str], outcome: str) -> None:
    """The last call's outcome is not one of the specification's, and it says which are."""
    judged = judge()
    if "wait" in calls:
        judged.exit()
    right = {"wait": "ok", "signal": "nil", "release": "nil"}
    for number, method in enumerate(calls[:-1], 1):
        assert one(judged, number, method, right[method]) is None
    refused = one(judged, len(calls), calls[-1], outcome)
    assert refused is not None
    assert "the specification allows" in str(refused)
    assert outcome not in str(refused).rpartition("allows")[2].split()


def test_a_wait_cannot_return_before_the_process_ends() -> None:
    """With the process running, a Wait that returns is explained by nothing."""
    judged = judge()
    assert str(one(judged, 1, "wait", "ok")).endswith("allows only that it waits")


def test_a_blocked_wait_outlives_a_release() -> None:
    """Wait began, Release returned, then the process ended: Wait succeeds; a later one does not."""
    judged = judge()
    judged.invoke(1, "wait")
    assert one(judged, 2, "release", "nil") is None
    judged.exit()
    assert judged.returns(1, "ok") is None
    assert one(judged, 3, "wait", "EINVAL") is None


@pytest.mark.parametrize(
    ("outcome", "fits"),
    [("ok", True), ("waitid:EBADF", True), ("waitid:ECHILD", False), ("EPD", False)],
)
def test_a_waitid_that_sleeps_does_not_notice_the_close_of_its_number(
    outcome: str, fits: bool
) -> None:
    """go-2023-pidfd: the call went by what it found when it began, before the close or after it."""
    judged = judge("go-2023-pidfd/linux")
    judged.invoke(1, "wait")
    assert one(judged, 2, "release", "nil") is None
    judged.exit()
    assert (judged.returns(1, outcome) is None) is fits


def test_a_waitid_on_a_closed_number_does_not_sleep() -> None:
    """It can return before the process ends, and then it has found nothing."""
    judged = judge("go-2023-pidfd/linux")
    judged.invoke(1, "wait")
    assert one(judged, 2, "release", "nil") is None
    refused = judged.returns(1, "ok")
    assert refused is not None
    assert "waitid:EBADF" in refused.allowed
    assert "ok" not in refused.allowed


def test_of_two_waits_one_gets_the_process() -> None:
    """Two Waits blocked together cannot both succeed."""
    judged = judge()
    judged.invoke(1, "wait")
    judged.invoke(2, "wait")
    judged.exit()
    assert judged.returns(2, "ok") is None
    assert judged.returns(1, "ok") is not None


def test_the_word_is_judged_too() -> None:
    """After a Release the word is released with no reference, and nothing else."""
    judged = judge()
    assert one(judged, 1, "release", "nil") is None
    assert judged.observe("word", 1) == (1 << 63,)
    assert judged.observe("word", 1 << 63) is None


@pytest.mark.parametrize(
    ("name", "situation", "calls", "outcome"),
    [
        ("go-2024/linux", "missing", ["wait"], "EPD"),
        ("go-2024/linux-pid", "missing", ["wait"], "waitid:ECHILD"),
        ("go-2024/linux", "other", ["wait"], "waitid:ECHILD"),
        ("go-2024/linux", "zero", ["signal"], "UNINIT"),
        ("go-2025/linux", "missing", ["wait"], "waitid:ECHILD"),
        ("go-2025/linux", "missing", ["release", "signal"], "REL"),
    ],
)
def test_situations_begin_as_the_published_tables_say(
    name: str, situation: str, calls: list[str], outcome: str
) -> None:
    """Rows of the outcome tables: objects that no child is behind."""
    judged = judge(name, situation)
    for number, method in enumerate(calls[:-1], 1):
        assert one(judged, number, method, "nil") is None
    assert one(judged, len(calls), calls[-1], outcome) is None
