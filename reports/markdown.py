"""The report as Markdown, for a pull request or a step summary: what failed first, and short.

A long list is cut at a stated number, because a comment has a limit; the page has all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from lastref.reports.histories import Document, histories, rerun
from lastref.reports.matrix import Matrix, matrix
from lastref.reports.reading import Check, Report
from lastref.reports.sections import (
    Grid,
    against,
    coverage,
    failures,
    gist,
    mutants,
    skipped,
    standing,
    stated,
)
from lastref.reports.timings import show_ratio, show_seconds, timings
from lastref.reports.verdicts import QUIET, SIGNS, sign_of

LISTED = 20
"""How many failures, and how many cases of the matrix, are listed."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def escape(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is, on one line, in a table cell too."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code(text: str, *, cell: bool = False) -> str:
    """Return ``text`` as inline code; the fence is longer than any run of backquotes in it.

    A table ends a cell at ``|`` even in code; there it is escaped, with ``cell``.
    """
    flat = " ".join(text.split())
    flat = flat.replace("|", "\\|") if cell else flat
    fence = "`" * (max((len(run) for run in re.findall("`+", flat)), default=0) + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], align: str) -> list[str]:
    marks = {"l": "---", "r": "---:", "c": ":-:"}
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(marks[a] for a in align)}|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def render(report: Report, known: Mapping[str, Document] | None = None) -> str:
    """Return the report as Markdown; ``known`` as for the page."""
    lines = [f"## {SIGNS[report.verdict].glyph} lastref: {report.verdict}", "", gist(report), ""]
    lines += [f"> {escape(note)}" for note in report.notes] + ([""] if report.notes else [])
    lines += _failures(report)
    lines += _against(report)
    lines += _grid(standing(report), "design") + _grid(stated(report), "law")
    lines += _matrix(matrix(report))
    lines += _more(report)
    broken = {h.breaks for h in histories(report, known) if h.breaks}
    if broken:
        lines += [f"Laws broken in the histories: {', '.join(code(b) for b in sorted(broken))}", ""]
    return "\n".join(lines).rstrip() + "\n"


def _failures(report: Report) -> list[str]:
    failed = failures(report)
    lines = []
    for check in failed[:LISTED]:
        on = f" on {escape(check.implementation)}" if check.implementation else ""
        word = sign_of(check.verdict, check.status).word
        lines.append(f"- **{word}** {code(check.id)}{on}: {escape(check.reason)}")
        command = rerun(check, report.named)
        lines += [f"  <br>{code(command)}"] if command else []
    if len(failed) > LISTED:
        lines.append(f"- and {len(failed) - LISTED} more")
    return [*lines, ""] if lines else []


def _against(report: Report) -> list[str]:
    """Return the laws that each design breaks; one that breaks none is named with the others."""
    found = against(report)
    breaks = {design: found.broken_by(design) for design in found.designs}
    sound = [escape(design) for design, laws in breaks.items() if not laws]
    lines = [f"No law is broken by {', '.join(sound)}.", ""] if sound else []
    rows = [(escape(d), ", ".join(map(code, laws))) for d, laws in breaks.items() if laws]
    return [*lines, *_table(["design", "breaks"], rows, "ll")] if rows else lines


def _grid(grid: Grid, corner: str) -> list[str]:
    """Return a table of groups of checks: what each comes to, and how many cases ran."""

    def cell(row: str, column: str) -> str:
        found = grid.cell(row, column)
        if found is None:
            return ""
        return f"{SIGNS[found.verdict].glyph} {found.count:,}" if found.count else found.verdict

    if not grid.rows:
        return []
    return _table(
        [corner, *map(escape, grid.columns)],
        ([escape(row), *(cell(row, column) for column in grid.columns)] for row in grid.rows),
        "l" + "r" * len(grid.columns),
    )


def _matrix(table: Matrix | None) -> list[str]:
    """Return the scores, and the cases in which implementations differ or fail."""
    if table is None:
        return []
    scores = ((i, table.score(i)) for i in table.implementations)
    lines = _table(
        ["implementation", "passed", "ran"],
        ([escape(i), f"{passed}", f"{ran}"] for i, (passed, ran) in scores),
        "lrr",
    )
    told = [
        case for case in table.cases if any(_amiss(table, case, i) for i in table.implementations)
    ]
    if not told:
        return lines
    lines += _table(
        ["case", *map(escape, table.implementations)],
        (
            [code(case, cell=True), *(_glyph(table.at(case, i)) for i in table.implementations)]
            for case in told[:LISTED]
        ),
        "l" + "c" * len(table.implementations),
    )
    if len(told) > LISTED:
        lines += [f"{len(told) - LISTED} more cases do not pass everywhere.", ""]
    legend = "; ".join(f"{s.glyph} {s.word}" for s in table.signs)
    return [*lines, f"<sub>{legend}</sub>", ""]


def _amiss(table: Matrix, case: str, implementation: str) -> bool:
    check = table.at(case, implementation)
    return check is not None and check.status not in QUIET


def _glyph(check: Check | None) -> str:
    return "" if check is None else sign_of(check.verdict, check.status).glyph


def _more(report: Report) -> list[str]:
    lines = []
    for s in coverage(report):
        taken = len(s.taken) - len(s.missed)
        lines.append(f"- coverage of {escape(s.subject)}: {taken} of {len(s.taken)} commands")
    for m in mutants(report):
        survived = f", survived: {escape(', '.join(m.survivors))}" if m.survivors else ""
        lines.append(
            f"- mutants of {escape(m.subject)}: {m.killed} of {m.total} killed, "
            f"{m.equivalent} equivalent, {m.same} undecided{survived}"
        )
    for c in timings(report).comparisons:
        against = f"{show_seconds(c.ours)} against {show_seconds(c.theirs)}"
        lines.append(
            f"- {code(c.check.id)}: {show_ratio(c.ratio)} than {escape(c.peer)}, {against}"
        )
    for reason, checks in skipped(report):
        lines.append(f"- {len(checks)} skipped: {escape(reason)}")
    return [*lines, ""] if lines else []
