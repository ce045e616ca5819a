"""What came of one case on one implementation, and the check of a result that it becomes.

    status               what it says                                          verdict
    pass                 the history fits the specification                    pass
    deviates             it does not, or a process was hit that was not named  broken
    crash                the program ended while it was asked something        broken
    timeout              it runs, and did not answer                           broken
    protocol error       it said what the protocol does not allow              incomplete
    not supported        it does not declare what the case needs               skipped
    precondition failed  the case could not be set up                          skipped or incomplete

A protocol error is the adapter's fault, not the implementation's: it shows nothing, like a run that
was cut short.  A deviation that is on the list of known ones passes, and still says "deviates".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lastref.conformance.results import Check, Verdict

KIND = "conformance"


class Status(StrEnum):
    """How a case ended; the names are the published ones."""

    PASS = "pass"
    DEVIATES = "deviates"
    CRASH = "crash"
    TIMEOUT = "timeout"
    PROTOCOL_ERROR = "protocol error"
    NOT_SUPPORTED = "not supported"
    PRECONDITION_FAILED = "precondition failed"

    @property
    def ran(self) -> bool:
        """Whether the implementation was really asked something."""
        return self not in (Status.NOT_SUPPORTED, Status.PRECONDITION_FAILED)


_VERDICTS = {
    Status.PASS: Verdict.PASS,
    Status.DEVIATES: Verdict.BROKEN,
    Status.CRASH: Verdict.BROKEN,
    Status.TIMEOUT: Verdict.BROKEN,
    Status.PROTOCOL_ERROR: Verdict.INCOMPLETE,
    Status.NOT_SUPPORTED: Verdict.SKIPPED,
    Status.PRECONDITION_FAILED: Verdict.SKIPPED,
}


@dataclass(frozen=True)
class Outcome:
    """What came of one case.

    ``message`` says why the status is not pass.  ``history`` is what was seen, an event each.
    ``wait_status`` is the adapter's raw wait status, where it ended in the case.  ``incomplete``
    marks a precondition that the run itself failed to provide.  ``extra`` holds further fields of
    the check (the gate's trace and the command that replays it).
    """

    case: str
    status: Status
    message: str = ""
    seconds: float = 0.0
    history: tuple[str, ...] = ()
    wait_status: int | None = None
    incomplete: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The verdict, with no list of known deviations."""
        if self.case.startswith("adapter/") and self.status.ran and self.status is not Status.PASS:
            return Verdict.INCOMPLETE
        return Verdict.INCOMPLETE if self.incomplete else _VERDICTS[self.status]

    def document(self) -> dict[str, Any]:
        """Return the fields that a check adds to the published ones."""
        return {
            "case": self.case,
            "status": self.status.value,
            "message": self.message,
            "history": list(self.history),
            "wait_status": self.wait_status,
            **self.extra,
        }

    def check(
        self,
        adapter: str,
        specification: str,
        *,
        verdict: Verdict | None = None,
        remark: str | None = None,
    ) -> Check:
        """Return the check; a list of known deviations may give another verdict and remark."""
        design, _, platform = specification.partition("/")
        return Check(
            id=f"{adapter}/{self.case}",
            kind=KIND,
            verdict=self.verdict if verdict is None else verdict,
            count=1 if self.status.ran else 0,
            seconds=round(self.seconds, 6),
            reason=self.message if remark is None else remark,
            design=design,
            platform=platform,
            extra={"adapter": adapter, **self.document()},
        )

    @classmethod
    def from_check(cls, check: Mapping[str, Any]) -> Outcome:
        """Return the outcome that a check was made of, as its line in a log has it."""
        known = {"case", "status", "message", "history", "wait_status"}
        published = {"id", "kind", "verdict", "count", "reason", "design", "platform"}
        extra = {
            k: v for k, v in check.items() if k not in known | published | {"adapter", "seconds"}
        }
        return cls(
            check["case"],
            Status(check["status"]),
            check["message"],
            check["seconds"],
            tuple(check["history"]),
            check["wait_status"],
            incomplete=check["verdict"] == Verdict.INCOMPLETE
            and check["status"] == Status.PRECONDITION_FAILED,
            extra=extra,
        )
