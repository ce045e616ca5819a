"""``lastref verify``: the main job."""

from __future__ import annotations

from pathlib import Path

import click

from lastref.conformance.cli.output import JsonTarget, conclude, json_option, progress
from lastref.conformance.cli.report import html_option, write_html
from lastref.conformance.results import Result
from lastref.conformance.verify import tasks
from lastref.model import designs

VERIFIED = (("go-2024", "linux"),)


@click.command(
    epilog="""\b
    Examples:
      lastref verify                      prove, explore, replay every inequivalent interleaving
      lastref verify --quick              replay a sample that takes every transition
      lastref verify --json result.json   the table, and the result in a file
      lastref verify --html site          and as a page, site/index.html
    """
)
@click.option("--quick", is_flag=True, help="Replay a sample that takes every transition.")
@html_option
@json_option
def verify(quick: bool, html: Path | None, json_target: JsonTarget | None) -> None:
    """Prove the designs, explore them, and replay their interleavings on real processes.

    Exits with 0 if every law holds, 1 if one is broken, 2 if the run is incomplete, 3 if the
    machine cannot; whatever is skipped is listed with its reason.
    """
    todo = [t for name in VERIFIED for t in tasks(designs.get(*name), quick=quick)]
    checks = []
    for task in todo:
        with progress(f"{task.table.id} {task.id}", total=task.total) as advance:
            checks.append(task.run(advance))
    result = Result("verify", tuple(checks))
    write_html(result, html)
    conclude(result, json_target)
