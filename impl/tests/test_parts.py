"""The smaller parts: the probe, the read-write lock, the number table, and importing anywhere."""

from __future__ import annotations

import errno
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lastref.impl import syscall_numbers
from lastref.impl.errors import Errno, PlatformUnsupported
from lastref.impl.probe import PidfdProbe
from lastref.impl.rwlock import PthreadRWLock
from lastref.impl.seam import observed
from lastref.impl.spawn import pidfd_spawn_available

if TYPE_CHECKING:
    from lastref.impl.tests.conftest import Machine


def probed(machine: Machine, fail: dict[str, int]) -> tuple[list[str], str | None]:
    """Probe a system whose named calls fail; return the calls made and the failure's kind."""
    made: list[str] = []

    def before(name: str, arguments: tuple[Any, ...]) -> None:
        made.append(name)
        if name in fail:
            raise Errno(fail[name])

    probe = PidfdProbe(observed(machine.parts.system, before))
    failures = [probe.failure, probe.failure]
    assert failures[0] is failures[1]
    assert probe.works == (failures[0] is None)
    return made, failures[0].kind if failures[0] else None


def test_the_probe_asks_once_in_its_order_and_closes(machine: Machine) -> None:
    """Four calls, at the first question only."""
    assert probed(machine, {}) == (["pidfd_open", "waitid", "pidfd_send_signal", "close"], None)


@pytest.mark.parametrize(
    ("call", "number", "kind", "calls"),
    [
        ("pidfd_open", errno.ENOSYS, "pidfd_open:ENOSYS", 1),
        ("pidfd_open", errno.EMFILE, "pidfd_open:EMFILE", 1),
        ("waitid", errno.EINVAL, "pidfd_wait:EINVAL", 3),
        ("waitid", errno.EPERM, "pidfd_wait:EPERM", 3),
        ("pidfd_send_signal", errno.EPERM, "pidfd_send_signal:EPERM", 4),
    ],
)
def test_any_refused_call_means_that_pidfds_do_not_work(
    machine: Machine, call: str, number: int, kind: str, calls: int
) -> None:
    """The first step that fails ends the probe; what was opened is closed."""
    made, failure = probed(machine, {call: number})
    assert (failure, len(made)) == (kind, calls)


