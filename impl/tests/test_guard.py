"""The guard lets a signal reach only what it is meant for, and is the only way out."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import lastref.impl
from lastref.impl.errors import Errno, GuardRefused
from lastref.impl.guard import PID_LIMIT, Guard, Mode

if TYPE_CHECKING:
    from lastref.impl.tests.conftest import Machine

SENDERS = {
    "kill",
    "killpg",
    "tgkill",
    "pthread_kill",
    "pidfd_send_signal",
    "sigqueue",
    "raise_signal",
}


def refusal(error: pytest.ExceptionInfo[GuardRefused]) -> str:
    """Return the refusal as one line, and check that it has all three parts."""
    assert error.value.fault
    assert error.value.reason
    assert error.value.remedy
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("pid", [0, -1, -2, -(1 << 22)])
@pytest.mark.parametrize("sig", [0, 9])  # SIGKILL, which not every system names
def test_no_mode_signals_a_group_or_everyone(mode: Mode, pid: int, sig: int) -> None:
    """Outside a namespace of our own no pid of 0 or below gets out, not even with signal 0."""
    with pytest.raises(GuardRefused) as error:
        Guard(mode).kill(pid, sig)
    assert f"kill({pid}, {int(sig)})" in refusal(error)


def test_strict_refuses_a_process_we_did_not_start() -> None:
    """Our own parent is someone else's process."""
    with pytest.raises(GuardRefused) as error:
        Guard().kill(os.getppid(), signal.SIGTERM)
    assert "was not started here" in refusal(error)


@pytest.mark.usefixtures("posix")
def test_strict_lets_a_question_through() -> None:
    """Signal 0 delivers nothing."""
    Guard().kill(os.getpid(), 0)


@pytest.mark.usefixtures("posix")
def test_strict_lets_a_pid_through_that_nobody_can_have() -> None:
    """A pid above the kernel's limit finds nobody: ESRCH, from the kernel itself."""
    with pytest.raises(Errno) as error:
        Guard().kill(PID_LIMIT, signal.SIGKILL)
    assert error.value.kind == "ESRCH"


def test_strict_refuses_once_reaped(machine: Machine) -> None:
    """After the reap the number may be anyone's: the same call that was fine is refused."""
    child = machine.child(pidfd=False)
    machine.guard.kill(child.pid, signal.SIGKILL)
    machine.parts.system.wait4(child.pid, 0)
    with pytest.raises(GuardRefused):
        machine.guard.kill(child.pid, signal.SIGKILL)


def test_library_mode_signals_any_process(machine: Machine) -> None:
    """A program may signal by pid and by pidfd what this suite did not start."""
    child = machine.child()
    assert child.pidfd is not None
    stranger = Guard(Mode.LIBRARY)
    stranger.kill(child.pid, signal.SIGSTOP)
    stranger.pidfd_send_signal(child.pidfd, signal.SIGKILL)
    assert machine.parts.system.wait4(child.pid, 0).wait_status.signal == signal.SIGKILL
    os.close(child.pidfd)


def test_strict_resolves_the_process_behind_a_pidfd(machine: Machine) -> None:
    """A pidfd is admitted for its process, not for its number."""
    child = machine.child()
    assert child.pidfd is not None
    stranger = Guard()
    with pytest.raises(GuardRefused) as error:
        stranger.pidfd_send_signal(child.pidfd, signal.SIGKILL)
    assert f"process {child.pid}, which was not started here" in refusal(error)
    stranger.register(child.pid)
    stranger.pidfd_send_signal(child.pidfd, signal.SIGKILL)
    assert machine.parts.system.wait4(child.pid, 0).wait_status.signal == signal.SIGKILL
    os.close(child.pidfd)


def test_a_pidfd_of_a_reaped_process_is_the_kernels_to_refuse(machine: Machine) -> None:
    """Nobody can be hit through it any more, so the kernel's own answer is wanted: ESRCH."""
    child = machine.zombie()
    assert child.pidfd is not None
    machine.parts.system.wait4(child.pid, 0)
    with pytest.raises(Errno) as error:
        machine.guard.pidfd_send_signal(child.pidfd, signal.SIGKILL)
    assert error.value.kind == "ESRCH"
    os.close(child.pidfd)


