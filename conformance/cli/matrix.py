"""``lastref matrix``: run the cases against every implementation that can run here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from lastref.conformance import testrun
from lastref.conformance.adapters.registry import Known, known, resolve
from lastref.conformance.cli.check import conclude_cases
from lastref.conformance.cli.exporting import export_options, gate_options
from lastref.conformance.cli.output import JsonTarget, json_option, progress
from lastref.conformance.errors import UserError, writing
from lastref.conformance.gated import Gating
from lastref.conformance.protocol.adapter import DEADLINE
from lastref.conformance.selection import Selection, parse_shard
from lastref.conformance.testrun import Plan


@click.command(
    epilog="""\b
    Examples:
      lastref matrix --json matrix.json
      lastref matrix --adapter go-1.24 --adapter go-1.27 --case 'child/*'
      lastref matrix --shard 2/3 --json part-2.json     then: lastref report part-*.json
      lastref matrix --ndjson journals --resume         goes on after a crash
    """
)
@click.option("--adapter", "names", metavar="NAME", multiple=True, help="Only these adapters.")
@click.option("--case", "patterns", metavar="GLOB", multiple=True, help="Run the matching cases.")
@click.option("--shard", default="1/1", metavar="I/N", help="Run the I-th of N equal parts.")
@click.option("--seed", default=0, metavar="N", help="Shuffle the cases; 0 keeps their order.")
@click.option(
    "--deadline", default=DEADLINE, metavar="SECONDS", help="For each message of an adapter."
)
@click.option("--expect", metavar="none", type=click.Choice(["none"]), help="Use no lists.")
@click.option(
    "--ndjson",
    "journals",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write each check to FOLDER/ADAPTER.ndjson as it comes.",
)
@click.option("--resume", is_flag=True, help="Go on with what the --ndjson files hold.")
@gate_options
@export_options
@json_option
def matrix(
    names: tuple[str, ...],
    patterns: tuple[str, ...],
    shard: str,
    seed: int,
    deadline: float,
    expect: str | None,
    journals: Path | None,
    resume: bool,
    orders: int,
    seconds: float,
    traces: Path | None,
    json_target: JsonTarget | None,
    **exports: Path | None,
) -> None:
    """Run the cases against every known adapter that can run here, into one result.

    An adapter whose toolchain is missing is skipped, with what would help; by name it is an error.
    """
    if resume and journals is None:
        raise UserError("--resume has nothing to go on with", "no --ndjson FOLDER", "name it")
    chosen = [resolve(name) for name in names] or list(known().values())
    _refuse_namesakes(chosen)
    if journals is not None:
        with writing(journals, "folder"):
            journals.mkdir(parents=True, exist_ok=True)
    selection = Selection(patterns, parse_shard(shard), seed)
    gating = Gating(orders=orders, seconds=seconds, traces=traces)
    finished, unable = [], []
    plans = [
        Plan(
            one,
            selection,
            deadline,
            journal=None if journals is None else journals / f"{one.name}.ndjson",
            resume=resume,
            expect=testrun.expected(one, expect),
            gating=gating,
        )
        for one in chosen
    ]
    with progress("matrix", total=sum(len(plan.cases) for plan in plans)) as advance:
        for plan in plans:
            try:
                plan.adapter.prepare()
            except UserError as error:
                if names:
                    raise
                unable.append(testrun.unable(plan.adapter, error))
                advance(len(plan.cases))
            else:
                finished.append(testrun.run(plan, advance))
    conclude_cases("matrix", finished, json_target, exports, unable)


def _refuse_namesakes(chosen: Sequence[Known]) -> None:
    """Two adapters of one name would share their ids, and their journal."""
    for name, times in Counter(one.name for one in chosen).items():
        if times > 1:
            raise UserError(
                f"{times} of the adapters are called '{name}'",
                "a result tells them apart by their names",
                "run them apart, each with 'lastref check'",
            )
