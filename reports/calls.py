"""A history of calls as a trace document, so that one diagram serves it too.

The suite sees of a foreign implementation what was invoked and what was returned, in order:

    start?   start → ok   wait?   kill?   exit   wait → ok   kill → nil

No thread is named, so a call takes the first free column from its invocation to its return; what
has neither mark is done by the suite to the process and stands in the kernel's column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

RETURNS, INVOKES = " → ", "?"


def is_history(value: object) -> bool:
    """Return whether ``value`` is a list of events, with at least one invocation."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(event, str) for event in value)
        and any(event.endswith(INVOKES) for event in value)
    )


def document(
    events: Sequence[str], where: str, words: Sequence[str | None] = ()
) -> Mapping[str, Any]:
    """Return the events as a trace's steps; ``where`` says what they are of.

    ``words`` are the words that the specification has at the start and after each event, as
    hexadecimal numbers, None where it has several; without them the steps have no state.
    """
    columns: list[str | None] = []
    calls: list[list[str]] = []
    steps: list[dict[str, Any]] = []
    states: list[dict[str, Any]] = [{} if w is None else {"word": w} for w in words]
    for place, event in enumerate(events, 1):
        state = {"state": states[place]} if place < len(states) else {}
        call, returned, outcome = event.partition(RETURNS)
        if returned:
            column = columns.index(call) if call in columns else _open(columns, calls, call)
            columns[column] = None
            step: dict[str, Any] = {"command": call, "outcome": outcome, "returns": True}
        elif event.endswith(INVOKES):
            call = event.removesuffix(INVOKES)
            column = _open(columns, calls, call)
            step = {"command": call}
        else:
            steps.append({"actor": "kernel", "command": event, **state})
            continue
        steps.append({"actor": f"call {column + 1}", **step, **state})
    threads = [{"name": f"call {n}", "calls": c} for n, c in enumerate(calls, 1)]
    start = {"start": states[0]} if states else {}
    return {"title": where, "threads": threads, **start, "steps": steps}


def _open(columns: list[str | None], calls: list[list[str]], call: str) -> int:
    """Give ``call`` the first free column and return its place."""
    if None not in columns:
        columns.append(None)
        calls.append([])
    place = columns.index(None)
    columns[place] = call
    calls[place].append(call)
    return place
