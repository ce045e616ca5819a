"""Words read field by field: flags as booleans, counts as unbounded integers.

The engines that find invariants by themselves (:mod:`~lastref.model.spacer`) know linear integer
arithmetic and do badly on 64 bits.  For them a word is its fields:

    bit 63       bit 62      bits 61 to 0
    released     done        refs            word - 1 | RELEASED  ▶  released, refs - 1

That is right as long as no count leaves its field.  Running over is the premise of every proof here
(``refs < 2^62 - 1``); running under is never assumed: :class:`Reading` collects what it takes for a
subtraction to stay in its field, and an engine has to show that too.  :func:`faithful` lets z3
compare the reading of an expression with its bits, over all words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import z3

from lastref.model.algebra import BOOL, Expr, evaluate, show
from lastref.model.algebra import variables as free
from lastref.model.smt import Term, constant, translate
from lastref.model.table import DesignError, Variable


@dataclass(frozen=True)
class Layout:
    """The fields of a word: the positions of its flags, and its counts as (low, high) bits."""

    flags: tuple[int, ...] = ()
    counts: tuple[tuple[int, int], ...] = ()


SMALL = 2
"""A variable of so many bits or fewer is a choice, not a count."""


class Fields(NamedTuple):
    """A word as its fields: boolean terms and numeric terms, in the order of the layout."""

    flags: tuple[Term, ...]
    counts: tuple[Term, ...]


HANDLE_WORD = Layout(flags=(62, 63), counts=((0, 61),))
"""The 64-bit status/refcount word of :mod:`~lastref.model.word`."""


SIGNED = Layout(flags=(31,), counts=((0, 30),))
"""A signed 32-bit count, read as its sign and the rest: it is never negative."""
SAFE_HANDLE = Layout(flags=(0, 1), counts=((2, 31),))
"""The 32-bit state of .NET's SafeHandle."""
FD_MUTEX = Layout(flags=(0, 1, 2, 63), counts=((3, 22), (23, 42), (43, 62)))
"""The 64-bit state of Go's fdMutex."""


def plain(width: int) -> Layout:
    """Return the layout of a variable that is one number; a small one is its bits."""
    if width <= SMALL:
        return Layout(flags=tuple(range(width)))
    return Layout(counts=((0, width - 1),))


class Reading:
    """Reads expressions field by field; ``stays`` collects what keeps every count in its field.

    ``layouts`` says for a width which layout its words have; other widths are plain numbers.
    Raises :class:`~lastref.model.table.DesignError` for an operation that fields cannot express.
    """

    def __init__(self, layouts: Mapping[int, Layout], number: Callable[[int, int], Term]) -> None:
        self._layouts = layouts
        self._number = number
        self.stays: list[Term] = []

    def layout(self, width: int) -> Layout:
        """Return the layout of a word of ``width`` bits."""
        return self._layouts.get(width) or plain(width)

    def literal(self, value: int, width: int) -> Fields:
        """Return a constant as fields."""
        layout = self.layout(width)
        return Fields(
            tuple(z3.BoolVal(bool(value >> b & 1)) for b in layout.flags),
            tuple(
                self._number(value >> lo & ((1 << hi - lo + 1) - 1), hi - lo + 1)
                for lo, hi in layout.counts
            ),
        )

    def condition(self, expr: Expr, names: Mapping[str, Term | Fields]) -> Term:
        """Return a boolean expression as a term."""
        if expr.op == "var":
            return names[expr.name]
        if expr.op == "const":
            return z3.BoolVal(bool(expr.value))
        if expr.op in ("all", "any", "not"):
            parts = [self.condition(a, names) for a in expr.args]
            return {"all": z3.And, "any": z3.Or, "not": z3.Not}[expr.op](*parts)
        if expr.op == "ite":
            c, a, b = (self.condition(x, names) for x in expr.args)
            return z3.If(c, a, b)
        if expr.args[0].width == BOOL:
            left, right = (self.condition(a, names) for a in expr.args)
            return left == right if expr.op == "eq" else left != right
        return self._compare(expr, *(self.fields(a, names) for a in expr.args))

    def _compare(self, expr: Expr, left: Fields, right: Fields) -> Term:
        pairs = [*zip(left.flags, right.flags, strict=True)]
        pairs += [*zip(left.counts, right.counts, strict=True)]
        same = z3.And(*(a == b for a, b in pairs))
        if expr.op in ("eq", "ne"):
            return same if expr.op == "eq" else z3.Not(same)
        if left.flags or len(left.counts) != 1:
            raise _unreadable(expr, "it orders words of several fields")
        a, b = left.counts[0], right.counts[0]
        if z3.is_bv(a):
            return z3.ULT(a, b) if expr.op == "ult" else z3.ULE(a, b)
        return a < b if expr.op == "ult" else a <= b

    def fields(self, expr: Expr, names: Mapping[str, Term | Fields]) -> Fields:
        """Return a bit-vector expression as fields; an error if it mixes them."""
        if expr.op == "var":
            found = names[expr.name]
            assert isinstance(found, Fields)
            return found
        if expr.op == "const":
            return self.literal(expr.value, expr.width)
        if expr.op == "ite":
            c = self.condition(expr.args[0], names)
            a, b = (self.fields(x, names) for x in expr.args[1:])
            return Fields(
                tuple(z3.simplify(z3.If(c, x, y)) for x, y in zip(a.flags, b.flags, strict=True)),
                tuple(z3.If(c, x, y) for x, y in zip(a.counts, b.counts, strict=True)),
            )
        if expr.op in ("add", "sub"):
            return self._sum(expr, *(self.fields(a, names) for a in expr.args))
        if expr.op in ("and", "or") and not free(expr.args[1]):
            mask = int(evaluate(expr.args[1], {}))
            return self._masked(expr, self.fields(expr.args[0], names), mask)
        raise _unreadable(expr, f"'{expr.op}' mixes fields")

    def _sum(self, expr: Expr, left: Fields, right: Fields) -> Fields:
        if any(not z3.is_false(f) for f in right.flags):
            raise _unreadable(expr, "it adds to a flag")
        counts = []
        layout = self.layout(expr.width)
        for a, b, (lo, hi) in zip(left.counts, right.counts, layout.counts, strict=True):
            if expr.op == "add":
                self.stays.append(_no_carry(a, b, hi - lo + 1))
                counts.append(a + b)
            else:
                self.stays.append(z3.UGE(a, b) if z3.is_bv(a) else a >= b)
                counts.append(a - b)
        return Fields(left.flags, tuple(counts))

    def _masked(self, expr: Expr, value: Fields, mask: int) -> Fields:
        layout, bits = self.layout(expr.width), self.literal(mask, expr.width)
        join = z3.And if expr.op == "and" else z3.Or
        flags = tuple(join(a, b) for a, b in zip(value.flags, bits.flags, strict=True))
        counts = []
        for a, (lo, hi) in zip(value.counts, layout.counts, strict=True):
            part, full = mask >> lo & ((1 << hi - lo + 1) - 1), (1 << hi - lo + 1) - 1
            if part == (full if expr.op == "and" else 0):
                counts.append(a)
            elif expr.op == "and" and part == 0:
                counts.append(self._number(0, hi - lo + 1))
            else:
                raise _unreadable(expr, "its mask cuts through a count")
        return Fields(tuple(z3.simplify(f) for f in flags), tuple(counts))


