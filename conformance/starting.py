"""How the process object of a trace comes about: started, found, or made by hand.

    handle=ours, or none and by pid     adopt    the child that the stage has started
    word=…                              a handle whose word holds other references already
    exited, reaped, its pid free        find     FindProcess of a missing process
    field=unset                         find     FindProcess that opens nothing
    pid=-1, pid=0                       literal  or found under that number
    handle=unopened                     literal  its handle field is 0, which is a descriptor

Descriptor 0 is the worker's own standard input, in the sandbox, where nobody reads it.  It is put
back after the trace.

Source: the starts of the tables, :mod:`lastref.model.designs.starts`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from lastref.conformance.errors import UserError
from lastref.conformance.trace import Shown, Trace
from lastref.impl.history.go_2023_find import FindProcess
from lastref.impl.parts import Parts
from lastref.impl.state import ProcessLike
from lastref.impl.system import Child

Adopt = Callable[[Child, Parts], ProcessLike]
Initial = Mapping[str, Shown]

STANDARD_INPUT = 0
"""The descriptor that a handle field of Go's zero value is taken for."""

MISSING: Initial = {"exited": True, "reaped": True, "pid_owner": "free"}
"""What is so of a process that is not there any more."""
ZOMBIE: Initial = {"exited": True}
"""What is so of a process that has ended and was not waited for."""
OTHERS = frozenset({"pid", "word", "handle", "field", "eldest", "state", "waitid_missing"})
"""The variables that may start with another value, beside those of a missing process."""


def check(trace: Trace, *, by_pid: bool, private: bool) -> None:
    """Raise :class:`UserError` if no stage can make the start of ``trace``.

    ``by_pid`` says that the implementation has no handle, ``private`` that the stage is in a
    namespace of its own.
    """
    initial = trace.initial
    process = {k: v for k, v in initial.items() if k in MISSING}
    whole: tuple[Initial, ...] = ({}, ZOMBIE, MISSING)
    if not by_pid and "pid_owner" not in trace.start:
        whole = ({}, ZOMBIE, {k: v for k, v in MISSING.items() if k != "pid_owner"})
    if initial.get("handle") == "unopened" and not private:
        _refuse(initial, "it closes descriptor 0, which only a sandbox has to spare")
    elif initial.keys() - OTHERS - MISSING.keys() or process not in whole:
        _refuse(initial, "the stage starts a process of ours and has no way to make it so")
    elif "pid" in initial and not by_pid and not {"field", "handle"} & initial.keys():
        _refuse(initial, "with a handle of ours the pid is ours, too")
    elif initial.get("handle") not in (None, "closed", "unopened"):
        _refuse(initial, "nobody has handed the handle's number out yet")


def _refuse(initial: Initial, reason: str) -> None:
    raise UserError(
        f"the trace starts with {', '.join(initial)} set",
        reason,
        "replay a trace of another start",
        3,
    )


def begin(adopt: Adopt, trace: Trace, child: Child, parts: Parts) -> ProcessLike:
    """Return the process object with which ``trace`` starts."""
    initial = trace.initial
    if not initial or not initial.keys() & OTHERS:
        return adopt(child, parts)
    pid = _pid(initial, child.pid)
    made_by: Any = adopt.__self__  # type: ignore[attr-defined]
    made: ProcessLike
    if initial.get("handle") == "unopened":
        made = made_by.literal(pid, parts)
    elif initial.get("field") == "unset" and issubclass(made_by, FindProcess):
        made = made_by.find(pid, parts, osfinderr=False)
    elif "field" in initial or "state" in initial or "handle" in initial:
        made = made_by.find(pid, parts)
    elif "word" in initial:
        assert child.pidfd is not None
        made = made_by(pid, child.pidfd, parts, word=int(str(initial["word"]), 0))
    else:
        made = adopt(Child(pid, child.pidfd), parts)
    return made


def _pid(initial: Initial, ours: int) -> int:
    """Return the pid that the object is made with; -2 is what a missing one comes to by itself."""
    shown = initial.get("pid", "n")
    return ours if shown in ("n", "-2") else int(str(shown), 0)


class SavedInput:
    """Standard input, kept aside while a trace takes its number for a handle."""

    def __init__(self) -> None:
        self._kept = os.dup(STANDARD_INPUT)

    def put_back(self) -> None:
        """Let descriptor 0 be standard input again, whatever has become of it."""
        os.dup2(self._kept, STANDARD_INPUT, inheritable=True)
        os.close(self._kept)
