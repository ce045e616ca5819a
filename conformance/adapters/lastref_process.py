"""Adapter for our own implementations: ``python -m ….lastref_process [DESIGN]``.

The design's own errors already have the protocol's kinds.  A strict guard stands before every
signal: the adapter can reach only what it started itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from typing import Any

from lastref.conformance.adapters.serve import About, serve
from lastref.impl.atomic import AtomicWord
from lastref.impl.guard import Guard
from lastref.impl.history.go_2023_pidfd import SwapProcess
from lastref.impl.history.go_2024_pid import PidProcess
from lastref.impl.parts import Parts
from lastref.impl.process import Process
from lastref.impl.state import ProcessLike

DESIGNS: Mapping[str, Any] = {
    "go-2024": Process,
    "go-2024-pid": PidProcess,
    "go-2023-pidfd": SwapProcess,
}
"""The classes by design; ``go-2024-pid`` is go-2024 where pidfds do not work."""

_SPECIFICATIONS = {"go-2024-pid": "go-2024/linux-pid"}
_FOREIGN = object()
_COMMON = ("start", "find", "wait", "signal", "foreign-signal", "kill", "release", "concurrent")

Make = Callable[[Any, Parts], ProcessLike]


class Subject:
    """A process of one of our designs, as the protocol uses it."""

    design: Any
    parts: Parts
    guard: Guard

    def __init__(self, make: Make, argument: Any) -> None:
        self._words: list[AtomicWord] = []
        plain = self.parts.word64

        def word64(value: int) -> AtomicWord:
            self._words.append(plain(value))
            return self._words[-1]

        self._process = make(argument, replace(self.parts, word64=word64))
        self.pid = self._process.pid
        self._released = False

    @classmethod
    def start(cls, argv: Sequence[str]) -> Subject:
        """Start ``argv`` with standard input and output of its own."""
        # The wire has put /dev/null and stderr on 0 and 1 already.
        return cls(cls.design.start, argv)

    @classmethod
    def find(cls, pid: int) -> Subject:
        """Find a process by its pid."""
        return cls(cls.design.find, pid)

    @classmethod
    def literal(cls, pid: int) -> Subject:
        """Make a process by hand."""
        return cls(cls.design.literal, pid)

    def wait(self) -> dict[str, Any]:
        """Wait, and tell how the process ended."""
        status = self._process.wait().status
        # The guard goes on knowing the pid: a call that overlaps may still have it in hand, and the
        # strict guard would refuse what the design is to be judged by.
        if status.signaled:
            return {"outcome": "ok", "exit_signal": status.signal}
        return {"outcome": "ok", "exit_code": status.exit_status}

    def signal(self, number: int) -> None:
        """Send a signal; -1 stands for one of another kind of system."""
        self._process.signal(_FOREIGN if number == -1 else number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    def release(self) -> None:
        """Release."""
        self._released = True
        self._process.release()

    def reap(self) -> dict[str, Any]:
        """Reap the child behind the design's back."""
        os.waitpid(self.pid, 0)
        return {"outcome": "ok"}

    def observe(self) -> dict[str, Any]:
        """Return the word."""
        if not self._words:
            return {"outcome": "other", "native": "this design has no word"}
        return {"outcome": "ok", "word": f"{self._words[0].load():#x}"}

    def drop(self) -> None:
        """Release what nobody released, as Go's garbage collector would."""
        if not self._released:
            self._process.release()


def main(arguments: Sequence[str]) -> None:
    """Serve the design that is named, go-2024 if none is."""
    name = arguments[0] if arguments else "go-2024"
    Subject.design = DESIGNS[name]
    Subject.guard = Guard()
    Subject.parts = Parts.linux(Subject.guard)
    able = [*_COMMON, "reap", "exit-status"]
    if name.startswith("go-2024"):
        able += ["observable-word", "literal"]
    if name != "go-2024-pid":
        able.append("pidfd")
    specification = _SPECIFICATIONS.get(name, f"{name}/linux")
    serve(Subject, About(f"lastref {name}", metadata.version("lastref"), able, specification))


if __name__ == "__main__":
    main(sys.argv[1:])
