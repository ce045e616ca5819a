"""The processes of a replay: the one the trace is about, and a bystander that must not be touched.

Both are started here, and only these are ever signalled.  They read from a pipe whose other end the
suite holds, so that they end with it even if it is killed half-way.

Whether a process runs, is a zombie or is reaped is asked of the kernel without changing it, by
``waitid(P_PIDFD, …, WNOWAIT | WNOHANG)``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from types import TracebackType
from typing import Self

from lastref.conformance.errors import UserError
from lastref.impl.guard import Guard
from lastref.impl.syscalls import LinuxSystem

PROGRAM = "cat"
"""What a process of the stage runs: it waits for the end of its input, and needs nothing else."""


class StageProcess:
    """A real child of ours, with a pidfd of the suite's own."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.pid = os.posix_spawn(
            stage.program,
            [PROGRAM],
            {},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stage.input, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            ],
        )
        # The child is ours and not reaped, so its pid can be nobody else's yet.
        self.pidfd = os.pidfd_open(self.pid)
        stage.guard.register(self.pid)

    @property
    def state(self) -> str:
        """``"running"``, ``"zombie"`` or ``"reaped"``."""
        try:
            info = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            return "reaped"
        return "running" if info is None else "zombie"

    def kill(self) -> None:
        """End the process, and return when it is a zombie."""
        if self.state == "running":
            self._stage.system.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            self.await_exit()

    def await_exit(self) -> None:
        """Return when the process has ended: the death by a signal is not immediate."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOWAIT)

    def close(self) -> None:
        """End and reap the process, unless that has happened, and let go of its pidfd."""
        self.kill()
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        self._stage.guard.forget(self.pid)
        os.close(self.pidfd)


class Stage:
    """A place to replay on: a guard that knows what was started here, and the bystander.

    Use it as a context manager; it leaves no process and no file descriptor behind.  Raises
    :class:`UserError` (exit 3) where the machine lacks what it needs.
    """

    def __init__(self) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            raise UserError(
                f"'{PROGRAM}' was not found",
                "the replay needs a program that waits for the end of its input",
                "install coreutils or put it on PATH",
                3,
            )
        self.program = program
        self.guard = Guard()
        self.system = LinuxSystem(self.guard)
        self.input, self._hold = os.pipe()
        self.process: StageProcess | None = None
        self._bystander: StageProcess | None = None

    def new_process(self) -> StageProcess:
        """Start the process that the next trace is about; the one before is cleared away."""
        if self.process is not None:
            self.process.close()
            self.process = None
        self.process = StageProcess(self)
        return self.process

    @property
    def bystander(self) -> StageProcess:
        """The bystander, a new one if the last was hit."""
        if self._bystander is None:
            self._bystander = StageProcess(self)
        return self._bystander

    def renew_bystander(self) -> None:
        """Clear a bystander away that was hit, so that the next trace has a live one."""
        if self._bystander is not None and self._bystander.state != "running":
            self._bystander.close()
            self._bystander = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in (self.process, self._bystander):
            if process is not None:
                process.close()
        self.process = self._bystander = None
        os.close(self.input)
        os.close(self._hold)
