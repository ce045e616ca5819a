"""The fixtures for somebody's own class: each notices the class that is wrong, and passes the one
that is not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from lastref.conformance.adapters import of_class
from lastref.conformance.outcomes import Status
from lastref.impl.process import Process

Fixture = Any


class Naive:
    """Signals by pid, whatever became of it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def wait(self) -> None:
        """Wait, and reap."""
        os.waitpid(self.pid, 0)

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.signal(signal.SIGKILL)


class Careful(Naive):
    """Waits without reaping; then the reaping, and every signal, exclude each other."""

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self._lock = threading.Lock()
        self._done = False

    def wait(self) -> None:
        """Wait, and reap."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            if self._done:
                raise ProcessLookupError
            os.waitpid(self.pid, 0)
            self._done = True

    def signal(self, number: int) -> None:
        """Send a signal, unless the process is reaped."""
        with self._lock:
            if self._done:
                raise ProcessLookupError
            os.kill(self.pid, number)


class Counted(Process):
    """Our own implementation, as a class that somebody wrote for the seam."""


class Uncounted(Process):
    """The same, but for a kill that uses the handle without a reference."""

    def kill(self) -> None:
        """Send SIGKILL."""
        self._system.pidfd_send_signal(self._handle, signal.SIGKILL)


HANDLES = {"naive": Naive, "careful": Careful}


def late_kill(scene: Any, name: str) -> int:
    """Kill by a handle whose process was waited for, when its pid is somebody else's."""
    child = scene.child()
    handle = HANDLES[name](child.pid)
    child.end()
    handle.wait()
    scene.recycle(child.pid)
    with contextlib.suppress(ProcessLookupError):
        handle.kill()
    return os.getpid()


def late_wait(scene: Any) -> None:
    """Wait twice by one pid, which is somebody else's the second time."""
    child = scene.child()
    child.end()
    os.waitpid(child.pid, 0)
    scene.recycle(child.pid)
    os.kill(child.pid, signal.SIGTERM)
    os.waitpid(child.pid, 0)


def closed_handle(scene: Any) -> None:
    """Signal through a descriptor that was closed and has been handed out again."""
    child = scene.child()
    number = os.dup(child.pidfd)
    os.close(number)
    scene.reopen(number)
    signal.pidfd_send_signal(number, signal.SIGTERM)


def nothing_is_free(scene: Any) -> None:
    """Ask for the number of a running process and for an open descriptor."""
    child = scene.child()
    for give, number in ((scene.recycle, child.pid), (scene.reopen, child.pidfd)):
        with contextlib.suppress(LookupError):
            give(number)
            raise AssertionError(f"{number} was given away")


def raises(_scene: Any) -> None:
    """Fail by itself."""
    raise ZeroDivisionError("in the scenario")


def test_a_scene_notices_whoever_signals_a_pid_that_came_back(lastref_scene: Fixture) -> None:
    """The naive class kills the victim that has the pid now; the careful one says it is done."""
    assert lastref_scene(late_kill, "careful") > 1
    told = r"pid \d+ was given to was killed by SIGKILL"
    with pytest.raises(pytest.fail.Exception, match=told) as failed:
        lastref_scene(late_kill, "naive")
    assert failed.value.__context__ is None, "it would be told twice"


def test_a_scene_notices_a_reaped_victim_and_a_descriptor_that_came_back(
    lastref_scene: Fixture,
) -> None:
    """To be waited for by a stranger's call, or hit through a reopened number, counts as well."""
    with pytest.raises(pytest.fail.Exception, match="was reaped by somebody else"):
        lastref_scene(late_wait)
    with pytest.raises(
        pytest.fail.Exception, match=r"descriptor \d+ was given to was killed by SIGTERM"
    ):
        lastref_scene(closed_handle)


def test_a_scene_gives_nothing_away_that_is_in_use(lastref_scene: Fixture) -> None:
    """A pid that is not reaped and a descriptor that is open are refused."""
    lastref_scene(nothing_is_free)


