"""The options of a command that runs some threads on a design: which, from where, with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from lastref.conformance.cli.designs import platform_option
from lastref.conformance.errors import UserError
from lastref.conformance.trace import read_value
from lastref.model.designs import Way, way_in
from lastref.model.outcomes import METHODS
from lastref.model.system import System, scenario
from lastref.model.table import DesignError, Table

F = TypeVar("F", bound=Callable[..., Any])

_BEGIN = "start"


def scenario_options(command: F) -> F:
    """Give a command ``--thread``, ``--platform``, ``--start`` and ``--set``."""
    for option in (
        click.option(
            "--set",
            "settings",
            metavar="VARIABLE=VALUE",
            multiple=True,
            help="Begin with this value of a shared variable; may be given again.",
        ),
        click.option(
            "--start", default=_BEGIN, show_default=True, help="How the object comes about."
        ),
        platform_option,
        click.option(
            "--thread",
            "threads",
            metavar="CALLS",
            multiple=True,
            help="A thread that makes these calls in turn, joined by semicolons; may be given"
            " again.",
        ),
    ):
        command = option(command)
    return command


def with_method_options(command: click.Command) -> click.Command:
    """Give the command ``--wait N`` and so on: how many threads make that one call."""
    for method in reversed(METHODS):
        told = f"N threads that call {method}."
        option = click.Option(
            [f"--{method}"], metavar="N", default=0, type=click.IntRange(0), help=told
        )
        command.params.insert(1, option)
    return command


def calls_of(threads: tuple[str, ...], counts: Mapping[str, int]) -> list[str]:
    """Return what each thread calls, as the options said."""
    return [m for m, count in counts.items() for _ in range(count)] + list(threads)


def chosen_system(table: Table, start: str, settings: tuple[str, ...], calls: list[str]) -> System:
    """Return the scenario; :class:`UserError` where it does not exist, or nobody calls anything."""
    if not calls:
        method = "wait" if "wait" in table.methods else next(iter(table.methods), "METHOD")
        example = f"--{method} 1" if method in METHODS else f"--thread {method}"
        raise UserError(
            "nobody calls anything", "at least one thread is needed", f"add for example {example}"
        )
    try:
        way = _way_in(table, start)
        if way.table is None:
            raise UserError(
                f"{start} makes no object on {table.id}/{table.platform}",
                f"it is refused with {way.outcome}",
                f"use one of {', '.join((*table.starts, *table.elsewhere))}",
            )
        given = dict(_setting(way.table, s) for s in settings)
        return System(way.table, scenario(*calls, initial={**way.initial, **given}))
    except DesignError as error:
        raise UserError(error.fault, error.reason, error.remedy) from error


def _way_in(table: Table, start: str) -> Way:
    """Return what a start comes to; a table that tells of none begins with its initial values."""
    tells = table.starts or table.elsewhere or table.refuses
    return Way(table, {}) if start == _BEGIN and not tells else way_in(table, start)


def _setting(table: Table, setting: str) -> tuple[str, int]:
    name, _, value = setting.partition("=")
    variable = next((v for v in table.shared if v.name == name), None)
    if variable is None:
        raise UserError(
            f"there is no shared variable '{name}'",
            f"{table.id} on {table.platform} has {', '.join(v.name for v in table.shared)}",
            "set one of these, as in --set word=0x1",
        )
    return name, read_value(variable, value)
