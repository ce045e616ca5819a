"""``lastref check``: run the conformance cases against one implementation."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lastref.conformance import testrun
from lastref.conformance.adapters.registry import resolve
from lastref.conformance.cli import completing
from lastref.conformance.cli.exporting import export_options, gate_options, write_exports
from lastref.conformance.cli.output import (
    STARTED,
    JsonTarget,
    closing_line,
    console_for,
    json_option,
    progress,
    standard_output,
)
from lastref.conformance.errors import UserError
from lastref.conformance.exports.markdown import grouped, unsupported
from lastref.conformance.gated import Gating
from lastref.conformance.outcomes import Status
from lastref.conformance.protocol.adapter import DEADLINE
from lastref.conformance.results import Check, Result
from lastref.conformance.selection import Selection, parse_shard
from lastref.conformance.suite import all_cases
from lastref.conformance.testrun import Finished, Plan

_SHOWN = 4  # case ids that stand for a group of alike ones


@click.command(
    epilog="""\b
    Examples:
      lastref check c-pidfd                        an adapter that is known
      lastref check './my-adapter --flag'          a command that speaks the protocol
      lastref check go-1.27 --case 'overlap/*'     some of the cases
      lastref check cpython-popen --expect none    its known deviations count as well
    """
)
@click.argument("adapter", shell_complete=completing.adapters)
@click.option("--case", "patterns", metavar="GLOB", multiple=True, help="Run the matching cases.")
@click.option("--list", "listing", is_flag=True, help="List the cases that would run, and end.")
@click.option(
    "--expect",
    metavar="FILE",
    help="The list of known deviations; 'none' for none. Default: the adapter's own.",
)
@click.option("--fix", is_flag=True, help="Rewrite that list to what this run shows.")
@click.option("--shard", default="1/1", metavar="I/N", help="Run the I-th of N equal parts.")
@click.option("--seed", default=0, metavar="N", help="Shuffle the cases; 0 keeps their order.")
@click.option(
    "--deadline", default=DEADLINE, metavar="SECONDS", help="For each message of the adapter."
)
@click.option(
    "--validate/--no-validate", default=True, help="Hold every message to its published schema."
)
@click.option(
    "--ndjson",
    "journal",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write each check to FILE as it comes.",
)
@click.option("--resume", is_flag=True, help="Go on with what the --ndjson file holds.")
@gate_options
@export_options
@json_option
def check(
    adapter: str,
    patterns: tuple[str, ...],
    listing: bool,
    expect: str | None,
    fix: bool,
    shard: str,
    seed: int,
    deadline: float,
    validate: bool,
    journal: Path | None,
    resume: bool,
    orders: int,
    seconds: float,
    traces: Path | None,
    json_target: JsonTarget | None,
    **exports: Path | None,
) -> None:
    """Run the conformance cases against ADAPTER: a known name, or the command that starts one.

    What the adapter declares decides which cases it is given. Exits with 0 if all is as it should
    be, 1 if a law is broken, 2 if the run is not complete, 3 if the machine can't.
    """
    if resume and journal is None:
        raise UserError("--resume has nothing to go on with", "no --ndjson FILE", "name the file")
    selection = Selection(patterns, parse_shard(shard), seed)
    if listing:
        _list(selection)
    known = resolve(adapter)
    plan = Plan(
        known,
        selection,
        deadline,
        validate,
        journal,
        resume,
        testrun.expected(known, expect, new=fix),
        Gating(orders=orders, seconds=seconds, traces=traces),
    )
    with progress(known.name, total=len(plan.cases)) as advance:
        finished = testrun.run(plan, advance)
    if fix:
        path = testrun.fix(plan, finished)
        click.echo(f"lastref: wrote {path.name}", err=True)
        raise click.exceptions.Exit(0)
    conclude_cases("check", [finished], json_target, exports)


def _list(selection: Selection) -> NoReturn:
    with standard_output():
        for case in selection.of(all_cases()):
            click.echo(case.id)
    raise click.exceptions.Exit(0)


def conclude_cases(
    command: str,
    finished: Sequence[Finished],
    json_target: JsonTarget | None,
    exports: dict[str, Path | None],
    more: Sequence[Check] = (),
) -> NoReturn:
    """Show and write the results of one adapter or more, and end the command."""
    checks = (*(check for one in finished for check in one.checks), *more)
    extra = dict(finished[0].extra) if finished else {}
    extra["adapters"] = [told for one in finished for told in one.extra["adapters"]]
    result = Result(command, checks, extra)
    document = result.document()
    seconds = time.perf_counter() - click.get_current_context().meta[STARTED]
    with standard_output():
        _show(result, seconds, console_for(json_target))
    write_exports(document, exports)
    if json_target is not None:
        json_target.write(result.to_json())
    raise click.exceptions.Exit(result.verdict.exit_code)


def _show(result: Result, seconds: float, console: Console) -> None:
    """Print a row for each adapter or situation, then what is wrong and what was not run."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("cases")
    for status in Status:
        table.add_column(status.value, justify="right")
    documents = [check.document() for check in result.checks]
    rows: dict[str, Counter[str]] = {}
    several = len({document.get("adapter") for document in documents}) > 1
    for document in documents:
        situation = str(document.get("case", "")).partition("/")[0]
        row = str(document.get("adapter")) if several else situation
        rows.setdefault(row, Counter())[str(document.get("status"))] += 1
    for row, counts in rows.items():
        table.add_row(row, *(str(counts[status.value] or "") for status in Status))
    console.print(table)
    for (adapter, verdict, reason), cases in grouped(documents).items():
        more = ", ..." if len(cases) > _SHOWN else ""
        named = ", ".join(cases[:_SHOWN]) + more
        console.print(Text(f"{verdict}: {adapter}: {reason} [{len(cases)}: {named}]"))
    for reason, counted in unsupported(documents).items():
        console.print(Text(f"{Status.NOT_SUPPORTED.value}: {reason} [{counted}]"))
    console.print(closing_line(result, seconds))
