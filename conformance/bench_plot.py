"""The growth of states and time with the number of threads, as a small SVG of its own.

    states  │          ╱ same       time  │        ╱ Spin
    (log)   │     ╱ ── verdict      (log) │    ╱ ─── ours
            └──────────── threads         └──────────── threads

Two panels with logarithmic axes, a line for each group of rows: whole lines are ours, dashed ones
Spin's.  It reads a written result, so it draws what was measured and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

_COLOURS = ("#0b5fa5", "#b3400e", "#3b7d23", "#7a3b8f", "#8a6d00", "#00757a")
_WIDTH, _HEIGHT, _LEFT, _TOP, _PANEL = 860, 400, 64, 40, 320
_PLOT = 270

Point = tuple[float, float]
Series = tuple[str, bool, list[Point]]


def series(document: Mapping[str, Any], ours: str, theirs: str) -> list[Series]:
    """Return the lines of a panel: for each group of rows ours, and Spin's where it was asked.

    A line is its name, whether it is Spin's, and points of threads and the figure; a Spin that was
    given up has none.
    """
    found: dict[tuple[str, bool], list[Point]] = {}
    for check in document["checks"]:
        if check.get("group", "fault") in ("fault", "proof"):
            continue
        name = f"{check['group']}, {'mixed' if check['mixed'] else '1 Wait, 1 Release'}"
        for figure, spin in ((ours, False), (theirs, True)):
            value = check.get(figure)
            given_up = spin and not check.get("peer_finished", True)
            if value and not given_up:
                found.setdefault((name, spin), []).append((check["threads"], value))
    return [(name, spin, sorted(points)) for (name, spin), points in found.items()]


def growth(document: Mapping[str, Any]) -> str:
    """Return the plot of a result of ``lastref bench`` as SVG; without rows, empty axes."""
    left = series(document, "ours_states", "peer_states")
    right = series(document, "ours_s", "peer_s")
    names = sorted({name for name, _, _ in (*left, *right)})
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        ' font-family="sans-serif" font-size="12" role="img">',
        "<title>Growth with the number of threads: states and processor seconds</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        *_panel("states", left, colours, _LEFT),
        *_panel("processor seconds", right, colours, _LEFT + _PANEL + 90),
    ]
    for i, name in enumerate(names):
        x, y = _LEFT + i % 4 * 195, _HEIGHT - 24 + i // 4 * 15
        parts.append(f'<text x="{x}" y="{y}" fill="{colours[name]}">{escape(name)}</text>')
    parts.append(f'<text x="{_LEFT}" y="16">whole lines: lastref; dashed: Spin</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(title: str, lines: Sequence[Series], colours: Mapping[str, str], x0: int) -> list[str]:
    points = [p for _, _, line in lines for p in line]
    across = _scale([x for x, _ in points], 2, x0, _PANEL)
    up = _scale([y for _, y in points], 10, _TOP + _PLOT, -_PLOT)
    parts = [
        f'<text x="{x0}" y="{_TOP - 8}" font-weight="bold">{title}, by threads</text>',
        f'<path d="M{x0},{_TOP}V{_TOP + _PLOT}H{x0 + _PANEL}" fill="none" stroke="#444"/>',
    ]
    for value, at in across[1]:
        parts.append(
            f'<text x="{at:.0f}" y="{_TOP + _PLOT + 16}" text-anchor="middle">{value:g}</text>'
        )
    for value, at in up[1]:
        parts.append(f'<text x="{x0 - 6}" y="{at + 4:.0f}" text-anchor="end">{value:.0e}</text>')
        parts.append(f'<path d="M{x0},{at:.0f}h{_PANEL}" stroke="#ddd"/>')
    for name, spin, line in lines:
        drawn = [(across[0](x), up[0](y)) for x, y in line]
        dashes = ' stroke-dasharray="5 4"' if spin else ""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colours[name]}"'
            f' stroke-width="2"{dashes}/>'
        )
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colours[name]}"/>' for x, y in drawn
        ]
    return parts


def _scale(values: Sequence[float], base: int, origin: int, length: int) -> Any:
    """Return where a value is drawn, and the ticks: powers of ``base`` that enclose the values."""
    low = math.floor(math.log(min(values), base)) if values else 0
    high = math.ceil(math.log(max(values), base)) if values else 1
    high = max(high, low + 1)

    def at(value: float) -> float:
        return origin + length * (math.log(value, base) - low) / (high - low)

    return at, [(float(base) ** n, at(float(base) ** n)) for n in range(low, high + 1)]
