"""The options that every command with cases has: where its result is written, in which format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from lastref.conformance.cli.output import JsonTarget
from lastref.conformance.cli.report import html_option, write_html_document
from lastref.conformance.errors import UserError
from lastref.conformance.exports.badge import badge
from lastref.conformance.exports.junit import junit
from lastref.conformance.exports.markdown import markdown
from lastref.conformance.exports.sarif import sarif
from lastref.conformance.gated import ORDERS, SECONDS

_Function = TypeVar("_Function", bound=Callable[..., Any])

EXPORTS: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "junit": ("JUnit XML", junit),
    "sarif": ("SARIF 2.1.0", sarif),
    "markdown": ("a Markdown summary", markdown),
    "badge": ("the JSON of a badge", badge),
}


def export_options(command: _Function) -> _Function:
    """Give a command ``--junit F``, ``--html DIR`` and their like; None is passed if absent."""
    for name, (title, _) in reversed(list(EXPORTS.items())):
        option = click.option(
            f"--{name}",
            metavar="FILE",
            type=click.Path(path_type=Path),
            callback=_writable,
            help=f"Write {title} to FILE.",
        )
        command = option(command)
    return html_option(command)


def gate_options(command: _Function) -> _Function:
    """Give a command the budget of its cases at the gate: ``orders``, ``seconds``, ``traces``."""
    for option in (
        click.option(
            "--traces",
            metavar="FOLDER",
            type=click.Path(file_okay=False, path_type=Path),
            help="Write each wrong order, shrunk, as a file for 'lastref replay'.",
        ),
        click.option(
            "--seconds",
            default=SECONDS,
            show_default=True,
            type=click.FloatRange(0),
            help="Of each case at the gate.",
        ),
        click.option(
            "--orders",
            default=ORDERS,
            show_default=True,
            type=click.IntRange(1),
            help="Of each case at the gate.",
        ),
    ):
        command = option(command)
    return command


def write_exports(document: Mapping[str, Any], targets: Mapping[str, Path | None]) -> None:
    """Write every format that was asked for."""
    for name, path in targets.items():
        if path is not None and name == "html":
            write_html_document(document, path)
        elif path is not None:
            JsonTarget(path).write(EXPORTS[name][1](document))


def _writable(
    _context: click.Context, _parameter: click.Parameter, path: Path | None
) -> Path | None:
    """Refuse a folder that is not there before the work starts, not after it."""
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        reason = "it is a directory" if path.is_dir() else f"there is no directory '{path.parent}'"
        raise UserError(f"cannot write '{path}'", reason, "name a file that can be written")
    return path
