"""What Promela cannot say is refused; that Spin agrees is tested through ``lastref export``."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastref.model.algebra import var
from lastref.model.designs import all_tables, get
from lastref.model.fold import Fold, folds
from lastref.model.promela import promela
from lastref.model.system import scenario
from lastref.model.table import DesignError


def test_what_promela_cannot_say_is_refused_by_name() -> None:
    """An urgent kernel, too many threads."""
    with pytest.raises(DesignError, match="urgent"):
        promela(get("go-2024"), scenario("release", urgent=["reopen"]))
    with pytest.raises(DesignError, match="61 threads"):
        promela(get("go-2024"), scenario(*["release"] * 61))


def test_every_design_can_be_told() -> None:
    """Each table with a thread for each of its methods."""
    for table in all_tables():
        assert "active proctype kernel()" in promela(table, scenario(*table.methods))


def test_a_word_keeps_what_tells_its_values_apart() -> None:
    """Go's word folds to eight bits, .NET's to eleven; one with 31 fields does not fold."""
    assert Fold(64, (1, 1 << 62, 1 << 63, (1 << 62) - 1)).kept == (0, 1, 2, 3, 4, 5, 62, 63)
    assert Fold(32, (1, 2, 4 * 8, ~3 & (1 << 32) - 1)).width == 11
    with pytest.raises(DesignError, match="31 fields"):
        Fold(31, (0x55555555,))


@pytest.mark.parametrize(
    ("counters", "flags"), [((1,), (1 << 62, 1 << 63)), ((1 << 3, 1 << 23, 1 << 43), (1, 2, 4))]
)
@settings(deadline=None)
@given(data=st.data())
def test_folding_keeps_sums_differences_and_order(
    counters: tuple[int, ...], flags: tuple[int, ...], data: st.DataObject
) -> None:
    """Of words as threads make them: every counter at 30 at the most, so that none is left."""
    constants = (*counters, *flags, *(c - 1 for c in (*counters, *flags)), 1 << 63)
    fold = folds([var("word", 64)], [(c, 64) for c in constants])[64]

    def word() -> int:
        counted = sum(unit * data.draw(st.integers(0, 30)) for unit in counters)
        return counted + sum(flag for flag in flags if data.draw(st.booleans()))

    left, right = word(), word()
    for whole, folded in (
        (left + right, fold.of(left) + fold.of(right)),
        (left - right, fold.of(left) - fold.of(right)),
        (left & right, fold.of(left) & fold.of(right)),
        (left ^ right, fold.of(left) ^ fold.of(right)),
    ):
        assert fold.of(whole % (1 << 64)) == folded & fold.mask
    assert (left < right) == (fold.of(left) < fold.of(right))
