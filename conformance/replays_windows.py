"""The replays on Windows, and what is said of them where there is no Windows.

Handle values belong to a process, so a process is the sandbox: the suite's own for a short
campaign, worker processes for a long one (:mod:`~lastref.conformance.lanes_windows`).  A closed
value is handed out again at once, for the bystander; pids are not recycled, since an open handle
pins them.  The designs go through the pairs and triples of calls that Linux' go through, and are
judged alike; and every sequence of calls is made.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from lastref.conformance.doctor import PROBES
from lastref.conformance.errors import complaint_of
from lastref.conformance.lanes_windows import WindowsLanes
from lastref.conformance.replay import Replay, replay
from lastref.conformance.replays import Advance, Campaign, Plan, plan
from lastref.conformance.results import Verdict
from lastref.conformance.sequences import Sequences, replay_from
from lastref.conformance.stage_windows import WindowsStage
from lastref.conformance.stale_windows import stale_tasks
from lastref.conformance.subjects_windows import WINDOWS_SUBJECTS
from lastref.conformance.trace import Trace
from lastref.conformance.verify import (
    FIND_PAIRS,
    FIND_TRIPLES,
    FOURS,
    PAIRS,
    SHORT,
    TRIPLES,
    Finding,
    Task,
    judge,
    sequences_task,
)
from lastref.model import designs
from lastref.model.outcomes import LONGEST

REOPEN = frozenset({"reopen"})
FINDS = tuple(calls for calls in (*FIND_PAIRS, *FIND_TRIPLES) if "careless" not in calls)
"""Who ignores FindProcess's error has no object on Windows, in any design."""
BEGIN = ("start", "literal")
"""The starts that a stage on Windows can make, where a design has them."""


def windows_campaigns(*, quick: bool) -> Iterator[Campaign]:
    """Yield every replay on Windows that belongs to a verification.

    A process costs a hundred times what one of Linux costs here, so of four threads every view is
    taken, where Linux takes every transition: hundreds of runs instead of tens of thousands.
    """
    for design, platform in WINDOWS_SUBJECTS:
        for calls in (*PAIRS, *TRIPLES, *FINDS):
            yield Campaign(design, platform, calls, REOPEN, every=not quick, views=quick)
        for calls in () if quick else FOURS:
            yield Campaign(design, platform, calls, REOPEN, views=True)


def windows_tasks(
    lanes: WindowsLanes, *, quick: bool, which: Container[tuple[str, str]] = WINDOWS_SUBJECTS
) -> list[Task]:
    """Return the checks of the designs that ``which`` has: on Windows the replays in ``lanes``.

    Elsewhere they say why there are none.
    """
    (capability,) = (p.run() for p in PROBES if p.id == "win32-processes")
    wanted = [c for c in windows_campaigns(quick=quick) if (c.design, c.platform) in which]
    if capability.available:
        longest = SHORT if quick else LONGEST
        return [
            *(_task(work, lanes) for work in lanes.map(plan, wanted)),
            *(_sequences(d, longest, lanes) for d, p in WINDOWS_SUBJECTS if (d, p) in which),
            *(task for task in stale_tasks(lanes) if (task.design, task.platform) in which),
        ]
    verdict = Verdict.UNABLE if capability.required else Verdict.SKIPPED
    finding = Finding(verdict, 0, f"{capability.detail}; {capability.remedy}")
    return [Task(c.name, "replay", c.design, c.platform, lambda _: finding) for c in wanted]


def _task(work: Plan, lanes: WindowsLanes) -> Task:
    campaign = work.campaign

    def do(advance: Advance) -> Finding:
        try:
            tally, retries = lanes.replay(work, advance)
        except Exception as error:
            complaint = complaint_of(error)
            if complaint is None:
                raise
            return Finding(Verdict.UNABLE, 0, str(complaint))
        finding = judge(work, tally)
        finding.extra["wine_retries"] = retries
        return finding

    name = (campaign.design, campaign.platform)
    return Task(campaign.name, "replay", *name, do, len(work.runs))


def _sequences(design: str, longest: int, lanes: WindowsLanes) -> Task:
    def make(design: str, platform: str, longest: int) -> Sequences:
        return lanes.call(_sequences_here, (design, platform, longest))

    return sequences_task(design, "windows", longest, make, _begin(design, "windows"))


def _begin(design: str, platform: str) -> tuple[str, ...]:
    return tuple(start for start in BEGIN if start in designs.get(design, platform).starts)


def _sequences_here(asked: tuple[str, str, int]) -> Sequences:
    """Make every sequence of calls in this process, on a stage of its own."""
    design, platform, longest = asked
    table, factory = designs.get(design, platform), WINDOWS_SUBJECTS[design, platform]
    with WindowsStage() as stage:
        return replay_from(table, _begin(design, platform), stage, factory, longest)


def replay_on_windows(trace: Trace, times: int) -> list[Replay]:
    """Replay one trace some times; UserError (exit 3) where there is no Windows."""
    factory = WINDOWS_SUBJECTS[trace.design, trace.platform]
    with WindowsStage() as stage:
        return [replay(trace, factory, stage) for _ in range(times)]
