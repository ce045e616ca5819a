"""The tables of the benchmark's document are made from results, and have every row."""

import re
from pathlib import Path
from typing import Any

from lastref.conformance.bench_rows import PROOF, ROWS
from lastref.conformance.bench_table import compared, proved, tables

ROOT = Path(__file__).parents[2]
OURS = {"id": "bench/x", "group": "same", "ours_states": 1234, "ours_s": 2.5, "ours_bytes": 2**26}
BOTH: dict[str, Any] = {
    **OURS,
    "ratio": 4.0,
    "peer_finished": True,
    "peer_states": 1240,
    "peer_s": 10.0,
    "peer_bytes": 2**31,
}


def test_a_row_with_both_sides_has_their_ratio() -> None:
    """States, seconds and memory of either, and how many times as long."""
    cells = ["`x`", "1,234", "2.50 s", "64 MB", "1,240", "10.00 s", "2,048 MB", "4.0"]
    assert compared(BOTH) == cells


def test_a_spin_that_was_given_up_is_a_bound() -> None:
    """It has no states, and the ratio is no less than what is written."""
    given_up = {**BOTH, "peer_finished": False, "peer_states": None}
    assert compared(given_up)[4:] == ["–", "> 10.00 s", "2,048 MB", "> 4.0"]


def test_a_row_without_spin_says_nothing_of_it() -> None:
    """Dashes, and no ratio."""
    assert compared({**OURS, "ratio": None})[4:] == ["–"] * 4


def test_a_row_that_was_not_measured_is_left_out() -> None:
    """A check that is incomplete has no figures."""
    found = tables([{"id": "bench/y", "verdict": "incomplete"}, BOTH])
    assert [line.split()[1] for line in found if line.startswith("| `")] == ["`x`"]


def test_proofs_have_a_table_of_their_own() -> None:
    """What was decided is counted."""
    proof = {**OURS, "group": PROOF, "count": 65, "ours_states": None, "ratio": None}
    assert proved(proof) == ["`x`", "65", "2.50 s", "64 MB"]


def test_the_document_has_every_row() -> None:
    """Whatever `lastref bench --long` measures is told, and nothing that there is no row of."""
    text = (ROOT / "docs" / "bench.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `([a-z0-9-]+)` \| [\d,]+ \|", text, re.MULTILINE)
    assert sorted(told) == sorted(r.id for r in ROWS)
