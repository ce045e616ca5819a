"""The group ``lastref``: its commands, and how every run of them ends.

A run ends with an exit code (0 pass, 1 a law is broken, 2 incomplete or bad input, 3 the machine
cannot) and, unless the command itself reported, with one line on stderr that says the fault, the
reason and the remedy. Click's own ``main`` is not used because it exits with 1 on a closed pipe,
which here would say that a law is broken.

To add a command: write it in a file of its own and name it in ``_COMMANDS``.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
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
from lastref.conformance.cli.output import STARTED, drop_stdout, standard_output
from lastref.conformance.cli.play import play
from lastref.conformance.cli.prove import prove
from lastref.conformance.cli.replay import replay_command
from lastref.conformance.cli.report import report
from lastref.conformance.cli.stress import stress_command
from lastref.conformance.cli.verify import verify
from lastref.conformance.errors import INCOMPLETE, Complaint, complaint_of

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
    try:
        completed = asked(app)
        if completed is not None:
            return completed
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except click.UsageError as error:
        return _complain(_usage_complaint(error), error, INCOMPLETE)
    except (KeyboardInterrupt, click.Abort) as error:
        return _complain(_INTERRUPTED, error, INCOMPLETE)
    except BrokenPipeError:  # whoever read us has seen enough; there is nobody left to tell
        drop_stdout()
        return INCOMPLETE
    except Exception as error:
        complaint = complaint_of(error)
        if complaint is None:
            return _complain(_bug_complaint(error), error, INCOMPLETE)
        return _complain(complaint, error, getattr(error, "exit_code", INCOMPLETE))


def _run(arguments: list[str]) -> int:
    """Run one command to its exit code, and see its output off."""
    try:
        with app.make_context(_PROGRAM, arguments) as context:
            app.invoke(context)
            raise TypeError(f"{context.invoked_subcommand} ended without a verdict")
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    if sys.stdout is not None:
        with standard_output():
            sys.stdout.flush()
    return code


_INTERRUPTED = Complaint(
    "interrupted", "the run was stopped before its verdict", "run it again to the end"
)


def _usage_complaint(error: click.UsageError) -> Complaint:
    path = error.ctx.command_path if error.ctx is not None else _PROGRAM
    message = error.format_message().rstrip(".")
    return Complaint("the command line is not understood", message, f"see '{path} --help'")


def _bug_complaint(error: Exception) -> Complaint:
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Complaint(
        "a bug in lastref",
        said,
        "report it with the traceback that LASTREF_TRACEBACK=1 prints",
    )


def _complain(complaint: Complaint, error: BaseException, exit_code: int) -> int:
    """Print the one line on stderr, after the traceback where it was asked for."""
    if os.environ.get("LASTREF_TRACEBACK") == "1":
        traceback.print_exception(error)
    click.echo(f"{_PROGRAM}: {complaint}", err=True)
    return exit_code


def _make_unprintable_text_printable() -> None:
    """Write what the terminal's encoding lacks as an escape; a table must not die of a dash."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