def test_what_a_scenario_raises_is_raised_and_a_scenario_without_a_name_refused(
    lastref_scene: Fixture,
) -> None:
    """The error comes out as it is; a function that no module has cannot be found inside."""
    with pytest.raises(ZeroDivisionError, match="in the scenario"):
        lastref_scene(raises)
    with pytest.raises(pytest.fail.Exception, match="define it at the top of a module"):
        lastref_scene(lambda scene: None)


def test_a_race_notices_the_kill_between_reaping_and_returning(lastref_race: Fixture) -> None:
    """Every order of Wait and Kill is tried: the naive class hits a victim, the careful none."""
    with pytest.raises(pytest.fail.Exception) as failed:
        lastref_race(Naive, "start|wait,kill")
    said = str(failed.value)
    assert said.startswith("wrong process signalled, in start|wait,kill")
    assert "┌ a:kill" in said
    assert "order: " in said
    explored = lastref_race(Careful, "start|wait,kill", seconds=1000.0)
    assert explored.complete
    assert not explored.failures


def test_the_cases_run_on_a_class(lastref_check: Fixture) -> None:
    """What the class has decides what is run; the first deviation fails the test, drawn."""
    ran = lastref_check(Careful, "child/wait*", "adapter/*", deadline=60.0)
    assert {outcome.status for outcome in ran} == {Status.PASS}
    assert {"adapter/handshake", "child/wait.kill.wait"} <= {outcome.case for outcome in ran}
    with pytest.raises(pytest.fail.Exception, match=r"child/wait\.wait: wait gave wait:ECHILD"):
        lastref_check(Naive, "child/wait*", deadline=60.0)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((Naive, "child/fly"), "no case matches child/fly"),
        ((Naive, "child/release"), "no case ran: child/release: the adapter does not declare"),
        (("no-such-adapter",), "there is no adapter 'no-such-adapter'"),
    ],
)
def test_a_check_of_nothing_is_no_pass(
    lastref_check: Fixture, asked: tuple[Any, ...], said: str
) -> None:
    """No such case, no such adapter, or nothing but skips: the test fails, and says why."""
    with pytest.raises(pytest.fail.Exception, match=said):
        lastref_check(*asked)


def test_the_models_interleavings_run_on_a_class(lastref_replay: Fixture) -> None:
    """A class that follows the design does so in every interleaving; one that does not is told."""
    done = lastref_replay(Counted, "kill", "release")
    assert done.interleavings > 1
    assert done.steps > done.interleavings
    with pytest.raises(pytest.fail.Exception) as failed:
        lastref_replay(Uncounted, "kill", "release")
    said = str(failed.value)
    assert said.startswith("Uncounted: step 1 (K1): the next operation is pidfd_send_signal")
    assert "✗ 1  load" in said
    with pytest.raises(pytest.fail.Exception, match="cannot be held to 'go-2016/linux-pid'"):
        lastref_replay(Counted, "kill", design="go-2016/linux-pid")


def test_what_a_class_has_is_what_its_adapter_declares() -> None:
    """Capabilities come from the methods, and from the attribute for those that no method shows."""

    class Told(Naive):
        lastref_capabilities = ("exit-status",)
        lastref_specification = "go-2024/linux-pid"

    plain, told = of_class.about(Naive), of_class.about(Told)
    assert set(plain.capabilities) == {"start", "reap", "concurrent", "wait", "signal", "kill"}
    assert set(told.capabilities) - set(plain.capabilities) == {"exit-status"}
    assert (plain.specification, told.specification) == (None, "go-2024/linux-pid")


@pytest.mark.parametrize("named", ["os:no_such_class", "no_such_module:Handle", "os"])
def test_a_class_that_is_not_there_is_one_line(named: str) -> None:
    """The adapter of a class says what it could not find, and exits with 2."""
    command = [sys.executable, "-m", "lastref.conformance.adapters.of_class", named]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
