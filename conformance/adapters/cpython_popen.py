"""Adapter for CPython's subprocess.Popen.

``send_signal`` and ``kill`` look at the return code first and do nothing, without an error, if the
process is known to have ended; between that look and the kill() another thread may reap it.

Source: https://docs.python.org/3/library/subprocess.html
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from typing import Any

from lastref.conformance.adapters.serve import About, returned, serve


class Subject:
    """A subprocess.Popen."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self.pid = popen.pid

    @classmethod
    def start(cls, argv: Sequence[str]) -> Subject:
        """Start a process."""
        return cls(subprocess.Popen(argv))

    def wait(self) -> dict[str, Any]:
        """Wait."""
        return returned(self._popen.wait())

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._popen.kill()

    def reap(self) -> dict[str, Any]:
        """Reap the child as another part of the program would."""
        os.waitpid(self.pid, 0)
        return {"outcome": "ok"}


ABOUT = About(
    "cpython subprocess.Popen",
    platform.python_version(),
    ("start", "wait", "signal", "kill", "reap", "exit-status", "concurrent"),
)

if __name__ == "__main__":
    serve(Subject, ABOUT)
