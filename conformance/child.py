"""A child that an implementation under test starts, and that the suite can end without a signal.

It opens a FIFO and reads a line: it runs until the suite writes one (or dies), and exits with the
code that it was given.  So no pid is needed to end it.  As long as it runs its pid cannot be
anybody else's, so the suite takes a pidfd of it then and knows from there on what became of it.

    sh -c 'read _ <$0; exit $1' FIFO CODE

No double quote and no backslash is in it: see the promise in ``protocol/messages.py``.
"""

from __future__ import annotations

import contextlib
import os
import select
import tempfile
import time
from pathlib import Path

from lastref.conformance.closing import Closing
from lastref.conformance.gate import rest
from lastref.conformance.protocol.adapter import LATE
from lastref.conformance.suite import EXIT_CODE

_SCRIPT = "read _ <$0; exit $1"
_PAUSE = 0.005
_PATIENCE = 5.0  # seconds; a child that was stopped would never read its line


class NotOurChild(Exception):
    """The pid that was reported is not the child's; the text says what was found."""


class Child:
    """One child: ``argv`` starts it, :meth:`started` takes hold of it, :meth:`end` ends it."""

    def __init__(self, folder: Path, name: str, code: int = EXIT_CODE) -> None:
        self.fifo = folder / name
        self.code = code
        os.mkfifo(self.fifo, 0o600)
        # Read and write, which on Linux opens a FIFO without waiting for the other side.
        self._hold: int | None = os.open(self.fifo, os.O_RDWR | os.O_CLOEXEC)
        self.told = False
        self.pid = 0
        self.pidfd: int | None = None

    @property
    def argv(self) -> list[str]:
        """The program and its arguments."""
        return ["sh", "-c", _SCRIPT, str(self.fifo), str(self.code)]

    def started(self, pid: int, seconds: float) -> None:
        """Take hold of the process that is said to be the child; NotOurChild if it is not.

        It has so many seconds to become the program that it is to run.
        """
        try:
            self.pidfd = os.pidfd_open(pid)
        except OSError as error:
            raise NotOurChild(f"pid {pid} was reported: {error.strerror}") from None
        end = time.monotonic() + seconds
        while str(self.fifo) not in (seen := _command_line(pid)):
            # A start may return before the program is loaded; then the parent's line is seen, and
            # on a busy machine for as long as the process waits for the processor.
            late = time.monotonic() - end
            waits = late > 0 and not rest.runs(pid)
            # Who waits may have become the program after the first look at what it runs.
            if self.ended or late > LATE or (waits and _command_line(pid) == seen):
                raise NotOurChild(f"pid {pid} was reported, which runs '{seen}'")
            time.sleep(_PAUSE)
        self.pid = pid

    def adopt(self) -> None:
        """Start it as a child of the suite itself."""
        self.pid = os.posix_spawnp(self.argv[0], self.argv, os.environ)
        self.pidfd = os.pidfd_open(self.pid)

    @property
    def ended(self) -> bool:
        """Whether the process has ended: it is a zombie or reaped."""
        assert self.pidfd is not None
        return bool(select.select([self.pidfd], [], [], 0)[0])

    @property
    def reaped(self) -> bool:
        """Whether somebody has waited for the process, so that its pid is free."""
        with open(f"/proc/self/fdinfo/{self.pidfd}", encoding="ascii") as lines:
            return any(line.split() == ["Pid:", "-1"] for line in lines)

    def end(self) -> None:
        """Let the child end, unless that has happened."""
        if self._hold is not None and not self.told:
            # A line, not the end of the file: the child may not have opened the FIFO yet, and an
            # open without a writer would block for ever.
            os.write(self._hold, b"\n")
            self.told = True

    def await_end(self, seconds: float) -> bool:
        """Return once the process has ended, or after ``seconds``; say which.

        One that still runs by then, or waits for the processor, gets `LATE` more.
        """
        assert self.pidfd is not None
        last = time.monotonic() + seconds + LATE
        while not select.select([self.pidfd], [], [], seconds)[0]:
            if not rest.runs(self.pid) or time.monotonic() > last:
                return self.ended
            seconds = _PAUSE
        return True

    def await_reaped(self, seconds: float) -> bool:
        """Return once somebody has reaped the process, or after ``seconds``; say which."""
        end = time.monotonic() + seconds
        while not self.reaped:
            if time.monotonic() > end:
                return False
            time.sleep(_PAUSE)  # no descriptor tells of it: see poll on a pidfd before Linux 6.9
        return True

    def open_files(self) -> frozenset[str]:
        """Return what the running child's file descriptors are, as links in /proc name them."""
        folder = f"/proc/{self.pid}/fd"
        links = set()
        for fd in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                links.add(os.readlink(f"{folder}/{fd}"))
        return frozenset(links)

    def close(self) -> None:
        """Let the child end, and forget it."""
        self.end()
        if self.pidfd is not None:
            self.await_end(_PATIENCE)
            os.close(self.pidfd)
            self.pidfd = None
        if self._hold is not None:
            os.close(self._hold)
            self._hold = None
        self.fifo.unlink(missing_ok=True)


class Nursery(Closing):
    """The folder of the FIFOs, and the children of one case after another."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="lastref-")
        self._count = 0
        self._children: list[Child] = []
        self.known: set[int] = set()
        self._bystander: Child | None = None

    def new(self, code: int = EXIT_CODE) -> Child:
        """Return a child that has yet to be started and will exit with ``code``."""
        self._count += 1
        child = Child(Path(self._folder.name), f"child-{self._count}", code)
        self._children.append(child)
        return child

    def bystander(self) -> Child:
        """Return a child of the suite's own, which no implementation is the parent of."""
        if self._bystander is None:
            self._bystander = Child(Path(self._folder.name), "bystander")
            self._bystander.adopt()
        return self._bystander

    def dismiss_bystander(self) -> None:
        """End the suite's own child and reap it, if there is one."""
        child, self._bystander = self._bystander, None
        if child is not None:
            child.end()
            os.waitpid(child.pid, 0)
            child.close()

    def clear(self) -> None:
        """Let every child end; a case is over.  The pids stay known: they were asked for."""
        self.known.update(child.pid for child in self._children if child.pid)
        for child in self._children:
            child.close()
        self._children.clear()

    def close(self) -> None:
        """Put every child away."""
        self.clear()
        self.dismiss_bystander()
        self._folder.cleanup()


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
