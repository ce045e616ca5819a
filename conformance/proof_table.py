"""What is proved for whom, as a table for a document: made from a result of `lastref prove all`.

    python -m lastref.conformance.proof_table RESULT.json

A row for each design on each platform, a column for each kind of proof: how many checks passed
(``12``), how many did not (``12, 1 broken``), nothing where the kind does not apply; and the
processor time of all of them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lastref.conformance.proofs import KINDS

HEADINGS: Mapping[str, str] = {
    "bits": "bits: any",
    "any": "induction: any",
    "overflow": "overflow: at the limit",
    "spacer": "Spacer: any, or a run",
    "bmc": "bmc: a run",
    "fusion": "fusion: any; 2",
    "histories": "histories: 1-3",
    "liveness": "liveness: 3",
    "memory-order": "memory order: 2, 3",
}
"""For each kind of proof its heading: for how many threads it holds."""

Checks = Sequence[Mapping[str, Any]]


def table(checks: Checks) -> list[str]:
    """Return the lines of the table in Markdown, with a row for every table that was checked."""
    rows = dict.fromkeys((c["design"], c["platform"]) for c in checks)
    head = ["design", *HEADINGS.values(), "processor"]
    lines = [_line(head), _line(["---", *(["---:"] * (len(head) - 1))])]
    return lines + [
        _line(row([c for c in checks if (c["design"], c["platform"]) == key])) for key in rows
    ]


def row(checks: Checks) -> list[str]:
    """Return the cells of one design on one platform; the last is its processor time."""
    first = checks[0]
    cells = [_cell([c for c in checks if c["kind"] == kind]) for kind in KINDS]
    used = sum(float(c.get("processor_s", 0)) for c in checks)
    return [f"{first['design']}/{first['platform']}", *cells, f"{used:.1f} s"]


def _cell(checks: Checks) -> str:
    """Return how many passed, and how many of any other verdict there are."""
    verdicts = [c["verdict"] for c in checks]
    others = dict.fromkeys(v for v in verdicts if v != "pass")
    counted = [f"{verdicts.count(v)} {v}" for v in others]
    passed = verdicts.count("pass")
    return ", ".join([*([str(passed)] if passed else []), *counted])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print("\n".join(table(document["checks"])))
