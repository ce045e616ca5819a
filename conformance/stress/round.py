"""One round: a child, its handle, a program for every thread, and the list of what happened.

The number of the handle goes to the bystander the moment it is closed, as it would in a busy
program; a call that still uses it then meets the wrong process.

The order of the events is that of appends to one list, which the interpreter does one at a time.
An interruption is no event: nobody may notice it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from lastref.conformance.stage import Stage, StageProcess
from lastref.conformance.stress.interrupts import interrupt
from lastref.conformance.stress.monitor import Event
from lastref.conformance.stress.subject import INTERRUPT, Subject
from lastref.impl.errors import Panic, ProcessError, Refusal
from lastref.impl.parts import Parts
from lastref.impl.probe import PidfdProbe
from lastref.impl.state import ProcessLike
from lastref.impl.syscalls import LinuxSystem
from lastref.impl.system import Child


class RecyclingSystem(LinuxSystem):
    """A system that hands the number of the handle to the bystander as soon as it is closed."""

    def __init__(self, stage: Stage, watched: int) -> None:
        super().__init__(stage.guard)
        self._bystander = stage.bystander.pidfd
        self._watched = watched
        self.closings = 0
        self.handed_out = False

    def close(self, fd: int) -> None:
        """Close, and open again for someone else; somebody may have been faster."""
        import fcntl  # absent on Windows, where this module is imported too

        super().close(fd)
        if fd != self._watched:
            return
        self.closings += 1
        given = fcntl.fcntl(self._bystander, fcntl.F_DUPFD_CLOEXEC, fd)
        if given == fd:
            self.handed_out = True
        else:
            os.close(given)


class Round:
    """One child, one handle, one program for every thread."""

    def __init__(self, subject: Subject, stage: Stage, programs: list[list[str]]) -> None:
        self.events: list[Event] = []
        self._running: set[int] = set()
        self.programs = programs
        self.stage = stage
        self.child: StageProcess = stage.new_process()
        self.pid = self.child.pid
        self.handle = os.dup(self.child.pidfd)
        self.system = RecyclingSystem(stage, self.handle)
        probe = PidfdProbe(stage.system)
        pidfd = self.handle if subject.handle else None
        process = subject.adopt(Child(self.pid, pidfd), Parts(self.system, probe))
        elsewhere = Parts(stage.system, probe)
        self._calls: dict[str, Callable[[], object]] = {
            "wait": lambda: _reaped(process, self.pid),
            "signal": lambda: process.signal(0),
            "kill": process.kill,
            "release": process.release,
            "find": lambda: _find(subject.find, self.pid, elsewhere),
            "exit": self.child.end,
        }

    def run(self, thread: int) -> None:
        """Run one thread's program, and note when each call begins and returns."""
        events, this = self.events, threading.get_native_id()
        self._running.add(this)
        for operation in self.programs[thread]:
            if operation == INTERRUPT:
                interrupt(self.stage.guard, self._running - {this})
                continue
            events.append(Event(thread, operation))
            outcome = _outcome(self._calls[operation])
            events.append(Event(thread, operation, outcome))
        self._running.discard(this)


def _outcome(call: Callable[[], object]) -> str:
    try:
        result = call()
    except (ProcessError, Panic) as error:
        return error.kind
    except Refusal as refusal:
        return f"refused: {refusal}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nil" if result is None else str(result)


def _reaped(process: ProcessLike, pid: int) -> str:
    state = process.wait()
    return "ok" if state.pid == pid else f"ok: reaped {state.pid}, and the child is {pid}"


def _find(find: Callable[[int, Parts], ProcessLike], pid: int, parts: Parts) -> None:
    """Look the pid up and ask whether it is there; whoever has it by now is not touched."""
    found = find(pid, parts)
    try:
        found.signal(0)
    finally:
        found.release()
