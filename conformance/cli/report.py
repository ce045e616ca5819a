"""``lastref report``: make a page, Markdown and a summary in the terminal from result files.

The reports know result files and nothing of the model.  Where a result names a run by its schedule
string, the model works out the states in between here, so that the page can draw it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from lastref.conformance.cli.output import JsonTarget, console_on, json_option, standard_output
from lastref.conformance.errors import UserError, writing
from lastref.conformance.explained import Explained, explain
from lastref.conformance.results import Check, Result, Verdict
from lastref.conformance.trace import parse
from lastref.model import designs
from lastref.reports import markdown, page, terminal
from lastref.reports.calls import is_history
from lastref.reports.histories import Document, schedules
from lastref.reports.reading import Check as Observed
from lastref.reports.reading import Report, read, read_document
from lastref.reports.verdicts import EXIT_CODES

PAGE, MARKDOWN = "index.html", "report.md"
_Function = TypeVar("_Function", bound=Callable[..., Any])


@click.command(
    epilog="""\b
    Examples:
      lastref report result.json                 in the terminal
      lastref report result.json -o site         site/index.html and site/report.md
      lastref report shard-*.ndjson -o site      the shards of one run, joined
      lastref report result.json --markdown - >> "$GITHUB_STEP_SUMMARY"
    """
)
@click.argument(
    "results", nargs=-1, required=True, metavar="RESULTS...", type=click.Path(path_type=Path)
)
@click.option(
    "-o",
    "--output",
    "directory",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Write {PAGE} and {MARKDOWN} into DIR.",
)
@click.option("--markdown", "md", metavar="FILE", help="Write Markdown to FILE, or - for stdout.")
@json_option
@click.option("--verdict", is_flag=True, help="Exit with the results' verdict, not with 0.")
def report(
    results: tuple[Path, ...],
    directory: Path | None,
    md: str | None,
    json_target: JsonTarget | None,
    verdict: bool,
) -> None:
    """Show what result files hold: the verdict first, then what it rests on.

    RESULTS are files that other commands wrote with --json, NDJSON files, and traces that belong
    to them. Exits with 0 when the report was written, whatever it says, unless --verdict is given:
    then all shards of a run have to be there.
    With --json, all of them are written as one result.
    """
    found = read(results, whole=verdict)
    known = histories_of(found)
    shown = explained(found)
    if directory is not None:
        write(shown, directory, known)
        where = directory / PAGE
        click.echo(f"wrote {where} ({where.stat().st_size / 1024:,.0f} KiB)", err=True)
    if md == "-":
        with standard_output():
            click.echo(markdown.render(shown, known), nl=False)
    elif md is not None:
        _put(Path(md), markdown.render(shown, known))
    to_stdout = md == "-" or (json_target is not None and json_target.path is None)
    with standard_output():
        terminal.show(shown, console_on(stderr=to_stdout))
    if json_target is not None:
        json_target.write(joined(found).to_json())
    raise click.exceptions.Exit(EXIT_CODES[found.verdict] if verdict else 0)


def joined(report: Report) -> Result:
    """Return all checks as one result; an id that several files have is preceded by the file."""
    times = Counter(c.id for c in report.checks)
    return Result(
        "report",
        tuple(
            Check(
                c.id if times[c.id] == 1 else f"{c.source}: {c.id}",
                c.kind,
                Verdict(c.verdict),
                c.count,
                c.seconds,
                c.reason,
                c.design,
                c.platform,
                c.extra,
            )
            for c in report.checks
        ),
    )


def histories_of(report: Report) -> dict[str, Document]:
    """Return the traces of the schedules that ``report`` names, worked out by the model.

    A schedule of a design that the model does not have stays without one.
    """
    known: dict[str, Document] = {}
    for schedule in schedules(report):
        try:
            known[schedule] = parse(schedule).document()
        except UserError:
            continue
    return known


def explained(report: Report) -> Report:
    """Return ``report`` with what the specifications make of the histories that it has.

    Of an implementation only calls and returns are seen.  Beside each stands the word that its
    specification has there, and with the first check of each what its histories have taken of the
    specification's commands.
    """
    checks: list[Observed] = []
    taken: dict[tuple[str, str], tuple[int, Counter[str]]] = {}
    for number, check in enumerate(report.checks):
        found = _explanation(check)
        if found is None:
            checks.append(check)
            continue
        _, counts = taken.setdefault((str(check.implementation), check.where), (number, Counter()))
        counts.update(found.commands)
        words = [None if w is None else f"{w:#x}" for w in found.words]
        checks.append(replace(check, extra={**check.extra, "words": words}))
    for (_, where), (number, counts) in taken.items():
        table = designs.get(*where.split("/"))
        every = {c.name: counts[c.name] for c in table.commands}
        extra = {**checks[number].extra, "coverage": every}
        checks[number] = replace(checks[number], extra=extra)
    return replace(report, checks=tuple(checks))


def _explanation(check: Observed) -> Explained | None:
    case, events = check.extra.get("case"), check.extra.get("history")
    if not (isinstance(case, str) and isinstance(events, list) and is_history(events)):
        return None
    try:
        return explain(check.where, case, events)
    except UserError:  # of a design that the model does not have
        return None


def write(report: Report, directory: Path, known: dict[str, Document]) -> None:
    """Write the page and the Markdown of ``report`` into ``directory``, made if need be."""
    _put(directory / PAGE, page.render(report, known))
    _put(directory / MARKDOWN, markdown.render(report, known))


def _put(path: Path, text: str) -> None:
    with writing(path, "place"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def html_option(command: _Function) -> _Function:
    """Give a command ``--html DIR``, passed to it as ``html`` (None: not asked for)."""
    return click.option(
        "--html",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help=f"Write the result as a page, {PAGE}, into DIR.",
    )(command)


def write_html(result: Result, directory: Path | None) -> None:
    """Write the page of ``result`` where ``--html`` asks for it; call it before concluding."""
    if directory is not None:
        write_html_document(json.loads(result.to_json()), directory)


def write_html_document(document: Mapping[str, Any], directory: Path) -> None:
    """Write the page of a result in its written form into ``directory``."""
    found = read_document(document, str(document["command"]))
    write(explained(found), directory, histories_of(found))
