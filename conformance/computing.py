"""Work that only computes, in processes side by side: as many as there are jobs.

    with Computing(2) as computing:
        for proof in computing.map(prove, names): …     in the order of the names

What is called, what it is called with and what comes of it are pickled, so it is a function that
can be imported, of names.  The processes are started with the first work that is worth it, and end
with the last.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from lastref.conformance.closing import Closing

T = TypeVar("T")
R = TypeVar("R")


class Computing(Closing):
    """Some processes that compute; none with one job, or where to start one takes seconds."""

    def __init__(self, jobs: int) -> None:
        self._jobs = 1 if sys.platform == "win32" else jobs
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """Yield what the function returns for each of the items, in their order."""
        if self._jobs == 1 or len(items) < 2:
            return map(function, items)
        if self._pool is None:
            spawn = get_context("spawn")  # a thread of ours would not survive a fork
            self._pool = ProcessPoolExecutor(self._jobs, spawn, ignore_interrupts)
        return self._pool.map(function, items)

    def close(self) -> None:
        """Let the processes end with what they are at."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that the user sees, which ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
