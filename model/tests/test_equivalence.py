"""Tests of what `lastref.model.equivalence` knows of a design beside its invariant."""

from dataclasses import replace

import pytest

from lastref.model.designs import get
from lastref.model.equivalence import ALSO, NEEDED
from lastref.model.induct import Induction, prove_any
from lastref.model.invariant import Conjunct
from lastref.model.invariants import INVARIANTS

DOUBLE = ("go-2025-double", "linux")


@pytest.mark.parametrize("key", list(ALSO), ids="/".join)
def test_what_is_also_so_holds_at_the_start_and_is_kept(key: tuple[str, str]) -> None:
    """Nothing is assumed: beside the design's own sentences these are part of an invariant."""
    known = INVARIANTS[key]
    stronger = replace(known, conjuncts=(*known.conjuncts, *ALSO[key]))
    proofs = [p for p in prove_any(get(*key), stronger) if p.law in NEEDED]
    assert {p.law for p in proofs} == NEEDED
    assert all(p.holds for p in proofs)


@pytest.mark.parametrize("also", [(), ALSO[DOUBLE]], ids=["without", "with"])
def test_a_count_of_two_sums_is_never_negative_if_one_of_them_is_small(
    also: tuple[Conjunct, ...],
) -> None:
    """Each sum is below 2^31 - 1, so both together might be more: but that at most one gives back.

    It is what proves the panics of go-2025-double equivalent that ask for a negative count.
    """
    known = INVARIANTS[DOUBLE]
    induction = Induction(get(*DOUBLE), replace(known, conjuncts=(*known.conjuncts, *also)))
    asked = [m for m in induction.moves if m.name.endswith((".negative", ".lost"))]
    assert len(asked) == 6
    for move in asked:
        never = induction.decide("never-is", move.name, ~move.guard, [], induction.before)
        assert never.holds == bool(also), move.name