def _no_carry(a: Term, b: Term, width: int) -> Term:
    if z3.is_bv(a):
        return z3.BVAddNoOverflow(a, b, False)
    return a + b < 1 << width


def _unreadable(expr: Expr, reason: str) -> DesignError:
    return DesignError(
        f"{show(expr)} cannot be read field by field",
        reason,
        "mask whole fields and add whole counts, or give its width another layout",
    )


def integers(layouts: Mapping[int, Layout]) -> Reading:
    """Return a reading with unbounded integers for the counts."""
    return Reading(layouts, lambda value, _width: z3.IntVal(value))


def bit_vectors(layouts: Mapping[int, Layout]) -> Reading:
    """Return a reading with bit-vectors of each field's own width, for :func:`faithful`."""
    return Reading(layouts, z3.BitVecVal)


def variable(v: Variable, reading: Reading, suffix: str = "") -> Term | Fields:
    """Return ``v`` as integer fields, with names of their own."""
    if v.width == BOOL:
        return z3.Bool(v.name + suffix)
    layout = reading.layout(v.width)
    several = len(layout.flags) + len(layout.counts) > 1
    return Fields(
        tuple(z3.Bool(f"{v.name}.{b}{suffix}") for b in layout.flags),
        tuple(
            z3.Int(f"{v.name}.{lo}{suffix}" if several else v.name + suffix)
            for lo, _ in layout.counts
        ),
    )


def flat(value: Term | Fields) -> tuple[Term, ...]:
    """Return the components of a value."""
    return (*value.flags, *value.counts) if isinstance(value, Fields) else (value,)


def cut(word: Term, layout: Layout) -> Fields:
    """Return the fields of a bit-vector."""
    return Fields(
        tuple(z3.Extract(b, b, word) == 1 for b in layout.flags),
        tuple(z3.Extract(hi, lo, word) for lo, hi in layout.counts),
    )


def faithful(
    expr: Expr, variables: Iterable[Variable], layouts: Mapping[int, Layout]
) -> tuple[list[Term], Term, dict[str, Term]]:
    """Return (premises, claim, constants): that the reading of ``expr`` is what its bits say.

    The premises are that every sum stays in its field.
    """
    reading = bit_vectors(layouts)
    terms = {v.name: constant(v.name, v.width) for v in variables}
    names: dict[str, Term | Fields] = {
        v.name: terms[v.name] if v.width == BOOL else cut(terms[v.name], reading.layout(v.width))
        for v in variables
    }
    direct = translate(expr, terms)
    if expr.width == BOOL:
        return reading.stays, reading.condition(expr, names) == direct, terms
    read = reading.fields(expr, names)
    bits = cut(direct, reading.layout(expr.width))
    same = z3.And(*(a == b for a, b in zip(flat(read), flat(bits), strict=True)))
    return reading.stays, same, terms
