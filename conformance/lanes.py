"""Where campaigns run: in sandboxes side by side, or here if no sandbox is allowed.

    tasks ──▶ replay, cut into shares ──▶ lane 0: a sandbox that stays on one processor
                                    └───▶ lane 1: another

A lane is a worker thread of the suite with a sandbox of its own.  All that is in a sandbox stays on
one processor, as only one of its processes has anything to do at a time: so a child that is started
or killed is seen to at once, and no other processor has to be told.

Where the system allows no sandbox, the designs that never pass a pid to the kernel are replayed on
a plain stage; the others must not be: a pid that is free may be anybody's by the time it is used.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack

from lastref.conformance.closing import Closing
from lastref.conformance.replays import Advance, Plan, Tally, run, run_inside
from lastref.conformance.results import Check
from lastref.conformance.sandbox import Sandbox, unavailable
from lastref.conformance.sequences import (
    Sequences,
    replay_sequences,
    replay_sequences_inside,
)
from lastref.conformance.stage import Stage
from lastref.conformance.verify import Task
from lastref.model import designs


class Lanes(Closing):
    """Some sandboxes to replay in, started when they are needed and closed at the end."""

    def __init__(self, jobs: int) -> None:
        self.without = unavailable()
        """Why there is no sandbox, or ``None``."""
        self._jobs = jobs if self.without is None else 1
        self._lanes = ThreadPoolExecutor(self._jobs)
        self._numbers = itertools.count()
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open = ExitStack()

    def can_replay(self, design: str, platform: str) -> bool:
        """Return whether the design can be replayed here without a risk to anybody."""
        names = {v.name for v in designs.get(design, platform).shared}
        return self.without is None or "pid" not in names

    def replay(self, work: Plan, advance: Advance) -> Tally:
        """Replay a plan in the lanes, side by side, or on a plain stage."""
        if self.without is not None:
            with Stage(light=True) as stage:
                return run(work, stage, advance)
        shares = [self._lanes.submit(self._share, share, advance) for share in work.shares()]
        return sum((share.result() for share in shares), Tally())

    def _share(self, share: Plan, advance: Advance) -> Tally:
        """Replay in the lane that asks, and say how long that took: others may have come first."""
        sandbox, start = self._sandbox(), time.perf_counter()
        tally = run_inside(sandbox, share, advance)
        tally.seconds = time.perf_counter() - start
        return tally

    def sequences(self, design: str, platform: str, longest: int) -> Sequences:
        """Make every sequence of calls in a lane, or on a plain stage."""
        if self.without is not None:
            with Stage(light=True) as stage:
                return replay_sequences(design, platform, stage, longest)
        return self._lanes.submit(self._sequences, design, platform, longest).result()

    def _sequences(self, design: str, platform: str, longest: int) -> Sequences:
        sandbox, start = self._sandbox(), time.perf_counter()
        made = replay_sequences_inside(sandbox, design, platform, longest)
        made.seconds = time.perf_counter() - start
        return made

    def _sandbox(self) -> Sandbox:
        """Return the sandbox of the lane that asks."""
        sandbox: Sandbox | None = getattr(self._local, "sandbox", None)
        if sandbox is None:
            with self._lock:
                sandbox = self._open.enter_context(Sandbox())
                number = next(self._numbers)
            sandbox.call(stay_on_one_processor, number)
            self._local.sandbox = sandbox
        return sandbox

    def run(self, tasks: Iterable[Task], advance: Advance) -> Iterator[Check]:
        """Run the tasks side by side and yield their checks as they come."""
        with ThreadPoolExecutor(max_workers=self._jobs) as pool:
            pending = [pool.submit(task.run, advance) for task in tasks]
            try:
                for done in as_completed(pending):
                    yield done.result()
            except BaseException:
                for future in pending:
                    future.cancel()
                self._lanes.shutdown(wait=False, cancel_futures=True)
                self._open.close()  # what runs in there ends now, and so does its lane
                raise

    def close(self) -> None:
        """Close what is open."""
        self._lanes.shutdown()
        self._open.close()


def stay_on_one_processor(lane: int) -> None:
    """Let process 1, and whatever it starts from now on, run on one of the processors."""
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {processors[lane % len(processors)]})
