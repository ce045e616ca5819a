"""``lastref stress``: threads that nobody schedules hammer one handle."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import click

from lastref.conformance.cli.output import JsonTarget, conclude, json_option, progress
from lastref.conformance.errors import UserError
from lastref.conformance.results import Result
from lastref.conformance.stress import SUBJECTS, Plan, Stressed, checks, figures, stress
from lastref.conformance.stress.history import document, text


@click.command(
    name="stress",
    epilog="""\b
    Examples:
      lastref stress                                  30 seconds of go-2024
      lastref stress --operations 1000000             a million calls, however long they take
      lastref stress --seconds 5 --design go-2023-pidfd   the design that signals the wrong process
      lastref stress --seed 7 --round 12              the programs of one round, again and again
    """,
)
@click.option(
    "--design",
    default="go-2024",
    show_default=True,
    type=click.Choice(list(SUBJECTS)),
    help="The implementation to be hammered.",
)
@click.option(
    "--seconds",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, 86400),
    help="For how long.",
)
@click.option(
    "--operations",
    type=click.IntRange(1),
    help="Until so many calls were made on handles, instead of for a time.",
)
@click.option(
    "--threads",
    default=4,
    show_default=True,
    type=click.IntRange(1, 16),
    help="That many call at once.",
)
@click.option("--seed", default=0, show_default=True, type=int, help="Of the threads' programs.")
@click.option("--round", "only", type=click.IntRange(0), help="Run the programs of this one only.")
@click.option(
    "--keep",
    default=Path(),
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where a broken round's history is kept (default: the current directory).",
)
@json_option
def stress_command(
    design: str,
    seconds: float,
    operations: int | None,
    threads: int,
    seed: int,
    only: int | None,
    keep: Path,
    json_target: JsonTarget | None,
) -> None:
    """Hammer a design with unscheduled threads while its numbers are recycled under them.

    Every history is judged against the sequential specification; bystander and strangers must stay
    untouched, and nothing may be left behind. Stops at the first broken law and keeps the history.
    """
    if operations is None:
        plan = Plan(seconds, threads, seed, only=only)
    else:
        plan = Plan(math.inf, threads, seed, operations=operations, only=only)
    clocked = operations is None and only is None
    total = math.ceil(seconds) if clocked else operations
    with progress(f"stress {design}, {'seconds' if clocked else 'operations'}", total) as line:
        stressed = stress(plan, design, by_the_clock(line, math.ceil(seconds)) if clocked else line)
    failure = stressed.tally.failure
    if failure is not None:
        click.echo(text(failure), err=True)
        _keep(keep / f"stress-{design}-{seed}-{failure.round}.json", plan, design, stressed)
    conclude(Result("stress", checks(plan, design, stressed), figures(plan, stressed)), json_target)


def by_the_clock(
    advance: Callable[[int], None], total: int, clock: Callable[[], float] = time.monotonic
) -> Callable[[int], None]:
    """Return what, whenever it is called, advances to the whole seconds since now.

    It advances to ``total`` at most. How many operations a stress will have done nobody knows; how
    long it runs is told to it.
    """
    begun, told = clock(), 0

    def tell(_operations: int) -> None:
        nonlocal told
        passed = min(int(clock() - begun), total)
        advance(passed - told)
        told = passed

    return tell


def _keep(path: Path, plan: Plan, design: str, stressed: Stressed) -> None:
    assert stressed.tally.failure is not None
    kept = document(plan, design, stressed.tally.failure)
    try:
        path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"cannot keep the broken round in {str(path)!r}",
            error.strerror or str(error),
            "name a directory that can be written with --keep",
        ) from error
    click.echo(f"kept in {path}", err=True)
