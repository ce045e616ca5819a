"""The z3 reader of the algebra: expressions become terms, by one function per operation.

``BACKEND`` has a row for every row of :data:`~lastref.model.algebra.OPERATORS`; comparisons are the
unsigned ones (z3py's own ``<`` is signed).  Booleans stay booleans, and a variable of ``n`` bits
becomes a bit-vector of ``n`` bits, so nothing is abstracted: z3 decides the very guards and updates
that the explorer runs.

:func:`expression_of` reads a term back.  A translation that can be undone has lost nothing, which
is the structural half of the agreement that :mod:`~lastref.model.prove` shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import z3

from lastref.model.algebra import BOOL, OPERATORS, Expr, apply, const, var
from lastref.model.table import Variable

Term = Any
"""A z3 expression; z3py carries no types."""
Terms = dict[str, Term]
"""A z3 term for each variable name."""

BACKEND: dict[str, Callable[..., Term]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "inv": lambda a: ~a,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "ult": z3.ULT,
    "ule": z3.ULE,
    "all": z3.And,
    "any": z3.Or,
    "not": z3.Not,
    "ite": z3.If,
}
if BACKEND.keys() != OPERATORS.keys():
    raise TypeError(f"z3 has no reading of {OPERATORS.keys() ^ BACKEND.keys()}: add it to BACKEND")

_KINDS = {
    z3.Z3_OP_BADD: "add",
    z3.Z3_OP_BSUB: "sub",
    z3.Z3_OP_BAND: "and",
    z3.Z3_OP_BOR: "or",
    z3.Z3_OP_BXOR: "xor",
    z3.Z3_OP_BNOT: "inv",
    z3.Z3_OP_EQ: "eq",
    z3.Z3_OP_DISTINCT: "ne",
    z3.Z3_OP_ULT: "ult",
    z3.Z3_OP_ULEQ: "ule",
    z3.Z3_OP_AND: "all",
    z3.Z3_OP_OR: "any",
    z3.Z3_OP_NOT: "not",
    z3.Z3_OP_ITE: "ite",
}


def constant(name: str, width: int) -> Term:
    """Return a fresh z3 constant of ``width`` bits, or a boolean one."""
    return z3.Bool(name) if width == BOOL else z3.BitVec(name, width)


def declare(variables: Iterable[Variable], suffix: str = "") -> Terms:
    """Return a z3 constant for each variable, named with ``suffix``."""
    return {v.name: constant(v.name + suffix, v.width) for v in variables}


def number(value: int, width: int) -> Term:
    """Return the z3 literal for ``value`` at ``width``."""
    return z3.BoolVal(bool(value)) if width == BOOL else z3.BitVecVal(value, width)


def translate(expr: Expr, names: Mapping[str, Term]) -> Term:
    """Return ``expr`` as a z3 term; ``names`` gives the term of each variable."""
    if expr.op == "var":
        return names[expr.name]
    if expr.op == "const":
        return number(expr.value, expr.width)
    return BACKEND[expr.op](*(translate(a, names) for a in expr.args))


def expression_of(term: Term) -> Expr:
    """Read a z3 term back as an expression: the inverse of :func:`translate`.

    Raises :class:`KeyError` for an operation that no row of ``BACKEND`` should build.
    """
    width = BOOL if z3.is_bool(term) else term.size()
    if z3.is_bv_value(term):
        return const(term.as_long(), width)
    if z3.is_true(term) or z3.is_false(term):
        return const(int(z3.is_true(term)), BOOL)
    if z3.is_const(term):
        return var(term.decl().name(), width)
    return apply(_KINDS[term.decl().kind()], *(expression_of(a) for a in term.children()))


def domain(variables: Iterable[Variable], names: Mapping[str, Term]) -> list[Term]:
    """Return what keeps every labelled variable among the values that have a label."""
    return [
        z3.ULT(names[v.name], len(v.labels))
        for v in variables
        if v.width != BOOL and 0 < len(v.labels) < 1 << v.width
    ]


def updated(update: Iterable[tuple[str, Expr]], names: Mapping[str, Term]) -> Terms:
    """Return the terms after the assignments ``update``, all made at once."""
    return {**names, **{name: translate(value, names) for name, value in update}}


def concrete(model: z3.ModelRef, term: Term) -> int:
    """Return the value of ``term`` in ``model`` as an int; booleans are 0 and 1."""
    value = model.eval(term, model_completion=True)
    return int(z3.is_true(value)) if z3.is_bool(value) else int(value.as_long())
