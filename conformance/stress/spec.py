"""What the operations on one process handle may do: the sequential specification of the stress.

A call is not one atomic step here but a few points; between two points of one call those of others
may come.  Three points for Wait are what the designs promise, no more: a Wait that is blocked when
Release runs still succeeds, although every later call says "released"; and between its reaping and
its mark a Signal is already told that the process is gone.

    wait     may I? ─ (the process must have ended) reap ─ mark done
    signal   may I? ─ send          kill     may I? ─ send
    release  mark released          exit     the process ends by itself
    find     open by pid, signal 0, release: nil or EPD once the pid may be another's

Source: Go's os/exec.go and os/pidfd_linux.go, commit beaf7f3282; M. Herlihy and J. Wing (1990).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class State(NamedTuple):
    """The handle's status (ok, done, released), and the process (running, zombie, reaped)."""

    status: str = "ok"
    process: str = "running"


class Returned(NamedTuple):
    """A call that has taken its last point and will return this."""

    outcome: str


@dataclass(frozen=True)
class Specification:
    """The points of every call; the fields are what the designs differ in by intention."""

    again: str | None = "EPD"
    """What Wait says after a Wait that succeeded; None: whatever the kernel then says."""
    lost: str = "waitid:ECHILD"
    """What Wait says when a rival has reaped the process."""
    marks_first: bool = False
    """Whether Wait may mark first and reap then, so that a rival's wait4 may find no child."""
    release_overrides: bool = False
    """Whether Release after Wait is noticed by later calls."""

    def points(self, state: State, call: str) -> Iterator[tuple[State, str | Returned]]:
        """Yield what the next point of ``call`` may do; nothing if the call has to wait."""
        status, process = state
        gone = process == "reaped"
        match call:
            case "wait" if status == "released":
                yield state, Returned("EINVAL")
            case "wait" if status == "done" and self.again is not None:
                yield state, Returned(self.again)
            case "wait":
                yield state, "reap"
            case "reap" if gone:
                yield state, Returned(self.lost)
            case "reap" if process == "zombie":
                yield State(status, "reaped"), "mark"
                if self.marks_first:
                    yield State("done" if status == "ok" else status, process), "reap marked"
            case "reap marked":
                yield State(status, "reaped"), Returned("wait:ECHILD" if gone else "ok")
            case "mark":
                yield State("done" if status == "ok" else status, process), Returned("ok")
            case "signal" | "kill" if status != "ok":
                yield state, Returned("EPD" if status == "done" else "REL")
            case "signal" | "kill":
                yield state, f"send {call}"
            case "send signal" | "send kill" if gone:
                yield state, Returned("EPD")
            case "send signal":
                yield state, Returned("nil")
            case "send kill":
                yield State(status, "zombie"), Returned("nil")
            case "release":
                marked = status == "ok" or self.release_overrides
                yield State("released" if marked else status, process), Returned("nil")
            case "exit":
                yield State(status, process if gone else "zombie"), Returned("nil")
            case "find":
                yield state, Returned("nil")
                if gone:
                    yield state, Returned("EPD")
