"""The replays on Windows, and what is said of them where there is no Windows.

One stage, one lane: handle values belong to a process, so the suite's own process is the sandbox. A
closed value is handed out again at once, for the bystander; pids are not recycled, since an open
handle pins them. The three designs go through the pairs and triples of calls that Linux' go
through, and are judged alike.
"""

from __future__ import annotations

from collections.abc import Iterator

from lastref.conformance.doctor import PROBES
from lastref.conformance.errors import complaint_of
from lastref.conformance.replays import Advance, Campaign, Plan, Tally, plan, run_on
from lastref.conformance.results import Verdict
from lastref.conformance.stage_windows import WindowsStage
from lastref.conformance.subjects_windows import WINDOWS_SUBJECTS
from lastref.conformance.verify import PAIRS, TRIPLES, Finding, Task, judge

REOPEN = frozenset({"reopen"})
MOST_ON_WINDOWS = 5_000
"""More interleavings than this are replayed by every view only: a trace costs two processes."""


def windows_campaigns(*, quick: bool) -> Iterator[Campaign]:
    """Yield every replay on Windows that belongs to a verification."""
    for design, platform in WINDOWS_SUBJECTS:
        for calls in (*PAIRS, *TRIPLES):
            yield Campaign(design, platform, calls, REOPEN, every=not quick)


def windows_tasks(*, quick: bool) -> list[Task]:
    """Return the checks: on Windows the replays, elsewhere why there are none."""
    (capability,) = (p.run() for p in PROBES if p.id == "win32-processes")
    wanted = list(windows_campaigns(quick=quick))
    if capability.available:
        return [_task(_affordable(campaign)) for campaign in wanted]
    verdict = Verdict.UNABLE if capability.required else Verdict.SKIPPED
    finding = Finding(verdict, 0, f"{capability.detail}; {capability.remedy}")
    return [Task(c.name, "replay", c.design, c.platform, lambda _: finding) for c in wanted]


def _affordable(campaign: Campaign) -> Plan:
    """Return the plan of a campaign: every interleaving, or every view where those are too many."""
    work = plan(campaign)
    if campaign.every and work.interleavings > MOST_ON_WINDOWS:
        few = Campaign(campaign.design, campaign.platform, campaign.calls, REOPEN, every=False)
        return plan(few)
    return work


def _task(work: Plan) -> Task:
    campaign = work.campaign

    def do(advance: Advance) -> Finding:
        try:
            tally, retries = replay_on_windows(work, advance)
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


def replay_on_windows(work: Plan, advance: Advance) -> tuple[Tally, int]:
    """Replay a plan on a stage of its own; return the tally and how often Wine was asked again."""
    factory = WINDOWS_SUBJECTS[work.campaign.design, work.campaign.platform]
    with WindowsStage() as stage:
        tally = run_on(stage, factory, work, advance)
        return tally, stage.retries
