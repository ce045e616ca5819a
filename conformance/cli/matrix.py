"""``lastref matrix``: run the cases against every implementation that can run here."""

from __future__ import annotations

from pathlib import Path

import click

from lastref.conformance import testrun
from lastref.conformance.adapters.registry import known, resolve
from lastref.conformance.cli.check import conclude_cases
from lastref.conformance.cli.exporting import export_options, gate_options
from lastref.conformance.cli.output import JsonTarget, json_option, progress
from lastref.conformance.errors import UserError
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
    orders: int,
    seconds: float,
    traces: Path | None,
    json_target: JsonTarget | None,
    **exports: Path | None,
) -> None:
    """Run the cases against every known adapter that can run here, into one result.

    An adapter whose toolchain is missing is skipped, with what would help; by name it is an error.
    """
    chosen = [resolve(name) for name in names] or list(known().values())
    selection = Selection(patterns, parse_shard(shard), seed)
    gating = Gating(orders=orders, seconds=seconds, traces=traces)
    finished, unable = [], []
    plans = [
        Plan(one, selection, deadline, expect=testrun.expected(one, expect), gating=gating)
        for one in chosen
    ]
    with progress("matrix", total=sum(len(plan.cases) for plan in plans)) as advance:
        for plan in plans:
            try:
                finished.append(testrun.run(plan, advance))
            except UserError as error:
                if names:
                    raise
                unable.append(testrun.unable(plan.adapter, error))
                advance(len(plan.cases))
    conclude_cases("matrix", finished, json_target, exports, unable)
