"""``lastref prove``: everything that is proved of a design, and what is refuted of a faulty one."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence

import click

from lastref.conformance.cli import completing
from lastref.conformance.cli.output import JsonTarget, conclude, json_option, progress
from lastref.conformance.computing import ignore_interrupts
from lastref.conformance.proofs import KINDS, prove_kind
from lastref.conformance.results import Check, Result
from lastref.model.designs import get, named

Task = tuple[str, str, str]
"""A kind of proof, and the ids of the table that it is about."""
_LONGEST = ("memory-order", "spacer", "any")


@click.command(
    epilog="""\b
    Examples:
      lastref prove                            go-2024 on Linux
      lastref prove go-2025/windows            another design, on another platform
      lastref prove go-2024 --only liveness    one kind of proof
      lastref prove all --json                 every design on every platform, for a program
    \b
    Kinds of proof:
"""
    + "\n".join(f"      {kind.id:<14}{kind.text}" for kind in KINDS.values())
)
@click.argument(
    "design",
    metavar="[DESIGN[/PLATFORM]|all]",
    default="go-2024",
    shell_complete=completing.designs,
)
@click.option(
    "--only",
    "kinds",
    type=click.Choice(list(KINDS)),
    multiple=True,
    help="Only this kind of proof; can be given more than once.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    help="How many processes work at once; by default one for each processor.",
)
@json_option
def prove(design: str, kinds: tuple[str, ...], jobs: int, json_target: JsonTarget | None) -> None:
    """Prove the laws of a design, for any number of threads where that can be done.

    With the word's 64 bits as they are: by induction, by an invariant that Spacer finds, by whole
    graphs of small systems. Each row says for how many threads it holds, and what it assumes. A
    faulty design is proved in the laws that it keeps; of those that it breaks, runs are shown.
    """
    chosen = named(design)
    tasks = [
        (kind.id, table.id, table.platform)
        for table in chosen
        for kind in KINDS.values()
        if kind.id in (kinds or KINDS) and kind.applies(table)
    ]
    found: dict[Task, tuple[Check, ...]] = {}
    with progress("prove", total=len(tasks)) as advance:
        for task, made in _work(tasks, jobs):
            found[task] = made
            advance(1)
    checks = tuple(check for task in tasks for check in found[task])
    conclude(Result("prove", checks), json_target, joined=len(chosen) > 1)


def _work(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, tuple[Check, ...]]]:
    """Yield what comes of each task, as it is done; the longest are begun first."""
    order = sorted(tasks, key=lambda task: task[0] not in _LONGEST)
    if jobs == 1 or len(tasks) < 2:
        yield from map(_done, order)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(jobs, len(tasks)), ignore_interrupts) as pool:
        yield from pool.imap_unordered(_done, order)


def _done(task: Task) -> tuple[Task, tuple[Check, ...]]:
    kind, design, platform = task
    return task, prove_kind(kind, get(design, platform))
