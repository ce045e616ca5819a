"""``lastref designs``: the designs that there are, and one of them as its table of commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from lastref.conformance.cli import completing
from lastref.conformance.cli.explain import finish
from lastref.conformance.cli.output import (
    JsonTarget,
    console_for,
    json_option,
    standard_output,
)
from lastref.conformance.errors import UserError
from lastref.conformance.own_design import load, template
from lastref.conformance.results import Check, Result, Verdict
from lastref.model.algebra import TRUE, show
from lastref.model.designs import all_tables, get
from lastref.model.table import Command, DesignError, Table

F = TypeVar("F", bound=Callable[..., Any])
DESIGN = "DESIGN[/PLATFORM]|FILE.py"
"""How an argument that :func:`chosen_table` reads is written in a command's help."""


def chosen_table(design: str, platform: str | None) -> Table:
    """Return ``design`` on ``platform``, by default on the first that it has.

    ``design`` may also be written ``DESIGN/PLATFORM``, or be a Python file with a table of one's
    own.  Raises :class:`UserError`, with what there is, if it does not exist.
    """
    if design.endswith(".py"):
        return _of_a_file(Path(design), platform)
    name, _, written = design.partition("/")
    platform = platform or written or None
    first = next((t.platform for t in all_tables() if t.id == name), "linux")
    known = {t.platform for t in all_tables() if t.id == name}
    try:
        return get(name, platform or ("linux" if "linux" in known else first))
    except DesignError as error:
        raise UserError(error.fault, error.reason, error.remedy) from error


def _of_a_file(path: Path, platform: str | None) -> Table:
    table, _ = load(path)
    if platform not in (None, table.platform):
        raise UserError(
            f"{path} has no table on '{platform}'",
            f"its table is on {table.platform}",
            f"leave --platform out, or write --platform {table.platform}",
        )
    return table


def platform_option(command: F) -> F:
    """Give a command ``--platform P``."""
    return click.option(
        "--platform", metavar="P", help="The platform; by default the design's first."
    )(command)


@click.command(
    epilog="""\b
    Examples:
      lastref designs                      every design on every platform
      lastref designs go-2024              its table: every command, its guard and what it changes
      lastref designs go-2024/windows      the same on another platform
      lastref designs --template > mine.py                     a small word to begin one's own with
      lastref designs dotnet-safehandle --template > mine.py   a file that ships, to be changed
    """
)
@click.argument("design", required=False, metavar=f"[{DESIGN}]", shell_complete=completing.designs)
@platform_option
@click.option(
    "--template",
    "as_template",
    is_flag=True,
    help="Print a Python file for 'lastref verify --design': a small word, or DESIGN's own file.",
)
@json_option
def designs(
    design: str | None, platform: str | None, as_template: bool, json_target: JsonTarget | None
) -> None:
    """List the designs, or show one as the table of guarded commands that everything reads."""
    if as_template:
        chosen = None if design is None else chosen_table(design, platform)
        with standard_output():
            click.echo(template(chosen), nl=False)
        raise click.exceptions.Exit(0)
    console = console_for(json_target)
    tables = all_tables() if design is None else (chosen_table(design, platform),)
    if design is None and platform is not None:
        tables = tuple(t for t in tables if t.platform == platform)
        if not tables:
            known = ", ".join(dict.fromkeys(t.platform for t in all_tables()))
            raise UserError(f"no design is on '{platform}'", f"there are {known}", "name one")
    with standard_output():
        if design is None:
            list_tables(tables, console)
        else:
            print_table(tables[0], console)
    checks = tuple(_check(table) for table in tables)
    finish(Result("designs", checks), console, json_target)


def list_tables(tables: tuple[Table, ...], console: Console) -> None:
    """Print a line for every table."""
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for heading in ("design", "platform", "what it is", "source", "methods"):
        grid.add_column(heading, overflow="fold", no_wrap=heading in ("design", "platform"))
    for t in tables:
        methods = " ".join(t.methods)
        grid.add_row(Text(t.id, "bold"), t.platform, t.title, t.source, methods)
    console.print(grid)


def print_table(table: Table, console: Console) -> None:
    """Print a table: its variables, its commands and its laws."""
    console.print(Text(f"{table.id} on {table.platform}: {table.title}", "bold"))
    console.print(Text(table.source, "dim"))
    variables = _grid("variable", "bits", "begins", "what it is")
    for v in (*table.shared, *table.local):
        begins = v.label(v.initial) if v.labels else str(v.initial)
        own = "" if v.scope == "shared" else " (each thread's own)"
        variables.add_row(v.name, str(v.width or 1), begins, v.doc + own)
    console.print(variables)
    commands = _grid("at", "does", "when", "changes", "goes to", "outcome")
    for at, leaving in table.leaving.items():
        for number, c in enumerate(leaving):
            commands.add_row(*_row(c, at if number == 0 else ""))
    for c in table.kernel:
        commands.add_row(*_row(c, Text("kernel", "magenta")))
    console.print(commands)
    laws = _grid("law", "kind", "says")
    for law in table.laws:
        laws.add_row(law.id, law.kind, law.text)
    console.print(laws)
    starts = [*table.starts, *(f"{s} (as on {p})" for s, p in table.elsewhere.items())]
    starts += [f"{s} (refused: {o})" for s, o in table.refuses.items()]
    console.print(f"starts: {', '.join(starts)}")


def _grid(*headings: str) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for heading in headings:
        grid.add_column(heading, overflow="fold")
    return grid


def _row(c: Command, at: str | Text) -> tuple[str | Text, ...]:
    guard = "" if c.guard is TRUE else show(c.guard)
    changes = "; ".join(f"{name} := {show(value)}" for name, value in c.update)
    return at, c.op, guard, changes, c.to or "", c.outcome or ""


def _check(table: Table) -> Check:
    """Return a table as a check: it was built, which checks that it is well formed."""
    return Check(
        f"{table.id}/{table.platform}",
        "design",
        Verdict.PASS,
        len(table.commands) + len(table.kernel),
        reason=f"{table.title}; {table.source}",
        design=table.id,
        platform=table.platform,
        extra={
            "methods": list(table.methods),
            "laws": {law.id: law.text for law in table.laws},
            "starts": [*table.starts, *table.elsewhere],
            "refused": dict(table.refuses),
        },
    )
