"""The small algebra in which guards and updates are written.

An expression is a tree over unsigned bit-vectors and booleans.  One table, ``OPERATORS``, says for
every operation how it is typed and how each reader writes it down: the explorer compiles Python
source from it, the prover builds z3 terms, the exporters write Promela, TLA+ or JavaScript.  So all
of them read the very same guard.  (The idea of one operation table with several back ends is
Claripy's.)

Raw Python operators would not do: Python's integers are unbounded, z3py's ``<`` on bit-vectors is
signed, and a Python ``if`` does not branch symbolically.  Here ``+`` and ``-`` wrap at the width,
``<`` and ``<=`` are unsigned, ``& | ~`` join booleans as well as bit-vectors, ``ite`` branches.

    >>> word = var("word", 64)
    >>> show((word & 3) == 1)
    '((word & 3) == 1)'
    >>> evaluate((word - 1) < word, {"word": 0})
    False
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

BOOL = 0
"""The width that marks a boolean expression."""


class AlgebraError(TypeError):
    """An expression does not type: the two sides have different widths, or a boolean is missing."""

    def __init__(self, fault: str, reason: str, remedy: str) -> None:
        super().__init__(f"{fault}: {reason}; {remedy}")
        self.fault, self.reason, self.remedy = fault, reason, remedy


@dataclass(frozen=True)
class Operator:
    """How one operation is typed and written.

    ``python`` is a format string over ``{0} {1} {2}`` and ``{mask}`` (all ones at the operand's
    width).  ``infix`` is the C-family spelling, for display and for exporters that share it.
    """

    name: str
    arity: int
    result: str  # "bool", "same" (the operands' width), or "branch" (ite)
    operands: str  # "bits", "bool" or "branch"
    python: str
    infix: str


OPERATORS: dict[str, Operator] = {
    op.name: op
    for op in (
        Operator("add", 2, "same", "bits", "({0} + {1} & {mask})", "+"),
        Operator("sub", 2, "same", "bits", "({0} - {1} & {mask})", "-"),
        Operator("and", 2, "same", "bits", "({0} & {1})", "&"),
        Operator("or", 2, "same", "bits", "({0} | {1})", "|"),
        Operator("xor", 2, "same", "bits", "({0} ^ {1})", "^"),
        Operator("inv", 1, "same", "bits", "({0} ^ {mask})", "~"),
        Operator("eq", 2, "bool", "bits", "({0} == {1})", "=="),
        Operator("ne", 2, "bool", "bits", "({0} != {1})", "!="),
        Operator("ult", 2, "bool", "bits", "({0} < {1})", "<"),
        Operator("ule", 2, "bool", "bits", "({0} <= {1})", "<="),
        Operator("all", 2, "bool", "bool", "({0} and {1})", "&&"),
        Operator("any", 2, "bool", "bool", "({0} or {1})", "||"),
        Operator("not", 1, "bool", "bool", "(not {0})", "!"),
        Operator("ite", 3, "branch", "branch", "({1} if {0} else {2})", "?:"),
    )
}


class Expr:
    """An immutable expression: an operation over sub-expressions, a constant, or a variable.

    ``width`` is the number of bits, or ``BOOL``.  ``==`` builds an expression, so two trees are
    compared with :func:`same`, and an expression has no truth value of its own.
    """

    __slots__ = ("args", "name", "op", "value", "width")

    def __init__(
        self, op: str, args: tuple[Expr, ...], width: int, value: int = 0, name: str = ""
    ) -> None:
        self.op = op
        self.args = args
        self.width = width
        self.value = value
        self.name = name

    def __add__(self, other: Expr | int) -> Expr:
        return apply("add", self, other)

    def __sub__(self, other: Expr | int) -> Expr:
        return apply("sub", self, other)

    def __xor__(self, other: Expr | int) -> Expr:
        return apply("xor", self, other)

    def __and__(self, other: Expr | int | bool) -> Expr:
        return apply("all" if self.width == BOOL else "and", self, other)

    def __or__(self, other: Expr | int | bool) -> Expr:
        return apply("any" if self.width == BOOL else "or", self, other)

    def __invert__(self) -> Expr:
        return apply("not" if self.width == BOOL else "inv", self)

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]
        return apply("eq", self, other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]
        return apply("ne", self, other)

    def __lt__(self, other: Expr | int) -> Expr:
        return apply("ult", self, other)

    def __le__(self, other: Expr | int) -> Expr:
        return apply("ule", self, other)

    def __gt__(self, other: Expr | int) -> Expr:
        return apply("ult", _lift(other, self.width, ">"), self)

    def __ge__(self, other: Expr | int) -> Expr:
        return apply("ule", _lift(other, self.width, ">="), self)

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise AlgebraError(
            f"the truth of {show(self)} was asked for",
            "an expression is neither true nor false until it is evaluated",
            "join conditions with & | ~ and branch with ite()",
        )

    def __repr__(self) -> str:
        return f"<Expr {show(self)}>"


TRUE = Expr("const", (), BOOL, 1)
FALSE = Expr("const", (), BOOL, 0)


def var(name: str, width: int) -> Expr:
    """Return the variable ``name`` of ``width`` bits (``BOOL`` for a boolean one)."""
    return Expr("var", (), width, name=name)


def const(value: int, width: int) -> Expr:
    """Return the constant ``value``; :class:`AlgebraError` if ``width`` bits do not hold it."""
    if width == BOOL:
        return TRUE if value else FALSE
    if not 0 <= value < 1 << width:
        raise AlgebraError(
            f"the constant {value} is out of range",
            f"{width} unsigned bits hold 0 to {(1 << width) - 1}",
            "mask it or widen the variable",
        )
    return Expr("const", (), width, value)


def after(variable: Expr) -> Expr:
    """Return the value of ``variable`` after the step, for laws about a step (``word'``)."""
    return Expr("var", (), variable.width, name=variable.name + "'")


def ite(condition: Expr, then: Expr | int, otherwise: Expr | int) -> Expr:
    """Return ``then`` where ``condition`` holds, else ``otherwise``.

    One of them has a width in bits, which is the result's; :class:`AlgebraError` if neither has.
    """
    width = then.width if isinstance(then, Expr) else None
    if width is None:
        if not isinstance(otherwise, Expr):
            raise AlgebraError(
                "ite() has two bare numbers",
                "neither says how many bits the result has",
                "write one of them as const(value, width)",
            )
        width = otherwise.width
    return apply("ite", condition, _lift(then, width, "ite"), _lift(otherwise, width, "ite"))


def implies(premise: Expr, conclusion: Expr) -> Expr:
    """Return ``~premise | conclusion``."""
    return ~premise | conclusion


def conjunction(*terms: Expr) -> Expr:
    """Return the conjunction of boolean ``terms``; of none, true."""
    result = TRUE
    for term in terms:
        result = term if result is TRUE else result & term
    return result


def _lift(operand: object, width: int, where: str) -> Expr:
    if isinstance(operand, Expr):
        return operand
    if isinstance(operand, int):
        return const(int(operand), width)
    raise AlgebraError(
        f"{operand!r} stands in an expression ({where})",
        "only expressions and numbers can",
        "declare a variable for it or write its number",
    )


def apply(name: str, *operands: object) -> Expr:
    """Build the operation ``name`` over ``operands``; numbers take the other operand's width."""
    operator = OPERATORS[name]
    width = next((o.width for o in operands if isinstance(o, Expr)), 64)
    if operator.operands == "branch":
        condition, then, otherwise = (_lift(o, width, name) for o in operands)
        _require(condition.width == BOOL, name, "its condition is not a boolean")
        _require(then.width == otherwise.width, name, "its two branches differ in width")
        return Expr(name, (condition, then, otherwise), then.width)
    args = tuple(_lift(o, width, name) for o in operands)
    _require(
        all(a.width == args[0].width for a in args),
        name,
        "its operands have widths " + " and ".join(str(a.width or "bool") for a in args),
    )
    if operator.operands == "bool":
        _require(args[0].width == BOOL, name, "it joins booleans and was given bits")
    elif operator.result == "same":
        _require(args[0].width != BOOL, name, "it takes bits and was given a boolean")
    return Expr(name, args, BOOL if operator.result == "bool" else args[0].width)


def _require(ok: bool, name: str, reason: str) -> None:
    if not ok:
        raise AlgebraError(
            f"the operation '{name}' does not type", reason, "compare or mask to equal widths first"
        )


def key(expr: Expr) -> tuple[Any, ...]:
    """Return a hashable key: equal exactly for structurally equal trees."""
    return (expr.op, expr.width, expr.value, expr.name, *(key(a) for a in expr.args))


def same(left: Expr, right: Expr) -> bool:
    """Return whether the two trees are structurally equal."""
    return key(left) == key(right)


def walk(expr: Expr) -> Iterator[Expr]:
    """Yield ``expr`` and every sub-expression, parents first."""
    yield expr
    for arg in expr.args:
        yield from walk(arg)


def variables(expr: Expr) -> frozenset[str]:
    """Return the names of the variables that ``expr`` reads."""
    return frozenset(e.name for e in walk(expr) if e.op == "var")


def rewrite(expr: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """Return ``expr`` with ``change`` applied from the leaves up; ``None`` keeps a node."""
    args = tuple(rewrite(a, change) for a in expr.args)
    kept = all(new is old for new, old in zip(args, expr.args, strict=True))
    node = expr if kept else Expr(expr.op, args, expr.width, expr.value, expr.name)
    changed = change(node)
    return node if changed is None else changed


def python_source(expr: Expr, names: Mapping[str, str] | None = None) -> str:
    """Return Python source that computes ``expr``; ``names`` says how each variable is spelled."""
    if expr.op == "const":
        return str(bool(expr.value)) if expr.width == BOOL else str(expr.value)
    if expr.op == "var":
        return names[expr.name] if names is not None else expr.name
    operator = OPERATORS[expr.op]
    parts = [python_source(a, names) for a in expr.args]
    return operator.python.format(*parts, mask=(1 << expr.args[0].width) - 1)


def evaluate(expr: Expr, values: Mapping[str, int]) -> int | bool:
    """Evaluate ``expr`` over Python ints, one per variable; booleans are 0 and 1 or bool."""
    names = {name: f"v[{name!r}]" for name in variables(expr)}
    result = eval(python_source(expr, names), {"v": values})  # our own generated source
    return bool(result) if expr.width == BOOL else int(result)


def show(expr: Expr) -> str:
    """Return ``expr`` in C-like infix, for people."""
    if expr.op == "const":
        if expr.width == BOOL:
            return "true" if expr.value else "false"
        return str(expr.value) if expr.value < 1 << 16 else hex(expr.value)
    if expr.op == "var":
        return expr.name
    parts = [show(a) for a in expr.args]
    infix = OPERATORS[expr.op].infix
    if expr.op == "ite":
        return f"({parts[0]} ? {parts[1]} : {parts[2]})"
    if len(parts) == 1:
        return f"{infix}{parts[0]}"
    return f"({parts[0]} {infix} {parts[1]})"
