"""A sentence that addends balance is kept exactly by what balances their changes."""

from types import SimpleNamespace
from typing import cast

import z3

from lastref.model.counting import Count
from lastref.model.invariant import balance

BALANCED = balance("b", "a + b = c", lambda s: (s.shared["a"], s.shared["b"], -s.shared["c"]))


def state(**shared: z3.BitVecRef) -> Count:
    """Return a state of which the sentence looks at the shared variables only."""
    return cast("Count", SimpleNamespace(shared=shared))


def proved(claim: z3.BoolRef) -> bool:
    """Return whether z3 finds no value that makes the claim false."""
    solver = z3.Solver()
    solver.add(z3.Not(claim))
    return bool(solver.check() == z3.unsat)


def test_the_changes_balance_just_where_the_sentence_stays_true() -> None:
    """Over all bytes before and after: given the sentence before, the two are one."""
    a, b, c, x, y, z = z3.BitVecs("a b c x y z", 8)
    before, after = state(a=a, b=b, c=c), state(a=x, b=y, c=z)
    assert BALANCED.kept is not None
    same = BALANCED.kept(before, after) == BALANCED.holds(after)
    assert proved(z3.Implies(BALANCED.holds(before), same))
    assert not proved(same)


def test_what_a_step_leaves_alone_drops_out() -> None:
    """One moves from a to b: nothing of c, nor of the sum, is left to decide."""
    a, b, c = z3.BitVecs("a b c", 8)
    assert BALANCED.kept is not None
    kept = BALANCED.kept(state(a=a, b=b, c=c), state(a=a - 1, b=b + 1, c=c))
    assert z3.is_true(z3.simplify(kept))
    assert z3.is_true(BALANCED.kept(state(a=a, b=b, c=c), state(a=a, b=b, c=c)))
    lost = BALANCED.kept(state(a=a, b=b, c=c), state(a=a - 1, b=b, c=c))
    assert z3.is_false(z3.simplify(lost))
