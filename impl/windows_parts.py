"""What a design on Windows is built from, and the seam before every shared access of it.

The same idea as `Parts` and `seam`, for the other operating system: a design takes its cells and
its system from here, and a scheduler that stands before each operation hears these names:

    words   load, compare_exchange     handle field  load, swap     flag  load_flag, store_flag
    system  OpenProcess, WaitForSingleObject, GetExitCodeProcess, GetProcessTimes,
            DuplicateHandle, TerminateProcess, CloseHandle
"""

# ruff: noqa: D102 -- a method is described by the interface it implements

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lastref.impl import atomic
from lastref.impl.atomic import WordFactory
from lastref.impl.cells import Flag, HandleCell, LockedHandle, PlainFlag
from lastref.impl.seam import After, Before, Seam, observed
from lastref.impl.windows_api import ProcessTimes
from lastref.impl.windows_system import WindowsSystem


@dataclass(frozen=True, slots=True)
class WindowsParts:
    """A system and the factories of everything shared that a process holds."""

    system: WindowsSystem
    word64: WordFactory = field(default_factory=atomic.word_factory)
    word32: WordFactory = field(default_factory=lambda: atomic.word_factory(width=32))
    flag: Callable[[], Flag] = PlainFlag
    handle: Callable[[int], HandleCell] = LockedHandle


class ObservedWindows(Seam):
    """A `WindowsSystem` behind the seam; starting a process touches nothing shared."""

    __slots__ = ("inner",)

    def __init__(self, system: WindowsSystem, before: Before, after: After) -> None:
        super().__init__(before, after)
        self.inner = system

    def spawn(self, argv: Sequence[str]) -> tuple[int, int]:
        return self.inner.spawn(argv)

    def open_process(self, pid: int) -> int:
        return self._step("OpenProcess", self.inner.open_process, pid)

    def wait_for_single_object(self, handle: int) -> int:
        return self._step("WaitForSingleObject", self.inner.wait_for_single_object, handle)

    def get_exit_code_process(self, handle: int) -> int:
        return self._step("GetExitCodeProcess", self.inner.get_exit_code_process, handle)

    def get_process_times(self, handle: int) -> ProcessTimes:
        return self._step("GetProcessTimes", self.inner.get_process_times, handle)

    def duplicate_handle(self, handle: int) -> int:
        return self._step("DuplicateHandle", self.inner.duplicate_handle, handle)

    def terminate_process(self, handle: int, exit_code: int) -> None:
        self._step("TerminateProcess", self.inner.terminate_process, handle, exit_code)

    def close_handle(self, handle: int) -> None:
        self._step("CloseHandle", self.inner.close_handle, handle)


def _silent(name: str, result: Any) -> None:
    """The hook of someone who only schedules."""


def observed_windows(parts: WindowsParts, before: Before, after: After = _silent) -> WindowsParts:
    """Return `parts` with everything that threads share behind one seam."""
    return replace(
        parts,
        system=ObservedWindows(parts.system, before, after),
        word64=lambda value: observed(parts.word64(value), before, after),
        word32=lambda value: observed(parts.word32(value), before, after),
        flag=lambda: observed(parts.flag(), before, after),
        handle=lambda value: observed(parts.handle(value), before, after),
    )
