"""A failure that the gate found, as a trace document, so that one diagram serves it too.

The gate holds the system calls of an unmodified program.  It writes down who went on, and after
each step who stands before which call, what has returned, and which numbers are free:

    K1 goes on      shown: K1 at wait4(a)
    exit(a)         shown: pid(a), K1 at kill(a)
    K1 goes on      shown: K1 returned nil, R1 returned ok

A step of a thread is told by where that thread stands afterwards; what else is new goes beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

GATE = "lastref-gate-trace-1"
_THREAD = re.compile(r"[A-Z]\d+")


def title_of(record: Mapping[str, Any]) -> str:
    """Return what the record is of: the implementation, the scenario, and who stepped."""
    given = record.get("implementation") or {}
    name = " ".join(str(given[k]) for k in ("name", "version") if k in given)
    return f"{name} · {record.get('scenario', '')} · {schedule_of(record)}"


def schedule_of(record: Mapping[str, Any]) -> str:
    """Return who stepped, as the gate's results write it."""
    return ".".join(str(actor) for actor in record.get("schedule", ()))


def document(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the steps of the record as a trace's steps; the last one breaks what was found."""
    before: list[str] = []
    steps: list[dict[str, Any]] = []
    for step in record["steps"]:
        shown = [str(s) for s in step.get("shown", ())]
        steps.append(_step(str(step["actor"]), before, shown))
        before = shown
    if steps and record.get("verdict"):
        steps[-1]["breaks"] = str(record["verdict"])
    threads = dict.fromkeys(s["actor"] for s in steps if s["actor"] != "kernel")
    return {
        "title": title_of(record),
        "threads": [{"name": name, "calls": ()} for name in threads],
        "steps": steps,
        "replay": str(record.get("replay", "")),
    }


def _step(actor: str, before: Sequence[str], shown: Sequence[str]) -> dict[str, Any]:
    fresh = [s for s in shown if s not in before]
    if not _THREAD.fullmatch(actor):
        return {"actor": "kernel", "command": actor, "changes": _told(fresh)}
    own = [s for s in fresh if s.startswith(f"{actor} ")]
    said = own[-1].removeprefix(f"{actor} ") if own else "goes on"
    outcome = said.removeprefix("returned ") if said.startswith("returned ") else None
    step: dict[str, Any] = {
        "actor": actor,
        "command": "returned" if outcome is not None else said,
        "changes": _told([s for s in fresh if s not in own]),
    }
    return step if outcome is None else {**step, "outcome": outcome, "returns": True}


def _told(shown: Sequence[str]) -> str:
    return ", ".join(s if " " in s else f"{s} is free" for s in shown)
