"""go-2024 on real children: what it returns, what it leaves, and how it meets trouble."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from lastref.impl.errors import StartError, outcome
from lastref.impl.guard import Guard
from lastref.impl.history.go_2024_pid import PidProcess
from lastref.impl.history.go_2025 import SplitProcess
from lastref.impl.parts import Parts
from lastref.impl.process import Process
from lastref.impl.seam import observed_parts
from lastref.impl.state import ProcessState

if TYPE_CHECKING:
    from lastref.impl.tests.conftest import Machine


def number_of(process: object) -> int:
    """Return the pidfd's number."""
    assert isinstance(process, Process)
    return process._handle


def is_open(fd: int) -> bool:
    """Return whether a descriptor is open."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_start_wait_returns_how_it_ended(machine: Machine) -> None:
    """The state is the child's: its pid, its exit status, and a resource usage."""
    process = Process.start(["sh", "-c", "exit 7"], machine.parts)
    pid = process.pid
    state = process.wait()
    assert (state.pid, state.status.exit_status) == (pid, 7)
    assert state.usage.max_rss > 0


def test_kill_is_seen_by_wait(machine: Machine) -> None:
    """A killed child was ended by SIGKILL."""
    process = Process.start(["sleep", "1000"], machine.parts)
    process.kill()
    assert process.wait().status.signal == signal.SIGKILL


def test_the_last_reference_closes_the_pidfd(machine: Machine) -> None:
    """Open as long as it may be needed, closed at once when not."""
    for end in ("wait", "release"):
        process = Process.adopt(machine.zombie(), machine.parts)
        number = number_of(process)
        assert is_open(number)
        getattr(process, end)()
        assert not is_open(number)


def test_a_context_releases_and_does_not_wait(machine: Machine) -> None:
    """After the block the pidfd is closed and the child is still there to be reaped."""
    child = machine.zombie()
    with Process.adopt(child, machine.parts) as process:
        process.signal(0)
    assert child.pidfd is not None
    assert not is_open(child.pidfd)
    assert outcome(lambda: process.signal(0)) == "REL"
    assert process.pid == -1
    assert machine.parts.system.wait4(child.pid, 0).pid == child.pid


def test_a_failed_wait_changes_nothing(machine: Machine) -> None:
    """A process that is no child of ours: ECHILD, and the process is as usable as before."""
    process = Process.find(os.getpid(), machine.parts)
    for _ in range(2):
        assert outcome(lambda: process.wait()) == "waitid:ECHILD"
        assert outcome(lambda: process.signal(0)) == "nil"
    assert is_open(number_of(process))
    process.release()


def test_a_process_reaped_by_others_is_done(machine: Machine) -> None:
    """A foreign reaper: Wait finds no child, Signal finds nobody, the pidfd stays ours."""
    child = machine.zombie()
    process = Process.adopt(child, machine.parts)
    machine.parts.system.wait4(child.pid, 0)
    assert outcome(lambda: process.wait()) == "waitid:ECHILD"
    assert outcome(lambda: process.signal(0)) == "EPD"
    assert is_open(number_of(process))
    process.release()


