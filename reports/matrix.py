"""The matrix: cases down, implementations across, each cell what was seen there.

A check belongs to it when it has a ``status`` and names its implementation; the id of its case is
its field ``case``, or else its id without the implementation's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lastref.reports.reading import Check, Report
from lastref.reports.verdicts import BROKEN, EXPECTED, Sign, sign_of


@dataclass(frozen=True)
class Matrix:
    """Cases and implementations in the order in which they were first seen."""

    cases: tuple[str, ...]
    implementations: tuple[str, ...]
    cells: Mapping[tuple[str, str], tuple[Check, ...]]

    def at(self, case: str, implementation: str) -> Check | None:
        """Return the check to show at a place: a broken one before any other."""
        checks = self.cells.get((case, implementation), ())
        return min(checks, key=lambda c: c.verdict != BROKEN, default=None)

    def all(self, case: str, implementation: str) -> tuple[Check, ...]:
        """Return every check at a place."""
        return self.cells.get((case, implementation), ())

    @property
    def signs(self) -> tuple[Sign, ...]:
        """The signs that stand in the matrix, for its legend."""
        shown = [sign_of(c.verdict, c.status) for group in self.cells.values() for c in group]
        return tuple(sorted(set(shown), key=lambda s: (s == EXPECTED, s.word != "pass", s.word)))

    def score(self, implementation: str) -> tuple[int, int]:
        """Return how many cases an implementation passed, and how many ran."""
        column = [self.at(case, implementation) for case in self.cases]
        ran = [c for c in column if c is not None and c.verdict != "skipped"]
        return sum(c.status == "pass" for c in ran), len(ran)


def matrix(report: Report) -> Matrix | None:
    """Return the matrix of ``report``, or None if no check is of a case on an implementation."""
    cells: dict[tuple[str, str], list[Check]] = {}
    for check in report.checks:
        if check.status is not None and check.implementation is not None:
            cells.setdefault((case_of(check), check.implementation), []).append(check)
    if not cells:
        return None
    return Matrix(
        tuple(dict.fromkeys(case for case, _ in cells)),
        tuple(dict.fromkeys(implementation for _, implementation in cells)),
        {place: tuple(checks) for place, checks in cells.items()},
    )


def case_of(check: Check) -> str:
    """Return the case that a check is of."""
    given = check.extra.get("case")
    if isinstance(given, str) and given:
        return given
    name = check.extra.get("implementation")
    heads = [check.implementation, name.get("name") if isinstance(name, Mapping) else name]
    for head in heads:
        if head and check.id.startswith(f"{head}/"):
            return check.id.removeprefix(f"{head}/")
    return check.id
