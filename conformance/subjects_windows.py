"""Our implementations for Windows as subjects of a replay: set up, driven, and looked at.

As in :mod:`~lastref.conformance.subjects`: an ordinary process object over observed parts, whose
cells are kept aside, and everything else is asked of Windows, by handles of the suite's own.  What
the value under test means is asked by its pid, so that the value itself is never trusted.

A value is handed out again by opening handles to the bystander until it comes up.  Wine gives the
lowest free value, so there the first one is it; Windows promises no order, hence the limit.

A literal, a process object made by hand, has no handle: 0 in the designs that swap a field.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

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
from lastref.conformance.errors import UserError
from lastref.conformance.other_caller_windows import LookUps, OtherCaller
from lastref.conformance.replay import Hook
from lastref.conformance.stage_windows import WindowsStage, WindowsStageProcess
from lastref.conformance.subjects import FOREIGN
from lastref.conformance.trace import Shown, Trace
from lastref.impl import windows_api
from lastref.impl.errors import Panic, ProcessError, Win32Error
from lastref.impl.history.windows_go_2025 import WindowsSplitProcess
from lastref.impl.history.windows_swap import UNSET, WindowsSwapProcess
from lastref.impl.windows import WindowsProcess
from lastref.impl.windows_api import STILL_ACTIVE, WAIT_TIMEOUT
from lastref.impl.windows_calls import WindowsConventions, WindowsState
from lastref.impl.windows_parts import WindowsParts, observed_windows

MOST_HANDLES = 1 << 16
"""So many handles are opened, at most, until the value under test is handed out again."""

NO_HANDLE = 0
"""What a literal's field holds before 2024; Windows never gives it to a handle."""
LITERALS: tuple[Mapping[str, Shown], ...] = ({"handle": "unopened"}, {"has_handle": False})
"""The initial values of a process object made by hand."""

METHODS: Mapping[str, Callable[[WindowsConventions], object]] = {
    "wait": lambda p: p.wait(),
    "signal": lambda p: p.signal(0),
    "kill": lambda p: p.kill(),
    "foreign": lambda p: p.signal(FOREIGN),
    "release": lambda p: p.release(),
}
"""How each method of the tables is called on the process object."""
FIND = "find"
"""The method that another caller calls, and on no object."""

_BYSTANDER = {"running": "alive"}
_ACCESS_DENIED = 5


class WindowsSubject:
    """A process of one of our implementations, behind a handle of its own."""

    def __init__(
        self,
        stage: WindowsStage,
        process: WindowsConventions,
        cells: Cells,
        number: int,
        names: Mapping[str, Reader],
        other: OtherCaller,
    ) -> None:
        self._stage = stage
        self._process = process
        self._cells = cells
        self._number = number
        self._names = names
        self._other = other
        self._child = _required(stage.process)

    def call(self, method: str) -> str:
        """Perform ``method``; ``"ok"`` for a Wait that succeeded, else ``"nil"`` or the kind.

        A Wait that tells the exit code of a process which still runs says so: ``"ok:259"``.
        """
        try:
            if method == FIND:
                return self._other.find()
            result = METHODS[method](self._process)
        except (ProcessError, Panic) as error:
            if self._ended_already(error):
                return "nil"
            return error.kind
        if isinstance(result, WindowsState):
            return "ok" if result.exit_code != STILL_ACTIVE else f"ok:{STILL_ACTIVE}"
        return "nil"

    def _ended_already(self, error: Exception) -> bool:
        """Return whether Windows refused to terminate a process because it had ended.

        Wine says success there, and so does the model: nothing else follows from the difference.
        """
        return (
            isinstance(error, Win32Error)
            and (error.call, error.code) == ("TerminateProcess", _ACCESS_DENIED)
            and windows_api.wine_version() is None
        )

    def observe(self) -> Mapping[str, Shown]:
        """Return the implementation's variables, the processes and the handle."""
        bystander = self._stage.bystander.state
        seen: dict[str, Shown] = {
            "exited": self._child.state != "running",
            "bystander": _BYSTANDER.get(bystander, bystander),
            "handle": self._handle(),
        }
        return {**seen, **self.glance()}

    def glance(self) -> Mapping[str, Shown]:
        """Return those of them that lie in our memory, which no system call tells."""
        return {name: read(self._cells) for name, read in self._names.items()}

    def _handle(self) -> str:
        """Return what Windows takes the handle's value for."""
        try:
            pid = windows_api.get_process_id(self._number)
        except Win32Error:
            return "closed" if self._number != NO_HANDLE else "unopened"
        return "ours" if pid == self._child.pid else "reused"

    def kernel(self, command: str) -> None:
        """Carry out a command of the kernel, on real processes and handles.

        Raises LookupError if it cannot be carried out here.
        """
        if command == "exit":
            self._child.end()
        elif command == "reopen":
            self._reopen()
        else:
            raise LookupError(f"the stage has no way to do '{command}'")

    def _reopen(self) -> None:
        """Hand the value out again, for the bystander."""
        if not hand_out(self._number, self._stage.bystander.handle, MOST_HANDLES):
            raise UserError(
                "a closed handle's value was not handed out again",
                f"{MOST_HANDLES} handles were opened in vain",
                "run it in a process with fewer threads",
                3,
            )

    def would_block(self, op: str, args: tuple[object, ...]) -> bool:
        """Return whether the operation, called now, would wait."""
        if op != "WaitForSingleObject":
            return False
        handle = args[0]
        assert isinstance(handle, int)
        if handle == UNSET:
            return True  # the calling process itself: it would end before the call returns
        try:
            return windows_api.wait_for_single_object(handle, 0) == WAIT_TIMEOUT
        except Win32Error:
            return False  # it fails at once

    def settle(self, op: str, args: tuple[object, ...]) -> Callable[[], None]:
        """Return what waits for the death that the operation is about to cause."""
        if op != "TerminateProcess":
            return _nothing
        copy = args[0]
        assert isinstance(copy, int)
        ours = windows_api.get_process_id(copy) == self._child.pid
        return (self._child if ours else self._stage.bystander).await_exit

    def close(self) -> None:
        """Free what was looked up, and the handle's value if it means one of our two processes."""
        self._other.close()
        if self._handle() in ("ours", "reused"):
            with contextlib.suppress(Win32Error):
                windows_api.close_handle(self._number)


