"""What the page, the Markdown and the terminal all show, worked out once from the checks.

standing   designs × kinds of evidence: what each comes to, and how many cases ran
laws       laws × designs: how many obligations were proved
against    designs × laws: which are kept, and which are broken by what run
coverage   designs or implementations: which of the model's commands were taken
mutants    how many wrong variants there were, and who killed them
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lastref.reports.reading import Check, Report
from lastref.reports.verdicts import PASS, SKIPPED, VERDICTS, shown_cell


@dataclass(frozen=True)
class Cell:
    """A group of checks: what they come to, and how many cases ran in them."""

    verdict: str
    count: int
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Grid:
    """A table of groups; a group without checks is None."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]

    def cell(self, row: str, column: str) -> Cell | None:
        """Return the group at a place, or None."""
        return self.cells.get((row, column))


def standing(report: Report) -> Grid:
    """Return designs (with their platform) against the kinds of evidence."""
    groups: dict[tuple[str, str], list[Check]] = {}
    for check in report.checks:
        if check.status is None and check.kind not in LAW_KINDS:
            subject = check.where or check.implementation or check.command
            groups.setdefault((subject, check.kind), []).append(check)
    return _grid(groups)


LAW_KINDS = ("must", "always", "step", "rest", "sometimes")
"""The kinds of laws, which a check of one law has as its own kind."""


def stated(report: Report) -> Grid:
    """Return laws against designs, of the checks that are each about one law of a design."""
    groups: dict[tuple[str, str], list[Check]] = {}
    for check in report.checks:
        if check.kind in LAW_KINDS and check.design is not None:
            law = check.id.removeprefix(f"{check.where}/")
            groups.setdefault((law, check.where), []).append(check)
    return _grid(groups)


def _grid(groups: Mapping[tuple[str, str], list[Check]]) -> Grid:
    return Grid(
        tuple(dict.fromkeys(row for row, _ in groups)),
        tuple(dict.fromkeys(column for _, column in groups)),
        {
            place: Cell(
                shown_cell(c.verdict for c in checks), sum(c.count for c in checks), tuple(checks)
            )
            for place, checks in groups.items()
        },
    )


@dataclass(frozen=True)
class Laws:
    """How many obligations of each law were proved, by design."""

    laws: tuple[str, ...]
    designs: tuple[str, ...]
    proved: Mapping[tuple[str, str], int]


def laws(report: Report) -> Laws:
    """Return the laws that checks list as proved, with the number of obligations each."""
    proved: dict[tuple[str, str], int] = {}
    for check in report.checks:
        listed = check.extra.get("laws")
        if isinstance(listed, Mapping):
            for law, number in listed.items():
                if isinstance(number, int):
                    key = (str(law), check.where)
                    proved[key] = proved.get(key, 0) + number
    return Laws(
        tuple(dict.fromkeys(law for law, _ in proved)),
        tuple(dict.fromkeys(design for _, design in proved)),
        proved,
    )


@dataclass(frozen=True)
class Against:
    """Designs against laws: kept in all that was searched, or broken, by a run that shows it."""

    laws: tuple[str, ...]
    designs: tuple[str, ...]
    kept: frozenset[tuple[str, str]]
    broken: Mapping[tuple[str, str], str]
    """Of a law and a design, the schedule of the run."""

    def broken_by(self, design: str) -> tuple[str, ...]:
        """Return the laws that ``design`` breaks."""
        return tuple(law for law in self.laws if (law, design) in self.broken)


def against(report: Report) -> Against:
    """Return what the checks say that name the laws that a design keeps, and those it breaks."""
    kept: dict[tuple[str, str], None] = {}
    broken: dict[tuple[str, str], str] = {}
    designs: dict[str, None] = {}
    for check in report.checks:
        runs = _mapping(check.extra.get("broken_laws"))
        laws = [str(law) for law in check.extra.get("kept_laws", ())]
        if runs or laws:
            designs[check.where] = None
        kept |= dict.fromkeys((law, check.where) for law in laws)
        broken |= {(str(law), check.where): str(run) for law, run in runs.items()}
    return Against(
        tuple(dict.fromkeys(law for law, _ in (*broken, *kept))),
        tuple(designs),
        frozenset(kept),
        broken,
    )


