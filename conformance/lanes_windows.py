"""Side by side on Windows: a campaign cut into pieces, for worker processes with a stage each.

    verify ──▶ plan ──▶ pieces of CHUNK runs ──▶ worker: WindowsStage, replays ──▶ tallies, in order

A worker is a process because handle values belong to one: two stages in a process could be given
each other's closed values.  A worker ends with the suite, even if that is killed half-way.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context, parent_process
from typing import Self

from lastref.conformance.replays import Advance, Plan, Tally, run_on
from lastref.conformance.stage_windows import WindowsStage
from lastref.conformance.subjects_windows import WINDOWS_SUBJECTS

CHUNK = 25
"""How many runs a worker replays before it says what came of them."""


class WindowsLanes:
    """Worker processes, started with the first campaign that is worth it."""

    def __init__(self, jobs: int, piece: int = CHUNK) -> None:
        self._jobs = jobs
        self._piece = piece
        self._pool: ProcessPoolExecutor | None = None
        self._open = ExitStack()

    def replay(self, work: Plan, advance: Advance) -> tuple[Tally, int]:
        """Replay a plan; return the tally and how often Wine was asked again."""
        pieces = list(_pieces(work, self._piece))
        alone = self._jobs == 1 or len(pieces) == 1
        done = map(replay_here, pieces) if alone else self._workers().map(replay_here, pieces)
        total, retries = Tally(), 0
        for piece, (tally, again) in zip(pieces, done, strict=True):
            total, retries = total + tally, retries + again
            advance(len(piece.runs))
        return total, retries

    def _workers(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = self._open.enter_context(
                ProcessPoolExecutor(self._jobs, get_context("spawn"), _leave_with_the_suite)
            )
        return self._pool

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: object, _traceback: object) -> None:
        if self._pool is not None and error is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._open.close()


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
