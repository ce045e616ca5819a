"""The designs, a file each, and how to find one by its id."""

from __future__ import annotations

from lastref.model.designs.go_2023_pidfd import GO_2023_PIDFD
from lastref.model.designs.go_2024 import GO_2024
from lastref.model.table import DesignError, Table

_TABLES: tuple[Table, ...] = (GO_2023_PIDFD, GO_2024)


def all_tables() -> tuple[Table, ...]:
    """Return every design on every platform that it has, oldest first."""
    return _TABLES


def get(design: str, platform: str = "linux") -> Table:
    """Return ``design`` on ``platform``; raise :class:`DesignError` if there is no such table."""
    for table in _TABLES:
        if (table.id, table.platform) == (design, platform):
            return table
    known = ", ".join(f"{t.id}/{t.platform}" for t in _TABLES)
    raise DesignError(f"there is no design '{design}/{platform}'", f"there are {known}", "name one")