def test_the_probe_waits_again_when_interrupted(machine: Machine) -> None:
    """EINTR is no answer."""
    interruptions = iter([Errno(errno.EINTR), Errno(errno.EINTR)])

    def before(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "waitid" and (interruption := next(interruptions, None)):
            raise interruption

    assert PidfdProbe(observed(machine.parts.system, before)).works


@pytest.mark.usefixtures("posix")
def test_readers_share_and_a_writer_is_alone() -> None:
    """Two readers at once; no writer beside them; no reader beside a writer."""
    lock = PthreadRWLock()
    lock.rlock()
    assert lock.try_rlock()
    assert not lock.try_lock()
    lock.runlock()
    lock.runlock()
    lock.lock()
    assert not lock.try_rlock()
    assert not lock.try_lock()
    lock.unlock()
    assert lock.try_lock()
    lock.unlock()


@pytest.mark.usefixtures("posix")
def test_a_writer_waits_for_the_readers() -> None:
    """lock returns only after the last runlock, while other threads go on running."""
    lock = PthreadRWLock()
    order: list[str] = []
    entering = threading.Event()

    def write() -> None:
        entering.set()
        lock.lock()
        order.append("written")
        lock.unlock()

    lock.rlock()
    writer = threading.Thread(target=write)
    writer.start()
    entering.wait()
    order.append("read")
    lock.runlock()
    writer.join()
    assert order == ["read", "written"]


def test_pidfd_calls_count_alike_on_all_architectures_but_mips() -> None:
    """424 and 434, plus the base of the ABI."""
    base = {"mips-o32": 4000, "mips-n64": 5000}
    for architecture in syscall_numbers.ARCHITECTURES:
        row = syscall_numbers.NUMBERS[architecture]
        offset = base.get(architecture, 0)
        assert row["pidfd_send_signal"] == 424 + offset
        assert row["pidfd_open"] == 434 + offset
        assert len(set(row.values())) == len(syscall_numbers.CALLS)


@pytest.mark.parametrize(
    ("machine_name", "bits", "architecture"),
    [
        ("x86_64", 64, "amd64"),
        ("x86_64", 32, "386"),
        ("i686", 32, "386"),
        ("aarch64", 64, "generic"),
        ("riscv64", 64, "generic"),
        ("aarch64", 32, "arm"),
        ("armv7l", 32, "arm"),
        ("mips", 32, "mips-o32"),
        ("mips64", 64, "mips-n64"),
        ("ppc64le", 64, "ppc64"),
        ("s390x", 64, "s390x"),
    ],
)
def test_the_row_follows_the_machine_and_the_pointer_size(
    machine_name: str, bits: int, architecture: str
) -> None:
    """A 32-bit process makes the 32-bit calls, whatever the kernel is."""
    assert syscall_numbers.architecture_of(machine_name, bits) == architecture


@pytest.mark.parametrize(("machine_name", "bits"), [("mips64", 32), ("vax", 32), ("", 64)])
def test_an_unknown_machine_is_refused_not_guessed(machine_name: str, bits: int) -> None:
    """A wrong number would be some other system call."""
    with pytest.raises(PlatformUnsupported, match="not in the table"):
        syscall_numbers.architecture_of(machine_name, bits)


@pytest.mark.usefixtures("posix")
def test_the_numbers_are_this_kernels() -> None:
    """The C library's header, where it is installed, agrees."""
    headers = list(Path("/usr/include").glob("*/asm/unistd_64.h"))
    if syscall_numbers.number("waitid") != 247 or not headers:
        pytest.skip("no header of amd64's numbers is installed here")
    defined = dict(re.findall(r"#define __NR_(\w+) (\d+)", headers[0].read_text()))
    row = {call: int(defined[call]) for call in syscall_numbers.CALLS if call in defined}
    assert row == {call: syscall_numbers.NUMBERS["amd64"][call] for call in row}
    assert {"waitid", "wait4", "kill", "tgkill", "close"} <= set(row)


def test_a_child_has_its_default_signals_back(machine: Machine, tmp_path: Path) -> None:
    """CPython ignores SIGPIPE for itself; a program that it starts must not inherit that."""
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    seen = tmp_path / "ignored"
    child = machine.child("sh", "-c", f"grep SigIgn /proc/self/status > '{seen}'", pidfd=False)
    assert machine.parts.system.wait4(child.pid, 0).wait_status.exit_status == 0
    ignored = int(seen.read_text().split()[1], 16)
    assert not ignored & 1 << signal.SIGPIPE - 1


def test_pidfd_spawn_gives_a_pidfd_of_the_child(machine: Machine) -> None:
    """Where libc starts and opens in one call, that is what spawn uses."""
    if not pidfd_spawn_available():
        pytest.skip("this libc has no pidfd_spawnp (glibc has from 2.39 on)")
    child = machine.child()
    assert child.pidfd is not None
    with open(f"/proc/self/fdinfo/{child.pidfd}", encoding="ascii") as lines:
        assert f"Pid:\t{child.pid}\n" in lines.readlines()


IMPORT_EVERYTHING = """
import ctypes, ctypes.util, importlib, mmap, os, pathlib, pkgutil, platform, sys, threading

def absent(*_, **__):
    raise OSError("no C library here")

import lastref.impl
ctypes.CDLL = absent
sys.platform, os.name = {platform!r}, {name!r}
for module in pkgutil.walk_packages(lastref.impl.__path__, "lastref.impl."):
    if ".tests" not in module.name:
        importlib.import_module(module.name)
        print(module.name)
from lastref.impl.parts import Parts
from lastref.impl.errors import PlatformUnsupported
try:
    Parts.linux().system.pidfd_open(1)
except PlatformUnsupported as refusal:
    print("refused:", refusal)
"""


@pytest.mark.parametrize(("platform", "name"), [("win32", "nt"), ("darwin", "posix")])
def test_every_module_imports_on_every_platform(platform: str, name: str) -> None:
    """Importing needs no C library and no Linux; using the kernel there is refused, in a line."""
    ran = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING.format(platform=platform, name=name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stderr == ""
    lines = ran.stdout.splitlines()
    assert "lastref.impl.process" in lines
    assert "lastref.impl.history.go_2025" in lines
    assert lines[-1].startswith("refused: ")
