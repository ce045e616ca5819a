"""What stops a report: one exception, in three parts, for the person who named the files."""

from __future__ import annotations


class ReportError(ValueError):
    """The files named cannot be reported on; says the fault, the reason and the remedy."""

    def __init__(self, fault: str, reason: str, remedy: str) -> None:
        super().__init__(" ".join(f"{fault}: {reason}; {remedy}".split()))
        self.fault = fault
        self.reason = " ".join(reason.split())
        self.remedy = remedy
