"""``lastref outcomes``: what every sequence of calls returns, worked out from the model."""

from __future__ import annotations

import time
from itertools import groupby

import click
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from lastref.conformance.cli import completing
from lastref.conformance.cli.designs import chosen_table, platform_option
from lastref.conformance.cli.explain import finish
from lastref.conformance.cli.output import (
    JsonTarget,
    console_for,
    json_option,
    standard_output,
)
from lastref.conformance.errors import UserError
from lastref.conformance.results import Check, Result, Verdict
from lastref.model.outcomes import LETTERS, LONGEST, Column, outcome_table
from lastref.model.table import Table

SHOWN = 2
"""How long the sequences are that are printed unless more are asked for."""


@click.command(
    epilog="""\b
    W is Wait, S Signal(0), K Kill, F a signal of a foreign type, R Release; a sequence's last
    outcome is shown. A star says that a law breaks on the way: a process is hit or reaped that
    nobody named, a number is used that was never opened, or a call hangs.
    \b
    Examples:
      lastref outcomes go-2024                            sequences of one and two calls
      lastref outcomes go-2024 --platform windows --length 4
      lastref outcomes go-2025 --start find-missing
      lastref outcomes go-2016 --json outcomes.json       all sequences of up to four calls
    """
)
@click.argument("design", metavar="DESIGN[/PLATFORM]", shell_complete=completing.designs)
@platform_option
@click.option("--start", "starts", multiple=True, help="Only this start; may be given again.")
@click.option(
    "--length",
    default=SHOWN,
    show_default=True,
    type=click.IntRange(1, LONGEST),
    help="Print sequences of up to so many calls.",
)
@json_option
def outcomes(
    design: str,
    platform: str | None,
    starts: tuple[str, ...],
    length: int,
    json_target: JsonTarget | None,
) -> None:
    """Print what every sequence of up to four calls returns, from every start.

    One caller, no other child, and nobody takes a number that is free; the process ends when a Wait
    waits for it. With --json all sequences of up to four calls are written, whatever is printed.
    """
    table = chosen_table(design, platform)
    if "wait" not in table.methods:
        raise UserError(
            f"{table.id} has no outcome table",
            f"it is no process: it has {', '.join(table.methods)}",
            f"explore it: lastref explore {table.id} --thread {next(iter(table.methods))}",
        )
    known = (*table.starts, *table.elsewhere, *table.refuses)
    unknown = [s for s in starts if s not in known]
    if unknown:
        raise UserError(
            f"{table.id} on {table.platform} has no start '{unknown[0]}'",
            f"it has {', '.join(known)}",
            "name one of these",
        )
    started = time.perf_counter()
    columns = [c for c in outcome_table(table) if not starts or c.start in starts]
    seconds = time.perf_counter() - started
    console = console_for(json_target)
    with standard_output():
        print_outcomes(table, columns, length, console)
    checks = tuple(_check(table, c, seconds if c is columns[0] else 0.0) for c in columns)
    finish(Result("outcomes", checks), console, json_target)


def print_outcomes(table: Table, columns: list[Column], length: int, console: Console) -> None:
    """Print a column for every group of starts that come to the same, a line for a sequence."""
    console.print(Text(f"{table.id} on {table.platform}: {table.title}", "bold"))
    groups = _groups([c for c in columns if c.runs], length)
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column("calls", no_wrap=True)
    for group in groups:
        names = "\n".join(_name(table, c) for c in group)
        grid.add_column(names, overflow="fold", vertical="top")
    told = [_outcomes(group[0], length) for group in groups]
    for calls in dict.fromkeys(name for column in told for name in column):
        grid.add_row(calls, *(_cell(column.get(calls)) for column in told))
    if groups:
        console.print(grid)
    for c in columns:
        if not c.runs:
            console.print(f"{c.start}: no object, {c.made}")


def _name(table: Table, column: Column) -> str:
    return column.start + ("" if column.platform == table.platform else f" ({column.platform})")


def _groups(columns: list[Column], length: int) -> list[list[Column]]:
    """Return the columns, those together in which everything that is printed is the same."""
    told = {c.start: tuple(_outcomes(c, length).items()) for c in columns}
    ordered = sorted(columns, key=lambda c: [*told.values()].index(told[c.start]))
    return [list(g) for _, g in groupby(ordered, key=lambda c: told[c.start])]


def _outcomes(column: Column, length: int) -> dict[str, str]:
    """Return the last outcome of every sequence, by its letters; a star where a law broke."""
    return {
        r.name: r.last + ("*" if r.broken else "") for r in column.runs if len(r.calls) <= length
    }


def _cell(outcome: str | None) -> Text:
    if outcome is None:
        return Text("", "dim")
    bad = outcome.endswith("*") or outcome.startswith(("panic:", "hang"))
    return Text(outcome, "bold red" if bad else "green" if outcome in ("ok", "nil") else "")


def _check(table: Table, column: Column, seconds: float) -> Check:
    """Return a column as a check: it was worked out; ``outcomes`` has every sequence."""
    return Check(
        f"{table.id}/{table.platform}/{column.start}",
        "outcomes",
        Verdict.PASS,
        len(column.runs) or 1,
        seconds,
        f"{len(column.runs)} sequences" if column.runs else f"no object: {column.made}",
        table.id,
        table.platform,
        extra={
            "start": column.start,
            "made": column.made,
            "works_as": column.platform,
            "letters": LETTERS,
            "outcomes": {r.name: {"last": r.last, "broken": list(r.broken)} for r in column.runs},
        },
    )
