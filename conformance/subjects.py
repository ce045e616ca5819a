"""Our own implementations as subjects of a replay: set up on a stage, driven, and looked at.

A subject is an ordinary process object of :mod:`lastref.impl` over observed parts.  The parts it
was given are kept aside, so that its variables can be read without passing the seam.  What the
kernel knows (whether the process runs, what its number or the handle's means) is asked of the
kernel.  Variables that nobody outside can see, such as how many readers a lock has, are left out.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from lastref.conformance.cells import (
    Cells,
    Reader,
    kept,
    labelled,
    read_field,
    read_flag,
    read_number,
    read_state,
    read_word,
)
from lastref.conformance.driver import Hook
from lastref.conformance.errors import UserError
from lastref.conformance.namespace import NamespaceStage
from lastref.conformance.other_caller import LookUps, OtherCaller
from lastref.conformance.stage import KILLED, REAPED, RUNNING, Stage, StageProcess
from lastref.conformance.starting import STANDARD_INPUT, Adopt, SavedInput, begin, check
from lastref.conformance.trace import Shown, Trace
from lastref.impl.errors import Panic, ProcessError
from lastref.impl.history.go_2016 import WaitidProcess
from lastref.impl.history.go_2023_find import FindProcess
from lastref.impl.history.go_2023_pidfd import UNSET, SwapProcess
from lastref.impl.history.go_2023_reland import RelandProcess
from lastref.impl.history.go_2024_pid import PidProcess
from lastref.impl.history.go_2025 import SplitProcess
from lastref.impl.history.go_2025_double import DoubleProcess
from lastref.impl.history.pid_naive import NaiveProcess
from lastref.impl.parts import Parts
from lastref.impl.probe import PidfdProbe
from lastref.impl.process import Process
from lastref.impl.rwlock import PthreadRWLock
from lastref.impl.seam import observed_parts
from lastref.impl.state import ProcessLike
from lastref.impl.system import P_PID, P_PIDFD, Child
from lastref.model.system import Thread

T = TypeVar("T")

FOREIGN = "a signal of another kind of system"
METHODS: Mapping[str, Callable[[ProcessLike], object]] = {
    "wait": lambda p: p.wait(),
    "signal": lambda p: p.signal(0),
    "kill": lambda p: p.kill(),
    "foreign": lambda p: p.signal(FOREIGN),
    "release": lambda p: p.release(),
}
"""How each method of the tables is called.  The harmless signal is 0."""

EVERYONE = -1
_PIDS = {-1: "-1", 0: "0", -2: "-2"}
ALIVE = "alive"
_BYSTANDER = {RUNNING: ALIVE, KILLED: "killed", REAPED: "reaped"}


class ProcessSubject:
    """A process of one of our implementations, by its handle or by its pid."""

    def __init__(
        self,
        stage: Stage,
        process: ProcessLike,
        variables: Variables,
        number: int | None,
        other: OtherCaller | None = None,
        saved: SavedInput | None = None,
    ) -> None:
        self._stage = stage
        self._namespace = stage if isinstance(stage, NamespaceStage) else None
        self._process = process
        self._variables = variables
        self._number = number
        self._other = other
        self._saved = saved
        self._child = _required(stage.process)
        self._means = "ours" if saved is None else "unopened"

    def call(self, method: str) -> str:
        """Perform ``method``; ``"ok"`` for a Wait that succeeded, else ``"nil"`` or the kind."""
        try:
            if self._other is not None and method in self._other.calls:
                return self._other.calls[method]()
            result = METHODS[method](self._process)
        except (ProcessError, Panic) as error:
            return error.kind
        return "nil" if result is None else "ok"

    def observe(self) -> Mapping[str, Shown]:
        """Return the implementation's variables, the processes', the handle's and the pid's."""
        stage, namespace, ours = self._stage, self._namespace, self._child
        state = bystander = RUNNING
        stranger = ALIVE
        if ended := stage.ended():
            other = stage.bystander
            state = ours.state if ours.pidfd in ended else RUNNING
            bystander = other.state if other.pidfd in ended else RUNNING
            if namespace is not None and namespace.stranger_in(ended):
                stranger = KILLED
        handle = None if self._number is None else self._handle(self._number)
        owner = None if namespace is None else namespace.owner_given(state, bystander)
        return self._variables.beside(ours.pid, state, bystander, handle, owner, stranger)

    def glance(self) -> Mapping[str, Shown]:
        """Return the implementation's own variables."""
        return self._variables.alone(self._child.pid)

    def _handle(self, number: int) -> str:
        """Return what the kernel takes the handle's number for."""
        try:
            os.get_inheritable(number)
        except OSError:
            return "closed"
        # Nobody opens files here but the stage, so an open number that was closed once is its.
        return self._means

    def kernel(self, command: str) -> None:
        """Carry out a command of the kernel, on real processes and numbers.

        Raises LookupError if it cannot be carried out here.
        """
        if command == "exit":
            self._child.end()
        elif command == "reopen":
            self._reopen()
        elif command == "sibling_exit":
            self._stage.bystander.end()
        elif not isinstance(self._stage, NamespaceStage):
            raise LookupError(f"'{command}' needs a PID namespace of our own")
        elif command == "recycle":
            self._stage.recycle()
        elif command == "recycle_sibling":
            self._recycle_sibling(self._stage)
        else:
            raise LookupError(f"the stage has no way to do '{command}'")

    def _reopen(self) -> None:
        """Hand the handle's number out again, for the bystander."""
        import fcntl  # absent on Windows, where this module is imported but no stage exists

        assert self._number is not None
        self._means = "reused"
        given = fcntl.fcntl(self._stage.bystander.pidfd, fcntl.F_DUPFD_CLOEXEC, self._number)
        if given != self._number:
            os.close(given)

    def _recycle_sibling(self, stage: NamespaceStage) -> None:
        """Hand the number out to a child of ours, which takes the bystander's place."""
        reused = self._number is not None and self._handle(self._number) == "reused"
        bystander = stage.recycle_sibling()
        if reused:
            assert self._number is not None
            os.dup2(bystander.pidfd, self._number, inheritable=False)

    def would_block(self, op: str, args: tuple[object, ...]) -> bool:
        """Return whether the operation, called now, would wait."""
        if op in ("waitid", "wait4"):
            return _would_wait(op, args)
        for lock in self._variables.cells.locks[:1]:
            if op == "lock":
                return not _try(lock.try_lock, lock.unlock)
            if op == "rlock":
                return not _try(lock.try_rlock, lock.runlock)
        return False

    def settle(self, op: str, args: tuple[object, ...]) -> Callable[[], None]:
        """Return what waits for the deaths that the operation is about to cause."""
        if op not in ("pidfd_send_signal", "kill") or args[1] != signal.SIGKILL:
            return _nothing
        if op == "pidfd_send_signal":
            assert self._number is not None
            meant = {"ours": self._child, "reused": self._stage.bystander}
            target = meant.get(self._handle(self._number))
            return target.await_exit if target is not None else _nothing
        if not isinstance(self._stage, NamespaceStage):
            return self._child.await_exit
        if args[0] == self._child.pid:
            return self._stage.await_owner
        return self._await_everyone if args[0] == EVERYONE else _nothing

    def _await_everyone(self) -> None:
        assert isinstance(self._stage, NamespaceStage)
        self._child.await_exit()
        self._stage.bystander.await_exit()
        self._stage.await_strangers()

    def close(self) -> None:
        """Free the handle's number, whosever it is by now, and what another caller has opened."""
        if self._other is not None:
            self._other.close()
        if self._saved is not None:
            self._saved.put_back()
        elif self._number is not None:
            try:
                os.close(self._number)
            except OSError as error:
                if error.errno != errno.EBADF:
                    raise


