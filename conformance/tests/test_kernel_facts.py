"""The kernel's facts: each holds here or says why it was not asked, and a wrong one is noticed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

import pytest

from lastref.conformance.contained import Died, children, contained, descriptors
from lastref.conformance.kernel_stage import FACTS, Fact, NotSo, TooOld
from lastref.conformance.kernel_tasks import kernel_tasks
from lastref.conformance.results import Verdict

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="its processes are Linux's")

TASKS = {task.id: task for task in kernel_tasks()}


@pytest.mark.parametrize("name", TASKS)
def test_the_running_kernel_is_as_the_model_says(name: str) -> None:
    """The line holds on this kernel; one that this kernel is too old for is skipped with reason."""
    check = TASKS[name].run()
    if check.verdict is Verdict.SKIPPED:
        pytest.skip(check.reason)
    assert check.verdict is Verdict.PASS, check.reason


def test_every_line_of_the_checklist_is_there() -> None:
    """Four calls and the two kinds of number, each with its lines, and no line without a law."""
    families = {name.split("-")[0] for name in FACTS}
    assert families == {"open", "fdinfo", "nonblock", "signal", "wait", "poll", "pid", "fd"}
    assert len(FACTS) >= 30
    assert all(fact.law for fact in FACTS.values())


def _wrong() -> str:
    raise NotSo("the kernel gave 7")


def _leaking() -> str:
    os.pipe()
    return "fine"


def _abandoning() -> str:
    if os.fork() == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return "fine"


def _old() -> str:
    raise TooOld("it came with Linux 99.9")


def _failing() -> str:
    raise LookupError("no such thing")


def _opening() -> str:
    os.pipe()
    return "done"


def _dying() -> str:
    os._exit(3)


SEEN = {
    _wrong: (Verdict.BROKEN, "the kernel gave 7"),
    _leaking: (Verdict.BROKEN, "2 descriptors and 0 children"),
    _abandoning: (Verdict.BROKEN, "0 descriptors and 1 children"),
    _old: (Verdict.SKIPPED, "it came with Linux 99.9"),
    _failing: (Verdict.INCOMPLETE, "no such thing"),
    _dying: (Verdict.INCOMPLETE, "ended with 3"),
}


@pytest.mark.parametrize("check", SEEN, ids=lambda check: check.__name__)
def test_a_fact_that_does_not_hold_is_told(
    check: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong, leaking, too old, failing or dying: each gets its own verdict, and none passes."""
    monkeypatch.setitem(FACTS, "made-up", Fact("made-up", "a law", check))
    made = [task for task in kernel_tasks() if task.id == "kernel/made-up"]
    seen = made[0].run()
    verdict, reason = SEEN[check]
    assert seen.verdict is verdict
    assert reason in seen.reason


def test_a_contained_function_counts_what_it_leaves_behind() -> None:
    """Two descriptors more are counted; the suite itself has as many as before."""
    before = descriptors()
    done = contained(_opening)
    assert (done.result, done.descriptors, done.children) == ("done", 2, 0)
    assert descriptors() <= before


def test_a_contained_function_that_raises_is_told_with_its_traceback() -> None:
    """The text names the error."""
    with pytest.raises(Died, match="ZeroDivisionError"):
        contained(lambda: 1 // 0)


def test_no_fact_leaves_a_process() -> None:
    """After the checks this process has no child."""
    before = children()
    for name in ("kernel/signal-stopped", "kernel/poll-leader-gone", "kernel/wait-continue"):
        TASKS[name].run()
    assert children() <= before
