"""A broken round on paper: a document to keep, and one column per thread to read.

        T1           T2           T3
      1 wait …
      2              kill …
      3              kill → nil
      4                           release …

Time runs down; a line is one event, and the events of one thread are in one column.

Source: L. Lamport, Time, Clocks, and the Ordering of Events in a Distributed System (1978).
"""

from __future__ import annotations

from typing import Any

from lastref.conformance.stress.hammer import Failure, Plan

SCHEMA = "lastref-stress-failure-1"

_WIDTH = 20
_LAST_EVENTS = 30


def command(plan: Plan, design: str, failure: Failure) -> str:
    """Return the command that runs the same programs again; the schedule is the kernel's."""
    return (
        f"lastref stress --design {design} --seed {plan.seed} --threads {plan.threads} "
        f"--round {failure.round}"
    )


def document(plan: Plan, design: str, failure: Failure) -> dict[str, Any]:
    """Return the failure as a JSON document: what was run, what broke, every event in order."""
    return {
        "schema": SCHEMA,
        "design": design,
        "seed": plan.seed,
        "threads": plan.threads,
        "round": failure.round,
        "law": failure.law,
        "reason": failure.text,
        "event": failure.event,
        "command": command(plan, design, failure),
        "history": [
            {"thread": event.thread, "operation": event.operation, "outcome": event.outcome}
            for event in failure.history
        ],
    }


def text(failure: Failure, last: int = _LAST_EVENTS) -> str:
    """Return the ``last`` events up to the one that shows it, one column per thread.

    The last column is the main thread's, which makes one call when the others have ended.
    """
    history = failure.history
    end = len(history) if failure.event is None else failure.event + 1
    threads = max((event.thread for event in history), default=0) + 1
    names = [f"T{thread + 1}" for thread in range(threads - 1)] + ["M"]
    lines = ["      " + "".join(name.ljust(_WIDTH) for name in names).rstrip()]
    start = max(end - last, 0)
    if start:
        lines.append(f"      … {start} events before")
    for number, event in enumerate(history[start:end], start + 1):
        said = "…" if event.outcome is None else f"→ {event.outcome}"
        lines.append(f"{number:5} " + " " * (_WIDTH * event.thread) + f"{event.operation} {said}")
    return "\n".join(lines)
