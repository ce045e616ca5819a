"""Side by side on Windows: a campaign cut into pieces, for worker processes with a stage each.

    verify ──▶ plan ──▶ pieces of CHUNK runs ──▶ worker: WindowsStage, replays ──▶ tallies, in order

A worker is a process because handle values belong to one: two stages in a process could be given
each other's closed values.  A worker ends with the suite, even if that is killed half-way.

Almost all of a replay's time goes by in CreateProcessW, and much of that in waiting for other
processes, so there are more workers than jobs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context, parent_process
from typing import Self, TypeVar

from lastref.conformance.replays import Advance, Plan, Tally, run_on
from lastref.conformance.results import Check
from lastref.conformance.stage_windows import WindowsStage
from lastref.conformance.subjects_windows import WINDOWS_SUBJECTS
from lastref.conformance.verify import Task

CHUNK = 25
"""How many runs a worker replays before it says what came of them."""
WORKERS = 2
"""How many workers there are for each job."""
MOST_WORKERS = 61
"""Windows cannot wait for more than so many at once."""

R = TypeVar("R")
A = TypeVar("A")


class WindowsLanes:
    """Worker processes, started with the first work for them; with one job this process does it."""

    def __init__(self, jobs: int, piece: int = CHUNK) -> None:
        self._jobs = jobs
        self._piece = piece
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    def replay(self, work: Plan, advance: Advance) -> tuple[Tally, int]:
        """Replay a plan; return the tally and how often Wine was asked again."""
        pieces = list(_pieces(work, self._piece))
        total, retries = Tally(), 0
        for piece, (tally, again) in zip(pieces, self.map(replay_here, pieces), strict=True):
            total, retries = total + tally, retries + again
            advance(len(piece.runs))
        return total, retries

    def map(self, work: Callable[[A], R], pieces: Iterable[A]) -> Iterator[R]:
        """Do ``work``, a module's function, on each piece in some worker; with one job, here."""
        return map(work, pieces) if self._jobs == 1 else self._workers().map(work, pieces)

    def call(self, work: Callable[[A], R], piece: A) -> R:
        """Do ``work`` on one piece."""
        (done,) = self.map(work, [piece])
        return done

    def run(self, tasks: Iterable[Task], advance: Advance) -> list[Check]:
        """Run the tasks side by side, and return their checks in the order of the tasks."""
        if self._jobs == 1:
            return [task.run(advance) for task in tasks]
        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                return list(pool.map(lambda task: task.run(advance), tasks))
            except BaseException:
                self._stop()
                raise

    def _workers(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                many = min(WORKERS * self._jobs, MOST_WORKERS)
                self._pool = ProcessPoolExecutor(many, get_context("spawn"), _leave_with_the_suite)
            return self._pool

    def _stop(self) -> None:
        """Let what runs come to its end, and nothing else begin."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: object, _traceback: object) -> None:
        if error is not None:
            self._stop()
        elif self._pool is not None:
            self._pool.shutdown()


def _pieces(work: Plan, size: int) -> Iterator[Plan]:
    for first in range(0, len(work.runs), size):
        yield replace(work, runs=work.runs[first : first + size])


def replay_here(work: Plan) -> tuple[Tally, int]:
    """Replay a plan in this process, on a stage of its own."""
    factory = WINDOWS_SUBJECTS[work.campaign.design, work.campaign.platform]
    with WindowsStage() as stage:
        return run_on(stage, factory, work, lambda _: None), stage.retries


def _leave_with_the_suite() -> None:
    """End this worker when its parent ends, however that comes about."""
    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(2)

    threading.Thread(target=follow, daemon=True).start()
