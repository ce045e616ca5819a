"""Which cases an implementation is given: all, but for those that its capabilities leave out."""

from __future__ import annotations

import json
import random
import sys
from importlib import resources
from pathlib import Path

import pytest

from lastref.conformance.checker import Checker
from lastref.conformance.outcomes import Status
from lastref.conformance.suite import all_cases

FLEET = Path(__file__).parent / "fleet" / "adapter.py"
READY = resources.files("lastref.conformance.schemas") / "protocol-ready.schema.json"
ALL = frozenset(
    json.loads(READY.read_text(encoding="utf-8"))["properties"]["capabilities"]["items"]["enum"]
)
"""The capabilities that the protocol has."""
ONLY_SAID = {"exit-status"}
"""What no case needs: with it more is looked at."""


def left_out(capabilities: frozenset[str]) -> dict[str, str]:
    """Return the ids of the cases that are not run on such an implementation, with the reasons."""
    return {case.id: said for case in all_cases() if (said := case.unsupported(capabilities))}


def test_who_has_everything_is_given_every_case_but_what_its_own_reaping_makes_moot() -> None:
    """The one thing that excludes is to reap every child; without it nothing is left out."""
    assert {said.rpartition(" ")[2] for said in left_out(ALL).values()} == {"reaps-itself"}
    assert set(left_out(ALL - {"reaps-itself"})) == {"adapter/declares-reaps-itself"}


@pytest.mark.parametrize("capability", sorted(ALL - ONLY_SAID))
def test_a_missing_capability_is_named_by_each_case_that_it_costs(capability: str) -> None:
    """Some case is not run for want of it, and each such case says so."""
    said = set(left_out(ALL - {capability}).values())
    lacking = {each for each in said if each.startswith("the adapter does not declare")}
    assert lacking == {f"the adapter does not declare {capability}"}


def test_whatever_is_declared_a_reason_names_what_is_missing_and_nothing_else() -> None:
    """A hundred implementations, drawn from a seed: a case is run, or says what it lacks."""
    draw = random.Random(7)
    for _ in range(100):
        able = frozenset(draw.sample(sorted(ALL), draw.randint(0, len(ALL))))
        reasons = left_out(able)
        for case in all_cases():
            said = reasons.get(case.id, "")
            named = set(said.rpartition("declare")[2].lstrip("s").replace(",", "").split())
            if said.startswith("it shows nothing"):
                assert named == set(case.excludes & able) != set()
            else:
                assert named == set(case.needs - able)


def test_of_an_adapter_that_declares_nothing_every_case_is_told() -> None:
    """A real run of all there are: each has its outcome, in order, and a reason why it is none."""
    argv = [sys.executable, "-S", str(FLEET), "declares-nothing"]
    outcomes = list(Checker(argv, 60.0).run(all_cases()))
    assert [outcome.case for outcome in outcomes] == [case.id for case in all_cases()]
    ran = {outcome.case for outcome in outcomes if outcome.status is Status.PASS}
    assert ran == {"adapter/handshake", "adapter/ending"}
    skipped = {o.case: o.message for o in outcomes if o.status is Status.NOT_SUPPORTED}
    assert skipped == left_out(frozenset())
    assert len(skipped) == len(outcomes) - len(ran)
