"""What a command says: a table for people, one JSON object for programs, progress on stderr.

              stdout                     stderr
    no --json table                      progress
    --json    the JSON object, alone     progress, table
    --json F  table                      progress

Progress is drawn on a terminal only. Colours follow NO_COLOR; the verdicts are words as well, so
nothing is said by colour alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from lastref.conformance.ending import drop_stdout
from lastref.conformance.errors import UserError
from lastref.conformance.results import Check, Result, Verdict

_STYLES = {
    Verdict.PASS: "green",
    Verdict.BROKEN: "bold red",
    Verdict.INCOMPLETE: "yellow",
    Verdict.UNABLE: "magenta",
    Verdict.SKIPPED: "cyan",
}
STARTED = "lastref.started"  # the key in click's context: when the run began, by perf_counter
_WIDTH_OF_A_FILE = 160  # where stdout is no terminal: wide enough that few lines are folded

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class JsonTarget:
    """Where ``--json`` goes: to a file, or with ``path`` None to standard output."""

    path: Path | None

    def write(self, text: str) -> None:
        """Write ``text``; a regular file is replaced whole or stays as it was."""
        if self.path is None:
            with standard_output():
                click.echo(text, nl=False)
            return
        try:
            if self.path.exists() and not self.path.is_file():
                self.path.write_text(text, encoding="utf-8")  # a pipe or device: keep it one
            else:
                _replace(self.path.resolve(), text)
        except OSError as error:
            raise _unwritable(repr(str(self.path)), error.strerror or str(error)) from error


def json_option(command: _Function) -> _Function:
    """Give a command ``--json [FILE]``, passed to it as ``json_target`` (None: not asked for)."""
    return click.option(
        "--json",
        "json_target",
        metavar="[FILE]",
        is_flag=False,
        flag_value="-",
        callback=_json_target,
        help="Write the result as JSON to FILE, or to standard output if no FILE is given.",
    )(command)


@contextmanager
def standard_output() -> Iterator[None]:
    """Make an error of writing to stdout one of the user's; a closed pipe stays what it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_stdout()
        raise _unwritable("standard output", error.strerror or str(error)) from error


class _Console(Console):
    """Leave a closed pipe to ``main``: rich itself would exit with 1, which says "broken" here."""

    def on_broken_pipe(self) -> None:
        """Raise again; rich calls this while it handles the BrokenPipeError."""
        raise


def console_for(json_target: JsonTarget | None) -> Console:
    """Return the console for the table: stdout, unless the JSON object goes there."""
    return console_on(stderr=json_target is not None and json_target.path is None)


def console_on(*, stderr: bool) -> Console:
    """Return the console for a table on one of the two streams."""
    console = _Console(stderr=stderr)
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_FILE
    return console


def conclude(result: Result, json_target: JsonTarget | None, *, joined: bool = False) -> NoReturn:
    """Show the table, write the JSON and end the command with the verdict's exit code.

    With ``joined``, checks of one design and kind share a row, unless they did not pass.
    """
    seconds = time.perf_counter() - click.get_current_context().meta[STARTED]
    with standard_output():
        show(result, seconds, console_for(json_target), joined=joined)
    if json_target is not None:
        json_target.write(result.to_json())
    raise click.exceptions.Exit(result.verdict.exit_code)


def show(result: Result, seconds: float, console: Console, *, joined: bool = False) -> None:
    """Print what was checked, how many cases, the verdict, the time, and every remark.

    ``seconds`` is how long the whole run took on the wall clock; checks may overlap.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("check", overflow="fold")
    table.add_column("cases", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("remark", overflow="fold")
    for check in join(result.checks) if joined else result.checks:
        table.add_row(*_row(check))
    if result.checks:
        console.print(table)
    console.print(closing_line(result, seconds))


def join(checks: Iterable[Check]) -> Iterator[Check]:
    """Yield a check for all of a design, platform and kind that passed, and the others as they are.

    A joined check sums the cases and the seconds; its remark says how many checks it stands for.
    Those that were skipped for one reason share a row as well.
    """
    together: dict[tuple[object, ...], list[Check]] = {}
    apart: list[Check] = []
    for check in checks:
        same = (check.design, check.platform, check.kind)
        if check.verdict is Verdict.PASS:
            together.setdefault((*same, check.verdict), []).append(check)
        elif check.verdict is Verdict.SKIPPED:
            together.setdefault((*same, check.verdict, check.reason), []).append(check)
        else:
            apart.append(check)
    groups = together.values()
    for group in sorted(groups, key=lambda g: g[0].verdict is Verdict.SKIPPED):
        first = group[0]
        yield Check(
            id="/".join(part for part in (first.design, first.platform, first.kind) if part),
            kind=first.kind,
            verdict=first.verdict,
            count=sum(c.count for c in group),
            seconds=sum(c.seconds for c in group),
            reason=_remark(group),
        )
    yield from apart


def _remark(group: list[Check]) -> str:
    """Return how many checks a row stands for, and what their replays add up to."""
    said = f"{len(group)} check{'s' if len(group) > 1 else ''}"
    if group[0].verdict is Verdict.SKIPPED:
        return f"{said}: {group[0].reason}"
    if not any("diverged" in c.extra for c in group):
        (only, *others) = group
        return said if others or not only.reason else f"{said}; {only.reason}"
    broken, wrong = (sum(c.extra.get(n, 0) for c in group) for n in ("broken", "wrong_process"))
    if not broken:
        return f"{said}; no law broken, no wrong process hit, none diverged"
    return f"{said}; {broken:,} break a law and {wrong:,} hit a wrong process, as in the model"


def _row(check: Check) -> tuple[Text, ...]:
    cells = (check.id, f"{check.count:,}", check.verdict, f"{check.seconds:.1f}", check.reason)
    styles = ("", "", _STYLES[check.verdict], "", "")
    return tuple(Text(cell, style) for cell, style in zip(cells, styles, strict=True))


def closing_line(result: Result, seconds: float) -> Text:
    """Return the last line of what is shown: the verdict, the counts, and the time in seconds."""
    count = {v: sum(check.verdict is v for check in result.checks) for v in Verdict}
    parts = [f"{n} {verdict}" for verdict, n in count.items() if n]
    told = ", ".join(parts) if parts else "no check ran"
    return Text.assemble(
        f"{result.command}: ",
        (result.verdict, _STYLES[result.verdict]),
        f" ({told}; {seconds:.1f} s)",
    )


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a line of progress on stderr while the block runs; yield ``advance(by)``.

    ``total`` is the true number of cases, or None while nobody knows it (a search that is still
    finding states): then the line counts up and promises no end.

    >>> with progress("replay", total=2) as advance:
    ...     advance(1)
    """
    console = _Console(stderr=True)
    line = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with line:
        task = line.add_task(what, total=total)
        yield lambda by: line.advance(task, by)


def _json_target(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> JsonTarget | None:
    """Refuse a target that cannot be written before the work starts, not after it."""
    if value is None:
        return None
    if value == "-":
        return JsonTarget(None)
    path = Path(value)
    if path.is_dir():
        raise _unwritable(repr(value), "it is a directory")
    if not path.parent.is_dir():
        raise _unwritable(repr(value), f"there is no directory {str(path.parent)!r}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise _unwritable(repr(value), "permission denied")
    return JsonTarget(path)


def _unwritable(what: str, reason: str) -> UserError:
    return UserError(f"cannot write {what}", reason, "name a file that can be written")


def _replace(path: Path, text: str) -> None:
    """Write beside ``path`` and rename over it, so that no reader ever sees half a result."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(text)
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
