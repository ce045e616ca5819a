"""Runs the stress where the machine allows most: inside a private PID namespace, or else in place.

Inside, pids are recycled under the threads as well, and a signal to every process could hit nobody
but ours.  In place only the number of the handle is recycled, and the guard admits nothing that was
not started here; so designs that know a process by its pid are refused there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lastref.conformance.errors import UserError
from lastref.conformance.namespace import NamespaceStage, in_worker
from lastref.conformance.sandbox import Sandbox, emit, unavailable
from lastref.conformance.stage import Stage
from lastref.conformance.stress.hammer import Plan, Tally, hammer
from lastref.conformance.stress.subject import SUBJECTS, Subject

_UNABLE = 3
_SILENCE = 60.0
"""Seconds without a word from inside after which the sandbox is ended."""


@dataclass(frozen=True)
class Stressed:
    """What came of it, and why no pid was recycled, if none could be."""

    tally: Tally
    without_pids: str | None


def stress(plan: Plan, design: str, progress: Callable[[int], None] = lambda _: None) -> Stressed:
    """Hammer a design of `SUBJECTS`; ``progress`` gets how many operations were done since.

    Raises UserError: an unknown design (exit 2), or one that needs the namespace there is not (3).
    """
    subject = SUBJECTS.get(design)
    if subject is None:
        raise UserError(
            f"there is no design '{design}' to hammer",
            "it is not one that has a real implementation here",
            f"choose one of {', '.join(SUBJECTS)}",
        )
    told = 0

    def tell(tally: Tally) -> None:
        nonlocal told
        progress(tally.operations - told)
        told = tally.operations

    reason = unavailable()
    if reason is None:
        with Sandbox() as sandbox:
            tally = sandbox.watch(hammer_by_name, tell, _SILENCE)(plan, design)
    elif subject.handle:
        with Stage() as stage:
            tally = hammer(plan, subject, stage, tell)
    else:
        raise UserError(
            f"'{design}' cannot be hammered here",
            f"it signals by pid, and {reason}",
            "allow a private PID namespace; 'lastref doctor' says how",
            _UNABLE,
        )
    tell(tally)
    return Stressed(tally, reason)


def hammer_by_name(plan: Plan, design: str) -> Tally:
    """Hammer a design of `SUBJECTS`; for use as a call of the sandbox."""
    return hammer_inside(plan, SUBJECTS[design])


def hammer_inside(plan: Plan, subject: Subject) -> Tally:
    """Hammer a subject in a worker of the sandbox; for use inside it."""
    return in_worker(_hammer, plan, subject)


def _hammer(plan: Plan, subject: Subject) -> Tally:
    # The worker has process 1's end of the line to the outside, which waits for us meanwhile.
    with NamespaceStage() as stage:
        return hammer(plan, subject, stage, emit)
