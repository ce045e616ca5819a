"""The benchmark measures what it says; no figure is asserted, since no machine is like another."""

from __future__ import annotations

import sys

import pytest

from lastref.conformance import bench_replay
from lastref.conformance.bench_replay import ROUNDS, Disagreement, bench
from lastref.conformance.contained import children
from lastref.conformance.replays import Tally

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="its processes are Linux's")


@pytest.mark.parametrize("boxed", [True, False])
def test_both_loops_have_the_same_number_of_children_and_leave_none(boxed: bool) -> None:
    """As many as asked for, rounded to whole rounds; every trace's steps are counted."""
    before = children()
    cost = bench(children=4 * ROUNDS, boxed=boxed)
    assert cost.children == 4 * ROUNDS
    assert cost.steps > cost.children
    assert cost.bare > 0
    assert cost.replay > 0
    assert f"{cost.ratio:.2f}" in str(cost)
    assert children() <= before


def test_a_replay_that_disagrees_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure of runs that went wrong would say nothing."""
    monkeypatch.setattr(bench_replay, "run", lambda *_: Tally(first="step 1"))
    with pytest.raises(Disagreement, match="step 1"):
        bench(children=2 * ROUNDS, boxed=False)
