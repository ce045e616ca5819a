"""The processes of a replay: the one the trace is about, and a bystander that must not be touched.

Both are started here, and only these are ever signalled.  Each reads from a pipe whose other end
the suite holds, so that it ends with the suite even if that is killed half-way.

Whether a process runs, is a zombie or is reaped is asked of the kernel without changing it, by
``waitid(P_PIDFD, …, WNOWAIT | WNOHANG)``.
"""

from __future__ import annotations

import contextlib
import os
import signal
from types import TracebackType
from typing import Self

from lastref.conformance.errors import UserError
from lastref.conformance.tiny import FALLBACK, Program
from lastref.impl.guard import Guard
from lastref.impl.syscalls import LinuxSystem

RUNNING, ENDED, KILLED, REAPED = "running", "ended", "killed", "reaped"


class StageProcess:
    """A real child of ours, with a pidfd and the end of a pipe of the suite's own.

    ``hold`` is the write end of its input: closing it ends the process.
    """

    def __init__(self, guard: Guard, system: LinuxSystem, pid: int, pidfd: int, hold: int) -> None:
        self._guard = guard
        self._system = system
        self.pid = pid
        self.pidfd = pidfd
        self._hold: int | None = hold
        guard.register(pid)

    @property
    def state(self) -> str:
        """``RUNNING``, ``ENDED`` or ``KILLED`` (a zombie, by itself or by a signal), ``REAPED``."""
        try:
            info = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            return REAPED
        if info is None:
            return RUNNING
        return ENDED if info.si_code == os.CLD_EXITED else KILLED

    def end(self) -> None:
        """Let the process end by itself, and return when it is a zombie."""
        if self._hold is not None:
            os.close(self._hold)
            self._hold = None
        self.await_exit()

    def await_exit(self) -> None:
        """Return when the process has ended: a death is not immediate."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOWAIT)

    def reap(self) -> None:
        """Reap the process, which has ended."""
        os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        self._guard.forget(self.pid)

    def close(self) -> None:
        """End and reap the process, unless that has happened, and let go of its pidfd."""
        if self.state == RUNNING:
            self._system.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        self._guard.forget(self.pid)
        os.close(self.pidfd)
        if self._hold is not None:
            os.close(self._hold)
            self._hold = None


class Stage:
    """A place to replay on: a guard that knows what was started here, and the bystander.

    Use it as a context manager; it leaves no process and no file descriptor behind.  Raises
    :class:`UserError` (exit 3) where the machine lacks what it needs.
    """

    recycles_pids = False
    """Whether a pid can be handed out again here; see :mod:`~lastref.conformance.namespace`."""

    def __init__(self) -> None:
        self._program = Program()
        if self._program.path is None:
            raise UserError(
                f"'{FALLBACK}' was not found",
                "the replay needs a program that waits for the end of its input",
                "install coreutils or put it on PATH",
                3,
            )
        self.guard = Guard()
        self.system = LinuxSystem(self.guard)
        self.process: StageProcess | None = None
        self._bystander: StageProcess | None = None

    def start(self) -> StageProcess:
        """Start a process that waits for the end of its input."""
        assert self._program.path is not None
        reader, hold = os.pipe()
        try:
            pid = os.posix_spawn(
                self._program.path,
                ["child"],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, reader, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                ],
            )
        finally:
            os.close(reader)
        # The child is ours and not reaped, so its pid can be nobody else's yet.
        return StageProcess(self.guard, self.system, pid, os.pidfd_open(pid), hold)

    def new_process(self) -> StageProcess:
        """Start the process that the next trace is about; the one before is cleared away."""
        if self.process is not None:
            self.process.close()
            self.process = None
        self.process = self.start()
        return self.process

    @property
    def bystander(self) -> StageProcess:
        """The bystander, a new one if the last is gone."""
        if self._bystander is None:
            self._bystander = self.start()
        return self._bystander

    def renew_bystander(self) -> None:
        """Let the next bystander be a new one, younger than our process."""
        if self._bystander is not None:
            self._bystander.close()
            self._bystander = None

    @property
    def hit(self) -> bool:
        """Whether a process that no operation named was signalled to death or reaped."""
        return self.bystander.state in (KILLED, REAPED)

    def reset(self) -> None:
        """Clear away what a trace used up, so that the next one has it anew."""
        if self._bystander is not None and self._bystander.state != RUNNING:
            self.renew_bystander()

    def close(self) -> None:
        """End everything that was started here."""
        for process in (self.process, self._bystander):
            if process is not None:
                process.close()
        self.process = self._bystander = None
        self._program.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
