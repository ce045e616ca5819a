"""Verdicts and statuses: which outranks which, and the sign and the word that a reader sees.

A verdict says what a check comes to; a status, which only checks of other implementations have,
says what was seen.  A deviation that was expected has the verdict ``pass`` and the status
``deviates``: both are shown.  Nothing is said by colour alone: each has a sign and a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

PASS, BROKEN, INCOMPLETE, UNABLE, SKIPPED = "pass", "broken", "incomplete", "unable", "skipped"

VERDICTS = (BROKEN, INCOMPLETE, UNABLE, PASS, SKIPPED)
"""Every verdict of a check, the one to read first first."""

EXIT_CODES = {PASS: 0, BROKEN: 1, INCOMPLETE: 2, UNABLE: 3}


@dataclass(frozen=True)
class Sign:
    """How a verdict or a status is shown: one character, a word, and what it means."""

    glyph: str
    word: str
    meaning: str


SIGNS = {
    PASS: Sign("✓", "pass", "the law held in every case that ran"),
    BROKEN: Sign("✕", "broken", "a case broke the law"),
    INCOMPLETE: Sign("◔", "incomplete", "not all cases ran, so nothing is said"),
    UNABLE: Sign("⊘", "unable", "this machine cannot run it"),
    SKIPPED: Sign("–", "skipped", "not required here, and not run"),
}

STATUSES = {
    "pass": Sign("✓", "pass", "did what the design says"),
    "deviates": Sign("✕", "deviates", "did something else"),
    "crash": Sign("†", "crash", "died"),
    "timeout": Sign("◷", "timeout", "did not answer in time"),
    "protocol error": Sign("¿", "protocol error", "sent what the protocol does not allow"),
    "not supported": Sign("–", "not supported", "does not declare what the case needs"),
    "precondition failed": Sign("○", "precondition failed", "the case could not be set up"),
}

EXPECTED = Sign("≈", "deviates, as expected", "a known deviation, listed as expected")


QUIET = frozenset({"pass", "not supported", "precondition failed"})
"""The statuses that are no failure of their own; a check breaks with one if it was not expected."""


def combine(verdicts: Iterable[str]) -> str:
    """Return what checks come to together: broken, else incomplete, unable, pass; none: incomplete.

    A skipped check does not count, so a run of nothing but skipped checks is incomplete.
    """
    present = set(verdicts)
    return next((v for v in VERDICTS if v in present and v != SKIPPED), INCOMPLETE)


def shown_cell(verdicts: Iterable[str]) -> str:
    """Return what to show for a group of checks: as :func:`combine`, but all skipped is skipped."""
    present = set(verdicts)
    return SKIPPED if present == {SKIPPED} else combine(present)


def sign_of(verdict: str, status: str | None) -> Sign:
    """Return the sign of a check; a status, where there is one, says more than the verdict."""
    if status is None:
        return SIGNS[verdict]
    if status == "deviates" and verdict == PASS:
        return EXPECTED
    if verdict == BROKEN and status in QUIET:
        return Sign(
            "≠", f"{status}, and listed as something else", "the list of deviations is wrong"
        )
    known = STATUSES.get(status.replace("_", " ").replace("-", " "))
    return known or Sign(SIGNS[verdict].glyph, status, SIGNS[verdict].meaning)
