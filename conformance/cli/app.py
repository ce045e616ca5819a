"""The group ``lastref``: its commands; `ending` says how every run of them ends.

To add a command: write it in a file of its own and name it in ``_COMMANDS``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib import metadata

import click

from lastref.conformance.cli.adapters import adapters
from lastref.conformance.cli.bench import bench
from lastref.conformance.cli.check import check
from lastref.conformance.cli.completing import asked
from lastref.conformance.cli.completion import completion
from lastref.conformance.cli.designs import designs
from lastref.conformance.cli.doctor import doctor
from lastref.conformance.cli.explain import explain
from lastref.conformance.cli.explore import explore_command
from lastref.conformance.cli.export import export_command
from lastref.conformance.cli.gate import gate
from lastref.conformance.cli.kernel import kernel_command
from lastref.conformance.cli.matrix import matrix
from lastref.conformance.cli.mutants import mutants
from lastref.conformance.cli.outcomes import outcomes
from lastref.conformance.cli.output import STARTED, standard_output
from lastref.conformance.cli.play import play
from lastref.conformance.cli.prove import prove
from lastref.conformance.cli.replay import replay_command
from lastref.conformance.cli.report import report
from lastref.conformance.cli.stress import stress_command
from lastref.conformance.cli.verify import verify
from lastref.conformance.ending import ended

_PROGRAM = "lastref"
_COMMANDS: tuple[click.Command, ...] = (
    verify,
    designs,
    explore_command,
    export_command,
    explain,
    outcomes,
    prove,
    replay_command,
    report,
    play,
    stress_command,
    kernel_command,
    check,
    gate,
    matrix,
    mutants,
    bench,
    adapters,
    doctor,
    completion,
)


@click.group(
    name=_PROGRAM,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
    epilog="""Exit codes: 0 pass, 1 a law is broken, 2 incomplete or bad input, 3 the machine
    can't. Set LASTREF_TRACEBACK=1 to see where an error was raised.""",
)
@click.version_option(metadata.version(_PROGRAM), message="%(prog)s %(version)s")
@click.pass_context
def app(context: click.Context) -> None:
    """Model and test the status/refcount word of a process handle."""
    context.meta[STARTED] = time.perf_counter()


for _command in _COMMANDS:
    app.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (default: this process's) and return its exit code."""
    _make_unprintable_text_printable()

    def run() -> int:
        completed = asked(app)
        if completed is not None:
            return completed
        return _run(list(sys.argv[1:] if arguments is None else arguments))

    return ended(run)


def _run(arguments: list[str]) -> int:
    """Run one command to its exit code, and see its output off."""
    try:
        with app.make_context(_PROGRAM, arguments) as context:
            app.invoke(context)
            raise TypeError(f"{context.invoked_subcommand} ended without a verdict")
    except click.exceptions.Exit as verdict:
        code = verdict.exit_code
    if sys.stdout is not None:
        with standard_output():
            sys.stdout.flush()
    return code


def _make_unprintable_text_printable() -> None:
    """Write what the terminal's encoding lacks as an escape; a table must not die of a dash."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
