"""What this machine can do: one small real probe for each capability the suite may use.

A probe does the thing once and says what it saw. What would leave a mark on this process, such as
a namespace, a seccomp filter or a traced child, runs in a process of its own (probes.py). A
capability that the suite requires and the machine lacks makes the verdict "unable"; any other one
that is missing is reported as skipped, with what would help.
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from lastref.conformance import probes_windows
from lastref.conformance.results import Check, Result, Verdict
from lastref.impl.atomic import Backend, word_factory
from lastref.impl.errors import Errno, ProcessError, Refusal
from lastref.impl.guard import Guard
from lastref.impl.syscalls import LinuxSystem
from lastref.impl.system import P_PIDFD, WEXITED

_SECONDS = 20  # a bound on a hung tool, not a measurement; a good answer takes a fraction of it


class Unavailable(Exception):
    """The machine does not have it; the text says what was seen instead."""


@dataclass(frozen=True)
class Capability:
    """Whether the machine has one thing, what the probe saw, and what helps if it is missing."""

    id: str
    available: bool
    detail: str
    remedy: str
    required: bool = False
    seconds: float = 0.0

    def check(self) -> Check:
        """Return the capability as a check of a result."""
        if self.available:
            verdict, reason = Verdict.PASS, self.detail
        else:
            verdict = Verdict.UNABLE if self.required else Verdict.SKIPPED
            reason = f"{self.detail}; {self.remedy}"
        return Check(
            id=self.id,
            kind="capability",
            verdict=verdict,
            count=1,
            seconds=self.seconds,
            reason=reason,
            platform=sys.platform,
            extra={"required": self.required, "remedy": "" if self.available else self.remedy},
        )


@dataclass(frozen=True)
class Probe:
    """One question to the machine: ``ask`` returns what it saw, or raises and says why not."""

    id: str
    ask: Callable[[], str]
    remedy: str
    required: bool = False

    def run(self) -> Capability:
        """Ask, and turn every answer into a capability."""
        start = time.perf_counter()
        try:
            detail, available = self.ask(), True
        except (Unavailable, OSError, ProcessError, Refusal) as error:
            detail, available = _said(error), False
        seconds = time.perf_counter() - start
        return Capability(self.id, available, detail, self.remedy, self.required, seconds)


def examine(advance: Callable[[int], None] = lambda _by: None) -> Result:
    """Run every probe, a few at a time, and return the result; ``advance(1)`` after each."""

    def one(probe: Probe) -> Check:
        check = probe.run().check()
        advance(1)
        return check

    with ThreadPoolExecutor(max_workers=4) as pool:
        checks = tuple(pool.map(one, PROBES))
    return Result("doctor", checks, {"machine": _machine()})


def _machine() -> dict[str, str]:
    return {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }


def _said(error: Exception) -> str:
    if isinstance(error, Refusal):
        return error.reason
    return getattr(error, "strerror", None) or str(error)


def _linux() -> LinuxSystem:
    if sys.platform != "linux":
        raise Unavailable(f"it is Linux's, and this is {sys.platform}")
    return LinuxSystem(Guard())


def pidfd_open() -> str:
    """Open a pidfd of this process."""
    system = _linux()
    system.close(system.pidfd_open(os.getpid()))
    return "opened one of this process"


def pidfd_send_signal() -> str:
    """Send this process the null signal through a pidfd."""
    system = _linux()
    pidfd = system.pidfd_open(os.getpid())
    try:
        system.pidfd_send_signal(pidfd, 0)
    finally:
        system.close(pidfd)
    return "sent this process signal 0"


def waitid_pidfd() -> str:
    """Wait for a real child through its pidfd, and no other way."""
    system = _linux()
    child = system.spawn([sys.executable, "-I", "-S", "-c", ""], pidfd=True)
    assert child.pidfd is not None
    try:
        reaped = _wait(system, child.pidfd)
    except Errno:
        os.waitpid(child.pid, 0)
        raise
    finally:
        system.close(child.pidfd)
    if reaped != child.pid:
        raise Unavailable(f"reaped process {reaped} and not the child {child.pid}")
    return "waited for a child"


def _wait(system: LinuxSystem, pidfd: int) -> int:
    while True:
        try:
            return system.waitid(P_PIDFD, pidfd, WEXITED).pid
        except Errno as error:
            if error.errno != errno.EINTR:
                raise


def atomic(backend: Backend) -> str:
    """Let a compare-and-swap of this backend succeed once and fail once."""
    word = word_factory(backend)(1)
    outcomes = (word.compare_exchange(1, 1 << 62), word.compare_exchange(1, 2), word.load())
    if outcomes != (True, False, 1 << 62):
        raise Unavailable(f"compare-and-swap gave {outcomes}")
    return "compared and swapped a 64-bit word"


def own_process(name: str) -> str:
    """Run a probe of probes.py in a process of its own and return the line it prints."""
    _linux()
    # -P: the current directory must not offer other modules under our names.
    ended = _run([sys.executable, "-P", "-m", "lastref.conformance.probes", name])
    said = ended.stdout.strip()
    if ended.returncode == 0:
        return said
    if ended.returncode == Verdict.UNABLE.exit_code:
        raise Unavailable(said)
    if ended.returncode < 0:  # a sandbox may kill what it does not allow
        raise Unavailable(f"the probe was ended by signal {-ended.returncode}")
    raise RuntimeError(f"the probe {name} failed: {_last(ended.stderr)}")


def tool(names: tuple[str, ...], version: str) -> str:
    """Find the first of these programs on PATH and let it say its version."""
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        raise Unavailable("not on PATH")
    ended = _run([path, version])
    said = (ended.stdout.strip() or ended.stderr.strip()).splitlines()
    if ended.returncode != 0 or not said:
        raise Unavailable(f"{names[0]} {version} ended with {ended.returncode}")
    return said[0].strip()


def privileges() -> str:
    """Say whether this user is root (or on Windows an administrator)."""
    if sys.platform == "win32":
        import ctypes

        privileged = bool(ctypes.windll.shell32.IsUserAnAdmin())
    else:
        privileged = os.geteuid() == 0
    if not privileged:
        raise Unavailable("an ordinary user")
    return "this user is"


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"no answer within {_SECONDS} s") from None


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


_KERNEL = "use Linux 5.4 or later, without a sandbox that filters the call"
_WINDOWS = "run it on Windows, or under Wine with .ci/windows-lane"
_USERNS = "allow unprivileged user namespaces, or run as root"


def _probes() -> Iterator[Probe]:
    windows = sys.platform == "win32"  # each system's own calls are required there
    yield Probe("pidfd-open", pidfd_open, _KERNEL, required=not windows)
    yield Probe("pidfd-send-signal", pidfd_send_signal, _KERNEL, required=not windows)
    yield Probe("waitid-pidfd", waitid_pidfd, _KERNEL, required=not windows)
    yield Probe("win32-processes", probes_windows.processes, _WINDOWS, required=windows)
    yield Probe("win32-handle-reuse", probes_windows.handle_reuse, _WINDOWS)
    yield Probe("win32-native", probes_windows.native, _WINDOWS)
    yield Probe("atomic-lock", partial(atomic, "lock"), "use CPython", required=True)
    yield Probe("atomic-page", partial(atomic, "page"), "use the lock or libatomic backend")
    yield Probe("atomic-libatomic", partial(atomic, "libatomic"), "install libatomic1")
    yield Probe("root", privileges, "needed only where user namespaces are not allowed")
    for name, remedy in (
        ("user_namespace", "set kernel.unprivileged_userns_clone or its like to allow them"),
        ("pid_namespace", _USERNS),
        ("clone3_set_tid", f"use Linux 5.5 or later; {_USERNS}"),
        ("ns_last_pid", f"use a kernel with CONFIG_CHECKPOINT_RESTORE; {_USERNS}"),
        ("seccomp_notification", "use Linux 5.0 or later, outside a sandbox that forbids filters"),
        ("ptrace", "run outside a sandbox that forbids it"),
    ):
        yield Probe(name.replace("_", "-"), partial(own_process, name), remedy)
    for name, version, others in (
        ("git", "--version", ()),
        ("wine", "--version", ()),
        ("spin", "-V", ()),
        ("go", "version", ()),
        ("java", "-version", ()),
        ("node", "--version", ("nodejs",)),
        ("cargo", "--version", ()),
        ("chromium", "--version", ("chromium-browser", "google-chrome")),
    ):
        yield Probe(name, partial(tool, (name, *others), version), f"install {name}")


PROBES: tuple[Probe, ...] = tuple(_probes())
"""All probes, in the order in which they are reported."""
