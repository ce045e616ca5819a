"""The model's tables as JSON, for readers that are not Python: the explorer's page above all.

A table is written down whole: variables, methods, commands, kernel, laws.  An expression is a list

    ["const", width, "0x1f"]    ["var", width, "word"]    ["add", width, left, right]

whose first element is an operation of :data:`~lastref.model.algebra.OPERATORS`, and whose width is
its own (0 for a boolean).  So the page evaluates the very trees that the explorer and the prover
read, and has no second description of a design.  ``guard_text`` and the like are for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lastref.conformance.trace import Shown, show_value
from lastref.model import designs
from lastref.model.algebra import Expr, show
from lastref.model.system import PICK, Scenario
from lastref.model.table import Command, Law, Table, Variable

SCHEMA = "lastref-tables-1"

FIXED_BY: Mapping[str, str] = {
    "pid-naive": "go-2016",
    "go-2016": "go-2024",
    "go-2023-pidfd": "go-2024",
    "go-2023-find": "go-2024",
    "go-2023-reland": "go-2024",
    "go-2025-double": "go-2025",
}
"""The design that mends another one's races."""


def tables_document(tables: Iterable[Table] | None = None) -> dict[str, Any]:
    """Return ``tables`` (every design on every platform, unless given) as one JSON document."""
    chosen = tuple(designs.all_tables() if tables is None else tables)
    known = {t.id for t in chosen}
    return {
        "schema": SCHEMA,
        "tables": [table_document(t) for t in chosen],
        "fixed_by": {k: v for k, v in FIXED_BY.items() if k in known and v in known},
    }


def table_document(table: Table) -> dict[str, Any]:
    """Return one table as JSON values."""
    return {
        "id": table.id,
        "platform": table.platform,
        "title": table.title,
        "source": table.source,
        "shared": [_variable(v) for v in table.shared],
        "local": [_variable(v) for v in table.local],
        "starts": {
            name: {k: f"{int(v):#x}" for k, v in initial.items()}
            for name, initial in table.starts.items()
        },
        "methods": dict(table.methods),
        "locations": [*table.locations, PICK],
        "commands": [_command(c) for c in table.commands],
        "kernel": [_command(c) for c in table.kernel],
        "laws": [_law(law) for law in table.laws],
        "holding": sorted(table.holding),
        "blocking": sorted(table.blocking),
    }


def scenario_document(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario as JSON values: who calls what, and what begins otherwise."""
    return {
        "threads": {t.name: list(t.calls) for t in scenario.threads},
        "initial": {k: f"{int(v):#x}" for k, v in scenario.initial.items()},
    }


def expression(expr: Expr) -> list[Any]:
    """Return an expression as nested lists."""
    if expr.op == "const":
        return ["const", expr.width, f"{int(expr.value):#x}"]
    if expr.op == "var":
        return ["var", expr.width, expr.name]
    return [expr.op, expr.width, *(expression(a) for a in expr.args)]


def _variable(variable: Variable) -> dict[str, Any]:
    initial: Shown = show_value(variable, variable.initial)
    return {
        "name": variable.name,
        "width": variable.width,
        "doc": variable.doc,
        "initial": f"{int(variable.initial):#x}",
        "shown": initial,
        "labels": list(variable.labels),
    }


def _command(command: Command) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": command.name,
        "op": command.op,
        "at": command.at,
        "to": command.to,
        "guard": expression(command.guard),
        "update": [[name, expression(value)] for name, value in command.update],
        "must": [{"law": m.law, "holds": expression(m.holds)} for m in command.must],
        "guard_text": show(command.guard),
        "update_text": [f"{name} := {show(value)}" for name, value in command.update],
    }
    if command.outcome is not None:
        document["outcome"] = command.outcome
    return document


def _law(law: Law) -> dict[str, Any]:
    return {
        "id": law.id,
        "kind": law.kind,
        "text": law.text,
        "holds": expression(law.holds),
        "shown_by": sorted(law.shown_by),
        "beside": law.beside,
    }
