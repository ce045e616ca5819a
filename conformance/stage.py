"""The processes of a replay: the one the trace is about, and a bystander that must not be touched.

Both are started here, and only these are ever signalled.  Each is a small program that reads from
a pipe whose other end the suite holds, or, on a *light* stage, a process that shares our memory
(:mod:`~lastref.conformance.clones`); either way it ends with the suite, even if that is killed
half-way.  One that a trace has left as it was serves the next trace as well.

Whether a process runs, is a zombie or is reaped is asked of the kernel without changing it, by
``waitid(P_PIDFD, …, WNOWAIT | WNOHANG)``.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Collection
from typing import Protocol

from lastref.conformance import clones
from lastref.conformance.clones import Clone
from lastref.conformance.closing import Closing
from lastref.conformance.errors import UserError
from lastref.conformance.tiny import FALLBACK, Program
from lastref.impl.guard import Guard
from lastref.impl.syscalls import LinuxSystem

RUNNING, ENDED, KILLED, REAPED = "running", "ended", "killed", "reaped"


class Hold(Protocol):
    """What keeps a process from ending by itself."""

    def let_go(self) -> None:
        """Let the process end; harmless when repeated."""

    def gone(self) -> None:
        """Clear up: the process has ended, in whatever way."""


class PipeHold:
    """The write end of a process's input: it ends when that is closed."""

    def __init__(self, writer: int) -> None:
        self._writer: int | None = writer

    def let_go(self) -> None:
        """Close the pipe."""
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None

    gone = let_go


class StageProcess:
    """A real child of ours, with a pidfd.

    ``hold`` is what keeps it from ending, or the write end of its input, whose closing ends it.
    """

    def __init__(
        self, guard: Guard, system: LinuxSystem, pid: int, pidfd: int, hold: int | Hold
    ) -> None:
        self._guard = guard
        self._system = system
        self.pid = pid
        self.pidfd = pidfd
        self._hold: Hold = PipeHold(hold) if isinstance(hold, int) else hold
        self._reaped = False
        guard.register(pid)

    @property
    def state(self) -> str:
        """``RUNNING``, ``ENDED`` or ``KILLED`` (a zombie, by itself or by a signal), ``REAPED``."""
        if self._reaped:  # for good
            return REAPED
        try:
            info = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            self._reaped = True
            return REAPED
        if info is None:
            return RUNNING
        return ENDED if info.si_code == os.CLD_EXITED else KILLED

    def end(self) -> None:
        """Let the process end by itself, and return when it is a zombie."""
        self._hold.let_go()
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
        if not self._reaped:
            with contextlib.suppress(ChildProcessError):
                if os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG) is None:
                    self._system.pidfd_send_signal(self.pidfd, signal.SIGKILL)
                    os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        self._guard.forget(self.pid)
        os.close(self.pidfd)
        self._hold.gone()


class Stage(Closing):
    """A place to replay on: a guard that knows what was started here, and the bystander.

    Use it as a context manager; it leaves no process and no file descriptor behind.  Raises
    :class:`UserError` (exit 3) where the machine lacks what it needs.  With ``light`` its processes
    share our memory where that is possible: for traces, which send no signal that dumps core.
    """

    recycles_pids = False
    """Whether a pid can be handed out again here; see :mod:`~lastref.conformance.namespace`."""

    def __init__(self, *, light: bool = False) -> None:
        self.light = light and clones.unavailable() is None
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
        self._is_younger = True
        self._is_spent = False
        self._watched = select.poll()

    def start(self) -> StageProcess:
        """Start a process that waits: for the end of its input, or on a light stage for a word."""
        if self.light:
            clone = clones.start()
            assert clone is not None
            return self._owned(clone)
        return self._start_program()

    def _owned(self, clone: Clone) -> StageProcess:
        return StageProcess(self.guard, self.system, clone.pid, clone.pidfd, clone.word)

    def _start_program(self) -> StageProcess:
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

    def watch(self, process: StageProcess) -> StageProcess:
        """Let :meth:`ended` tell of this process, until it is unwatched."""
        self._watched.register(process.pidfd, select.POLLIN)
        return process

    def unwatch(self, process: StageProcess) -> StageProcess:
        """Let it tell no more of this process, whose pidfd is about to be closed."""
        self._watched.unregister(process.pidfd)
        return process

    def ended(self) -> Collection[int]:
        """Return the pidfds of the watched processes that have ended; one question for all."""
        return dict(self._watched.poll(0))

    def new_process(self) -> StageProcess:
        """Return the process that the next trace is about: the last one, if that still runs."""
        if self.process is not None and (self._is_spent or self.process.pidfd in self.ended()):
            self.drop_process()
        if self.process is None:
            self.process = self.watch(self.start())
            self._is_younger = self._is_spent = False
        return self.process

    def drop_process(self) -> None:
        """End our process, if there is one: the next is another."""
        if self.process is not None:
            self.unwatch(self.process).close()
            self.process = None

    @property
    def bystander(self) -> StageProcess:
        """The bystander, a new one if the last is gone."""
        if self._bystander is None:
            self._bystander = self.watch(self.start())
            self._is_younger = True
        return self._bystander

    def with_eldest(self, *, ours: bool) -> StageProcess:
        """Let our process be older than the bystander, or younger; return it.

        Where they are the other way round they change places: they are alike, and which is whose
        is only what a trace says of them.
        """
        _ = self.bystander
        if ours != self._is_younger:
            self.process, self._bystander = self._bystander, self.process
            self._is_younger = ours
        assert self.process is not None
        return self.process

    def renew_bystander(self) -> None:
        """Let the next bystander be a new one."""
        if self._bystander is not None:
            self.unwatch(self._bystander).close()
            self._bystander = None

    @property
    def hit(self) -> bool:
        """Whether a process that no operation named was signalled to death or reaped."""
        return self._hit_among(self.ended())

    def _hit_among(self, ended: Collection[int]) -> bool:
        bystander = self._bystander
        if bystander is None or bystander.pidfd not in ended:
            return False
        return bystander.state in (KILLED, REAPED)

    def finish(self) -> bool:
        """Clear away what a trace used up, by one look at all; return whether it hit anybody."""
        ended = self.ended()
        hit = self._hit_among(ended)
        self._clear(ended)
        return hit

    def reset(self) -> None:
        """Clear away what a trace used up, so that the next one has it anew."""
        self._clear(self.ended())

    def _clear(self, ended: Collection[int]) -> None:
        if self._bystander is not None and self._bystander.pidfd in ended:
            self.renew_bystander()
        self._is_spent = self.process is not None and self.process.pidfd in ended

    def close(self) -> None:
        """End everything that was started here."""
        self.renew_bystander()
        self.drop_process()
        self._program.close()
