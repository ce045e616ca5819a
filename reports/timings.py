"""Timings as a plot that says what is good: against a peer, and where the time went.

    ─────────────┼──●────────     ● right of the line: faster than the peer
       slower    1×    faster     a tenth, one, ten, a hundred times, evenly spaced

A comparison is a check with ``ours_s`` and ``peer_s``, both in seconds; a ratio above one means
that ours took less time.  Positions are in percent of the plot's width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lastref.reports.reading import Check, Report

LONGEST, FEWEST = 12, 3
"""How many of the longest checks are listed, and how many it takes for a list to say much."""


@dataclass(frozen=True)
class Comparison:
    """Ours against a peer on one task; ``at`` is the place of the ratio on the scale."""

    check: Check
    peer: str
    ours: float
    theirs: float
    at: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is; below one it is slower."""
        return self.theirs / self.ours


@dataclass(frozen=True)
class Scale:
    """The ratios at which a line is drawn, each with its place, and where 1× lies."""

    ticks: tuple[tuple[str, float], ...]
    even: float


@dataclass(frozen=True)
class Timings:
    """All comparisons on one scale, and the checks that took longest with their part of it."""

    comparisons: tuple[Comparison, ...]
    scale: Scale
    longest: tuple[tuple[Check, float], ...]
    total: float


def timings(report: Report) -> Timings:
    """Return the comparisons and the longest checks of ``report``."""
    pairs = [(c, _seconds(c, "ours_s"), _seconds(c, "peer_s")) for c in report.checks]
    compared = [(c, o, p) for c, o, p in pairs if o and p]
    decades = [math.log10(p / o) for _, o, p in compared] or [0.0]
    low, high = math.floor(min(*decades, -0.1)), math.ceil(max(*decades, 0.1))

    def place(decade: float) -> float:
        return 100 * (decade - low) / (high - low)

    ticks = tuple((_times(10.0**d), place(d)) for d in range(low, high + 1))
    comparisons = tuple(
        Comparison(c, str(c.extra.get("peer", "the peer")), o, p, place(math.log10(p / o)))
        for c, o, p in compared
    )
    longest = sorted((c for c in report.checks if c.seconds), key=lambda c: -c.seconds)[:LONGEST]
    longest = longest if len(longest) >= FEWEST else []
    most = max((c.seconds for c in longest), default=0.0)
    return Timings(
        comparisons,
        Scale(ticks, place(0.0)),
        tuple((c, 100 * c.seconds / most) for c in longest),
        sum(c.seconds for c in report.checks),
    )


def _seconds(check: Check, key: str) -> float:
    value = check.extra.get(key)
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0


def _times(ratio: float) -> str:
    return f"{ratio:g}×"


def show_ratio(ratio: float) -> str:
    """Return a ratio in words.

    >>> show_ratio(15.2), show_ratio(0.5)
    ('15 times faster', '2.0 times slower')
    """
    factor, word = (ratio, "faster") if ratio >= 1 else (1 / ratio, "slower")
    return f"{factor:.0f} times {word}" if factor >= 10 else f"{factor:.1f} times {word}"


def show_seconds(seconds: float) -> str:
    """Return a duration for people.

    >>> show_seconds(0.0002), show_seconds(0.25), show_seconds(12.3), show_seconds(250.0)
    ('200 µs', '250 ms', '12.3 s', '4 min 10 s')
    """
    if seconds >= 100:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1e3:.0f} ms" if seconds >= 0.001 else f"{seconds * 1e6:.0f} µs"
