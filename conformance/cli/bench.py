"""`lastref bench`: our searches and Spin side by side, in one run on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lastref.conformance.bench import PEER_LIMIT, check, rows
from lastref.conformance.bench_plot import growth
from lastref.conformance.bench_rows import COUNTER, FINE, LONG, QUICK, ROWS, USUAL, Row
from lastref.conformance.cli.output import JsonTarget, conclude, json_option, progress
from lastref.conformance.errors import UserError
from lastref.conformance.results import Result


@click.command(
    name="bench",
    epilog="""\b
    Examples:
      lastref bench --quick
      lastref bench --json bench.json --plot growth.svg
      lastref bench same-one-7 same-one-8    these rows only, Spin's side included
    """,
)
@click.argument("names", nargs=-1, metavar="[ROW]...")
@click.option("--quick", "size", flag_value=QUICK, type=int, help="Only rows that take moments.")
@click.option("--long", "size", flag_value=LONG, type=int, help="Also rows that take minutes.")
@click.option(
    "--models",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=f"Give Spin the {FINE} and {COUNTER} of this folder instead of ours.",
)
@click.option(
    "--limit",
    default=PEER_LIMIT,
    show_default=True,
    type=click.FloatRange(1),
    help="After how many seconds a run of Spin is given up.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the growth with the number of threads as SVG into this file.",
)
@json_option
def bench(
    names: tuple[str, ...],
    size: int | None,
    models: Path | None,
    limit: float,
    plot: Path | None,
    json_target: JsonTarget | None,
) -> None:
    """Measure the searches beside Spin, and the proofs: processor seconds, memory, states.

    Fails if the two disagree on a verdict or, where nothing is reduced, on the states; how fast
    either is never fails. Needs spin and a C compiler for Spin's side.
    """
    size = USUAL if size is None else size
    if plot is not None and not plot.parent.is_dir():
        raise UserError(
            f"cannot write '{plot}'",
            f"there is no directory '{plot.parent}'",
            "name a file that can be written",
        )
    chosen = rows(size)
    if names:
        size, chosen = LONG, _named(names)
    if models is not None:
        absent = [n for n in (FINE, COUNTER) if not (models / n).is_file()]
        if absent:
            raise UserError(
                f"cannot use the models of '{models}'",
                f"there is no {absent[0]}",
                "name a folder that has it",
            )
    if sys.platform != "linux":
        raise UserError(
            "the searches cannot be measured here",
            "what a program used is read as Linux counts it",
            "run it on Linux",
            3,
        )
    checks = []
    with progress("bench", len(chosen)) as advance:
        for row in chosen:
            checks.append(check(row, size, models, limit))
            advance(1)
    result = Result("bench", tuple(checks))
    if plot is not None:
        JsonTarget(plot).write(growth(result.document()))
    conclude(result, json_target)


def _named(names: tuple[str, ...]) -> tuple[Row, ...]:
    """Return the rows of these ids; :class:`UserError` for one that there is not."""
    known = {row.id: row for row in ROWS}
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise UserError(
            f"there is no row '{unknown}'",
            "a row is named by its id",
            f"take of: {', '.join(known)}",
        )
    return tuple(known[name] for name in dict.fromkeys(names))