@dataclass(frozen=True)
class Coverage:
    """Which commands of the model were taken in the checks of one design or implementation."""

    subject: str
    taken: Mapping[str, int]

    @property
    def missed(self) -> tuple[str, ...]:
        """The commands that no run took."""
        return tuple(name for name, times in self.taken.items() if not times)

    @property
    def share(self) -> float:
        """The part of the commands that was taken, 0 to 1."""
        return 1 - len(self.missed) / len(self.taken)


def coverage(report: Report) -> tuple[Coverage, ...]:
    """Return the coverage of every subject whose checks say how often each command was taken.

    A check says so in ``coverage``: the name of a command to how often it was taken, 0 included.
    """
    totals: dict[str, dict[str, int]] = {}
    for check in report.checks:
        counted = check.extra.get("coverage")
        if isinstance(counted, Mapping) and counted:
            subject = " · ".join(p for p in (check.implementation, check.where) if p) or check.id
            taken = totals.setdefault(subject, {})
            for name, times in counted.items():
                if isinstance(times, int):
                    taken[str(name)] = taken.get(str(name), 0) + times
    return tuple(Coverage(s, t) for s, t in totals.items() if t)


@dataclass(frozen=True)
class Mutants:
    """The wrong variants of one design: how many, who noticed, and which nobody noticed.

    Two engines may notice one mutant.  ``same`` are those that no run tells from the design, though
    nobody has proved that there is no difference.
    """

    subject: str
    total: int
    killed_by: Mapping[str, int]
    equivalent: int
    same: int
    survivors: tuple[str, ...]

    @property
    def killed(self) -> int:
        """How many were noticed."""
        return self.total - self.equivalent - self.same - len(self.survivors)


def mutants(report: Report) -> tuple[Mutants, ...]:
    """Return the counts of every check that has ``mutants``."""
    return tuple(
        Mutants(
            check.where or check.id,
            _number(check.extra["mutants"]),
            {str(k): _number(v) for k, v in _mapping(check.extra.get("killed_by")).items()},
            _number(check.extra.get("equivalent", 0)),
            _number(check.extra.get("same", 0)),
            tuple(_names(check.extra.get("survivors", ()))),
        )
        for check in report.checks
        if "mutants" in check.extra
    )


def _number(value: object) -> int:
    if isinstance(value, int | float):
        return int(value)
    return len(value) if isinstance(value, Sequence | Mapping) and not isinstance(value, str) else 0


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _names(value: object) -> Iterable[str]:
    """Return names; a mere number of survivors is named by its place."""
    if isinstance(value, int):
        return (f"survivor {n + 1}" for n in range(value))
    return (str(v) for v in value) if isinstance(value, Sequence | Mapping) else ()


def tally(checks: Iterable[Check]) -> tuple[tuple[str, int], ...]:
    """Return how many checks have each verdict, those that have none left out."""
    found = [c.verdict for c in checks]
    return tuple((v, found.count(v)) for v in VERDICTS if v in found)


_SAID = {
    "pass": "passed",
    "broken": "broke a law",
    "incomplete": "did not finish",
    "unable": "could not run here",
}


def gist(report: Report) -> str:
    """Return what came of the checks in one sentence."""
    said = [
        f"{n:,} {'was' if n == 1 else 'were'} skipped" if v == SKIPPED else f"{n:,} {_SAID[v]}"
        for v, n in tally(report.checks)
    ]
    count, cases = len(report.checks), sum(c.count for c in report.checks)
    listed = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
    return f"Of {count:,} check{'s' if count != 1 else ''}, {listed}; {cases:,} cases ran."


def failures(report: Report) -> tuple[Check, ...]:
    """Return the checks that did not pass and were to be run, the gravest first."""
    failed = (c for c in report.checks if c.verdict not in (PASS, SKIPPED))
    return tuple(sorted(failed, key=lambda c: VERDICTS.index(c.verdict)))


def skipped(report: Report) -> tuple[tuple[str, tuple[Check, ...]], ...]:
    """Return the skipped checks by reason, the most frequent reason first."""
    reasons: dict[str, list[Check]] = {}
    for check in report.checks:
        if check.verdict == SKIPPED:
            reasons.setdefault(check.reason, []).append(check)
    ordered = sorted(reasons.items(), key=lambda item: -len(item[1]))
    return tuple((reason, tuple(checks)) for reason, checks in ordered)
