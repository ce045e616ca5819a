"""Another caller beside the threads of a trace, on Windows: he looks the process up by its pid.

As in :mod:`~lastref.conformance.other_caller`: what he gets is a process object of his own, only
his ``OpenProcess`` is a step of the trace, and his handle never has the value that the trace
watches.  The suite's handle pins the pid meanwhile, so that he always finds the process.
"""

from __future__ import annotations

from collections.abc import Callable

from lastref.conformance.replay import Hook
from lastref.impl import windows_api
from lastref.impl.windows_calls import WindowsConventions
from lastref.impl.windows_parts import WindowsParts
from lastref.impl.windows_system import Kernel32

Find = Callable[[int, WindowsParts], WindowsConventions]
"""FindProcess of a design."""


class LookUps(Kernel32):
    """A system whose ``OpenProcess`` is behind the hook."""

    def __init__(self, system: Kernel32, hook: Hook, watched: int) -> None:
        super().__init__(system.guard)
        self._hook = hook
        self._watched = watched

    def open_process(self, pid: int) -> int:
        """Open a handle of ``pid``, of any value but the one that is watched."""
        self._hook("OpenProcess", (pid,))
        opened = super().open_process(pid)
        if opened == self._watched:
            opened = windows_api.duplicate_handle(self._watched)
            windows_api.close_handle(self._watched)
        return opened


class OtherCaller:
    """One who looks up ``pid`` by ``find``."""

    def __init__(self, find: Find, pid: int, system: LookUps) -> None:
        self._find = find
        self._pid = pid
        self._parts = WindowsParts(system)
        self._found: list[WindowsConventions] = []

    def find(self) -> str:
        """Look the process up; return what FindProcess returned."""
        self._found.append(self._find(self._pid, self._parts))
        return "nil"

    def close(self) -> None:
        """Release what was found."""
        for process in self._found:
            process.release()
        self._found.clear()