def test_a_blocked_wait_survives_release(machine: Machine) -> None:
    """Wait has its reference; Release takes the other; Wait succeeds and closes."""
    child = machine.child()
    entering = threading.Event()

    def before(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "waitid":
            entering.set()

    process = Process.adopt(child, observed_parts(machine.parts, before))
    states: list[ProcessState] = []
    waiter = threading.Thread(target=lambda: states.append(process.wait()))
    waiter.start()
    entering.wait()
    process.release()
    assert is_open(number_of(process))
    assert outcome(lambda: process.signal(0)) == "REL"
    machine.guard.kill(child.pid, signal.SIGKILL)
    waiter.join()
    assert states[0].status.signal == signal.SIGKILL
    assert not is_open(number_of(process))
    assert outcome(lambda: process.wait()) == "EINVAL"


@pytest.mark.parametrize(
    ("design", "step", "loser"),
    [
        (Process, "waitid", "waitid:ECHILD"),
        (SplitProcess, "waitid", "waitid:ECHILD"),
        (PidProcess, "wait4", "wait:ECHILD"),
    ],
)
def test_of_two_waits_one_reaps(machine: Machine, design: Any, step: str, loser: str) -> None:
    """Both stand before the reaping call; one gets the state, the other the kernel's ECHILD."""
    both = threading.Barrier(2)

    def before(name: str, arguments: tuple[Any, ...]) -> None:
        if name == step:
            both.wait()

    child = machine.zombie(pidfd=design is not PidProcess)
    process = design.adopt(child, observed_parts(machine.parts, before))
    outcomes: list[str] = []
    waiters = [
        threading.Thread(target=lambda: outcomes.append(outcome(lambda: process.wait())))
        for _ in range(2)
    ]
    for waiter in waiters:
        waiter.start()
    for waiter in waiters:
        waiter.join()
    assert sorted(outcomes) == ["ok", loser]


def test_stop_and_continue_do_not_end_a_wait(machine: Machine) -> None:
    """A stopped child is not waited for; continued and killed, it is."""
    process = Process.adopt(machine.child(), machine.parts)
    process.signal(signal.SIGSTOP)
    process.signal(signal.SIGCONT)
    process.signal(signal.SIGTERM)
    assert process.wait().status.signal == signal.SIGTERM


@pytest.mark.parametrize("design", [Process, PidProcess])
def test_a_wait_interrupted_by_signals_goes_on(machine: Machine, design: Any) -> None:
    """EINTR after EINTR: the wait is repeated until the child has ended.

    A timer interrupts this thread again and again; only when the design has seen three EINTR does
    the handler let the child end.
    """
    child = machine.child(pidfd=design is Process)
    interrupted: list[str] = []
    let_end: list[int] = []

    def after(name: str, result: Any) -> None:
        if isinstance(result, Exception) and getattr(result, "errno", None) == errno.EINTR:
            interrupted.append(name)

    def tick(number: int, frame: object) -> None:
        if len(interrupted) >= 3 and not let_end:
            let_end.append(child.pid)  # once: at the next tick it may be reaped
            machine.guard.kill(child.pid, signal.SIGTERM)

    process = design.adopt(child, observed_parts(machine.parts, lambda name, _: None, after))
    previous = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        state = process.wait()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert state.status.signal == signal.SIGTERM
    assert interrupted[:3] == ["waitid"] * 3


class NoDescriptors:
    """Nothing can be opened inside this block."""

    def __enter__(self) -> None:
        import resource  # POSIX only; elsewhere the fixture has skipped these tests

        self._resource = resource
        self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, self._limits[1]))

    def __exit__(self, *_: object) -> None:
        self._resource.setrlimit(self._resource.RLIMIT_NOFILE, self._limits)


def test_find_without_descriptors_is_pid_mode(machine: Machine) -> None:
    """EMFILE at pidfd_open is not the caller's business: the process is addressed by its pid."""
    child = machine.zombie(pidfd=False)
    with NoDescriptors():
        process = Process.find(child.pid, machine.parts)
    assert isinstance(process, PidProcess)
    assert process.wait().pid == child.pid


def test_start_without_descriptors_fails_and_leaves_no_child(machine: Machine) -> None:
    """EMFILE in start is an error, with no fallback; the fixture sees that no child is left."""
    with NoDescriptors(), pytest.raises(StartError) as error:
        Process.start(["true"], machine.parts)
    assert error.value.kind == "fork/exec:EMFILE"


def test_a_probe_that_failed_once_means_pid_mode_for_good(machine: Machine) -> None:
    """EMFILE during the first probe: PID mode for start and find, also when it would work now."""
    parts = Parts.linux(machine.guard)
    with NoDescriptors():
        failure = parts.probe.failure
    assert failure is not None
    assert failure.kind == "pidfd_open:EMFILE"
    process = Process.start(["true"], parts)
    assert isinstance(process, PidProcess)
    assert isinstance(Process.find(process.pid, parts), PidProcess)
    process.wait()


def test_a_program_that_is_not_there(machine: Machine) -> None:
    """Ten failed starts: an error each, and the fixture sees that nothing leaked."""
    for _ in range(10):
        with pytest.raises(StartError) as error:
            Process.start(["/nonexistent/program"], machine.parts)
        assert error.value.kind == "fork/exec:ENOENT"


SIGCHLD_IGNORED = """
import os, select, signal
from lastref.impl.errors import outcome
from lastref.impl.parts import Parts
from lastref.impl.process import Process

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
process = Process.start(["sleep", "1000"], Parts.linux())
number = process._handle
process.kill()
select.select([number], [], [])
print(outcome(process.wait), process._word._word.load(), outcome(lambda: process.signal(0)))
os.fstat(number)
process.release()
try:
    os.fstat(number)
except OSError:
    print("closed")
"""


def test_sigchld_ignored() -> None:
    """The kernel reaps: Wait finds no child, the word stays, the pidfd lives until Release."""
    if sys.platform != "linux":
        pytest.skip("the implementation of pidfds is Linux's")
    ran = subprocess.run(
        [sys.executable, "-c", SIGCHLD_IGNORED], capture_output=True, text=True, check=False
    )
    assert (ran.stdout.split("\n"), ran.stderr) == (["waitid:ECHILD 1 EPD", "closed", ""], "")


def test_a_strict_guard_protects_strangers(machine: Machine) -> None:
    """Whom we merely found we may ask after, not signal."""
    child = machine.child(pidfd=False)
    stranger = Process.find(child.pid, Parts.linux(Guard()))
    stranger.signal(0)
    with pytest.raises(Exception, match="was not started here"):
        stranger.kill()
    stranger.release()
