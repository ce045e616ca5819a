"""A history of calls as text: a column for each call under way, and one for the process.

                       the process
    1  ┌ wait
    2  │        ┌ signal
    3  │        └ nil
    4  │                   exit
    5  └ ok

A call takes the first free column from its invocation to its return.  What has neither mark is done
to the process by the suite, or by the process itself.
"""

from __future__ import annotations

from collections.abc import Sequence

INVOKED, RETURNED = "?", " → "
PROCESS = "the process"
_GAP = 3


def draw(events: Sequence[str]) -> str:
    """Return the picture of ``events``, such as ``("wait?", "exit", "wait → ok")``.

    Lines end with no line break; an empty history gives an empty string.

    >>> print(draw(["wait?", "exit", "wait → ok"]))
                the process
    1  ┌ wait
    2  │        exit
    3  └ ok
    """
    rows, lanes = _rows(events)
    if not rows:
        return ""
    widths = [max(len(cells.get(lane, "")) for cells in rows) + _GAP for lane in range(len(lanes))]
    number = len(str(len(rows)))
    head = " " * (number + 2) + "".join(" " * width for width in widths)
    lines = [head + PROCESS] if any(len(lanes) in cells for cells in rows) else []
    for place, cells in enumerate(rows, 1):
        drawn = "".join(cells.get(lane, "").ljust(widths[lane]) for lane in range(len(lanes)))
        line = f"{place:>{number}}  {drawn}{cells.get(len(lanes), '')}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _rows(events: Sequence[str]) -> tuple[list[dict[int, str]], list[str | None]]:
    """Return a row for each event, its cells by their columns, and the columns' calls at the end.

    The process's column is the one after the last.
    """
    lanes: list[str | None] = []
    rows: list[dict[int, str]] = []
    alone: list[dict[int, str]] = []
    for event in events:
        row = {lane: "│" for lane, call in enumerate(lanes) if call is not None}
        call, returned, outcome = event.partition(RETURNED)
        if returned:
            lane = lanes.index(call) if call in lanes else _free(lanes)
            row[lane] = f"└ {outcome}"
            lanes[lane] = None
        elif event.endswith(INVOKED):
            call = event.removesuffix(INVOKED)
            lane = _free(lanes)
            row[lane] = f"┌ {call}"
            lanes[lane] = call
        else:
            row[-1] = event
            alone.append(row)
        rows.append(row)
    for row in alone:
        row[len(lanes)] = row.pop(-1)
    return rows, lanes


def _free(lanes: list[str | None]) -> int:
    """Return the first free column, a new one if there is none."""
    if None not in lanes:
        lanes.append(None)
    return lanes.index(None)
