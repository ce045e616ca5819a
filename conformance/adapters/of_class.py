"""Adapter for a class of somebody's own: ``python -m ….of_class MODULE:CLASS [FILE]``.

What the class has is what the adapter declares:

    start(argv)   class method: starts a process.  Without it the adapter starts one and calls
                  ``CLASS(pid)``
    find(pid), literal(pid)                        class methods
    wait(), signal(number), kill(), release()      methods; ``reap()`` and ``observe()`` as well
    pid           the number that the object shows; without it the one that it was made with

A method that fails raises: ``ProcessLookupError`` says that the process has ended, another
``OSError`` is named by its errno, and an attribute ``kind`` of the exception wins over both (see
``kind_of`` in :mod:`.serve`).  ``wait`` may return what it likes; a dictionary is taken for the
answer's fields, as the protocol has them.

Two attributes of the class say more: ``lastref_capabilities``, a tuple of capabilities that no
method shows (``"exit-status"``, ``"pidfd"``, ``"foreign-signal"``), and ``lastref_specification``,
the design whose outcomes it promises.  ``exit-status`` makes a ``wait`` that returns an int one
that tells a return code, as ``subprocess`` has it.

Calls are made on a thread each, so ``concurrent`` is always declared.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from lastref.conformance.adapters.serve import About, returned, serve
from lastref.conformance.sandbox.inside import Target

_MODULE = "lastref.conformance.adapters.of_class"
_MAKING = ("find", "literal")
_USING = ("wait", "signal", "kill", "release")


class Subject:
    """An object of the class, as the protocol uses it; ``pid`` is what the object showed first."""

    made_by: Any
    tells_status = False

    def __init__(self, handle: Any, pid: int) -> None:
        self._handle = handle
        self.pid = int(getattr(handle, "pid", pid))

    @classmethod
    def start(cls, argv: Sequence[str]) -> Subject:
        """Start ``argv``, by the class if it can."""
        if hasattr(cls.made_by, "start"):
            handle = cls.made_by.start(list(argv))
            return cls(handle, 0)
        pid = os.posix_spawnp(argv[0], list(argv), os.environ)
        return cls(cls.made_by(pid), pid)

    @classmethod
    def find(cls, pid: int) -> Subject:
        """Find a process by its pid."""
        return cls(cls.made_by.find(pid), pid)

    @classmethod
    def literal(cls, pid: int) -> Subject:
        """Make an object by hand."""
        return cls(cls.made_by.literal(pid), pid)

    def wait(self) -> dict[str, Any]:
        """Wait; a dictionary is the answer, anything else says that it succeeded."""
        answer = self._handle.wait()
        if isinstance(answer, dict):
            return answer
        if self.tells_status and isinstance(answer, int):
            return returned(answer)
        return {"outcome": "ok"}

    def signal(self, number: int) -> None:
        """Send a signal; -1 stands for one of another kind of system."""
        self._handle.signal(number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._handle.kill()

    def release(self) -> None:
        """Release."""
        self._handle.release()

    def reap(self) -> dict[str, Any]:
        """Reap the child behind the object's back."""
        os.waitpid(self.pid, 0)
        return {"outcome": "ok"}

    def observe(self) -> dict[str, Any]:
        """Return the word."""
        word = self._handle.observe()
        return word if isinstance(word, dict) else {"outcome": "ok", "word": f"{word:#x}"}


def about(made_by: Any) -> About:
    """Return what the adapter of the class says: capabilities by the methods that it has."""
    able = ["start", "reap", "concurrent"]
    able += [name for name in (*_MAKING, *_USING) if callable(getattr(made_by, name, None))]
    if callable(getattr(made_by, "observe", None)):
        able.append("observable-word")
    able += [name for name in getattr(made_by, "lastref_capabilities", ()) if name not in able]
    module = sys.modules[made_by.__module__]
    return About(
        f"{made_by.__module__}:{made_by.__qualname__}",
        str(getattr(module, "__version__", "unversioned")),
        able,
        getattr(made_by, "lastref_specification", None),
    )


def command(made_by: type) -> tuple[str, ...]:
    """Return the command that starts the adapter of a class that a module has by its name."""
    target = Target.of(made_by)
    name = f"{target.module}:{target.name}"
    return (sys.executable, "-m", _MODULE, name, *([target.file] if target.file else []))


def main(arguments: Sequence[str]) -> int:
    """Serve the class that is named; on failure say why on one line."""
    if len(arguments) not in (1, 2) or ":" not in arguments[0]:
        print(f"usage: python -m {_MODULE} MODULE:CLASS [FILE]", file=sys.stderr)
        return 2
    module, _, name = arguments[0].partition(":")
    target = Target(module, name, arguments[1] if len(arguments) > 1 else None)
    try:
        made_by = target.resolve()
    except Exception as error:  # whatever the module does as it is loaded
        said = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"lastref: there is no class '{arguments[0]}': {said}; name one", file=sys.stderr)
        return 2
    told = about(made_by)
    Subject.made_by = made_by
    Subject.tells_status = "exit-status" in told.capabilities
    serve(Subject, told)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
