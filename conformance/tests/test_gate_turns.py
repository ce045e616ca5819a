"""What the program's own threads race for goes to who came first, the same one each time."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

import pytest

from lastref.conformance.adapters import registry
from lastref.conformance.gate.launch import take_turns
from lastref.conformance.gate.run import program
from lastref.conformance.gate.scenario import Scenario
from lastref.conformance.gate.session import Session
from lastref.conformance.gate.testee import Program
from lastref.conformance.sandbox import run_in_namespace, unavailable

_REASON = unavailable()
pytestmark = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))

RACE = Scenario.parse("start|wait,wait,start.b")
SCHEDULES = (
    # both sleep in waitid when the child ends: who reaps it?
    "W1 W1 S1 W2 S1 S1 W2 exit(a) exit(b)",
    # the fork keeps the GIL while two Waits are asked for, and one has reaped
    "W1 S1 exit(a) W1 W2 S1 S1 W2 exit(b)",
    "W1 S1 W1 exit(a) W2 S1 S1 W2 exit(b)",
    "S1 W1 S1 W1 W2 S1 W2 exit(a) exit(b)",
)
TIMES = 6


def seen(wanted: Program) -> tuple[int, int, list[int]]:
    """Return the testee's policy, its processors, and how many ways each schedule went."""
    with Session(wanted) as session:
        pid = session.ready.pid
        ways = []
        for schedule in SCHEDULES:
            went = set()
            for _ in range(TIMES):
                run = session.run(RACE, schedule.split())
                went.add((tuple((s.actor, s.enabled, s.shown) for s in run.steps), run.history))
            ways.append(len(went))
        return os.sched_getscheduler(pid), len(os.sched_getaffinity(pid)), ways


def test_what_two_threads_race_for_goes_the_same_way_each_time() -> None:
    """One processor, first come, first served: without it every fifth of these went otherwise."""
    wanted = program(registry.resolve("cpython-pidfd").prepare(), RACE)
    policy, processors, ways = run_in_namespace(seen, wanted)
    assert processors == 1
    if policy != os.SCHED_FIFO:
        assert policy == os.SCHED_OTHER
        pytest.skip("only root may ask that threads are served as they come")
    assert ways == [1] * len(SCHEDULES)


def spin() -> NoReturn:
    """Take turns, and never give one back."""
    take_turns(min(os.sched_getaffinity(0)), alone=0.5)
    if os.sched_getscheduler(0) != os.SCHED_FIFO:
        os._exit(3)
    while True:
        pass


def test_who_keeps_the_processor_to_itself_is_killed() -> None:
    """A program that spins where nothing else gets a turn does not do so for ever."""
    pid = os.fork()
    if pid == 0:
        spin()
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) == 3:
        pytest.skip("only root may ask that threads are served as they come")
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
