"""The report in the terminal: the same verdict, failures and tables, drawn by rich."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lastref.reports.histories import rerun
from lastref.reports.matrix import matrix
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

STYLES = {
    "pass": "green",
    "broken": "bold red",
    "incomplete": "yellow",
    "unable": "magenta",
    "skipped": "cyan",
}


def show(report: Report, console: Console) -> None:
    """Print the report on ``console``."""
    verdict = report.verdict
    console.print(Text.assemble((f"{SIGNS[verdict].glyph} {verdict}", STYLES[verdict])))
    console.print(gist(report), highlight=False)
    for note in report.notes:
        console.print(Text(note, "yellow"))
    grids = _grid(standing(report), "design"), _grid(stated(report), "law")
    for part in (_failures(report), _against(report), *grids, _matrix(report), _more(report)):
        if part is not None:
            console.print(Padding(part, (1, 0, 0, 0)))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(columns[0], overflow="fold")
    for name in columns[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _failures(report: Report) -> RenderableType | None:
    lines = []
    for check in failures(report):
        word = sign_of(check.verdict, check.status).word
        on = f" on {check.implementation}" if check.implementation else ""
        lines.append(Text.assemble((word, STYLES[check.verdict]), f" {check.id}{on}"))
        lines.append(Text(f"  {check.reason}"))
        command = rerun(check, report.named)
        lines += [Text(f"  {command}", "bold")] if command else []
    return Group(*lines) if lines else None


def _against(report: Report) -> RenderableType | None:
    found = against(report)
    if not found.designs:
        return None
    table = _table("design", "breaks")
    table.columns[1].justify = "left"
    table.columns[1].no_wrap = False
    for design in found.designs:
        laws = ", ".join(found.broken_by(design))
        table.add_row(design, Text(laws, STYLES["broken"]) if laws else Text("none", "green"))
    return table


def _grid(grid: Grid, corner: str) -> RenderableType | None:
    if not grid.rows:
        return None
    table = _table(corner, *grid.columns)
    for row in grid.rows:
        cells = [grid.cell(row, column) for column in grid.columns]
        table.add_row(
            Text(row),
            *(
                Text(f"{c.verdict} {c.count:,}", STYLES[c.verdict]) if c else Text("")
                for c in cells
            ),
        )
    return table


def _matrix(report: Report) -> RenderableType | None:
    """Return a row for each case in which something else than a pass was seen.

    The implementations are numbered, as a terminal is narrow.
    """
    found = matrix(report)
    if found is None:
        return None
    numbered = list(enumerate(found.implementations, 1))
    names = [Text(f"{n}  {name}") for n, name in numbered]
    table = _table("case", *(str(n) for n, _ in numbered))
    told = [c for c in found.cases if any(_amiss(found.at(c, name)) for _, name in numbered)]
    for case in told:
        table.add_row(Text(case), *(_cell(found.at(case, name)) for _, name in numbered))
    legend = "   ".join(f"{s.glyph} {s.word}" for s in found.signs)
    rest = f"{len(told)} of {len(found.cases)} cases; in the others nothing but a pass was seen"
    return Group(*names, table, Text(rest), Text(legend, "dim"))


def _amiss(check: Check | None) -> bool:
    return check is not None and check.status not in QUIET


def _cell(check: Check | None) -> Text:
    if check is None:
        return Text("")
    return Text(sign_of(check.verdict, check.status).glyph, STYLES[check.verdict])


def _more(report: Report) -> RenderableType | None:
    lines = []
    for s in coverage(report):
        lines.append(Text(f"coverage of {s.subject}: {s.share:.0%} of {len(s.taken)} commands"))
    for m in mutants(report):
        left = f"; survived: {', '.join(m.survivors)}" if m.survivors else ""
        lines.append(Text(f"mutants of {m.subject}: {m.killed} of {m.total} killed{left}"))
    for c in timings(report).comparisons:
        said = f"{show_seconds(c.ours)} against {show_seconds(c.theirs)}"
        lines.append(Text(f"{c.check.id}: {show_ratio(c.ratio)} than {c.peer}, {said}"))
    for reason, checks in skipped(report):
        lines.append(Text(f"{len(checks)} skipped: {reason}", "cyan"))
    return Group(*lines) if lines else None
