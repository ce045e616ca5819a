"""The processes of a replay on Windows: the one the trace is about, and the bystander.

Both are started suspended, which is as good as waiting for something, and belong to a job that ends
them with the suite, even if that is killed half-way. The suite keeps a handle of its own to each:
that pins the pid, and asks about the process without touching the number under test.
"""

from __future__ import annotations

import os

from lastref.conformance.closing import Closing
from lastref.conformance.errors import UserError
from lastref.impl import windows_api
from lastref.impl.errors import Refusal
from lastref.impl.windows_api import WAIT_TIMEOUT, Started
from lastref.impl.windows_guard import TerminationGuard
from lastref.impl.windows_job import Job
from lastref.impl.windows_system import Kernel32

EXIT_CODE = 3
"""What a process of the stage exits with that ends by itself, as far as anyone can tell."""


class WindowsStageProcess:
    """A real process of ours that has not run an instruction yet, and the suite's handle of it."""

    def __init__(self, stage: WindowsStage) -> None:
        self._stage = stage
        started = stage.create()
        windows_api.close_handle(started.thread)
        self.pid = started.pid
        self.handle = started.process

    @property
    def state(self) -> str:
        """``running``, ``ended`` by itself, or ``killed`` by the implementation under test."""
        if windows_api.wait_for_single_object(self.handle, 0) == WAIT_TIMEOUT:
            return "running"
        return "ended" if windows_api.get_exit_code_process(self.handle) == EXIT_CODE else "killed"

    def end(self) -> None:
        """End the process, and return when it has ended."""
        if self.state == "running":
            self._stage.guard.terminate_process(self.handle, EXIT_CODE)
            self.await_exit()

    def await_exit(self) -> None:
        """Return when the process has ended: TerminateProcess does not wait for that."""
        windows_api.wait_for_single_object(self.handle)

    def close(self) -> None:
        """End the process, unless it has, and let go of it."""
        self.end()
        self._stage.guard.forget(self.pid)
        windows_api.close_handle(self.handle)


class WindowsStage(Closing):
    """A place to replay on: a guard that knows what was started here, and the bystander.

    Use it as a context manager; it leaves no process and no handle behind. Raises
    :class:`UserError` (exit 3) where there is no Windows.
    """

    recycles_pids = False

    def __init__(self) -> None:
        try:
            self._job = Job()
        except Refusal as refusal:
            raise UserError(refusal.fault, refusal.reason, refusal.remedy, 3) from refusal
        self.guard = TerminationGuard()
        self.system = Kernel32(self.guard)
        self._refusals = len(windows_api.REFUSALS)
        self.process: WindowsStageProcess | None = None
        self._bystander: WindowsStageProcess | None = None

    def create(self) -> Started:
        """Start a suspended process in the job."""
        program = [os.environ["COMSPEC"], "/c", "exit"]
        started = self.system.create(program, suspended=True)
        self._job.add(started.process)
        return started

    @property
    def retries(self) -> int:
        """How often Wine refused to start a process since the stage was made."""
        return len(windows_api.REFUSALS) - self._refusals

    def new_process(self) -> WindowsStageProcess:
        """Return the process that the next trace is about: the last one, if nothing ended it."""
        if self.process is not None and self.process.state != "running":
            self.process.close()
            self.process = None
        if self.process is None:
            self.process = WindowsStageProcess(self)
        return self.process

    @property
    def bystander(self) -> WindowsStageProcess:
        """The bystander, a new one if the last is gone."""
        if self._bystander is None:
            self._bystander = WindowsStageProcess(self)
        return self._bystander

    @property
    def hit(self) -> bool:
        """Whether the process that no operation named was terminated."""
        return self.bystander.state != "running"

    def reset(self) -> None:
        """Clear away what a trace used up, so that the next one has it anew."""
        if self._bystander is not None and self._bystander.state != "running":
            self._bystander.close()
            self._bystander = None

    def finish(self) -> bool:
        """Clear away what a trace used up; return whether it hit who it did not name."""
        hit = self.hit
        self.reset()
        return hit

    def close(self) -> None:
        """End everything that was started here."""
        for process in (self.process, self._bystander):
            if process is not None:
                process.close()
        self.process = self._bystander = None
        self._job.close()
