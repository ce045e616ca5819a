"""What somebody who writes a table may get wrong, found when the table is made, in three parts.

Two readings.  :func:`check_types` is part of every table: each field holds what it is to hold, so
that all other code may rely on it.  :func:`check_design` is for a design that a person wrote: every
location can be reached, and what is said about locations and starts is about some that exist.  (A
mutant, or a table whose rounds were fused, may well have a location that nothing leads to.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lastref.model.algebra import BOOL, Expr, variables

if TYPE_CHECKING:
    from lastref.model.table import Table

KINDS = ("always", "step", "must", "rest", "sometimes")
WIDEST = 64


def check_types(table: Table) -> None:
    """Raise :class:`~lastref.model.table.DesignError` if a field holds what it cannot."""
    for name in ("id", "platform", "title", "source"):
        _is_text(getattr(table, name), f"the {name} of a table", empty=name == "source")
    where = f"design {table.id}"
    for scope in ("shared", "local"):
        for v in _sequence(getattr(table, scope), f"the {scope} variables of {where}"):
            _check_variable(v, scope, where)
    for c in _sequence(table.commands, f"the commands of {where}"):
        _check_command(c, where, by_thread=True)
    for c in _sequence(table.kernel, f"the kernel of {where}"):
        _check_command(c, where, by_thread=False)
    for law in _sequence(table.laws, f"the laws of {where}"):
        _check_law(law, where)
    _mapping(table.methods, f"the methods of {where}", "the location where it starts")
    method: Any  # what a person wrote need not be what the annotation says
    for method, at in table.methods.items():
        _is_text(at, f"where the method '{method}' of {where} starts")
        if not isinstance(method, str) or not re.fullmatch(r"[^;|]*", method):
            raise _error(
                f"{where} has the method {method!r}",
                "a method is named by a text without ; and |, which join calls",
                "rename it",
            )
    _mapping(table.starts, f"the starts of {where}", "the initial values that differ")
    _mapping(table.elsewhere, f"the starts elsewhere of {where}", "a platform")
    _mapping(table.refuses, f"the refused starts of {where}", "an outcome")
    for name in ("holding", "blocking"):
        value = getattr(table, name)
        if not isinstance(value, frozenset | set) or not all(isinstance(x, str) for x in value):
            raise _error(
                f"'{name}' of {where} is {_a(value)}",
                "it is a set of locations",
                f"write {name}=frozenset({{'use.load'}}), or leave it out",
            )


def check_design(table: Table) -> None:
    """Raise :class:`~lastref.model.table.DesignError` for what no design means to say."""
    where = f"design {table.id}"
    if not table.methods:
        raise _error(
            f"{where} has no methods",
            "nobody could call anything",
            "add methods={'use': 'use.load'}: each with the location of its first command",
        )
    _check_reached(table, where)
    for name in ("holding", "blocking"):
        unknown = sorted(getattr(table, name) - set(table.locations))
        if unknown:
            raise _error(
                f"'{name}' of {where} has the location '{unknown[0]}'",
                f"the table's are {', '.join(table.locations)}",
                "correct the name, or take it out",
            )
    widths = {v.name: v.width for v in table.shared}
    for start, values in table.starts.items():
        _mapping(
            values, f"the start '{start}' of {where}", "a value for each variable that differs"
        )
        for name, value in values.items():
            if name not in widths:
                raise _error(
                    f"the start '{start}' of {where} sets '{name}'",
                    f"the shared variables are {', '.join(widths)}",
                    "correct the name",
                )
            _check_value(value, widths[name], f"'{name}' in the start '{start}' of {where}")


def _check_reached(table: Table, where: str) -> None:
    reached = set(table.methods.values())
    grown = True
    while grown:
        behind = {c.to for c in table.commands if c.at in reached and c.to is not None}
        grown = not behind <= reached
        reached |= behind
    for c in table.commands:
        if c.at not in reached:
            raise _error(
                f"command '{c.name}' of {where} can never be taken",
                f"no method starts at '{c.at}' and no command that can be taken goes there",
                "let one go there, or take the command out",
            )


def _check_variable(v: Any, scope: str, where: str) -> None:
    from lastref.model.table import Variable

    if not isinstance(v, Variable):
        raise _error(
            f"{where} has {_a(v)} among its {scope} variables",
            "a variable is what shared() and local() return",
            f"write {scope}('name', 64, 'what it is')",
        )
    _is_text(v.scope, f"the scope of a variable of {where}")
    if v.scope != scope:
        raise _error(
            f"{where} lists '{v.name}' as {scope}",
            f"it was declared with {v.scope}()",
            f"declare it with {scope}(), or list it under {v.scope}",
        )
    name: Any = v.name
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise _error(
            f"{where} has a variable named {v.name!r}",
            "a variable is named by letters, digits and underscores",
            "rename it",
        )
    if v.name == "holders":
        raise _error(
            f"{where} has a variable named 'holders'",
            "in a law that is the number of threads at a location of 'holding'",
            "rename it",
        )
    if type(v.width) is not int or not BOOL <= v.width <= WIDEST:
        raise _error(
            f"variable '{v.name}' of {where} has {v.width!r} bits",
            f"it can have 1 to {WIDEST}, or be a BOOL",
            "give the number of its bits",
        )
    for label in _sequence(v.labels, f"the labels of '{v.name}' of {where}"):
        _is_text(label, f"a label of '{v.name}' of {where}")
    _is_text(v.doc, f"what the variable '{v.name}' of {where} is", empty=True)
    _check_value(v.initial, v.width, f"the initial value of '{v.name}' of {where}")


def _check_value(value: Any, width: int, what: str) -> None:
    if not isinstance(value, int) or not 0 <= value < 1 << max(width, 1):
        raise _error(
            f"{what} is {value!r}",
            f"{max(width, 1)} unsigned bits hold 0 to {(1 << max(width, 1)) - 1}",
            "give a number that fits",
        )


def _check_command(c: Any, where: str, *, by_thread: bool) -> None:
    from lastref.model.system import PICK
    from lastref.model.table import RESTING, Command

    maker = "command()" if by_thread else "kernel_command()"
    if not isinstance(c, Command):
        raise _error(
            f"{where} has {_a(c)} among its {'commands' if by_thread else 'kernel commands'}",
            f"a command is what {maker} returns",
            f"make it with {maker}; a * unpacks a function that returns several",
        )
    _is_text(c.name, f"the name of a command of {where}")
    place = f"command '{c.name}' of {where}"
    _is_text(c.op, f"the action of {place}")
    if by_thread:
        _is_text(c.at, f"where {place} stands")
        _is_text(c.to, f"where {place} goes")
        if c.at in (*RESTING, PICK):
            raise _error(
                f"{place} stands at '{c.at}'",
                "a thread there takes no more steps of this call, or none yet",
                "give the location another name",
            )
    elif c.at is not None or c.to is not None:
        raise _error(
            f"{place} is among the kernel's",
            f"it stands at '{c.at}' and goes to '{c.to}', as a thread's does",
            "make it with kernel_command()",
        )
    if c.outcome is not None:
        _is_text(c.outcome, f"the outcome of {place}", empty=True)
    _is_expression(c.guard, f"the guard of {place}", boolean=True)
    for pair in _sequence(c.update, f"the updates of {place}"):
        name, value = pair if isinstance(pair, tuple) and len(pair) == 2 else (pair, None)
        _is_text(name, f"what {place} sets")
        _is_expression(value, f"what {place} sets {name} to")
    for must in _sequence(c.must, f"the obligations of {place}"):
        if not hasattr(must, "holds") or not hasattr(must, "law"):
            raise _error(
                f"{place} has {_a(must)} among its obligations",
                "an obligation is a Must",
                "write must=[Must('no-use-after-close', handle == 0)]",
            )
        _is_text(must.law, f"the law of an obligation of {place}")
        _is_expression(must.holds, f"the obligation '{must.law}' of {place}", boolean=True)


def _check_law(given: Any, where: str) -> None:
    from lastref.model.table import Law

    if not isinstance(given, Law):
        raise _error(
            f"{where} has {_a(given)} among its laws",
            "a law is a Law",
            "write Law('a-name', 'always', 'what it says', word != 0)",
        )
    law: Any = given  # what a person wrote need not be what the annotations say
    _is_text(law.id, f"the name of a law of {where}")
    place = f"law '{law.id}' of {where}"
    if not isinstance(law.kind, str) or law.kind not in KINDS:
        raise _error(
            f"{place} is of the kind {law.kind!r}",
            f"there are {', '.join(KINDS)}",
            "name one of these",
        )
    _is_text(law.text, f"what the {place} says", empty=True)
    _is_expression(law.holds, f"what the {place} asks", boolean=True)
    _is_text(law.beside, f"what {place} stands beside", empty=True)
    shown = law.shown_by
    if not isinstance(shown, frozenset | set) or not all(isinstance(x, str) for x in shown):
        raise _error(
            f"'shown_by' of {place} is {_a(law.shown_by)}",
            "it is a set of commands",
            "write frozenset({'free.close'})",
        )
    primed = sorted(n for n in variables(law.holds) if n.endswith("'"))
    if primed and law.kind != "step":
        raise _error(
            f"{place} speaks of {primed[0]}",
            f"only a law of the kind 'step' knows the values after a step, and it is '{law.kind}'",
            "make it a step law, or say it of the state",
        )


def _is_expression(value: Any, what: str, *, boolean: bool = False) -> None:
    if not isinstance(value, Expr):
        raise _error(
            f"{what} is {_a(value)}",
            "it has to be an expression over the table's variables",
            "write TRUE, or compare a variable, as in word != 0",
        )
    if boolean and value.width != BOOL:
        raise _error(
            f"{what} is not a boolean",
            f"it has {value.width} bits",
            "compare it, for example with != 0",
        )


def _is_text(value: Any, what: str, *, empty: bool = False) -> None:
    if not isinstance(value, str) or not (value or empty):
        said = "is empty" if isinstance(value, str) else f"is {_a(value)}"
        raise _error(f"{what} {said}", "it is a text", "write it as a string")


def _sequence(values: Any, what: str) -> Iterator[Any]:
    if not isinstance(values, tuple | list):
        raise _error(
            f"{what} are {_a(values)}", "they are a tuple", "write (first, second), or () for none"
        )
    yield from values


def _mapping(values: Any, what: str, to: str) -> None:
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise _error(f"{what} are {_a(values)}", f"they map a name to {to}", "write them as {…: …}")


def _a(value: object) -> str:
    """Return a value as it stands in a complaint: what it is, and itself where that is short."""
    said = repr(value)
    return f"a {type(value).__name__}" + (f", {said}" if len(said) <= 40 else "")


def _error(fault: str, reason: str, remedy: str) -> Exception:
    from lastref.model.table import DesignError

    return DesignError(fault, reason, remedy)
