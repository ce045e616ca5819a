"""The stress: sound designs pass, every wrong one is caught, and the judge judges right."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lastref.conformance.sandbox import Sandbox, unavailable
from lastref.conformance.stage import Stage
from lastref.conformance.stress import SUBJECTS, Plan, Subject, Tally, hammer, hammer_inside
from lastref.conformance.stress.hammer import programs
from lastref.conformance.stress.monitor import Event, Monitor
from lastref.conformance.stress.spec import Specification
from lastref.impl.faults import Fault, faulty

_REASON = unavailable()
sandboxed = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))

FORCED = 1e-6
"""A switch interval in seconds at which a thread is sent away nearly wherever it is."""
PATIENCE = 300
"""Seconds until something that must come is given up: what it takes seconds for, if that."""
HANG = 100
"""Seconds until a program that must end is said to hang."""


def history(text: str) -> list[Event]:
    """Return the events of `1 wait, 1 wait ok, …`: thread, operation, outcome if it returns."""
    words = [line.split() for line in text.split(",")]
    return [Event(int(w[0]), w[1], w[2] if len(w) > 2 else None) for w in words]


ALLOWED = {
    "a Wait blocked when Release runs succeeds": (
        "0 wait, 1 release, 1 release nil, 1 signal, 1 signal REL, 1 exit, 1 exit nil, 0 wait ok"
    ),
    "of two Waits one reaps and one is told so": (
        "0 wait, 1 wait, 2 kill, 2 kill nil, 1 wait ok, 0 wait waitid:ECHILD"
    ),
    "a Signal may begin before Wait's end and be told afterwards": (
        "2 exit, 2 exit nil, 0 signal, 1 wait, 1 wait ok, 0 signal EPD"
    ),
    "between reaping and marking, a Signal is told EPD and then a Release wins": (
        "2 exit, 2 exit nil, 0 wait, 1 signal, 1 signal EPD, 1 release, 1 release nil, "
        "1 signal, 1 signal REL, 0 wait ok"
    ),
    "the number of a reaped process may be anyone's": (
        "0 exit, 0 exit nil, 0 wait, 0 wait ok, 0 find, 0 find nil, 0 find, 0 find EPD"
    ),
}
REFUSED = {
    "a Wait that returns before the process ends": "0 wait, 0 wait ok",
    "a Signal that succeeds after Wait": (
        "0 kill, 0 kill nil, 0 wait, 0 wait ok, 1 signal, 1 signal nil"
    ),
    "two Waits that both succeed": "0 kill, 0 kill nil, 0 wait, 1 wait, 0 wait ok, 1 wait ok",
    "a live process that is not found": "0 find, 0 find EPD",
    "a released handle that still works": "0 release, 0 release nil, 1 signal, 1 signal nil",
    "a status that changes": (
        "0 release, 0 release nil, 1 signal, 1 signal REL, 1 signal, 1 signal EPD"
    ),
    "a closed descriptor": "0 signal, 0 signal EBADF",
}


@pytest.mark.parametrize("text", ALLOWED.values(), ids=ALLOWED)
def test_what_the_design_promises_is_allowed(text: str) -> None:
    """The judge accepts each history that the design's own documents allow."""
    assert Monitor(Specification(), 3).judge(history(text)) is None


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_no_order_explains_is_refused(text: str) -> None:
    """The judge refuses at the last event, and says what was allowed there."""
    events = history(text)
    refuted = Monitor(Specification(), 3).judge(events)
    assert refuted is not None
    assert refuted.at == len(events) - 1
    assert refuted.event.outcome not in refuted.allowed


def test_the_judge_says_the_same_again_from_what_it_kept() -> None:
    """A history is judged alike by the automaton's first walk and by its second."""
    monitor = Monitor(Specification(), 3)
    for _ in range(2):
        assert all(monitor.judge(history(text)) is None for text in ALLOWED.values())
        assert all(monitor.judge(history(text)) is not None for text in REFUSED.values())


def test_the_programs_follow_from_seed_and_round() -> None:
    """The same seed and round give the same programs, others give others."""
    subject = SUBJECTS["go-2024"]
    plan = Plan(seconds=1, seed=5)
    assert programs(plan, subject, 3) == programs(plan, subject, 3)
    assert programs(plan, subject, 3) != programs(plan, subject, 4)
    assert programs(plan, subject, 3) != programs(Plan(seconds=1, seed=6), subject, 3)
    for which in range(50):
        first = programs(plan, subject, which)[0]
        assert "exit" in first
        assert "wait" not in first[: first.index("exit")]


@pytest.mark.parametrize("design", ["go-2024", "go-2025"])
def test_a_sound_design_holds_in_place(design: str) -> None:
    """Without a namespace: no law is broken, every handle's number is handed out again."""
    with Stage() as stage:
        tally = hammer(Plan(PATIENCE, rounds=60, seed=1), SUBJECTS[design], stage)
    assert tally.failure is None, tally.failure
    assert tally.rounds == 60
    assert tally.operations > 60 * 4 * 16
    assert tally.fds_recycled > 0


def hammer_named(plan: Plan, design: str) -> Tally:
    """Run inside the sandbox."""
    return hammer_inside(plan, SUBJECTS[design])


def test_it_ends_after_the_operations_that_were_asked_for() -> None:
    """With a number of calls it goes on until they were made, and then ends with its round."""
    with Stage() as stage:
        tally = hammer(Plan(PATIENCE, operations=500, seed=1), SUBJECTS["go-2024"], stage)
        shorter = Plan(PATIENCE, rounds=tally.rounds - 1, seed=1)
        before = hammer(shorter, SUBJECTS["go-2024"], stage)
    assert before.operations < 500 <= tally.operations


