"""``lastref doctor``: say what this machine can do."""

from __future__ import annotations

import click

from lastref.conformance.cli.output import JsonTarget, conclude, json_option, progress
from lastref.conformance.doctor import PROBES, examine


@click.command(
    epilog="""\b
    Examples:
      lastref doctor                     a table
      lastref doctor --json              one JSON object
      lastref doctor --json doctor.json  the table, and the object in a file
    """
)
@json_option
def doctor(json_target: JsonTarget | None) -> None:
    """Say what this machine can do, and what would help where it cannot.

    Every capability is tried for real. Exits with 3 if one is missing that the replay on real
    processes requires; any other missing one is listed as skipped, with its remedy.
    """
    with progress("doctor", total=len(PROBES)) as advance:
        result = examine(advance)
    conclude(result, json_target)
