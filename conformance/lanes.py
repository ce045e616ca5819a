"""Where campaigns run: in sandboxes side by side, or here if no sandbox is allowed.

A lane is a worker thread of the suite with a sandbox of its own.  Where the system allows none, the
designs that never pass a pid to the kernel are replayed on a plain stage; the others must not be: a
pid that is free may be anybody's by the time it is used.
"""

from __future__ import annotations

import threading
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
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open = ExitStack()

    def can_replay(self, design: str, platform: str) -> bool:
        """Return whether the design can be replayed here without a risk to anybody."""
        names = {v.name for v in designs.get(design, platform).shared}
        return self.without is None or "pid" not in names

    def replay(self, work: Plan, advance: Advance) -> Tally:
        """Replay a plan in the sandbox of the calling thread, or on a plain stage."""
        if self.without is not None:
            with Stage(light=True) as stage:
                return run(work, stage, advance)
        return run_inside(self._sandbox(), work, advance)

    def sequences(self, design: str, platform: str, longest: int) -> Sequences:
        """Make every sequence of calls in the calling thread's sandbox, or on a plain stage."""
        if self.without is not None:
            with Stage(light=True) as stage:
                return replay_sequences(design, platform, stage, longest)
        return replay_sequences_inside(self._sandbox(), design, platform, longest)

    def _sandbox(self) -> Sandbox:
        sandbox: Sandbox | None = getattr(self._local, "sandbox", None)
        if sandbox is None:
            with self._lock:
                sandbox = self._open.enter_context(Sandbox())
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
                self._open.close()  # what runs in there ends now, and so does its lane
                raise

    def close(self) -> None:
        """Close what is open."""
        self._open.close()
