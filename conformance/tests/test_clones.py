"""The lightest child: it waits, ends by itself or by a signal, and has any pid that is free."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from lastref.conformance import clones
from lastref.conformance.namespace import NamespaceStage, in_worker
from lastref.conformance.sandbox import Sandbox
from lastref.conformance.sandbox import unavailable as no_sandbox
from lastref.conformance.stage import ENDED, KILLED, REAPED, RUNNING, Stage
from lastref.impl.errors import Errno

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="its processes are Linux's")

if clones.unavailable() is not None:
    pytest.skip(str(clones.unavailable()), allow_module_level=True)


def test_it_is_a_process_of_its_own() -> None:
    """It has its own number and parent, waits, exits with 0 when told to, and is then a zombie."""
    with Stage(light=True) as stage:
        child = stage.start()
        assert child.pid != os.getpid()
        assert child.state == RUNNING
        child.end()
        assert child.state == ENDED
        info = os.waitid(os.P_PID, child.pid, os.WEXITED)
        assert info is not None
        assert (info.si_code, info.si_status) == (os.CLD_EXITED, 0)
        assert child.state == REAPED
        child.close()


def test_a_signal_ends_it_and_nobody_else() -> None:
    """It shares our memory, and neither its death nor its neighbour's is ours."""
    with Stage(light=True) as stage:
        one, other = stage.start(), stage.start()
        stage.system.pidfd_send_signal(one.pidfd, signal.SIGKILL)
        one.await_exit()
        assert (one.state, other.state) == (KILLED, RUNNING)
        one.close()
        other.close()


def test_words_serve_again_and_keep_children_apart() -> None:
    """Each waits on its own word, and a word is somebody else's only when its process is gone."""
    with Stage(light=True) as stage:
        for _ in range(3):
            children = [stage.start() for _ in range(5)]
            children[2].end()
            assert [c.state for c in children].count(RUNNING) == 4
            for child in children:
                child.close()


def test_a_pid_of_our_choice_needs_a_namespace_of_our_own() -> None:
    """Who has no right to choose is told so by EPERM; a pid that is taken is given to nobody."""
    told: object = None
    try:
        told = clones.start(os.getpid())
    except Errno as error:
        told = error.kind
    assert told in (None, "EPERM")


def recycle_light() -> tuple[bool, str, str, str]:
    """Recycle a pid for a stranger and for a sibling; runs in a worker of the sandbox."""
    seen = []
    with NamespaceStage() as stage:
        light = stage.light
        child = stage.new_process()
        try:
            stage.recycle()
        except LookupError:
            seen.append(stage.pid_owner())
        child.end()
        child.reap()
        stage.recycle()
        seen.append(stage.pid_owner())
        stage.reset()
        child = stage.new_process()
        child.end()
        child.reap()
        sibling = stage.recycle_sibling()
        assert sibling.pid == child.pid
        seen.append(stage.pid_owner())
    first, second, third = seen
    return light, first, second, third


def recycle_as_process_1() -> tuple[bool, str, str, str]:
    """Do it in a child of process 1, whose strangers that one reaps."""
    return in_worker(recycle_light)


@pytest.mark.skipif(no_sandbox() is not None, reason=str(no_sandbox()))
def test_a_free_pid_is_given_to_whom_one_likes() -> None:
    """Not while it is in use; then to a stranger, and to a child of ours."""
    with Sandbox() as sandbox:
        assert sandbox.call(recycle_as_process_1) == (True, "ours", "stranger", "sibling")


def test_without_them_a_stage_starts_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """On another processor, or where no page may become executable, the program is started."""
    monkeypatch.setattr(clones, "unavailable", lambda: "no")
    with Stage(light=True) as stage:
        assert not stage.light
        assert os.readlink(f"/proc/{stage.new_process().pid}/exe") != sys.executable
