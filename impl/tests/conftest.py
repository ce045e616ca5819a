"""Fixtures of the implementation's tests: parts on the real kernel, and nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastref.impl import libc
from lastref.impl.errors import Errno, PlatformUnsupported
from lastref.impl.guard import Guard
from lastref.impl.parts import Parts
from lastref.impl.system import P_PID, WEXITED, WNOWAIT, Child

NEVER_A_PID = 1 << 30


def open_fds() -> set[str]:
    """Return the numbers of all open descriptors, by what they are open on."""
    links = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the descriptor of this very listing
            links.add(f"{entry.name} -> {entry.readlink()}")
    return {link for link in links if "/fd" not in link.split(" -> ")[1]}


def children() -> set[str]:
    """Return the pids of all children, zombies included."""
    while True:
        found: set[str] = set()
        try:
            for task in Path("/proc/self/task").iterdir():
                found.update((task / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread has ended meanwhile, and its children are another's: once more
        return found


class Machine:
    """Real parts, and the children that a test started with them."""

    never_a_pid = NEVER_A_PID

    def __init__(self) -> None:
        self.guard = Guard()
        self.parts = Parts.linux(self.guard)
        self._started: list[Child] = []

    def child(self, *argv: str, pidfd: bool = True) -> Child:
        """Start a child; it is killed and reaped after the test, unless the test did."""
        child = self.parts.system.spawn(argv or ("sleep", "1000"), pidfd=pidfd)
        self._started.append(child)
        return child

    def zombie(self, *argv: str, pidfd: bool = True) -> Child:
        """Start a child that ends by itself, and return when it is a zombie."""
        child = self.child(*(argv or ("true",)), pidfd=pidfd)
        self.ended(child.pid)
        return child

    def ended(self, pid: int) -> None:
        """Return when the child `pid` has ended; it is not reaped."""
        while True:
            try:
                self.parts.system.waitid(P_PID, pid, WEXITED | WNOWAIT)
            except Errno as error:
                if error.errno == errno.EINTR:
                    continue
                raise
            return

    def adopt(self, child: Child) -> Child:
        """Clean up after a child that the test started in another way."""
        self._started.append(child)
        return child

    def clean_up(self) -> None:
        """Kill and reap every child that the test left."""
        for child in self._started:
            with contextlib.suppress(ChildProcessError):
                # Unreaped, hence still ours, hence safe to kill by pid.
                if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    self.guard.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Return real parts; after the test, check that it leaked no descriptor and no child."""
    if sys.platform != "linux":
        pytest.skip("the implementation of pidfds is Linux's")
    fds_before, children_before = open_fds(), children()
    here = Machine()
    if not here.parts.probe.works:
        pytest.skip(f"pidfds do not work on this machine: {here.parts.probe.failure}")
    yield here
    here.clean_up()
    assert open_fds() - fds_before == set(), "the test leaked descriptors"
    assert children() - children_before == set(), "the test leaked children"


@pytest.fixture
def posix() -> None:
    """Skip where there is no POSIX C library to ask."""
    try:
        libc.library()
    except PlatformUnsupported as missing:
        pytest.skip(str(missing))


@pytest.fixture
def parts(machine: Machine) -> Parts:
    """Return real parts with a strict guard."""
    return machine.parts
