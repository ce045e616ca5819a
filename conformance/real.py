"""A check on the real kernel as a task: what it is about, and the work.

The tasks of the kernel's facts and of the faults are made of these; whoever runs them turns each
into a check of the result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lastref.conformance.results import Check, Verdict


@dataclass(frozen=True)
class Found:
    """What came of a task: its verdict, how many cases ran, why if it did not pass, and more."""

    verdict: Verdict
    count: int
    reason: str
    extra: Mapping[str, Any]


@dataclass(frozen=True)
class RealTask:
    """One check to be made; ``design`` is None where it is about the kernel alone.

    ``work`` can be called in any process that may fork.
    """

    id: str
    kind: str
    design: str | None
    platform: str | None
    work: Callable[[], Found]

    @property
    def name(self) -> str:
        """The check's id in a result."""
        return "/".join(part for part in (self.design, self.platform, self.id) if part)

    def run(self) -> Check:
        """Do the work and return the check; the time is the wall clock's."""
        start = time.perf_counter()
        found = self.work()
        return Check(
            id=self.name,
            kind=self.kind,
            verdict=found.verdict,
            count=found.count,
            seconds=time.perf_counter() - start,
            reason=found.reason,
            design=self.design,
            platform=self.platform,
            extra=found.extra,
        )
