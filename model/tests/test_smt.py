"""z3 reads every operation as the explorer does, exhaustively at a small width."""

import itertools

import z3

from lastref.model.algebra import BOOL, OPERATORS, apply, evaluate, same, show, var
from lastref.model.smt import (
    BACKEND,
    concrete,
    constant,
    declare,
    domain,
    expression_of,
    number,
    translate,
)
from lastref.model.table import shared

WIDTH = 3
A, B, C = (var(name, WIDTH) for name in "abc")
P, Q = var("p", BOOL), var("q", BOOL)


def test_every_operation_agrees_on_every_value_of_three_bits() -> None:
    """Each row of the operator table means the same to z3 and to Python, wrapping and unsigned."""
    assert BACKEND.keys() == OPERATORS.keys()
    for name, operator in OPERATORS.items():
        operands = {"bits": (A, B), "bool": (P, Q), "branch": (P, A, B)}[operator.operands]
        expr = apply(name, *operands[: operator.arity])
        names = {o.name: o.width for o in operands[: operator.arity]}
        terms = {n: constant(n, w) for n, w in names.items()}
        term = translate(expr, terms)
        for values in itertools.product(*(range(1 << w) if w else (0, 1) for w in names.values())):
            model = z3.Model()
            for (n, w), value in zip(names.items(), values, strict=True):
                model.update_value(terms[n], number(value, w))
            given = dict(zip(names, values, strict=True))
            assert concrete(model, term) == int(evaluate(expr, given)), (show(expr), given)


def test_a_translation_can_be_undone() -> None:
    """Reading a term back gives the tree that it was made from: nothing was simplified away."""
    tree = apply("ite", P & ~Q, A + B - 1, ~A ^ (B | C))
    terms = {n: constant(n, WIDTH) for n in "abc"} | {n: constant(n, BOOL) for n in "pq"}
    assert same(expression_of(translate(tree, terms)), tree)


def test_a_labelled_variable_stays_among_its_labels() -> None:
    """Two bits with three labels never take the fourth value; full and bare ones are unbounded."""
    three = shared("three", 2, "", labels=("a", "b", "c"))
    four = shared("four", 2, "", labels=("a", "b", "c", "d"))
    names = declare([three, four])
    bounds = domain([three, four], names)
    assert len(bounds) == 1
    solver = z3.Solver()
    solver.add(*bounds, names["three"] == 3)
    assert solver.check() == z3.unsat
