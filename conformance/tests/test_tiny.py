"""The tiny program: it waits, it ends by itself with its input, and a signal ends it before."""

from __future__ import annotations

import os
import select
import signal
import sys

import pytest

from lastref.conformance.stage import ENDED, KILLED, RUNNING, Stage
from lastref.conformance.tiny import FALLBACK, Program, image

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="its processes are Linux's")


@pytest.fixture(params=["tiny", "fallback"])
def stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Return a stage that starts the one program or the other."""
    if request.param == "fallback":
        monkeypatch.setattr("platform.machine", lambda: "pdp11")
    made = Stage()
    if request.param == "tiny" and not made._program.is_tiny:
        made.close()
        pytest.skip("there is no code for this processor, or memfds may not be executed")
    return made


def test_it_waits_and_ends_with_its_input(stage: Stage) -> None:
    """It runs until the pipe is closed, then exits with 0."""
    with stage:
        child = stage.start()
        assert select.select([child.pidfd], [], [], 0)[0] == []
        assert child.state == RUNNING
        child.end()
        assert child.state == ENDED
        info = os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED | os.WNOWAIT)
        assert info is not None
        assert info.si_status == 0
        child.close()


def test_a_signal_ends_it(stage: Stage) -> None:
    """It handles no signal."""
    with stage:
        child = stage.start()
        stage.system.pidfd_send_signal(child.pidfd, signal.SIGTERM)
        child.await_exit()
        assert child.state == KILLED
        child.close()


def test_it_goes_on_waiting_after_a_stop(stage: Stage) -> None:
    """A stop and a continue do not end its read."""
    with stage:
        child = stage.start()
        stage.system.pidfd_send_signal(child.pidfd, signal.SIGSTOP)
        os.waitid(os.P_PIDFD, child.pidfd, os.WSTOPPED)
        stage.system.pidfd_send_signal(child.pidfd, signal.SIGCONT)
        os.waitid(os.P_PIDFD, child.pidfd, os.WCONTINUED)
        assert child.state == RUNNING
        child.end()
        assert child.state == ENDED
        child.close()


def test_closing_twice_is_harmless_and_leaves_no_descriptor() -> None:
    """A program holds one descriptor at most, and gives it back."""
    before = set(os.listdir("/proc/self/fd"))
    program = Program()
    assert program.path is not None
    program.close()
    program.close()
    assert set(os.listdir("/proc/self/fd")) <= before


def test_without_code_for_the_processor_it_is_cat(monkeypatch: pytest.MonkeyPatch) -> None:
    """And that file is not tiny."""
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    program = Program()
    assert not program.is_tiny
    assert program.path is not None
    assert program.path.endswith(FALLBACK)


def test_the_image_is_one_small_page() -> None:
    """Header, segment and code are far less than a page."""
    assert image().startswith(b"\x7fELF")
    assert len(image()) < 256
