"""Starts an adapter, keeps its exit status, and lets nothing that it started survive.

    suite ─┬─ control pipe ──▶ keeper ──▶ adapter ──▶ its children, and theirs
           └─ report pipe  ◀──

The keeper is a child subreaper: what the adapter leaves behind when it ends, however deep and in
whatever session, becomes the keeper's own child.  So it can be killed by its pid without any race,
for nobody else can reap it: kill the children, reap them, and again, until the kernel says that
there are none.  When the suite itself dies the control pipe ends, and the keeper does the same.

    python -m lastref.conformance.protocol.keeper CONTROL REPORT -- PROGRAM ARGUMENT...

``control`` takes single letters: T (SIGTERM to the adapter), K (SIGKILL), C or its end (clean up).
``report`` says, each as one JSON object a line: ``started`` (pid) or ``failed`` (errno);
``ended`` (the raw wait status); and last ``left``, what was still there, with pid, name and state.

Source: prctl(2) for PR_SET_CHILD_SUBREAPER, proc_pid_stat(5).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
from collections.abc import Sequence
from typing import Any

from lastref.impl import libc
from lastref.impl.errors import Errno
from lastref.impl.guard import Guard

_PR_SET_CHILD_SUBREAPER = 36
_SIGNALS = {b"T": signal.SIGTERM, b"K": 9}  # SIGKILL by its number: not every system names it


class Keeper:
    """The adapter's parent."""

    def __init__(self, control: int, report: int) -> None:
        self._control = control
        self._report = report
        self._guard = Guard()
        self._reaped: set[int] = set()

    def run(self, argv: Sequence[str]) -> int:
        """Start the adapter, serve the control pipe, clean up; return the keeper's exit code."""
        libc.checked(libc.library().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's; the suite decides
        try:
            adapter = _start(argv)
        except OSError as error:
            self._say(failed=error.errno)
            return 1
        self._say(started=adapter)
        self._guard.register(adapter)
        self._give_up_the_pipes()
        self._serve(adapter)
        self._clean_up()
        return 0

    def _give_up_the_pipes(self) -> None:
        """Let the adapter's pipes end with the adapter: the keeper must hold none of them."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nowhere, fd)
        os.close(nowhere)

    def _serve(self, adapter: int) -> None:
        """Pass signals on until the suite says C or is gone; report the adapter's end."""
        pidfd = os.pidfd_open(adapter)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == pidfd:
                    poll.unregister(pidfd)
                    self._reap(adapter)
                    continue
                letter = os.read(self._control, 1)
                if letter not in _SIGNALS:
                    return
                if adapter not in self._reaped:
                    self._guard.kill(adapter, _SIGNALS[letter])

    def _reap(self, adapter: int) -> None:
        _, status = os.waitpid(adapter, 0)
        self._guard.forget(adapter)
        self._reaped.add(adapter)
        self._say(ended=status)

    def _clean_up(self) -> None:
        """Report what is left, then kill and reap until there is nothing."""
        self._say(left=[told for child in _children() if (told := _told(child)) is not None])
        while True:
            for child in _children():
                self._guard.register(child)
                with contextlib.suppress(Errno):  # it may run as another user by now
                    self._guard.kill(child, signal.SIGKILL)
            try:
                child, _ = os.waitpid(-1, 0)
            except ChildProcessError:
                return
            self._guard.forget(child)

    def _say(self, **report: Any) -> None:
        # Without the suite nobody listens, and cleaning up is all that is left to do.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._report, json.dumps(report).encode() + b"\n")


def _start(argv: Sequence[str]) -> int:
    """Start the adapter as the leader of a session of its own; OSError if it cannot be."""
    program = shutil.which(argv[0])
    if program is None:
        raise FileNotFoundError(2, "not found")
    return os.posix_spawn(
        program,
        list(argv),
        os.environ,
        setsid=True,
        setsigdef=(signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ),
    )


def _children() -> list[int]:
    """Return our own children, zombies among them."""
    own, found = os.getpid(), []
    for name in filter(str.isdigit, os.listdir("/proc")):
        fields = _stat(int(name))
        if fields is not None and int(fields[2]) == own:
            found.append(int(name))
    return found


def _told(pid: int) -> dict[str, Any] | None:
    fields = _stat(pid)
    return None if fields is None else {"pid": pid, "name": fields[0], "state": fields[1]}


def _stat(pid: int) -> tuple[str, str, str] | None:
    """Return a process's name, state letter and parent, or None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name is in parentheses and may itself hold any character.
    before, _, after = text.rpartition(")")
    state, parent = after.split()[:2]
    return before.partition("(")[2], state, parent


def main(arguments: Sequence[str]) -> int:
    """Run the program; see the module's docstring for its arguments."""
    control, report, dashes, *argv = arguments
    if dashes != "--" or not argv:
        raise SystemExit("usage: keeper CONTROL REPORT -- PROGRAM ARGUMENT...")
    os.set_inheritable(int(control), False)
    os.set_inheritable(int(report), False)
    return Keeper(int(control), int(report)).run(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
