"""The suite on adapters that are wrong on purpose: each named for what it is, then cleared away."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastref.conformance.checker import MOST_TIMEOUTS, Checker
from lastref.conformance.contained import children
from lastref.conformance.outcomes import Outcome, Status
from lastref.conformance.suite import Case, all_cases

FLEET = Path(__file__).parent / "fleet" / "adapter.py"
PATIENCE = 20.0
"""Seconds for a message that comes: long enough for a busy machine."""
SHORT = 1.0
"""Seconds for a message that never comes; who is only late on a busy machine gets more."""
ASKED = ("adapter/handshake", "child/wait", "adapter/ending")


def program(vice: str) -> list[str]:
    """Return the command of one adapter of the fleet."""
    return [sys.executable, "-S", str(FLEET), vice]


def cases(*ids: str) -> list[Case]:
    """Return cases by their ids."""
    return [next(case for case in all_cases() if case.id == wanted) for wanted in ids]


def examine(vice: str, *ids: str, deadline: float = PATIENCE) -> dict[str, Outcome]:
    """Run some cases on one adapter of the fleet."""
    checker = Checker(program(vice), deadline)
    return {outcome.case: outcome for outcome in checker.run(cases(*ids))}


def marked(mark: str) -> set[str]:
    """Return the processes that have ``mark`` in their environment, whoever's children they are."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if mark.encode() in Path(f"/proc/{name}/environ").read_bytes():
                found.add(name)
    return found


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever an adapter does, no process and no descriptor of it is left when it is over."""
    mark = f"LASTREF_FLEET={os.getpid()}-{time.monotonic_ns()}"
    monkeypatch.setenv(*mark.split("="))
    before, files = children(), set(os.listdir("/proc/self/fd"))
    yield
    assert not marked(mark)
    assert children() <= before
    assert set(os.listdir("/proc/self/fd")) <= files


def test_the_correct_one_passes() -> None:
    """The adapter that all vices are changes of has none: every case asked passes."""
    outcomes = examine("none", *ASKED, "adapter/pipes", "adapter/declares-concurrent")
    assert {outcome.status for outcome in outcomes.values()} == {Status.PASS}


def test_a_child_ends_once_in_the_history() -> None:
    """Two Waits, the second after the end: the suite lets the child end before the first alone."""
    outcome = examine("none", "child/wait.wait")["child/wait.wait"]
    assert outcome.history[:3] == ("wait?", "exit", "wait → ok")
    assert outcome.history.count("exit") == 1


# vice, case, status, a part of the message
NAMED = [
    ("crashes-at-start", "adapter/handshake", Status.CRASH, "exited with 3"),
    ("hangs-at-start", "adapter/handshake", Status.TIMEOUT, "did not send 'ready'"),
    ("speaks-another-protocol", "adapter/handshake", Status.PROTOCOL_ERROR, "protocol 9 to 9"),
    ("crashes-in-an-operation", "child/wait", Status.CRASH, "killed by SIGSEGV"),
    ("exits-in-an-operation", "child/wait", Status.CRASH, "exited with 17"),
    ("hangs-before-invoke", "child/wait", Status.TIMEOUT, "the invocation of 'start'"),
    ("hangs-in-an-operation", "child/wait", Status.TIMEOUT, "the return of 'wait'"),
    ("garbage", "child/wait", Status.PROTOCOL_ERROR, "not JSON: Segmentation fault"),
    ("half-a-line", "child/wait", Status.PROTOCOL_ERROR, "half a line"),
    ("endless-line", "child/wait", Status.PROTOCOL_ERROR, "more than 1048576 bytes"),
    ("not-utf8", "child/wait", Status.PROTOCOL_ERROR, "not UTF-8"),
    ("no-object", "child/wait", Status.PROTOCOL_ERROR, "no JSON object"),
    ("unknown-outcome", "child/wait", Status.PROTOCOL_ERROR, "does not fit its schema: outcome"),
    ("wrong-id", "child/wait", Status.PROTOCOL_ERROR, "never asked for"),
    ("wrong-id-invoked", "child/wait", Status.PROTOCOL_ERROR, "never asked for"),
    ("returns-before-invoke", "child/wait", Status.PROTOCOL_ERROR, "before it was invoked"),
    ("returns-twice", "child/wait", Status.PROTOCOL_ERROR, "returned twice"),
    ("closes-its-output", "child/wait", Status.PROTOCOL_ERROR, "and still runs"),
    ("forks-and-exits", "child/wait", Status.CRASH, "exited with 0"),
    ("lies-about-the-pid", "child/wait", Status.DEVIATES, "not the child's"),
    ("lies-about-the-exit", "child/wait", Status.DEVIATES, "wait told code 0"),
    ("leaks-pipes", "adapter/pipes", Status.DEVIATES, "holds 1 of the protocol's pipes"),
    ("crashes-at-the-end", "adapter/ending", Status.CRASH, "killed by SIGABRT"),
    ("fails-at-the-end", "adapter/ending", Status.CRASH, "exited with 5"),
    ("ignores-bye", "adapter/ending", Status.TIMEOUT, "still ran after 1 s"),
    ("ignores-sigterm", "adapter/ending", Status.TIMEOUT, "ignored SIGTERM"),
    ("lies-about-concurrency", "adapter/declares-concurrent", Status.DEVIATES, "was not invoked"),
    ("lies-about-capabilities", "adapter/declares-find", Status.DEVIATES, "'find', but"),
    ("lies-about-capabilities", "adapter/declares-pidfd", Status.DEVIATES, "no pidfd"),
    ("lies-about-capabilities", "adapter/declares-reaps-itself", Status.DEVIATES, "a zombie"),
    ("lies-about-capabilities", "adapter/declares-observable-word", Status.DEVIATES, "word"),
]


@pytest.mark.parametrize(("vice", "case", "status", "said"), NAMED, ids=[n[0] for n in NAMED])
def test_a_vice_is_named_for_what_it_is(vice: str, case: str, status: Status, said: str) -> None:
    """Status and message tell the vice, and not another one."""
    silent = (
        "closes-its-output",
        "lies-about-capabilities",
        "lies-about-concurrency",
        "lies-about-the-pid",
    )
    waits = status is Status.TIMEOUT or vice in silent
    outcome = examine(vice, case, deadline=SHORT if waits else PATIENCE)[case]
    assert (outcome.status, said in outcome.message) == (status, True), outcome.message


def test_a_crash_keeps_the_raw_wait_status() -> None:
    """What the kernel said of the adapter is kept apart from what the suite makes of it."""
    outcome = examine("crashes-in-an-operation", "child/wait")["child/wait"]
    assert outcome.wait_status is not None
    assert os.WTERMSIG(outcome.wait_status) == 11
    hanging = examine("hangs-in-an-operation", "child/wait", deadline=SHORT)
    assert hanging["child/wait"].wait_status is None


@pytest.mark.parametrize(
    ("vice", "said"), [("leaves-children", "sleep (running)"), ("leaves-zombies", "true (zombie)")]
)
def test_what_is_left_behind_is_told(vice: str, said: str) -> None:
    """Processes that nobody asked for are named when the adapter has ended, then cleared away."""
    checker = Checker(program(vice), PATIENCE)
    outcomes = list(checker.run(cases("child/wait", "adapter/ending")))
    assert outcomes[-1].status is Status.DEVIATES
    assert said in outcomes[-1].message


def test_a_hanging_adapter_ends_the_run_early() -> None:
    """After some timeouts the rest is not run, and is incomplete rather than passed over."""
    wanted = [case for case in all_cases() if case.situation == "child"][: MOST_TIMEOUTS + 3]
    outcomes = list(Checker(program("hangs-at-start"), deadline=0.2).run(wanted))
    assert all(outcome.incomplete for outcome in outcomes)
    assert "not run" in outcomes[-1].message


def test_a_program_that_is_not_there_is_a_crash() -> None:
    """A command that cannot be started says so in the handshake."""
    (outcome,) = Checker(["/nonexistent/adapter"], 5.0).run(cases("adapter/handshake"))
    assert outcome.status is Status.CRASH
    assert "could not be started: No such file" in outcome.message


def test_a_fault_does_not_reach_the_next_case() -> None:
    """After a crash the next case is run on a new program."""
    outcomes = examine("crashes-in-an-operation", "child/wait", "child/signal")
    assert outcomes["child/wait"].status is Status.CRASH
    assert outcomes["child/signal"].status is Status.PASS