@pytest.mark.usefixtures("posix")
def test_a_closed_number_and_a_plain_file_are_the_kernels_to_refuse() -> None:
    """Neither can reach a process: EBADF."""
    with open("/dev/null", encoding="ascii") as plain:
        for fd in (plain.fileno(), 1 << 20):
            with pytest.raises(Errno) as error:
                Guard().pidfd_send_signal(fd, signal.SIGKILL)
            assert error.value.kind == "EBADF"


@pytest.mark.usefixtures("posix")
def test_strict_refuses_a_proc_directory() -> None:
    """pidfd_send_signal also takes a /proc/<pid> directory: it must not be a way around."""
    fd = os.open(f"/proc/{os.getppid()}", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(GuardRefused) as error:
            Guard().pidfd_send_signal(fd, 0)
        assert "cannot be told" in refusal(error)
    finally:
        os.close(fd)


@pytest.mark.usefixtures("posix")
def test_threads_are_admitted_by_their_process() -> None:
    """tgkill with a number that is no thread's is refused, and a stranger's process too."""
    for tgid, tid in ((-1, 1), (1, 0)):
        with pytest.raises(GuardRefused):
            Guard().tgkill(tgid, tid, 0)
    with pytest.raises(GuardRefused):
        Guard().tgkill(os.getppid(), os.getppid(), signal.SIGTERM)
    Guard().tgkill(os.getpid(), os.getpid(), 0)


def test_the_namespace_is_verified_not_believed() -> None:
    """In the namespace of the program's start nobody may signal everyone, whatever they say."""
    guard = Guard()
    with pytest.raises(GuardRefused) as error:
        guard.enter_private_namespace()
    assert "not a PID namespace of our own" in refusal(error)
    with pytest.raises(GuardRefused):
        guard.kill(-1, 0)


NAMESPACE = """
import os, signal
from lastref.impl.errors import GuardRefused
from lastref.impl.guard import Guard

try:
    os.unshare(os.CLONE_NEWPID)
except AttributeError:
    import ctypes
    if ctypes.CDLL(None, use_errno=True).unshare(0x20000000) != 0:
        raise PermissionError("unshare", ctypes.get_errno())
guard = Guard()
try:
    guard.enter_private_namespace()
except GuardRefused:
    print("unshared only: refused", flush=True)
pid = os.fork()
if pid == 0:
    guard.enter_private_namespace()
    victim = os.fork()
    if victim == 0:
        signal.pause()
    guard.kill(victim, signal.SIGKILL)
    print("inside:", os.getpid(), victim, os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
    try:
        guard.kill(0, 0)
    except GuardRefused as refusal:
        print(refusal.reason, flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.usefixtures("posix")
def test_inside_a_namespace_of_our_own_the_guard_opens() -> None:
    """After unshare and fork any process there may be signalled; our outer group still may not."""
    ran = subprocess.run(
        [sys.executable, "-c", NAMESPACE], capture_output=True, text=True, check=False
    )
    if "PermissionError" in ran.stderr:
        pytest.skip("this user may not make a PID namespace (run as root, or allow it)")
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == [
        "unshared only: refused",
        "inside: 1 2 -9",
        "our process group has members outside the namespace",
    ]


GUARDED = {"guard", "self.guard", "self._system", "self.inner", "system", "pid_calls", "process"}


def calls_to_senders(source: str) -> set[str]:
    """Return the senders of signals that a source calls, except through what is guarded."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, owner = node.func.attr, ast.unparse(node.func.value)
            if name in SENDERS and owner not in GUARDED:
                found.add(f"{owner}.{name}")
            if name == "syscall" and node.args:
                called = ast.unparse(node.args[0]).strip("'\"")
                if called in SENDERS:
                    found.add(f"syscall {called}")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import os; os.kill(pid, 9)",
        "signal.pthread_kill(thread, 9)",
        "self._library.kill(pid, 9)",
        "libc.syscall('tgkill', 1, 1, 9)",
    ],
)
def test_a_second_way_out_would_be_found(source: str) -> None:
    """The negative control of the test below."""
    assert len(calls_to_senders(source)) == 1


def test_no_other_file_sends_signals() -> None:
    """The guard is the only source file of the implementation that calls a sender."""
    sources = [path for root in lastref.impl.__path__ for path in Path(root).rglob("*.py")]
    senders = {
        path.name: calls
        for path in sources
        if "tests" not in path.parts and (calls := calls_to_senders(path.read_text()))
    }
    assert senders == {
        "guard.py": {"libc.library().kill", "syscall tgkill", "syscall pidfd_send_signal"}
    }
