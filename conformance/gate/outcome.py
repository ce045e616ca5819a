"""What came of one order: its steps, who was hit, what was returned.

wrong process signalled      a victim was hit, or a child that no operation named, or the
                             program itself, by a call that names its whole process group
wrong process reaped         an operation reaped a child it did not name, or told of another's
                             end; its exit status tells, since every child ends differently
"""

from __future__ import annotations

from dataclasses import dataclass

from lastref.conformance.protocol.conversation import Event

WRONG_SIGNAL = "wrong process signalled"
WRONG_REAP = "wrong process reaped"


@dataclass(frozen=True)
class Step:
    """A step that was taken: by whom, who else could have, and what was seen.

    ``shown`` are the held calls after it, the answers that came, and what was given away; ``state``
    is equal for gaps behind it that are alike, see `alike`.
    """

    actor: str
    enabled: tuple[str, ...]
    shown: tuple[str, ...]
    state: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of one order. ``verdict`` is None where nobody was hit.

    ``deviation`` says what of its history no order of the calls explains, if it was judged.
    ``skipped`` are the steps of the schedule that nobody could take; ``reusable`` says whether the
    testee came out of it fit for another.
    """

    steps: tuple[Step, ...]
    verdict: str | None
    skipped: tuple[str, ...]
    reusable: bool
    taken: tuple[str, ...]
    events: tuple[Event, ...]
    open: tuple[str, ...]
    deviation: str | None = None

    @property
    def history(self) -> tuple[str, ...]:
        """The invocations, returns and exits, as a record shows them."""
        return tuple(f"{event.process}:{event}" for event in self.events)

    @property
    def schedule(self) -> tuple[str, ...]:
        """Who stepped, in order."""
        return tuple(step.actor for step in self.steps)
