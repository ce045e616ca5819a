"""Another caller beside the threads of a trace: he looks the process up by its pid.

    find       FindProcess(n): what he gets is a process object of his own
    careless   p, _ := FindProcess(n); p.Signal(0): he never looks at the error

Only his ``pidfd_open`` is a step of the trace: whatever else he does is on his own object, which
nobody shares.  His descriptor never takes the number that the trace watches: that one is the
adversary's to hand out.

Source: go issues 65866 and 67640.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from lastref.conformance.driver import Hook
from lastref.impl.errors import ProcessError
from lastref.impl.parts import Parts
from lastref.impl.process import Process
from lastref.impl.state import ProcessLike
from lastref.impl.syscalls import LinuxSystem

NIL_POINTER = "panic:nil pointer dereference"
"""What Go says to a method call on the Process that an ignored error came in place of."""


class LookUps(LinuxSystem):
    """A system whose ``pidfd_open`` is behind the hook, and is remembered."""

    def __init__(self, system: LinuxSystem, hook: Hook, watched: int | None) -> None:
        super().__init__(system.guard)
        self._hook = hook
        self._watched = watched
        self._opened: list[int] = []

    def pidfd_open(self, pid: int, flags: int = 0) -> int:
        """Open a pidfd of ``pid``, under any number but the one that is watched."""
        self._hook("pidfd_open", (pid, flags))
        opened = super().pidfd_open(pid, flags)
        if opened == self._watched:
            opened = os.dup(opened)
            os.close(self._watched)
        self._opened.append(opened)
        return opened

    def close_all(self) -> None:
        """Close what was opened here; nobody uses the objects any more."""
        for opened in self._opened:
            os.close(opened)
        self._opened.clear()


class OtherCaller:
    """One who looks up ``pid`` in the implementation that ``adopt`` is a constructor of."""

    def __init__(self, adopt: Callable[..., ProcessLike], pid: int, parts: Parts) -> None:
        self._made_by: type[Process] = adopt.__self__  # type: ignore[attr-defined]
        self._pid = pid
        self._parts = parts
        self.calls: Mapping[str, Callable[[], str]] = {
            "find": self._find,
            "careless": self._careless,
        }

    def _find(self) -> str:
        found = self._made_by.find(self._pid, self._parts)
        return "nil" if found.pid == self._pid else f"nil, Pid {found.pid}"

    def _careless(self) -> str:
        try:
            found = self._made_by.find(self._pid, self._parts)
        except ProcessError:
            return NIL_POINTER  # he has no Process, and calls its method all the same
        found.signal(0)
        return "nil"

    def close(self) -> None:
        """Close what the look-ups have opened."""
        look_ups = self._parts.system
        assert isinstance(look_ups, LookUps)
        look_ups.close_all()