class Variables:
    """The variables of a process under test as they are seen: its own, and those of the kernel.

    The same things are seen thousands of times.  What was seen once is kept, and the same mapping
    returned.
    """

    def __init__(self, cells: Cells, readers: Mapping[str, Reader], *, writer: bool) -> None:
        self.cells = cells
        self._readers = tuple(readers.values())
        self._names = tuple(readers)
        self._writer = writer
        self._only = self._readers[0] if len(readers) == 1 and not writer else None
        self._alone: dict[tuple[object, ...], Mapping[str, Shown]] = {}
        self._beside: dict[tuple[object, ...], Mapping[str, Shown]] = {}

    def alone(self, number: int) -> Mapping[str, Shown]:
        """Return the implementation's own; ``number`` is the pid that it was made with."""
        own = self._own(number)
        try:
            return self._alone[own]
        except KeyError:
            named = zip((*self._names, "pid", "writer"), own, strict=False)
            self._alone[own] = seen = {k: v for k, v in named if v is not None}
            return seen

    def beside(
        self,
        number: int,
        ours: str,
        bystander: str,
        handle: str | None,
        owner: str | None,
        stranger: str,
    ) -> Mapping[str, Shown]:
        """Return them beside the states of both processes and whose the numbers are.

        No ``owner`` says that there is no namespace of our own, and so no stranger.
        """
        key = (self._own(number), ours, bystander, handle, owner, stranger)
        try:
            return self._beside[key]
        except KeyError:
            self._beside[key] = seen = dict(self.alone(number))
        seen["exited"] = ours != RUNNING
        seen["reaped"] = ours == REAPED
        seen["bystander"] = _BYSTANDER.get(bystander, bystander)
        if handle is not None:
            seen["handle"] = handle
        if owner is not None:
            seen["pid_owner"] = owner
            seen["stranger"] = stranger
        return seen

    def _own(self, number: int) -> tuple[Shown | None, ...]:
        """Read the variables, and the public pid and whether a writer has the lock."""
        cells = self.cells
        if self._only is not None and not cells.pids:
            return (self._only(cells),)
        own: list[Shown | None] = [read(cells) for read in self._readers]
        if cells.pids:
            pid = cells.pids[0].load_pid()
            own.append("n" if pid == number else _PIDS.get(pid, hex(pid)))
        if self._writer and cells.locks:
            lock = cells.locks[0]
            if not cells.pids:
                own.append(None)
            own.append(not _try(lock.try_rlock, lock.runlock))
        return tuple(own)


