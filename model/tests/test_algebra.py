"""The algebra: unsigned, wrapping, and honest about types."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastref.model.algebra import (
    OPERATORS,
    AlgebraError,
    Expr,
    after,
    const,
    evaluate,
    implies,
    ite,
    key,
    rewrite,
    same,
    show,
    var,
    variables,
    walk,
)

A, B, P = var("a", 8), var("b", 8), var("p", 0)
BYTE = st.integers(0, 255)

MEANING: dict[str, tuple[Expr, Callable[[int, int], int]]] = {
    "add": (A + B, lambda a, b: (a + b) % 256),
    "sub": (A - B, lambda a, b: (a - b) % 256),
    "and": (A & B, lambda a, b: a & b),
    "or": (A | B, lambda a, b: a | b),
    "xor": (A ^ B, lambda a, b: a ^ b),
    "inv": (~A, lambda a, _: 255 - a),
    "eq": (A == B, lambda a, b: a == b),
    "ne": (A != B, lambda a, b: a != b),
    "ult": (A < B, lambda a, b: a < b),
    "ule": (A <= B, lambda a, b: a <= b),
    "all": ((A == B) & (A < 9), lambda a, b: a == b and a < 9),
    "any": ((A == B) | (A < 9), lambda a, b: a == b or a < 9),
    "not": (~(A == B), lambda a, b: a != b),
    "ite": (ite(A < B, A, B), lambda a, b: min(a, b)),
}


@settings(deadline=None)
@given(BYTE, BYTE)
def test_every_operation_is_unsigned_and_wraps(a: int, b: int) -> None:
    """Each row of the operator table computes what its name says, at its width."""
    assert MEANING.keys() == OPERATORS.keys()
    for expr, meaning in MEANING.values():
        assert evaluate(expr, {"a": a, "b": b}) == meaning(a, b), show(expr)


@settings(deadline=None)
@given(BYTE)
def test_greater_mirrors_less(a: int) -> None:
    """> and >= are < and <= with the sides exchanged, also against a number."""
    assert evaluate(A > 7, {"a": a}) is (a > 7)
    assert evaluate(A >= 7, {"a": a}) is (a >= 7)


def test_an_expression_has_no_truth_value() -> None:
    """`if expr` and `a and b` are refused, with the remedy."""
    with pytest.raises(AlgebraError, match=r"& \| ~"):
        bool(A == B)


@pytest.mark.parametrize(
    "build",
    [
        lambda: A + var("wide", 16),
        lambda: A & P,
        lambda: P + 1,
        lambda: ite(A, A, B),
        lambda: ite(P, 1, 2),
        lambda: A + 256,
        lambda: A - (-1),
        lambda: A == "x",
        lambda: implies(P, A),
    ],
)
def test_what_does_not_type_is_refused_when_it_is_written(build: object) -> None:
    """Widths, missing booleans, numbers out of range and foreign objects are caught at once."""
    with pytest.raises(AlgebraError) as caught:
        build()  # type: ignore[operator]
    assert caught.value.fault
    assert caught.value.reason
    assert caught.value.remedy


def test_structure_is_compared_by_same() -> None:
    """`==` builds an expression; `same` and `key` compare trees."""
    assert same(A + 1, A + 1)
    assert key(A + 1) == key(A + 1)
    assert not same(A + 1, A + 2)
    assert isinstance(A == B, Expr)


def test_rewrite_changes_leaves_and_keeps_the_rest() -> None:
    """A rewrite replaces what it names, and returns the same tree where it names nothing."""
    tree = ite(A < B, A + 1, B)
    assert rewrite(tree, lambda _: None) is tree
    changed = rewrite(tree, lambda e: const(2, 8) if e.op == "const" and e.width == 8 else None)
    assert show(changed) == "((a < b) ? (a + 2) : b)"
    assert variables(changed) == {"a", "b"}
    assert sum(1 for _ in walk(changed)) == 8


def test_the_primed_variable_is_another() -> None:
    """A step law tells the value afterwards from the value before."""
    assert evaluate(after(A) == A, {"a": 1, "a'": 2}) is False
