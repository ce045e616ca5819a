"""The kinds of proof: each notices a design that is wrong, and none passes on nothing."""

from dataclasses import replace

import pytest

from lastref.conformance.proofs import KINDS, cases_of, prove_kind
from lastref.conformance.results import Check, Verdict
from lastref.model.algebra import TRUE
from lastref.model.designs import all_tables, get
from lastref.model.designs.go_2024 import GO_2024
from lastref.model.invariants import SOUND
from lastref.model.table import END, Command, Table


def changed(*new: Command) -> Table:
    """Return go-2024 with commands replaced by name."""
    by_name = {c.name: c for c in new}
    return replace(GO_2024, commands=tuple(by_name.get(c.name, c) for c in GO_2024.commands))


LEAK = changed(replace(GO_2024.by_name["release.cas.last"], to=END))
"""Whoever releases last does not close the handle."""
HASTY = changed(replace(GO_2024.by_name["signal.cas.retry"], guard=TRUE))
"""An exchange that may fail although nothing has changed."""
WRONG = changed(replace(GO_2024.by_name["release.load.late"], outcome="REL"))
"""A second Release says that it was released, which is not for Release to say."""


def broken(kind: str, table: Table) -> dict[str, Check]:
    """Return the checks of one kind that are broken, by their laws."""
    return {c.extra["law"]: c for c in prove_kind(kind, table) if c.verdict is Verdict.BROKEN}


@pytest.mark.parametrize(
    ("kind", "table", "law"),
    [
        ("bits", LEAK, "as-specified"),
        ("any", LEAK, "consecution"),
        ("any", LEAK, "fair-termination"),
        ("any", HASTY, "lock-free"),
        ("fusion", HASTY, "failure-is-news"),
        ("histories", WRONG, "two-moments"),
        ("liveness", LEAK, "fair-termination"),
        ("liveness", HASTY, "lock-free"),
    ],
)
def test_each_kind_notices_what_is_wrong(kind: str, table: Table, law: str) -> None:
    """A broken law is a broken check that says by what it is refuted."""
    found = broken(kind, table)
    assert law in found
    assert found[law].reason


def test_a_run_that_is_not_as_long_as_stored_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounded search, the explorer and the case must agree on the number of steps."""
    table = get("go-2023-reland")
    (case,) = cases_of(table)
    assert [c.verdict for c in prove_kind("bmc", table)] == [Verdict.PASS]
    monkeypatch.setattr(
        "lastref.conformance.proofs.cases_of", lambda _: (replace(case, steps=case.steps + 1),)
    )
    assert [c.verdict for c in prove_kind("bmc", table)] == [Verdict.BROKEN]


def test_what_cannot_be_asked_is_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    """A case with a method that the design does not have: a check that says why."""
    table = get("go-2023-reland")
    (case,) = cases_of(table)
    monkeypatch.setattr(
        "lastref.conformance.proofs.cases_of", lambda _: (replace(case, calls=("dance",)),)
    )
    (check,) = prove_kind("bmc", table)
    assert check.verdict is Verdict.INCOMPLETE
    assert "dance" in check.reason


@pytest.mark.parametrize("table", all_tables(), ids=lambda t: f"{t.id}-{t.platform}")
def test_every_faulty_design_has_a_run_to_look_for(table: Table) -> None:
    """The sound ones have none; of the others a named case, or the smallest that was found."""
    found = cases_of(table)
    assert bool(found) is ((table.id, table.platform) not in SOUND)
    assert all(c.steps > 0 and (c.design, c.platform) == (table.id, table.platform) for c in found)


def test_what_the_count_can_hold_is_told_with_what_happens_then() -> None:
    """go-2024 panics, fdMutex refuses, and SafeHandle never releases the handle again."""
    said = {
        design: next(
            c.reason
            for c in KINDS["overflow"].prove(get(design, platform))
            if c.extra["law"] != "limit-is-reached"
        )
        for design, platform in (
            ("go-2024", "linux"),
            ("go-2025", "linux"),
            ("dotnet-safehandle", "any"),
            ("go-fdmutex", "any"),
        )
    }
    assert said["go-2024"].startswith("safe below 4,611,686,018,427,387,903 holders")
    assert said["go-2024"].endswith("no-panic")
    assert said["go-2025"].startswith("safe below 2,147,483,647 holders")
    assert said["dotnet-safehandle"].endswith("nothing notices")
    assert said["go-fdmutex"].endswith("one more is refused")
