"""What is proved for whom, as a table for a document: made from a result of `lastref prove all`.

    python -m lastref.conformance.proof_table RESULT.json…

A row for each design on each platform, a column for each kind of proof: how many checks passed
(``12``), how many did not (``12, 1 broken``), nothing where the kind does not apply; and the
processor time of all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from lastref.conformance.markdown_tables import Check, program
from lastref.conformance.markdown_tables import table as in_markdown
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

Checks = Sequence[Check]


def table(checks: Checks) -> list[str]:
    """Return the lines of the table in Markdown, with a row for every table that was checked."""
    rows = dict.fromkeys((c["design"], c["platform"]) for c in checks)
    head = ["design", *HEADINGS.values(), "processor"]
    return in_markdown(
        head, (row([c for c in checks if (c["design"], c["platform"]) == key]) for key in rows)
    )


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


if __name__ == "__main__":
    sys.exit(program(table))
