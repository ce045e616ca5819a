"""go-2024 with another caller of FindProcess beside it, who gets a Process of his own.

    find       FindProcess(n): for a process that is gone, a Process whose word is *done*, Pid kept
    careless   p, _ := FindProcess(n); p.Signal(0): the Process is always there to be asked

The table of :mod:`~lastref.model.designs.go_2024` with these two methods: what go issues 67640 and
65866 ask of FindProcess is proved here.

Source: Go commit beaf7f3282 (2024), findProcess in src/os/exec_unix.go.
"""

from __future__ import annotations

from dataclasses import replace

from lastref.model.designs.go_2023_find import FIND_METHODS
from lastref.model.designs.go_2024 import GO_2024
from lastref.model.kernel import reaped
from lastref.model.properties import find_laws
from lastref.model.table import END, Command, Table, command


def open_pidfd(name: str, missing: str) -> tuple[Command, ...]:
    """Return ``pidfd_open(n)`` by the other caller; ``missing`` is what he gets after ESRCH."""
    at = f"{name}.open"
    return (
        command(at, "pidfd_open", at, END, ~reaped, None, "nil"),
        command(f"{at}.missing", "pidfd_open", at, END, reaped, None, missing),
    )


def beside(table: Table) -> Table:
    """Return ``table`` with the other caller beside it.

    For a design that gives him a Process even of a process that is gone.
    """
    return replace(
        table,
        methods={**table.methods, **dict(FIND_METHODS)},
        commands=(*table.commands, *open_pidfd("find", "nil"), *open_pidfd("careless", "EPD")),
        laws=(*table.laws, *find_laws()),
    )


GO_2024_FIND = replace(
    beside(GO_2024),
    platform="linux-find",
    title=f"{GO_2024.title}; FindProcess beside it",
)
