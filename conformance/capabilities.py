"""Whether an adapter has what it declares: one honest use of each capability.

A declaration decides what is skipped, so a false one would hide failures.  Each function returns
what is wrong, or None.  An operation that an implementation has ends in some named way; ``other``,
or a stuck call, is how one that it does not have shows.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping

from lastref.conformance.child import Child
from lastref.conformance.protocol.adapter import TIMEOUT, Adapter, Fault
from lastref.conformance.protocol.conversation import Ready

Look = Callable[[Adapter, Child, str, Ready], str | None]


def examine(capability: str, adapter: Adapter, child: Child, name: str, ready: Ready) -> str | None:
    """Return what is wrong with the declared ``capability``, or None."""
    return _LOOKS[capability](adapter, child, name, ready)


def _starts(_adapter: Adapter, _child: Child, _name: str, _ready: Ready) -> str | None:
    return None  # the child runs: the suite holds its pidfd


def _makes(op: str) -> Look:
    def look(adapter: Adapter, child: Child, name: str, _ready: Ready) -> str | None:
        answer = adapter.call(op, f"{name}2", pid=child.pid)
        if answer["outcome"] != "nil":
            return f"{op} of a running child gave {answer['outcome']}"
        if answer.get("pid") != child.pid:
            return f"{op} of pid {child.pid} gave an object of pid {answer.get('pid')}"
        return None

    return look


def _overlaps(adapter: Adapter, child: Child, name: str, ready: Ready) -> str | None:
    """A second call must be invoked while a Wait is blocked; else the child would never end."""
    waiting = adapter.begin("wait", name)
    op = "signal" if "signal" in ready.capabilities else "wait"
    arguments = {"signal": 0} if op == "signal" else {}
    try:
        other = adapter.begin(op, name, **arguments)
    except Fault as fault:
        if fault.status != TIMEOUT:
            raise
        return f"'{op}' was not invoked while a Wait was blocked"
    child.end()
    adapter.result(waiting, "'wait'")
    adapter.result(other, f"'{op}'")
    return None


def _reaps(adapter: Adapter, child: Child, _name: str, _ready: Ready) -> str | None:
    """A child that ended must be gone with no Wait called; the suite's pidfd shows it."""
    child.end()
    return None if child.await_reaped(adapter.deadline) else "a child that ended stays a zombie"


def _has_pidfd(adapter: Adapter, child: Child, _name: str, _ready: Ready) -> str | None:
    assert adapter.pid is not None
    if child.pid in _pidfds_of(adapter.pid):
        return None
    return "it holds no pidfd of its child"


def _pidfds_of(pid: int) -> set[int]:
    """Return the pids that a process holds pidfds of."""
    found = set()
    folder = f"/proc/{pid}/fdinfo"
    for fd in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError), open(f"{folder}/{fd}") as lines:
            found |= {int(line.split()[1]) for line in lines if line.startswith("Pid:")}
    return found


def _shows_word(adapter: Adapter, _child: Child, name: str, _ready: Ready) -> str | None:
    answer = adapter.call("observe", name)
    if answer["outcome"] != "ok" or "word" not in answer:
        return f"observe gave {answer['outcome']} without a word"
    return None


_LOOKS: Mapping[str, Look] = {
    "start": _starts,
    "find": _makes("find"),
    "literal": _makes("literal"),
    "concurrent": _overlaps,
    "reaps-itself": _reaps,
    "pidfd": _has_pidfd,
    "observable-word": _shows_word,
}
