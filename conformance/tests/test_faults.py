"""The real faults: every design does what its documents say, and a wrong one is told apart."""

from __future__ import annotations

import sys
from collections import defaultdict

import pytest

from lastref.conformance.contained import children, contained, descriptors
from lastref.conformance.faults import DESIGNS, ROWS, Row, examine, fault_tasks
from lastref.conformance.faults.rows import BY_PID, HANDLE
from lastref.conformance.faults.seccomp import refuse
from lastref.conformance.real import RealTask
from lastref.conformance.results import Verdict
from lastref.impl.errors import outcome
from lastref.impl.faults import Fault, faulty
from lastref.impl.history.pid_naive import NaiveProcess
from lastref.impl.parts import Parts
from lastref.impl.process import Process
from lastref.impl.system import Child

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="its processes are Linux's")

TASKS: dict[str, list[RealTask]] = defaultdict(list)
for task in fault_tasks():
    TASKS[task.id].append(task)
BY_ID = {row.id: row for row in ROWS}


@pytest.mark.parametrize("name", TASKS)
def test_every_design_does_under_the_fault_what_its_documents_say(name: str) -> None:
    """The outcomes are the row's, and no descriptor and no child is left."""
    checks = [each.run() for each in TASKS[name]]
    wrong = [f"{c.id}: {c.reason}" for c in checks if c.verdict is not Verdict.PASS]
    if wrong and all(c.verdict is Verdict.SKIPPED for c in checks):
        pytest.skip(checks[0].reason)
    assert not wrong


def test_the_rows_cover_every_fault_and_every_design() -> None:
    """Each call with each errno, both limits, and each design somewhere; no id comes twice."""
    assert len(BY_ID) == len(ROWS)
    for call in ("pidfd_open", "pidfd_send_signal", "waitid-pidfd", "waitid", "start/clone3"):
        for error in ("ENOSYS", "EPERM", "EINVAL"):
            assert f"{call}={error}" in BY_ID
    assert {"find/EMFILE", "probe/EMFILE", "start/EMFILE", "start/EAGAIN", "EINTR"} <= BY_ID.keys()
    assert {name for row in ROWS for name in row.expected} == {*HANDLE, *BY_PID} == DESIGNS.keys()


NOTICED = {
    Fault.NO_EINTR_LOOP: "EINTR",
    Fault.ESRCH_AS_IS: "SIGCHLD-ignored",
    Fault.WRONG_REASON: "none",
    Fault.RELEASE_KEEPS_REFERENCE: "none",
}


@pytest.mark.parametrize(("fault", "row"), NOTICED.items())
def test_a_fault_in_the_implementation_is_noticed(fault: Fault, row: str) -> None:
    """go-2024 with one thing done wrong does not pass the row that is about it."""
    found = examine(BY_ID[row], "go-2024", faulty(fault))
    assert found.verdict is Verdict.BROKEN
    assert found.reason


def test_a_reference_lost_on_an_error_path_is_noticed() -> None:
    """A descriptor that stays open after a failed Wait breaks the row, though outcomes agree."""
    found = examine(BY_ID["foreign-reaper"], "go-2024", faulty(Fault.LEAK_ON_ERROR))
    assert found.verdict is Verdict.BROKEN
    assert "1 descriptors" in found.reason


def test_one_design_does_not_pass_for_another() -> None:
    """The fallback per call of 2023 and the fixed mode of 2024 are told apart."""
    row = BY_ID["late/waitid-pidfd=ENOSYS"]
    assert examine(row, "go-2023-pidfd", Process).verdict is Verdict.BROKEN
    assert examine(row, "go-2024", DESIGNS["go-2023-pidfd"]).verdict is Verdict.BROKEN


def test_a_scenario_that_fails_is_incomplete_and_no_pass() -> None:
    """An error of the check itself is named, and nothing is said to hold."""
    row = Row("made-up", "no-such-scenario", {"go-2024": "nil"})
    found = examine(row, "go-2024", Process)
    assert found.verdict is Verdict.INCOMPLETE
    assert "no-such-scenario" in found.reason


def _refused() -> tuple[str, str]:
    refuse("pidfd_open=EPERM")
    parts = Parts.linux()
    child = parts.system.spawn(["true"], pidfd=False)
    opened = outcome(lambda: parts.system.pidfd_open(child.pid))
    naive = NaiveProcess.adopt(Child(child.pid, None), parts)
    return opened, outcome(naive.wait)


def test_a_filter_refuses_its_call_and_no_other() -> None:
    """pidfd_open fails with the errno asked for; starting and waiting go on."""
    assert contained(_refused).result == ("EPERM", "ok")


def test_no_row_leaves_a_process_or_a_descriptor_in_the_suite() -> None:
    """After a failed start and a storm of signals the suite is as before."""
    started, opened = children(), descriptors()
    for name in ("fault/start/EMFILE", "fault/EINTR", "fault/forked"):
        TASKS[name][0].run()
    assert children() <= started
    assert descriptors() <= opened
