"""``lastref export``: a design for other tools: Promela, TLA+, Graphviz's DOT, JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import click

from lastref.conformance.cli import completing
from lastref.conformance.cli.designs import DESIGN, chosen_table
from lastref.conformance.cli.output import (
    JsonTarget,
    conclude,
    json_option,
    standard_output,
)
from lastref.conformance.cli.scenario import (
    calls_of,
    chosen_system,
    scenario_options,
    with_method_options,
)
from lastref.conformance.errors import UserError
from lastref.conformance.results import Check, Result, Verdict
from lastref.conformance.tables_document import scenario_document, tables_document
from lastref.model.dot import MOST_STATES, control_graph, state_graph
from lastref.model.promela import promela
from lastref.model.system import System
from lastref.model.table import DesignError, Table
from lastref.model.tla import tla

FORMATS = ("promela", "tla", "dot", "json")


@click.command(
    name="export",
    epilog="""\b
    Examples:
      lastref export go-2024 --to promela --wait 1 --kill 1 --release 1 -o model.pml
        spin -a model.pml && cc -O2 -DNOREDUCE -DSAFETY -o pan pan.c && ./pan -m1000000
      lastref export go-2024 --to tla --wait 1 --release 1 -o Word.tla    and Word.cfg beside it
        java -cp tla2tools.jar tlc2.TLC Word
      lastref export go-2024 --to dot | dot -Tsvg > locations.svg
      lastref export go-2023-pidfd --to dot --kill 1 --release 1 | dot -Tsvg > states.svg
      lastref export mine.py --to json                                    a table of your own
    """,
)
@click.argument("design", metavar=DESIGN, shell_complete=completing.designs)
@click.option("--to", "form", required=True, type=click.Choice(FORMATS), help="The format.")
@scenario_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write into FILE, not to standard output.",
)
@click.option(
    "--limit",
    default=MOST_STATES,
    show_default=True,
    type=click.IntRange(1),
    help="How many states a picture may have.",
)
@json_option
def export_command(
    design: str,
    form: str,
    threads: tuple[str, ...],
    platform: str | None,
    start: str,
    settings: tuple[str, ...],
    output: Path | None,
    limit: int,
    json_target: JsonTarget | None,
    **counts: int,
) -> None:
    """Write a design with some threads as Promela, as TLA+, as a graph or as JSON.

    Promela is for Spin and TLA+ for TLC; both then count the states that 'lastref explore' counts.
    As a graph it is every state of these threads or, without threads, where one thread can be. JSON
    is the table itself, as the explorer's page reads it.
    """
    started = time.perf_counter()
    if output is None and json_target is not None and json_target.path is None:
        raise UserError(
            "two things would be written to standard output",
            "the export goes there, and --json without a file as well",
            "name a file with -o, or with --json FILE",
        )
    table, calls = chosen_table(design, platform), calls_of(threads, counts)
    system = None
    if calls or form in ("promela", "tla"):
        system = chosen_system(table, start, settings, calls)
        table = system.table
    texts = _texts(table, system, form, output, limit)
    result = Result("export", (_check(table, form, time.perf_counter() - started),))
    if output is not None:
        for path, text in texts.items():
            JsonTarget(path).write(text)
        conclude(result, json_target)
    with standard_output():
        click.echo("".join(texts.values()), nl=False)
    if json_target is not None:
        json_target.write(result.to_json())
    raise click.exceptions.Exit(result.verdict.exit_code)


with_method_options(export_command)


def _texts(
    table: Table, system: System | None, form: str, output: Path | None, limit: int
) -> Mapping[Path, str]:
    """Return what is written, by the file it goes to; in this order it also goes to stdout."""
    here = Path() if output is None else output
    try:
        if form == "json":
            document = tables_document([table])
            if system is not None:
                document["scenario"] = scenario_document(system.scenario)
            return {here: json.dumps(document, ensure_ascii=False, indent=1) + "\n"}
        if system is None:
            return {here: control_graph(table)}
        if form == "promela":
            return {here: promela(table, system.scenario)}
        if form == "dot":
            return {here: state_graph(table, system.scenario, limit)}
        module = tla(table, system.scenario, None if output is None else output.stem)
        beside = here.with_suffix(".cfg") if output is not None else Path("cfg")
        mark = "" if output is not None else f"\nThe configuration, {module.name}.cfg:\n\n"
        return {here: module.text, beside: mark + module.configuration}
    except DesignError as error:
        raise UserError(error.fault, error.reason, error.remedy) from error


def _check(table: Table, form: str, seconds: float) -> Check:
    commands = len(table.commands) + len(table.kernel)
    name = f"{table.id}/{table.platform}"
    return Check(
        f"{name}/{form}", "export", Verdict.PASS, commands, seconds, "", table.id, table.platform
    )
