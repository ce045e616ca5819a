"""Windows' facts: each holds there or says why it was not asked, and a wrong one is noticed."""

from __future__ import annotations

import pytest

from lastref.conformance.kernel_facts_windows import (
    WINDOWS_FACTS,
    WindowsFact,
    examine,
    windows_kernel_tasks,
)
from lastref.conformance.kernel_stage import NotSo, TooOld
from lastref.conformance.results import Verdict
from lastref.conformance.stage_windows import WindowsStage
from lastref.impl.errors import Win32Error

pytestmark = pytest.mark.needs("win32-processes")
TASKS = {task.id: task for task in windows_kernel_tasks()}


@pytest.mark.parametrize("name", TASKS)
def test_windows_is_as_the_model_says(name: str) -> None:
    """The line holds; one that Wine is known to answer otherwise is skipped there, with reason."""
    check = TASKS[name].run()
    if check.verdict is Verdict.SKIPPED:
        pytest.skip(check.reason)
    assert check.verdict is Verdict.PASS, check.reason
    assert check.extra["seen"]


def test_every_line_is_there() -> None:
    """A process, OpenProcess, a handle and a pid, each with lines, and each line with a law."""
    families = {name.split("-")[0] for name in WINDOWS_FACTS}
    assert families == {"process", "open", "handle", "pid"}
    assert len(WINDOWS_FACTS) >= 12
    assert all(line.law for line in WINDOWS_FACTS.values())


def _wrong(_stage: WindowsStage) -> str:
    raise NotSo("Windows gave 7")


def _elsewhere(_stage: WindowsStage) -> str:
    raise TooOld("Wine 8.0 has no such thing")


def _failing(_stage: WindowsStage) -> str:
    raise Win32Error("OpenProcess", 8)


@pytest.mark.parametrize(
    ("check", "verdict", "reason"),
    [
        (_wrong, Verdict.BROKEN, "Windows gave 7"),
        (_elsewhere, Verdict.SKIPPED, "Wine 8.0 has no such thing"),
        (_failing, Verdict.INCOMPLETE, "the check itself failed"),
    ],
)
def test_a_line_that_does_not_hold_is_noticed(check: object, verdict: Verdict, reason: str) -> None:
    """Wrong is broken, absent is skipped, and a check that fails by itself is incomplete."""
    found = examine(WindowsFact("x", "a law", check))  # type: ignore[arg-type]
    assert found.verdict is verdict
    assert reason in found.reason
