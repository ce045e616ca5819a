"""The model's tables as JSON, for readers that are not Python: the explorer's page above all.

A table is written down whole: variables, methods, commands, kernel, laws.  An expression is a list

    ["const", width, "0x1f"]    ["var", width, "word"]    ["add", width, left, right]

whose first element is an operation of :data:`~lastref.model.algebra.OPERATORS`, and whose width is
its own (0 for a boolean).  So the page evaluates the very trees that the explorer and the prover
read, and has no second description of a design.  ``guard_text`` and the like are for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lastref.conformance.named_cases import named_cases
from lastref.conformance.trace import Shown, show_value
from lastref.model import designs
from lastref.model.algebra import Expr, show
from lastref.model.system import PICK, Scenario
from lastref.model.table import Command, Law, Table, Variable

SCHEMA = "lastref-tables-1"


def tables_document(tables: Iterable[Table] | None = None) -> dict[str, Any]:
    """Return ``tables`` (every design on every platform, unless given) as one JSON document."""
    chosen = tuple(designs.all_tables() if tables is None else tables)
    known = {_name(t) for t in chosen}
    return {
        "schema": SCHEMA,
        "tables": [table_document(t) for t in chosen],
        "fixes": [f for f in fixes() if f["from"] in known and f["to"] in known],
    }


def fixes() -> Iterator[dict[str, Any]]:
    """Yield, of every named case, each table that it breaks with the one that mended it.

    That is a later design in which a complete search does not find the fault, on the same platform
    if there is one such; or the same design on another platform: with a pidfd where this one has
    the pid alone.
    """
    order = list(dict.fromkeys(t.id for t in designs.all_tables()))
    for case in named_cases().values():
        if case.law is None:
            continue
        for place in (case.where, *case.also_in):
            at = order.index(place.design)
            later = [
                a
                for a in case.absent_in
                if order.index(a.design) > at or (a.design == place.design and not a.initial)
            ]
            later.sort(key=lambda a: a.platform != place.platform)
            if not later:
                continue
            broken, scenario = case.setting(place)
            mended, start = case.setting(later[0])
            yield {
                "case": case.id,
                "law": case.law,
                "calls": [";".join(t.calls) for t in scenario.threads],
                "from": _name(broken),
                "to": _name(mended),
                "initial": {k: f"{int(v):#x}" for k, v in start.initial.items()},
            }


def _name(table: Table) -> str:
    return f"{table.id}/{table.platform}"


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
