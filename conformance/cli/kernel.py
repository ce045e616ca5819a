"""``lastref kernel``: ask the running kernel for everything that the kernel model assumes of it."""

from __future__ import annotations

import sys

import click

from lastref.conformance.cli.output import JsonTarget, conclude, json_option, progress
from lastref.conformance.kernel_facts_windows import windows_kernel_tasks
from lastref.conformance.kernel_tasks import kernel_tasks
from lastref.conformance.results import Result


@click.command(
    name="kernel",
    epilog="""\b
    Examples:
      lastref kernel                     a table
      lastref kernel --json kernel.json  the table, and what was seen of each in a file
    """,
)
@json_option
def kernel_command(json_target: JsonTarget | None) -> None:
    """Check on the running kernel every line that the kernel model is built on.

    Exits with 1 if the kernel does something else. What it is too old for, or what needs a PID
    namespace that is not allowed here, is listed as skipped, with the reason.
    """
    checks, tasks = [], list(windows_kernel_tasks() if sys.platform == "win32" else kernel_tasks())
    with progress("kernel", total=len(tasks)) as advance:
        for task in tasks:
            checks.append(task.run())
            advance(1)
    conclude(Result("kernel", tuple(checks)), json_target)