def _would_wait(op: str, args: tuple[object, ...]) -> bool:
    """Return whether a wait with these arguments finds a child, and none that has ended."""
    kind, number = (args[0], args[1]) if op == "waitid" else (P_PID, args[0])
    assert isinstance(number, int)
    if kind == P_PIDFD:
        which = os.P_PIDFD
    elif number == EVERYONE and op == "wait4":
        which, number = os.P_ALL, 0
    else:
        which = os.P_PID
    try:
        return os.waitid(which, number, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None
    except OSError:
        return False  # it fails at once, whatever with


def _try(attempt: Callable[[], bool], undo: Callable[[], None]) -> bool:
    """Return whether ``attempt`` to lock succeeds now; the lock is left as it was."""
    if not attempt():
        return False
    undo()
    return True


def _nothing() -> None:
    pass


def _required(process: StageProcess | None) -> StageProcess:
    if process is None:
        raise LookupError("the stage has no process yet")
    return process


def _parts(stage: Stage, hook: Hook, cells: Cells, labels: Mapping[str, str]) -> Parts:
    """Return parts on the stage's system, behind the hook, whose cells are kept aside."""
    plain = Parts(stage.system, PidfdProbe(stage.system))

    def lock() -> PthreadRWLock:
        cells.locks.append(PthreadRWLock())
        return cells.locks[-1]

    parts = observed_parts(
        replace(
            plain,
            handle=lambda value: kept(plain.handle(value), cells.handles),
            pid=lambda pid: kept(plain.pid(pid), cells.pids),
            flag=lambda: kept(plain.flag(), cells.flags),
            lock=lock,
        ),
        hook,
    )
    return replace(
        parts,
        word64=labelled("64", plain.word64, cells.words, labels, hook),
        word32=labelled("32", plain.word32, cells.numbers, labels, hook),
    )


SubjectFactory = Callable[[Stage, Trace, Hook], ProcessSubject]
OTHERS_METHODS = frozenset({"find", "careless"})
"""What another caller does: see :mod:`~lastref.conformance.other_caller`."""


def subject(
    adopt: Adopt, *, handle: bool = True, labels: Mapping[str, str] | None = None, **names: Reader
) -> Callable[[Stage, Trace, Hook], ProcessSubject]:
    """Return the factory of subjects that ``adopt`` a child, with its pidfd or by its pid alone.

    ``names`` are the implementation's own variables, as the design's table calls them.
    """

    last: list[_Setting] = []  # one driver replays many traces on one stage

    def make(stage: Stage, trace: Trace, hook: Hook) -> ProcessSubject:
        setting = last[0] if last else None
        if setting is None or not setting.serves(stage, trace, hook):
            setting = _Setting(stage, trace, hook, labels or {}, names, by_pid=not handle)
            last[:] = [setting]
        child = setting.staged()
        # The handle under test is a number of its own; the suite keeps its own to look with.
        number = os.dup(child.pidfd) if setting.means == "ours" else None
        saved = SavedInput() if setting.means == "unopened" else None
        setting.cells.clear()
        process = begin(adopt, trace, Child(child.pid, number), setting.parts)
        number = number if saved is None else STANDARD_INPUT
        other = None
        if setting.looks_up:
            look_ups = LookUps(stage.system, hook, number)
            other = OtherCaller(adopt, child.pid, Parts(look_ups, setting.parts.probe))
        return ProcessSubject(stage, process, setting.variables, number, other, saved)

    return make


class _Setting:
    """What the traces of one scenario have in common on one stage, worked out once."""

    def __init__(
        self,
        stage: Stage,
        trace: Trace,
        hook: Hook,
        labels: Mapping[str, str],
        names: Mapping[str, Reader],
        *,
        by_pid: bool,
    ) -> None:
        if trace.initial:
            check(trace, by_pid=by_pid, private=isinstance(stage, NamespaceStage))
        self._stage, self._hook = stage, hook
        self._threads, self._initial, self._start = trace.threads, trace.initial, trace.start
        self.looks_up = not OTHERS_METHODS.isdisjoint(_methods_of(trace.threads))
        self.means = "closed" if by_pid else trace.start.get("handle", "closed")
        self.cells = Cells()
        self.parts = _parts(stage, hook, self.cells, labels)
        self.variables = Variables(self.cells, names, writer="writer" in trace.start)

    def serves(self, stage: Stage, trace: Trace, hook: Hook) -> bool:
        """Return whether it is that of ``trace``, too: made by the same recorder, say."""
        return (
            trace.start is self._start
            and trace.initial is self._initial
            and trace.threads is self._threads
            and hook == self._hook
            and stage is self._stage
        )

    def staged(self) -> StageProcess:
        """Return our process as it is at the start of a trace."""
        child, start = self._stage.new_process(), self._start
        _ = self._stage.bystander  # now: later its pidfd could take the number under test
        if "eldest" in start:
            child = self._stage.with_eldest(ours=start["eldest"] == "ours")
        if start.get("exited") is True:
            child.end()
        if start.get("reaped") is True:
            child.reap()
        return child


def _methods_of(threads: tuple[Thread, ...]) -> frozenset[str]:
    """Return what the threads call, after a look whether a stage's process has it."""
    methods = frozenset(call for thread in threads for call in thread.calls)
    known = METHODS.keys() | OTHERS_METHODS
    if methods <= known:
        return methods
    raise UserError(
        f"the trace calls {', '.join(sorted(methods - known))}",
        f"a stage's process has {', '.join((*METHODS, *sorted(OTHERS_METHODS)))}",
        "replay a trace of these",
        3,
    )


SUBJECTS: Mapping[tuple[str, str], SubjectFactory] = {
    ("pid-naive", "linux-pid"): subject(NaiveProcess.adopt, handle=False, isdone=read_flag),
    ("go-2016", "linux-pid"): subject(WaitidProcess.adopt, handle=False, isdone=read_flag),
    ("go-2023-pidfd", "linux"): subject(
        SwapProcess.adopt, field=read_field(UNSET), isdone=read_flag
    ),
    ("go-2023-find", "linux"): subject(
        FindProcess.adopt, field=read_field(UNSET), isdone=read_flag
    ),
    ("go-2023-reland", "linux"): subject(
        RelandProcess.adopt, field=read_field(UNSET), isdone=read_flag
    ),
    ("go-2024", "linux"): subject(Process.adopt, word=read_word),
    ("go-2024", "linux-find"): subject(Process.adopt, word=read_word),
    ("go-2024", "linux-pid"): subject(PidProcess.adopt, handle=False, word=read_word),
    ("go-2025-double", "linux"): subject(
        DoubleProcess.adopt,
        labels={"64.0": "word", "32.0": "refs"},
        word=read_word,
        refs=read_number(0),
    ),
    ("go-2025", "linux"): subject(
        SplitProcess.adopt,
        labels={"32.0": "refs", "32.1": "state"},
        refs=read_number(0),
        state=read_state(1),
    ),
    ("go-2025", "linux-pid"): subject(
        SplitProcess.adopt, handle=False, labels={"32.0": "state"}, state=read_state(0)
    ),
}
"""The implementations that a trace can be replayed on, by design and platform."""
