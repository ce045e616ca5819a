"""A stretch of code that Ctrl-C waits for, so that what it starts is known to who must end it.

    with interrupts_deferred():
        process = subprocess.Popen(…)      # an interrupt in here would leave a child nobody knows
    # KeyboardInterrupt is raised here

Source: signal(7) and Python's ``signal``: handlers run in the main thread, between two bytecodes.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Let an interrupt that comes meanwhile take effect at the end.

    Only in the main thread, where alone it is raised, and only where SIGINT is handled in Python.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda *interrupt: came.append(interrupt))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[0])