def hand_out(value: int, handle: int, most: int) -> bool:
    """Open handles to what ``handle`` refers to until one is ``value``, and keep only that one.

    Return whether it came up among ``most`` of them.
    """
    others: list[int] = []
    try:
        while len(others) < most:
            given = windows_api.duplicate_handle(handle)
            if given == value:
                return True
            others.append(given)
    finally:
        for other in others:
            windows_api.close_handle(other)
    return False


def _nothing() -> None:
    pass


def _required(process: WindowsStageProcess | None) -> WindowsStageProcess:
    if process is None:
        raise LookupError("the stage has no process yet")
    return process


class Design(Protocol):
    """The class of a design: how its process objects come about."""

    def adopt(self, pid: int, handle: int, parts: WindowsParts) -> WindowsConventions:
        """Return a process of the pid, owning the handle."""

    def find(self, pid: int, parts: WindowsParts) -> WindowsConventions:
        """Return the process that has the pid now."""

    def literal(self, pid: int, parts: WindowsParts) -> WindowsConventions:
        """Return a process made by hand with only its pid."""


WindowsSubjectFactory = Callable[[WindowsStage, Trace, Hook], WindowsSubject]


def _parts(
    stage: WindowsStage, hook: Hook, cells: Cells, labels: Mapping[str, str]
) -> WindowsParts:
    """Return parts on the stage's system, behind the hook, whose cells are kept aside."""
    plain = WindowsParts(stage.system)
    parts = observed_windows(
        replace(
            plain,
            handle=lambda value: kept(plain.handle(value), cells.handles),
            flag=lambda: kept(plain.flag(), cells.flags),
        ),
        hook,
    )
    return replace(
        parts,
        word64=labelled("64", plain.word64, cells.words, labels, hook),
        word32=labelled("32", plain.word32, cells.numbers, labels, hook),
    )


def subject(
    design: Design, *, labels: Mapping[str, str] | None = None, **names: Reader
) -> WindowsSubjectFactory:
    """Return the factory of subjects of ``design``, each with a handle of its own.

    ``names`` are the implementation's own variables, as the design's table calls them.  Making a
    subject raises :class:`UserError` for a trace that a stage cannot begin, or calls it lacks.
    """

    def make(stage: WindowsStage, trace: Trace, hook: Hook) -> WindowsSubject:
        unknown = {c for t in trace.threads for c in t.calls} - METHODS.keys() - {FIND}
        if unknown:
            raise UserError(
                f"the trace calls {', '.join(sorted(unknown))}",
                f"a stage's process has {', '.join((*METHODS, FIND))}",
                "replay a trace of these",
                3,
            )
        if trace.initial and trace.initial not in LITERALS:
            raise UserError(
                f"the trace starts with {', '.join(trace.initial)} set",
                "the stage starts a process of ours and has no way to make it so",
                "replay a trace of another start",
                3,
            )
        child = stage.new_process()
        cells = Cells()
        parts = _parts(stage, hook, cells, labels or {})
        number = NO_HANDLE
        if trace.start["handle"] != "unopened":
            # The handle under test is the seed's own: FindProcess's rights, none to terminate.
            number = stage.system.open_process(child.pid)
        if trace.initial:
            process = design.literal(child.pid, parts)
        else:
            process = design.adopt(child.pid, number, parts)
        other = OtherCaller(design.find, child.pid, LookUps(stage.system, hook, number))
        return WindowsSubject(stage, process, cells, number, names, other)

    return make


def _swapped() -> WindowsSubjectFactory:
    return subject(WindowsSwapProcess, field=read_field(UNSET), isdone=read_flag)


WINDOWS_SUBJECTS: Mapping[tuple[str, str], WindowsSubjectFactory] = {
    ("go-2016", "windows"): _swapped(),
    ("go-2023-pidfd", "windows"): _swapped(),
    ("go-2023-find", "windows"): _swapped(),
    ("go-2023-reland", "windows"): _swapped(),
    ("go-2024", "windows"): subject(WindowsProcess, word=read_word),
    ("go-2025", "windows"): subject(
        WindowsSplitProcess,
        labels={"32.0": "refs", "32.1": "state"},
        refs=read_number(0),
        state=read_state(1),
    ),
}
"""The implementations that a trace can be replayed on, by design and platform.

The commits of 2023 did not touch Windows' file: there the designs of that year are that of 2016.
"""
