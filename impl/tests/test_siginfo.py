"""siginfo_t has the kernel's layout, and its wait status is the one wait4 gives."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from lastref.impl import siginfo
from lastref.impl.siginfo import WaitStatus
from lastref.impl.system import (
    P_PID,
    WCONTINUED,
    WEXITED,
    WNOWAIT,
    WSTOPPED,
    WUNTRACED,
    WaitidResult,
)

if TYPE_CHECKING:
    from lastref.impl.tests.conftest import Machine

LAYOUTS = [
    # machine, pointer bits, errno, code, pid
    ("x86_64", 64, 4, 8, 16),
    ("aarch64", 64, 4, 8, 16),
    ("s390x", 64, 4, 8, 16),
    ("i686", 32, 4, 8, 12),
    ("armv7l", 32, 4, 8, 12),
    ("mips64", 64, 8, 4, 16),
    ("mips", 32, 8, 4, 12),
]


@pytest.mark.parametrize(("machine_name", "bits", "errno", "code", "pid"), LAYOUTS)
def test_siginfo_layout(machine_name: str, bits: int, errno: int, code: int, pid: int) -> None:
    """128 bytes; MIPS swaps errno and code; the pid follows the padding of the machine."""
    kind = siginfo.layout(machine_name, bits)
    offsets = {name: getattr(kind, name).offset for name in ("signo", "errno", "code", "pid")}
    assert ctypes.sizeof(kind) == 128
    assert offsets == {"signo": 0, "errno": errno, "code": code, "pid": pid}
    assert (getattr(kind, "uid").offset, getattr(kind, "status").offset) == (pid + 4, pid + 8)  # noqa: B009


@pytest.mark.parametrize(
    ("code", "status", "packed"),
    [
        (siginfo.CLD_EXITED, 0, 0x0000),
        (siginfo.CLD_EXITED, 255, 0xFF00),
        (siginfo.CLD_KILLED, 9, 0x0009),
        (siginfo.CLD_DUMPED, 6, 0x0086),
        (siginfo.CLD_STOPPED, 19, 0x137F),
        (siginfo.CLD_CONTINUED, 18, 0xFFFF),
    ],
)
def test_wait_status_packs_and_unpacks(code: int, status: int, packed: int) -> None:
    """What waitid reports and what wait4 packs are the same fact, both ways."""
    assert WaitStatus.from_siginfo(code, status) == WaitStatus(packed)
    assert WaitStatus(packed).to_siginfo() == (code, status)


def test_a_trap_packs_as_a_stop() -> None:
    """wait4 does not tell a traced stop from another, so neither does the way back."""
    status = WaitStatus.from_siginfo(siginfo.CLD_TRAPPED, 5)
    assert status == WaitStatus(0x057F)
    assert status.to_siginfo() == (siginfo.CLD_STOPPED, 5)


@pytest.mark.parametrize("code", [0, 7, -1])
def test_an_unknown_code_packs_as_zero(code: int) -> None:
    """As in Go: no child change, no status."""
    assert WaitStatus.from_siginfo(code, 9) == WaitStatus(0)


def looked_at(machine: Machine, pid: int, options: int) -> WaitidResult:
    """Return what waitid says about a child, and leave it waitable."""
    return machine.parts.system.waitid(P_PID, pid, options | WNOWAIT)


def checked_against_wait4(machine: Machine, pid: int, options: int = WEXITED) -> WaitStatus:
    """Wait both ways for the same change of the same child; return the status they agree on."""
    seen = looked_at(machine, pid, options)
    flags = options & (WUNTRACED | WCONTINUED)
    reaped = machine.parts.system.wait4(pid, flags)
    assert (seen.pid, seen.uid) == (pid, os.getuid())
    assert reaped.pid == pid
    assert seen.wait_status == reaped.wait_status
    assert reaped.wait_status.to_siginfo() == (seen.code, seen.status)
    return reaped.wait_status


@pytest.mark.parametrize("status", [0, 3, 255, 256])
def test_exit_statuses_agree_with_wait4(machine: Machine, status: int) -> None:
    """Real exits: the low eight bits arrive, both ways."""
    child = machine.child(sys.executable, "-c", f"import os; os._exit({status})", pidfd=False)
    seen = checked_against_wait4(machine, child.pid)
    assert (seen.exited, seen.exit_status, seen.signaled) == (True, status & 0xFF, False)


@pytest.mark.parametrize("sig", [9, 15, 64])
def test_killing_signals_agree_with_wait4(machine: Machine, sig: int) -> None:
    """Real deaths by signal, a real-time one included."""
    child = machine.child(pidfd=False)
    machine.guard.kill(child.pid, sig)
    seen = checked_against_wait4(machine, child.pid)
    assert (seen.signaled, seen.signal, seen.exited) == (True, sig, False)
    assert (seen.core_dumped, seen.exit_status) == (False, None)


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_a_core_dump_agrees_with_wait4(machine: Machine, limit: int, tmp_path: object) -> None:
    """Whether the kernel wrote a core file is told alike, both ways; signal 6 either way."""
    script = (
        "import os, resource, signal;"
        f"hard = resource.getrlimit(resource.RLIMIT_CORE)[1];"
        f"resource.setrlimit(resource.RLIMIT_CORE, ({limit} if hard else 0, hard));"
        f"os.chdir({str(tmp_path)!r}); os.abort()"
    )
    child = machine.child(sys.executable, "-c", script, pidfd=False)
    seen = checked_against_wait4(machine, child.pid)
    assert (seen.signaled, seen.signal) == (True, 6)
    if limit == 0:
        assert not seen.core_dumped


def test_stop_and_continue_agree_with_wait4(machine: Machine) -> None:
    """A stop and a continuation are changes too; the child is not reaped by them."""
    child = machine.child(pidfd=False)
    machine.guard.kill(child.pid, signal.SIGSTOP)
    stopped = checked_against_wait4(machine, child.pid, WSTOPPED)
    assert (stopped.stopped, stopped.stop_signal) == (True, signal.SIGSTOP)
    machine.guard.kill(child.pid, signal.SIGCONT)
    continued = checked_against_wait4(machine, child.pid, WCONTINUED)
    assert (continued.continued, continued.stopped, continued.signaled) == (True, False, False)
