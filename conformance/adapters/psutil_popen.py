"""Adapter for psutil.Popen and psutil.Process.

psutil remembers when a process was created and compares before it signals, which narrows the window
in which a pid can be recycled and does not close it.

Source: https://psutil.readthedocs.io/ (psutil.Popen, psutil.Process)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from lastref.conformance.adapters.serve import About, Failed, returned, serve


def _named(error: Exception) -> Failed:
    """Return the failure of a psutil exception: NoSuchProcess says that the process has ended."""
    kinds = {"NoSuchProcess": "EPD", "ZombieProcess": "EPD", "AccessDenied": "EPERM"}
    return Failed(kinds.get(type(error).__name__, "other"), repr(error))


class Subject:
    """A psutil.Popen or, if found, a psutil.Process."""

    def __init__(self, process: Any) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    def start(cls, argv: Sequence[str]) -> Subject:
        """Start a process."""
        import psutil

        return cls(psutil.Popen(argv))

    @classmethod
    def find(cls, pid: int) -> Subject:
        """Find a process."""
        import psutil

        try:
            return cls(psutil.Process(pid))
        except psutil.Error as error:
            raise _named(error) from error

    def wait(self) -> dict[str, Any]:
        """Wait; None is what psutil gives for a process that is no child."""
        code = self._call("wait")
        return {"outcome": "ok"} if code is None else returned(code)

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._call("send_signal", number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._call("kill")

    def reap(self) -> dict[str, Any]:
        """Reap the child as another part of the program would."""
        os.waitpid(self.pid, 0)
        return {"outcome": "ok"}

    def _call(self, method: str, *arguments: Any) -> Any:
        import psutil

        try:
            return getattr(self._process, method)(*arguments)
        except psutil.Error as error:
            raise _named(error) from error


def about() -> About:
    """Return what it declares, with the version of psutil."""
    import psutil

    able = ("start", "find", "wait", "signal", "kill", "reap", "concurrent", "exit-status")
    return About("psutil.Popen", psutil.__version__, able)


if __name__ == "__main__":
    serve(Subject, about())