@sandboxed
@pytest.mark.parametrize("design", ["go-2024", "go-2025", "go-2016", "go-2024-pid"])
def test_a_sound_design_holds_while_pids_come_back(design: str) -> None:
    """Inside a namespace: no law is broken although pids went to strangers meanwhile."""
    with Sandbox() as sandbox:
        tally = sandbox.call(hammer_named, Plan(PATIENCE, rounds=60, seed=1), design)
        # A stranger is told to end and is process 1's to wait for.
        assert {stray.command for stray in sandbox.strays} <= {"victim"}
    assert tally.failure is None, tally.failure
    assert tally.rounds == 60
    assert tally.pids_recycled > 0


WRONG = ("go-2023-pidfd", "go-2023-find", "go-2023-reland", "pid-naive")


@sandboxed
@pytest.mark.parametrize("design", WRONG)
def test_a_design_with_a_race_is_caught(design: str) -> None:
    """The races of old come up by themselves, when threads are sent away often."""
    with Sandbox() as sandbox:
        tally = sandbox.call(hammer_named, Plan(PATIENCE, switch_interval=FORCED), design)
    assert tally.failure is not None
    assert tally.failure.history


def hammer_faulty(plan: Plan, fault: Fault) -> Tally:
    """Run inside the sandbox."""
    design = faulty(fault)
    return hammer_inside(plan, Subject(design.adopt, design.find))


UNSAFE = {"linearizable", "no-wrong-process", "no-hang", "no-leak", "no-zombie"}
"""What can come of it when a number is used or closed that may be somebody else's by now."""
CAUGHT = {
    Fault.NO_ACQUIRE: UNSAFE,
    Fault.CLOSE_AT_RELEASE: UNSAFE,
    Fault.CLOSE_BEFORE_CAS: UNSAFE,
    Fault.ACQUIRE_IGNORES_DONE: UNSAFE,
    Fault.ACQUIRE_IGNORES_RELEASED: UNSAFE,
    Fault.NO_RETRY: UNSAFE,
    Fault.RELEASE_IGNORES_STATUS: UNSAFE,
    Fault.RELEASE_KEEPS_REFERENCE: {"no-leak"},
    Fault.WRONG_REASON: {"linearizable"},
    Fault.LEAK_ON_ERROR: {"no-leak"},
    Fault.ESRCH_AS_IS: {"linearizable"},
    Fault.DONE_BEFORE_REAP: {"linearizable"},
    Fault.NO_EINTR_LOOP: {"linearizable"},
}
"""Every fault, and which law each can be seen to break."""


def test_no_fault_is_left_out() -> None:
    """Free-running threads meet all the faults that there are."""
    assert set(CAUGHT) == set(Fault)


def test_who_does_not_go_on_after_an_interruption_is_not_interrupted() -> None:
    """The designs of before 2023 have no such loop, and it is no fault of theirs."""
    assert {name for name, s in SUBJECTS.items() if "interrupt" not in s.weights} == {
        "go-2016",
        "pid-naive",
    }


@sandboxed
@pytest.mark.parametrize("fault", CAUGHT)
def test_a_fault_in_the_implementation_is_caught(fault: Fault) -> None:
    """With one thing done wrong the stress turns red, by a law that the fault can break."""
    with Sandbox() as sandbox:
        tally = sandbox.call(hammer_faulty, Plan(PATIENCE, switch_interval=FORCED), fault)
    assert tally.failure is not None
    assert tally.failure.law in CAUGHT[fault], tally.failure.text


def lastref(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "lastref.conformance.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1"},
    )


def test_the_command_passes_on_the_sound_design(tmp_path: Path) -> None:
    """`lastref stress --json` exits 0 and says how much was done; nothing is kept."""
    done = lastref("stress", "--seconds", "1.5", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["operations"] > 0
    assert {check["verdict"] for check in result["checks"]} <= {"pass", "skipped"}
    assert list(tmp_path.iterdir()) == []


def test_the_command_keeps_a_broken_round_and_names_the_command(tmp_path: Path) -> None:
    """On the design of 2023 it exits 1, prints the threads' columns, and keeps the history."""
    done = lastref("stress", "--seconds", str(PATIENCE), "--design", "go-2023-pidfd", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    (kept,) = tmp_path.iterdir()
    failure = json.loads(kept.read_text(encoding="utf-8"))
    assert failure["command"] in " ".join(done.stdout.split())
    assert "T1" in done.stderr
    assert failure["history"]


def test_a_run_of_no_time_is_incomplete(tmp_path: Path) -> None:
    """Where nothing ran, nothing is said to hold: exit 2."""
    assert lastref("stress", "--seconds", "0", cwd=tmp_path).returncode == 2


@sandboxed
def test_an_interrupt_ends_it_and_leaves_nobody(tmp_path: Path) -> None:
    """Ctrl-C exits 2 with one line, and the sandbox with everything in it is gone."""
    running = subprocess.Popen(
        [sys.executable, "-m", "lastref.conformance.cli", "stress", "--seconds", "600"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # A shell that runs the tests in the background has it ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    watched: list[int] = []
    try:
        while not watched:
            assert running.poll() is None
            select.select([], [], [], 0.01)
            for pid in children.read_text(encoding="ascii").split():
                with contextlib.suppress(ProcessLookupError):  # its look at what is allowed is over
                    watched.append(os.pidfd_open(int(pid)))
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=HANG)
        # Who ends closes what it printed to a moment before it is gone.
        ended = [pidfd for pidfd in watched if select.select([pidfd], [], [], HANG)[0]]
    finally:
        running.kill()
        running.wait()
        for pidfd in watched:
            os.close(pidfd)
    assert running.returncode == 2, said
    assert "interrupted" in said
    assert len(said.splitlines()) == 1
    assert ended == watched
