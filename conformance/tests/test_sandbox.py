"""The sandbox: pids really come back, nothing gets out of it, and nothing outlives it."""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastref.conformance.errors import UserError
from lastref.conformance.sandbox import (
    Fate,
    Recycler,
    Sandbox,
    SandboxLost,
    emit,
    run_in_namespace,
    unavailable,
)
from lastref.impl.errors import Errno, GuardRefused
from lastref.impl.guard import Guard
from lastref.impl.syscalls import LinuxSystem

_REASON = unavailable()
pytestmark = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))

_SECONDS = 100  # a bound on a hang, not a measurement


def private_guard() -> Guard:
    """Return a guard that admits everyone; it raises unless the namespace is our own."""
    guard = Guard()
    guard.enter_private_namespace()
    return guard


def child(program: str = "sleep", *arguments: str) -> int:
    """Start a program and return its pid."""
    path = shutil.which(program)
    assert path is not None
    return os.posix_spawn(path, [program, *arguments], {})


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    """One sandbox for the tests that neither close nor break it."""
    with Sandbox() as sandbox:
        yield sandbox


def look_around() -> tuple[int, set[str], str]:
    """Return our pid, every pid in /proc, and the namespace."""
    pids = {name for name in os.listdir("/proc") if name.isdigit()}
    return os.getpid(), pids, os.readlink("/proc/self/ns/pid")


def test_the_function_is_process_one_of_its_own_namespace_with_its_own_proc() -> None:
    """Inside there is nobody but process 1, and /proc says so."""
    pid, pids, namespace = run_in_namespace(look_around)
    assert (pid, pids) == (1, {"1"})
    assert namespace != os.readlink("/proc/self/ns/pid")


def guard_inside() -> bool:
    """Admit kill(-1) inside, and find out that it reaches nobody."""
    try:
        private_guard().kill(-1, 0)
    except Errno as error:
        return error.kind == "ESRCH"
    return False


def test_the_guard_admits_everyone_only_inside() -> None:
    """The guard accepts the sandbox as a namespace of our own, and the outside not."""
    assert run_in_namespace(guard_inside)
    with pytest.raises(GuardRefused):
        private_guard()


def life_of_a_pid() -> dict[str, object]:
    """Try to take a pid over while its owner runs, is a zombie, and is reaped."""
    guard = private_guard()
    with Recycler(guard) as recycler:
        owner = child("sleep", "1000")
        pidfd = os.pidfd_open(owner)
        guard.register(owner)
        running = recycler.take(owner)
        guard.kill(owner, signal.SIGKILL)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
        zombie = recycler.take(owner)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        victim = recycler.take(owner)
        assert victim is not None
        old_handle = "alive"
        try:
            guard.pidfd_send_signal(pidfd, signal.SIGKILL)
        except Errno as error:
            old_handle = error.kind
        return {
            "running": running,
            "zombie": zombie,
            "same pid": victim.pid == owner,
            "old handle": old_handle,
            "fate": recycler.retire(victim),
        }


def test_a_pid_comes_back_to_another_process_as_soon_as_it_is_reaped() -> None:
    """EEXIST while the owner runs or is a zombie; then the pid is the victim's at once."""
    assert run_in_namespace(life_of_a_pid) == {
        "running": None,
        "zombie": None,
        "same pid": True,
        "old handle": "ESRCH",
        "fate": Fate(None, reaped_by_us=True),
    }


def fates() -> list[Fate]:
    """Hit victims in every way there is, and none."""
    guard = private_guard()
    system = LinuxSystem(guard)
    ended = []
    with Recycler(guard) as recycler:
        for harm in ("kill", "term", "stop", "reap", "nothing"):
            victim = recycler.take(777)
            assert victim is not None
            if harm == "kill":
                guard.kill(777, signal.SIGKILL)
            elif harm == "term":
                guard.kill(777, signal.SIGTERM)
            elif harm == "stop":
                guard.kill(777, signal.SIGSTOP)
            elif harm == "reap":
                guard.kill(777, signal.SIGKILL)
                system.wait4(777, 0)
            ended.append(recycler.retire(victim))
    return ended


def test_a_victim_tells_for_certain_whether_it_was_hit(shared: Sandbox) -> None:
    """A signal sent before the victim is retired shows, however late the kernel delivers it."""
    for _ in range(20):
        kill, term, stop, reap, nothing = shared.call(fates)
        assert kill == Fate(signal.SIGKILL, reaped_by_us=True)
        assert term == Fate(signal.SIGTERM, reaped_by_us=True)
        assert stop.untouched
        assert not reap.reaped_by_us
        assert nothing.untouched


