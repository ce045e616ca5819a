"""Designs against laws: what each breaks is known, shown by a run, and not to be hidden."""

from __future__ import annotations

import pytest

from lastref.conformance.against_laws import judge, law_tasks
from lastref.conformance.named_cases import named_cases
from lastref.conformance.results import Check, Verdict
from lastref.model import designs
from lastref.model.invariants import SOUND

RACE = "go-2023-pidfd/linux:kill,release:K1.K1.R1.R1.reopen.K1"


@pytest.fixture(scope="module")
def checks() -> dict[str, Check]:
    """Return the check of every table, by design and platform."""
    found = [task.run(lambda _: None) for task in law_tasks()]
    return {f"{c.design}/{c.platform}": c for c in found}


def test_every_table_is_judged_and_as_expected(checks: dict[str, Check]) -> None:
    """All pass: the sound ones break none, the others what their own runs show."""
    assert set(checks) == {f"{t.id}/{t.platform}" for t in designs.all_tables()}
    assert {c.verdict for c in checks.values()} == {Verdict.PASS}
    assert not any(checks[f"{d}/{p}"].extra["broken_laws"] for d, p in SOUND)


def test_the_laws_of_the_named_cases_are_broken_where_the_cases_say(
    checks: dict[str, Check],
) -> None:
    """A fault of two calls from the usual start is found here, too, in no more steps."""
    told = 0
    for case in named_cases().values():
        usual = case.where.start == "start" and not case.where.initial and case.adversary is None
        if usual and case.law is not None and len(case.threads) == 2:
            assert (
                case.law
                in checks[f"{case.where.design}/{case.where.platform}"].extra["broken_laws"]
            )
            told += 1
    assert told > 5


def test_every_law_is_either_kept_or_broken(checks: dict[str, Check]) -> None:
    """No law of a table is left out, and none is both."""
    for table in designs.all_tables():
        extra = checks[f"{table.id}/{table.platform}"].extra
        stated = {law.id for law in table.laws if law.kind != "sometimes"}
        assert set(extra["kept_laws"]).isdisjoint(extra["broken_laws"])
        assert set(extra["kept_laws"]) == stated - set(extra["broken_laws"])


def test_a_sound_design_that_breaks_a_law_is_broken() -> None:
    """The check cannot pass then, and gives the command that replays it."""
    finding = judge(designs.get("go-2024", "linux"), 7, {"no-panic": RACE})
    assert finding.verdict is Verdict.BROKEN
    assert "lastref replay" in finding.reason


def test_a_run_that_breaks_another_law_is_not_believed() -> None:
    """What a check says of a faulty design is taken again from the schedule alone."""
    table = designs.get("go-2023-pidfd", "linux")
    assert judge(table, 7, {"no-wrong-process": RACE}).verdict is Verdict.PASS
    assert judge(table, 7, {"no-use-after-close": RACE}).verdict is Verdict.BROKEN
