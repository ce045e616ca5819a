"""The table of what is proved: made from results, and the one in the documents says the same."""

import re
from pathlib import Path

import pytest

from lastref.conformance.proof_table import HEADINGS, row, table
from lastref.conformance.proofs import KINDS, prove_kind
from lastref.model.designs import all_tables, get
from lastref.model.invariants import SOUND

ROOT = Path(__file__).parents[2]
KIND = list(KINDS)


def printed(name: str) -> dict[str, list[str]]:
    """Return the cells of every row of the table in a document, by design and platform."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if re.match(r"\| [a-z0-9-]+/[a-z0-9-]+ \|", line)
    ]
    return {cells[0]: cells[1:] for cells in found}


def test_the_documents_have_a_row_for_every_table() -> None:
    """All designs on all platforms in the one, the sound ones in the README, with equal counts."""
    every = printed("docs/proofs.md")
    assert list(every) == [f"{t.id}/{t.platform}" for t in all_tables()]
    sound = printed("README.md")
    assert set(sound) == {f"{d}/{p}" for d, p in SOUND}
    assert all(every[name] == cells for name, cells in sound.items())


@pytest.mark.parametrize("table_", all_tables(), ids=lambda t: f"{t.id}-{t.platform}")
def test_a_cell_is_filled_just_where_its_kind_applies(table_: object) -> None:
    """Nothing is claimed that is not asked, and what is asked passes."""
    chosen = next(t for t in all_tables() if t is table_)
    cells = printed("docs/proofs.md")[f"{chosen.id}/{chosen.platform}"]
    assert len(cells) == len(KINDS) + 1
    for kind, cell in zip(KINDS.values(), cells, strict=False):
        assert bool(cell) is kind.applies(chosen), kind.id
        assert re.fullmatch(r"(\d+(, 1 skipped)?)?", cell), cell


@pytest.mark.parametrize(
    ("key", "kinds"),
    [
        (("dotnet-safehandle", "any"), [k for k in KIND if k not in ("bmc", "memory-order")]),
        (("go-2024", "linux"), ["bits", "any", "overflow", "fusion", "histories"]),
        (("go-fdmutex", "any"), ["overflow", "fusion"]),
        (("go-2016", "windows"), ["bits", "spacer", "bmc", "liveness"]),
    ],
)
def test_the_numbers_are_those_of_a_run(key: tuple[str, str], kinds: list[str]) -> None:
    """What is counted again now is what the document says; the times are not compared."""
    chosen = get(*key)
    made = [c.document() for kind in kinds for c in prove_kind(kind, chosen)]
    counted = dict(zip(KIND, row(made)[1:], strict=False))
    said = dict(zip(KIND, printed("docs/proofs.md")["/".join(key)], strict=False))
    assert {k: counted[k] for k in kinds} == {k: said[k] for k in kinds}


def test_a_check_that_did_not_pass_is_told_in_its_cell() -> None:
    """Counted apart, with its verdict; the processor time is the sum."""
    one = {"design": "d", "platform": "p", "kind": "bits", "verdict": "pass", "processor_s": 1.25}
    other = {**one, "verdict": "broken", "processor_s": 0.5}
    assert row([one, one, other]) == ["d/p", "2, 1 broken", *[""] * (len(KINDS) - 1), "3.0 s"]
    assert table([one])[-1].startswith("| d/p | 1 |")
    assert list(HEADINGS) == KIND
