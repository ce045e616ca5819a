"""Our own implementations as subjects of a replay: set up on a stage, driven, and looked at.

A subject is an ordinary process object of :mod:`lastref.impl` over observed parts.  The parts it
was given are kept aside, so that its variables can be read without passing the seam.  What the
kernel knows (whether the process runs, what the handle's number means) is asked of the kernel.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from lastref.conformance.stage import Stage, StageProcess
from lastref.conformance.trace import Shown, Trace
from lastref.impl import errors
from lastref.impl.atomic import AtomicWord
from lastref.impl.cells import HandleCell
from lastref.impl.errors import Panic, ProcessError
from lastref.impl.history.go_2023_pidfd import UNSET, SwapProcess
from lastref.impl.parts import Parts
from lastref.impl.probe import PidfdProbe
from lastref.impl.process import Process
from lastref.impl.seam import observed_parts
from lastref.impl.state import ProcessLike
from lastref.impl.system import P_PIDFD, WEXITED, Child

Hook = Callable[[str, tuple[object, ...]], None]

FOREIGN = "a signal of another kind of system"
METHODS: Mapping[str, Callable[[ProcessLike], object]] = {
    "wait": lambda p: p.wait(),
    "signal": lambda p: p.signal(0),
    "kill": lambda p: p.kill(),
    "foreign": lambda p: p.signal(FOREIGN),
    "release": lambda p: p.release(),
}
"""How each method of the tables is called.  The harmless signal is 0."""


@dataclass
class Cells:
    """The cells that a process was made of, kept aside from the seam."""

    word: AtomicWord | None = None
    field: HandleCell | None = None


class HandleSubject:
    """A process behind a pidfd."""

    def __init__(self, stage: Stage, process: ProcessLike, cells: Cells, number: int) -> None:
        self._stage = stage
        self._process = process
        self._cells = cells
        self._number = number
        self._child = _required(stage.process)

    def call(self, method: str) -> str:
        """Perform ``method``; ``"ok"`` for a Wait that succeeded, else ``"nil"`` or the kind."""
        try:
            result = METHODS[method](self._process)
        except (ProcessError, Panic) as error:
            return error.kind
        return "nil" if result is None else "ok"

    def observe(self) -> Mapping[str, Shown]:
        """Return the word or the field, the process, the handle and the bystander."""
        state = self._child.state
        seen: dict[str, Shown] = {
            "exited": state != "running",
            "reaped": state == "reaped",
            "handle": self._handle(),
            "bystander": _BYSTANDER[self._stage.bystander.state],
        }
        if self._cells.word is not None:
            seen["word"] = f"{self._cells.word.load():#x}"
        if self._cells.field is not None:
            seen["field"] = "unset" if self._cells.field.load() == UNSET else "set"
        return seen

    def _handle(self) -> str:
        """Return what the kernel takes the handle's number for."""
        try:
            with open(f"/proc/self/fdinfo/{self._number}", encoding="ascii") as lines:
                pid = next((int(li.split()[1]) for li in lines if li.startswith("Pid:")), None)
        except FileNotFoundError:
            return "closed"
        return "reused" if pid == self._stage.bystander.pid else "ours"

    def kernel(self, command: str) -> None:
        """Carry out ``exit`` (our process ends) or ``reopen`` (the bystander gets the number)."""
        if command == "exit":
            self._child.kill()
        elif command == "reopen":
            source = self._stage.bystander.pidfd
            import fcntl  # POSIX only, and this module is imported everywhere

            given = fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, self._number)
            if given != self._number:
                os.close(given)
        else:
            raise LookupError(f"the stage has no way to do '{command}'")

    def would_block(self, op: str, args: tuple[object, ...]) -> bool:
        """Return whether ``waitid``, called now, would wait."""
        if op != "waitid":
            return False
        kind, number, options = args
        if not isinstance(number, int) or kind != P_PIDFD or options != WEXITED:
            return False
        try:
            return os.waitid(os.P_PIDFD, number, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None
        except OSError:
            return False  # it fails at once, whatever with

    def settle(self, op: str, args: tuple[object, ...]) -> Callable[[], None]:
        """Return what waits for the death of the process that a fatal signal is about to reach."""
        if op != "pidfd_send_signal" or args[1] != signal.SIGKILL:
            return _nothing
        target = {"ours": self._child, "reused": self._stage.bystander}.get(self._handle())
        return target.await_exit if target is not None else _nothing

    def close(self) -> None:
        """Free the handle's number, whosever it is by now."""
        try:
            os.close(self._number)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise


_BYSTANDER = {"running": "alive", "zombie": "killed", "reaped": "reaped"}


def _nothing() -> None:
    pass


def _required(process: StageProcess | None) -> StageProcess:
    if process is None:
        raise LookupError("the stage has no process yet")
    return process


def _parts(stage: Stage, hook: Hook, cells: Cells) -> Parts:
    """Return parts on the stage's system, behind the hook, whose cells are kept aside."""
    plain = Parts(stage.system, PidfdProbe(stage.system))

    def word64(value: int) -> AtomicWord:
        cells.word = plain.word64(value)
        return cells.word

    def handle(value: int) -> HandleCell:
        cells.field = plain.handle(value)
        return cells.field

    return observed_parts(replace(plain, word64=word64, handle=handle), hook)


Adopt = Callable[[Child, Parts], ProcessLike]


def subject(adopt: Adopt) -> Callable[[Stage, Trace, Hook], HandleSubject]:
    """Return the factory of subjects that ``adopt`` a child with its pidfd."""

    def make(stage: Stage, trace: Trace, hook: Hook) -> HandleSubject:
        if trace.initial:
            raise errors.Refusal(
                f"the trace starts with {', '.join(trace.initial)} set",
                "a replay starts a real process, in the table's initial state",
                "replay a trace without initial values",
            )
        child = stage.new_process()
        number = os.dup(child.pidfd)  # the handle under test; the suite keeps its own
        cells = Cells()
        process = adopt(Child(child.pid, number), _parts(stage, hook, cells))
        return HandleSubject(stage, process, cells, number)

    return make


SUBJECTS: Mapping[tuple[str, str], Callable[[Stage, Trace, Hook], HandleSubject]] = {
    ("go-2024", "linux"): subject(Process.adopt),
    ("go-2023-pidfd", "linux"): subject(SwapProcess.adopt),
}
"""The implementations that a trace can be replayed on, by design and platform."""
