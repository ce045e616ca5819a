"""The designs, a file each, and how to find one by its id and its platform.

The platforms: ``linux`` (pidfds work), ``linux-find`` (and somebody else looks the process up),
``linux-pid`` (pidfds do not work, or the design has none), ``unix`` (no waitid either), ``windows``
and ``plan9``; a design that is not about processes runs on ``any``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lastref.model.designs.dotnet_safehandle import DOTNET_SAFEHANDLE
from lastref.model.designs.go_2016 import GO_2016_PID, GO_2016_UNIX
from lastref.model.designs.go_2023_find import GO_2023_FIND, GO_2023_FIND_PID
from lastref.model.designs.go_2023_pidfd import GO_2023_PIDFD, GO_2023_PIDFD_PID
from lastref.model.designs.go_2023_reland import GO_2023_RELAND, GO_2023_RELAND_PID
from lastref.model.designs.go_2024 import GO_2024
from lastref.model.designs.go_2024_find import GO_2024_FIND, beside
from lastref.model.designs.go_2024_pid import GO_2024_PID
from lastref.model.designs.go_2024_windows import GO_2024_WINDOWS
from lastref.model.designs.go_2025 import GO_2025, GO_2025_WINDOWS
from lastref.model.designs.go_2025_double import GO_2025_DOUBLE, GO_2025_DOUBLE_PID
from lastref.model.designs.go_2025_pid import GO_2025_PID
from lastref.model.designs.go_fdmutex import GO_FDMUTEX
from lastref.model.designs.pid_naive import PID_NAIVE
from lastref.model.designs.plan9 import GO_2016_PLAN9, GO_2024_PLAN9
from lastref.model.designs.swap_windows import (
    GO_2016_WINDOWS,
    GO_2023_FIND_WINDOWS,
    GO_2023_PIDFD_WINDOWS,
    GO_2023_RELAND_WINDOWS,
)
from lastref.model.table import DesignError, Table

_TABLES: tuple[Table, ...] = (
    PID_NAIVE,
    GO_2016_PID,
    GO_2016_UNIX,
    GO_2016_WINDOWS,
    GO_2016_PLAN9,
    GO_2023_PIDFD,
    GO_2023_PIDFD_PID,
    GO_2023_PIDFD_WINDOWS,
    GO_2023_FIND,
    GO_2023_FIND_PID,
    GO_2023_FIND_WINDOWS,
    GO_2023_RELAND,
    GO_2023_RELAND_PID,
    GO_2023_RELAND_WINDOWS,
    GO_2024,
    GO_2024_FIND,
    GO_2024_PID,
    GO_2024_WINDOWS,
    GO_2024_PLAN9,
    GO_2025_DOUBLE,
    GO_2025_DOUBLE_PID,
    GO_2025,
    GO_2025_PID,
    GO_2025_WINDOWS,
    DOTNET_SAFEHANDLE,
    GO_FDMUTEX,
)


@dataclass(frozen=True)
class Way:
    """What a start comes to: a process object of ``table`` with ``initial`` values.

    Or no object at all: ``table`` is ``None`` and ``outcome`` says why.
    """

    table: Table | None
    initial: Mapping[str, int]
    outcome: str = "nil"


def all_tables() -> tuple[Table, ...]:
    """Return every design on every platform that it has, oldest first."""
    return _TABLES


def get(design: str, platform: str = "linux") -> Table:
    """Return ``design`` on ``platform``; raise :class:`DesignError` if there is no such table."""
    for table in _TABLES:
        if (table.id, table.platform) == (design, platform):
            return table
    known = ", ".join(t.platform for t in _TABLES if t.id == design)
    if known:
        raise DesignError(
            f"there is no design '{design}' on '{platform}'",
            f"it is on {known}",
            "name one of these",
        )
    ids = ", ".join(dict.fromkeys(t.id for t in _TABLES))
    raise DesignError(f"there is no design '{design}'", f"there are {ids}", "name one of these")


def named(text: str) -> tuple[Table, ...]:
    """Return the tables that ``DESIGN``, ``DESIGN/PLATFORM`` or ``all`` means.

    A design alone means it on Linux, or where it is first.  Raises :class:`DesignError` for an
    unknown one.
    """
    if text == "all":
        return _TABLES
    design, _, platform = text.partition("/")
    known = [table.platform for table in _TABLES if table.id == design]
    first = "linux" if "linux" in known or not known else known[0]
    return (get(design, platform or first),)


_FINDS_BESIDE = frozenset({("go-2025", "linux"), ("go-2025-double", "linux")})
"""Where FindProcess is known from go-2024, and has no table of its own."""


def calling(design: str, platform: str, methods: Iterable[str]) -> Table:
    """Return the table for these methods: where it takes that, the one with FindProcess beside."""
    table = get(design, platform)
    lacks = set(methods) - table.methods.keys()
    if lacks and (design, platform) in _FINDS_BESIDE:
        return beside(table)
    return table


def way_in(table: Table, start: str) -> Way:
    """Return what ``start`` comes to on ``table``; :class:`DesignError` if it is unknown there."""
    if start in table.starts:
        return Way(table, table.starts[start])
    if start in table.elsewhere:
        other = get(table.id, table.elsewhere[start])
        return Way(other, other.starts[start])
    if start in table.refuses:
        return Way(None, {}, table.refuses[start])
    known = ", ".join((*table.starts, *table.elsewhere, *table.refuses))
    raise DesignError(
        f"{table.id} on {table.platform} has no start '{start}'",
        f"it has {known}",
        "name one of these",
    )