def next_child() -> list[int]:
    """Steer the pid of a child that somebody else's fork makes."""
    with Recycler(private_guard()) as recycler:
        pids = []
        for _ in range(5):
            recycler.next_child(4242)
            ended = child("true")
            os.waitpid(ended, 0)
            pids.append(ended)
    return pids


def test_the_next_child_of_anyone_can_be_given_a_pid(shared: Sandbox) -> None:
    """ns_last_pid steers an ordinary fork, again and again to the same pid."""
    assert shared.call(next_child) == [4242] * 5


def kill_everyone() -> tuple[str, int]:
    """Send kill(-1) for real and wait with wait4(-1) for real."""
    guard = private_guard()
    children = {child("sleep", "1000") for _ in range(3)}
    guard.kill(-1, signal.SIGTERM)
    reaped = {os.waitpid(-1, 0) for _ in children}
    assert reaped == {(pid, signal.SIGTERM) for pid in children}
    return "all inside", len(children)


def test_kill_minus_one_inside_hits_only_the_inside(shared: Sandbox) -> None:
    """A process outside, of the same user, survives a kill(-1) inside; those inside do not."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as bystander:
        assert shared.call(kill_everyone) == ("all inside", 3)
        assert bystander.poll() is None
        assert bystander.stdin is not None
        bystander.stdin.close()
        assert bystander.wait(_SECONDS) == 0  # it ended by itself: no signal was waiting for it


def leave_a_mess() -> None:
    """Leave a child, an orphan in its own session, and a zombie."""
    child("sleep", "1000")
    child("setsid", "sleep", "1000")
    os.waitid(os.P_PID, child("true"), os.WEXITED | os.WNOWAIT)


def test_each_call_starts_with_an_empty_namespace() -> None:
    """What a call leaves behind is named, killed and reaped."""
    with Sandbox() as sandbox:
        sandbox.call(leave_a_mess)
        assert len(sandbox.strays) == 3
        assert "Z" in {stray.state for stray in sandbox.strays}
        assert sandbox.call(look_around)[1] == {"1"}
        assert not sandbox.strays


def fail(how: str) -> None:
    """Fail inside."""
    if how == "error":
        raise UserError("the fault", "the reason", "the remedy", 3)
    if how == "exit":
        os._exit(9)
    emit("started")
    signal.pause()


def test_an_error_inside_is_raised_outside(shared: Sandbox) -> None:
    """A UserError keeps its three parts and its exit code."""
    with pytest.raises(UserError, match=r"the fault: the reason; the remedy") as error:
        shared.call(fail, "error")
    assert error.value.exit_code == 3


class Unreadable:
    """What can be sent and not be received."""

    def __reduce__(self) -> tuple[object, ...]:
        """Say how it is made again, which is by an integer that is none."""
        return int, ("no integer",)


def test_an_argument_that_cannot_be_received_is_told_and_the_sandbox_lives_on() -> None:
    """The call ends with the error; the next one is answered as ever."""
    with Sandbox() as sandbox:
        with pytest.raises(ValueError, match="no integer"):
            sandbox.call(print, Unreadable())
        assert sandbox.call(os.getpid) == 1


def test_a_hang_inside_ends_with_the_time_limit() -> None:
    """The time limit counts from the last event, and closes the sandbox."""
    heard: list[object] = []
    with Sandbox() as sandbox:
        with pytest.raises(TimeoutError):
            sandbox.watch(fail, heard.append, 3)("hang")
        with pytest.raises(SandboxLost):
            sandbox.call(look_around)
    assert heard == ["started"]


def test_the_death_of_process_one_is_told() -> None:
    """A sandbox that dies in a call is an error of its own, not a hang."""
    with Sandbox() as sandbox, pytest.raises(SandboxLost, match="exit 9"):
        sandbox.call(fail, "exit")


def test_no_process_and_no_descriptor_stays_behind() -> None:
    """Open and close sandboxes: as many descriptors as before, and no child of ours."""
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with Sandbox() as sandbox:
            sandbox.call(leave_a_mess)
    assert set(os.listdir("/proc/self/fd")) <= before
    with pytest.raises(ProcessLookupError):
        os.pidfd_open(sandbox.pid)


def busy(supervisor_dies: bool) -> None:
    """Start processes without end: plain ones, sessions of their own, and victims."""
    with Recycler(private_guard()) as recycler:
        emit("busy")
        for count in range(10_000):
            child("setsid", "sleep", "1000") if count % 2 else child("sleep", "1000")
            recycler.take(20_000 + count)
            if supervisor_dies and count == 20:
                # Process 1 cannot kill itself by a signal; to be gone is the same to the others.
                os._exit(1)


_SUITE = """
import sys
from lastref.conformance.sandbox import Sandbox
sys.path.insert(0, {folder!r})
import {module} as tests
with Sandbox() as sandbox:
    print(sandbox.pid, flush=True)
    sandbox.watch(tests.busy, lambda _: print("busy", flush=True), None)({dies})
