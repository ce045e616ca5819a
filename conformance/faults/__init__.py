"""Real faults: refused system calls, exhausted limits, interrupts, other reapers.

rows.py says what every design must do under each; scenarios.py does it; `fault_tasks` is for
`lastref verify`.
"""

from __future__ import annotations

from lastref.conformance.faults.rows import ROWS, Row
from lastref.conformance.faults.tasks import DESIGNS, examine, fault_tasks

__all__ = ["DESIGNS", "ROWS", "Row", "examine", "fault_tasks"]
