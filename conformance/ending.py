"""How every program of ours ends: with an exit code, and with one line where that is a mistake's.

A run ends with an exit code (0 pass, 1 a law is broken, 2 incomplete or bad input, 3 the machine
cannot) and, unless it reported by itself, with one line on stderr that says the fault, the reason
and the remedy.  Click's own ``main`` is not used because it exits with 1 on a closed pipe, which
here would say that a law is broken.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

import click

from lastref.conformance.errors import INCOMPLETE, Complaint, complaint_of

_PROGRAM = "lastref"


def ended(run: Callable[[], int]) -> int:
    """Return the exit code of ``run``, or of whatever it raises."""
    try:
        return run()
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


def drop_stdout() -> None:
    """Point stdout at nothing, or the interpreter fails to flush it once more as it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


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
