"""The report as one self-contained page: verdict first, then what it rests on.

Nothing is loaded from anywhere: style, script and diagrams are in the page.  All text from result
files is escaped by Jinja2.  The page works without its script; the script filters, opens what a
link leads to and copies commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lastref.reports.histories import DRAWN, Document, Seen, histories, rerun, seen
from lastref.reports.lamport import lay_out
from lastref.reports.matrix import Matrix, matrix
from lastref.reports.reading import Check, Report
from lastref.reports.sections import (
    against,
    coverage,
    failures,
    gist,
    laws,
    mutants,
    skipped,
    standing,
    stated,
    tally,
)
from lastref.reports.timings import show_ratio, show_seconds, timings
from lastref.reports.verdicts import PASS, QUIET, SIGNS, SKIPPED, sign_of

_HERE = Path(__file__).parent
FIRST = 5
"""How many failures the head of the page lists."""
LARGE = 2000
"""With more checks than this a page is laid out as it is scrolled."""


def static(name: str) -> Markup:
    """Return a style sheet or a script of ours, to stand in a page as it is."""
    return Markup((_HERE / "static" / name).read_text(encoding="utf-8"))


def environment() -> Environment:
    """Return the templates: everything is escaped, and a name that is not given is an error."""
    env = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.policies["json.dumps_kwargs"] = {"sort_keys": False}  # the order is the table's
    env.globals.update(static=static, seconds=show_seconds, ratio=show_ratio)
    return env


def render(report: Report, known: Mapping[str, Document] | None = None) -> str:
    """Return the page; ``known`` has trace documents for schedule strings of the results."""
    found = histories(report, known)
    table = matrix(report)
    drawn = {
        h: lay_out(h.document) if h.document and n < DRAWN else None for n, h in enumerate(found)
    }
    failed = failures(report)
    listed = [c for c in report.checks if not _is_quiet_cell(c)]
    values: dict[str, Any] = {
        "report": report,
        "verdict": report.verdict,
        "gist": gist(report),
        "failures": failed[:FIRST],
        "more_failures": len(failed[FIRST:]),
        "listed": listed,
        "anchors": dict.fromkeys(report.checks, "") | {c: f"c{n}" for n, c in enumerate(listed, 1)},
        "rerun": {c: rerun(c, report.named) for c in listed}
        | {c: h.replay for h in reversed(found) for c in h.checks if h.replay and h.breaks},
        "links": _links(report, found),
        "seen": seen(report),
        "signs": lambda c: sign_of(c.verdict, c.status),
        "verdicts": SIGNS,
        "standing": standing(report),
        "stated": stated(report),
        "legend": [v for v, _ in tally(report.checks)],
        "laws": laws(report),
        "against": against(report),
        "runs": {h.schedule: h.anchor for h in found},
        "matrix": table,
        "large": len(report.checks) > LARGE,
        "amiss": _amiss(table),
        "histories": found,
        "diagrams": drawn,
        "drawn": DRAWN,
        "coverage": coverage(report),
        "mutants": mutants(report),
        "timings": timings(report),
        "skipped": skipped(report),
        "tally": tally(listed),
    }
    values["contents"] = _contents(values)
    return environment().get_template("report.html.jinja").render(values)


def _is_quiet_cell(check: Check) -> bool:
    """Return whether the matrix says all that there is to say of a check."""
    in_matrix = check.status is not None and check.implementation is not None
    return in_matrix and check.status in QUIET and check.verdict in (PASS, SKIPPED)


def _links(report: Report, found: tuple[Any, ...]) -> dict[Check, str]:
    """Return where a check's history is on the page, or an empty string."""
    passed = seen(report)
    links = {c: passed.get(Seen.of(c), "") for c in report.checks}
    drawn = {c for history in found for c in history.checks}
    links |= dict.fromkeys(drawn, "")
    for history in found:
        for check in history.checks:
            links[check] = links[check] or history.anchor
    return links


def _amiss(table: Matrix | None) -> dict[str, bool]:
    """Return for each case whether anything else than a pass was seen in it."""
    if table is None:
        return {}
    return {
        case: any(c.status not in QUIET for i in table.implementations for c in table.all(case, i))
        for case in table.cases
    }


def _contents(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the sections that the page has, for its table of contents."""
    timed = values["timings"]
    present = {
        "against": bool(values["against"].designs),
        "standing": bool(values["standing"].rows or values["stated"].rows),
        "matrix": values["matrix"] is not None,
        "timings": bool(timed.comparisons or timed.longest),
        "histories": bool(values["histories"] or values["seen"]),
        "checks": True,
    }
    names = {
        "against": "Designs against laws",
        "standing": "Designs and evidence",
        "matrix": "Implementations",
        "histories": "Histories",
        "coverage": "Coverage",
        "mutants": "Mutants",
        "timings": "Timings",
        "skipped": "Skipped",
        "checks": "All checks",
    }
    return [(k, name) for k, name in names.items() if present.get(k, bool(values.get(k)))]