"""


def test_a_launcher_that_cannot_start_leaves_nothing_open(tmp_path: Path) -> None:
    """The error is the operating system's, and the ends of the pipes are closed again."""
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        Sandbox([str(tmp_path / "missing")])
    assert set(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("killed", ["suite", "launcher", "process 1"])
def test_nothing_outlives_a_kill_at_any_moment(killed: str, seed: int) -> None:
    """SIGKILL the suite, the launcher or process 1: everyone inside is gone.

    Everyone inherits the write end of one pipe as stderr, so its end says that nobody is left.
    """
    here = Path(__file__)
    program = _SUITE.format(folder=str(here.parent), module=here.stem, dies=killed == "process 1")
    reader, writer = os.pipe()
    suite = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=writer, text=True
    )
    os.close(writer)
    with suite, open(reader, "rb") as everyone:
        assert suite.stdout is not None
        guard = Guard()
        moment = random.Random(seed).uniform(0, 0.25)
        if killed == "suite":
            select.select([], [], [], moment)
        elif killed == "launcher":
            launcher = int(suite.stdout.readline())
            guard.register(launcher)
            select.select([], [], [], moment)
            guard.kill(launcher, signal.SIGKILL)
        else:
            suite.wait(_SECONDS)
        suite.kill()
        suite.wait(_SECONDS)
        ready, _, _ = select.select([everyone], [], [], _SECONDS)
        while ready and everyone.read1():
            ready, _, _ = select.select([everyone], [], [], _SECONDS)
        assert ready, "somebody inside is still alive"


_UNPRIVILEGED = """
import ctypes, os, sys
from lastref.conformance.sandbox import inside, launcher
inside.Target({module!r}, "life_of_a_pid", {file!r}).resolve()  # the user may not read our files
os.setgroups([]); os.setresgid({gid}, {gid}, {gid}); os.setresuid({uid}, {uid}, {uid})
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: else the maps belong to root
sys.exit(launcher.main(sys.argv[1:]))
"""


def test_without_root_a_user_namespace_does() -> None:
    """An ordinary user gets the same sandbox, and recycles pids in it."""
    command = [sys.executable, "-m", "lastref.conformance.sandbox.launcher"]
    if os.geteuid() == 0:
        program = _UNPRIVILEGED.format(uid=65534, gid=65534, module=__name__, file=__file__)
        command = [sys.executable, "-c", program]
    try:
        sandbox = Sandbox(command)
    except UserError as refusal:
        pytest.skip(str(refusal))
    with sandbox:
        assert sandbox.how == "user namespace"
        assert sandbox.call(os.getpid) == 1
        assert sandbox.call(life_of_a_pid)["same pid"]


def test_a_machine_that_refuses_is_told_with_fault_reason_and_remedy() -> None:
    """Out of namespaces: exit code 3, the call that failed, and what would help."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid() != 0:
        pytest.skip("taking the rights away needs root and util-linux's setpriv")
    launcher = [sys.executable, "-m", "lastref.conformance.sandbox.launcher"]
    with pytest.raises(UserError) as error:
        # Root without capabilities may not map itself to root in a user namespace.
        Sandbox([setpriv, "--bounding-set=-all", "--inh-caps=-all", *launcher])
    assert error.value.exit_code == 3
    assert "EPERM" in error.value.reason
    assert "root" in error.value.remedy
    assert "\n" not in str(error.value)


def told_to_ignore() -> list[int]:
    """Run inside the sandbox: the signals that a new process there would ignore or block.

    Two that the C library keeps for itself are left out: nobody can set them.
    """
    with open("/proc/self/status", encoding="ascii") as status:
        masks = dict(line.rstrip("\n").split(":\t", 1) for line in status)
    mask = int(masks["SigIgn"], 16) | int(masks["SigBlk"], 16)
    return [int(number) for number in signal.valid_signals() if mask >> number - 1 & 1]


def test_what_the_suite_ignores_is_not_ignored_inside() -> None:
    """A shell starts with SIGINT and SIGQUIT ignored in the background, nohup with SIGHUP."""
    numbers = {signal.SIGINT, signal.SIGQUIT, signal.SIGHUP}
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        with Sandbox() as sandbox:
            ignored = sandbox.call(told_to_ignore)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
    assert set(ignored) <= {signal.SIGPIPE, signal.SIGXFSZ}
