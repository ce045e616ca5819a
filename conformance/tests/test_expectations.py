"""The list of known deviations: what passes because of it, and all that fails because of it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import pytest

from lastref.conformance.adapters.registry import known
from lastref.conformance.errors import UserError
from lastref.conformance.expectations import Entry, Expectations, load, satisfies
from lastref.conformance.outcomes import Outcome, Status
from lastref.conformance.results import Check, Verdict
from lastref.conformance.suite import all_cases

IDS = [case.id for case in all_cases()]
CASE = "child/wait.wait"
MESSAGE = "wait gave ok, the specification allows EPD"
TODAY = datetime.date(2026, 1, 15)
DEVIATES = Outcome(CASE, Status.DEVIATES, MESSAGE)


def judged(entry: Entry, *outcomes: Outcome, version: str = "3.11") -> Sequence[Check]:
    """Return the checks that a list of one entry makes of some outcomes."""
    expectations = Expectations(Path("x.toml"), (entry,))
    return expectations.judge(
        outcomes, IDS, "x", "go-2024/linux", system="linux", version=version, today=TODAY
    )


def verdict(entry: Entry, outcome: Outcome, version: str = "3.11") -> Verdict:
    """Return what becomes of one outcome."""
    (check,) = judged(entry, outcome, version=version)
    return check.verdict


def test_a_known_deviation_passes_and_still_says_what_it_is() -> None:
    """The verdict is pass; the status stays, and message and link are in the remark."""
    (check,) = judged(Entry((CASE,), MESSAGE, "https://example.org/7"), DEVIATES)
    assert check.verdict is Verdict.PASS
    assert check.extra["status"] == "deviates"
    assert MESSAGE in check.reason
    assert "https://example.org/7" in check.reason


def test_a_deviation_that_is_not_listed_fails() -> None:
    """A list of other cases changes nothing."""
    assert verdict(Entry(("child/kill",), None), DEVIATES) is Verdict.BROKEN


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome(CASE, Status.PASS), "unexpected pass"),
        (Outcome(CASE, Status.DEVIATES, "something else"), "stale entry"),
        (Outcome(CASE, Status.CRASH, MESSAGE), "stale entry: crash"),
        (Outcome(CASE, Status.NOT_SUPPORTED, "no wait"), "was skipped"),
        (Outcome(CASE, Status.PRECONDITION_FAILED, "no find"), "was skipped"),
    ],
)
def test_an_entry_that_is_not_borne_out_fails(outcome: Outcome, said: str) -> None:
    """An unexpected pass, another message or status, and a skip all fail, each by its name."""
    (check,) = judged(Entry((CASE,), MESSAGE), outcome)
    assert check.verdict is Verdict.BROKEN
    assert said in check.reason


def test_an_unknown_id_fails() -> None:
    """An entry for a case that there is not is a check of its own."""
    checks = judged(Entry((CASE, "child/fly"), MESSAGE), DEVIATES)
    assert [check.verdict for check in checks] == [Verdict.PASS, Verdict.BROKEN]
    assert checks[1].id == "x/expectations/child/fly"


def test_an_expired_entry_fails_from_its_day_on() -> None:
    """Until its day an entry holds; on it, it does not."""
    day = datetime.timedelta(days=1)
    assert verdict(Entry((CASE,), MESSAGE, until=TODAY + day), DEVIATES) is Verdict.PASS
    assert verdict(Entry((CASE,), MESSAGE, until=TODAY), DEVIATES) is Verdict.BROKEN


def test_conditions_decide_whether_an_entry_applies() -> None:
    """Elsewhere, and in other versions, the case must pass."""
    entry = Entry((CASE,), MESSAGE, system="linux", version=">=3.11,<3.13")
    assert verdict(entry, DEVIATES, version="3.12.4") is Verdict.PASS
    assert verdict(entry, DEVIATES, version="3.13.0") is Verdict.BROKEN
    assert verdict(Entry((CASE,), MESSAGE, system="windows"), DEVIATES) is Verdict.BROKEN
    assert verdict(entry, Outcome(CASE, Status.PASS), version="3.13") is Verdict.PASS


def test_a_flaky_entry_lets_both_be() -> None:
    """Pass and deviation are let be; a skip is not."""
    entry = Entry((CASE,), flaky=True)
    assert verdict(entry, DEVIATES) is Verdict.PASS
    assert verdict(entry, Outcome(CASE, Status.PASS)) is Verdict.PASS
    assert verdict(entry, Outcome(CASE, Status.NOT_SUPPORTED, "no")) is Verdict.BROKEN


@pytest.mark.parametrize(
    ("version", "condition", "holds"),
    [
        ("go1.27.3", ">=1.25", True),
        ("go1.9", ">=1.10", False),
        ("v20.20.2", "<20", False),
        ("17.0.15+6-Debian", "==17.0.15", True),
        ("3.11", "==3.11.0", True),
        ("2", ">1,<=2", True),
        ("anything", "", True),
    ],
)
def test_versions_are_compared_as_numbers(version: str, condition: str, holds: bool) -> None:
    """1.10 is after 1.9, and what is missing is 0."""
    assert satisfies(version, condition) is holds


def test_fix_makes_a_list_with_which_the_run_passes(tmp_path: Path) -> None:
    """What is new is added, what passes goes, what did not run stays, links are kept."""
    path = tmp_path / "x.toml"
    entries = (
        Entry((CASE, "child/kill"), MESSAGE, "https://example.org/7", until=TODAY),
        Entry(("child/signal", "child/fly"), "not run this time"),
    )
    outcomes = [
        DEVIATES,
        Outcome("child/kill", Status.PASS),
        Outcome("zombie/wait", Status.TIMEOUT, 'a "quoted" one'),
    ]
    path.write_text(Expectations(path, entries).fixed(outcomes, IDS, "linux", "1").text())
    fixed = load(path)
    assert {case for entry in fixed.entries for case in entry.cases} == {
        CASE,
        "child/signal",
        "zombie/wait",
    }
    assert next(e.link for e in fixed.entries if CASE in e.cases) == "https://example.org/7"
    checks = fixed.judge(outcomes, IDS, "x", "go-2024/linux", "linux", "1", TODAY)
    assert {check.verdict for check in checks} == {Verdict.PASS}
    assert fixed.fixed(outcomes, IDS, "linux", "1") == fixed


@pytest.mark.parametrize(
    "text",
    [
        "deviation = 1",
        "[[deviation]]\nmessage = 'x'",
        "[[deviation]]\ncases = []",
        "[[deviation]]\ncases = ['a']\ncolour = 'red'",
        "[[deviation]]\ncases = ['a']\nstatus = 'pass'",
        "[[deviation]]\ncases = ['a']\nversion = 'new'",
        "[[deviation]]\ncases = ['a', 'a']",
        "[[deviation",
        "other = 1",
    ],
)
def test_a_malformed_list_is_refused(tmp_path: Path, text: str) -> None:
    """Every mistake in the file is told on one line, by the file's name."""
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"x\.toml"):
        load(path)


@pytest.mark.parametrize("name", sorted(known()))
def test_the_lists_of_our_adapters_are_well_formed(name: str) -> None:
    """Each list that is shipped can be read and names cases that there are."""
    path = known()[name].expectations
    if path.exists():
        listed = {case for entry in load(path).entries for case in entry.cases}
        assert listed
        assert listed <= set(IDS)
    else:
        assert name in {"go", "go-1.26"}
