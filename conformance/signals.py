"""The names of signals, for people."""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """Return the name of a signal; most of the real-time ones have none but their number.

    >>> signal_name(15), signal_name(40)
    ('SIGTERM', 'signal 40')
    """
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
