"""Histories against the sequential specification: exactly which have no order, and why."""

from dataclasses import replace

import pytest

from lastref.model.designs import get
from lastref.model.designs.go_2024 import GO_2024
from lastref.model.linearize import (
    BOTH_WAITED,
    KEPT_ALIVE,
    LOST_RACE,
    OVERTAKEN,
    Called,
    History,
    histories,
    linearization,
    linearize,
    stretched,
)
from lastref.model.sequential import SPECIFICATIONS
from lastref.model.system import scenario

SPECIFICATION = SPECIFICATIONS["go-2024", "linux"]
W_OK, R_NIL, S_REL = (
    Called("W1", "wait", "ok"),
    Called("R1", "release", "nil"),
    Called("S1", "signal", "REL"),
)


@pytest.mark.parametrize(
    ("calls", "count"),
    [
        (("wait", "release"), 4),
        (("signal", "release", "release"), 26),
        (("wait;release", "signal"), 8),
        (("wait;wait;signal",), 1),
    ],
)
def test_without_a_late_look_every_history_has_an_order(calls: tuple[str, ...], count: int) -> None:
    """Signals and Releases are linearizable, and so is a Wait that nobody overtakes."""
    found = linearize(GO_2024, *calls)
    assert (found.histories, found.unordered) == (count, {})


def test_exactly_the_overtaken_histories_have_no_order() -> None:
    """The N.B. of the commit: Wait succeeds, Release overlaps it, a later Signal says released."""
    found = linearize(GO_2024, "wait", "release", "signal")
    assert found.histories == 38
    assert set(found.unordered.values()) == {OVERTAKEN}
    # Calls are sorted by thread: 0 is Release, 1 is Signal, 2 is Wait.
    orders = [(), ((0, 1),), ((2, 1),), ((0, 1), (2, 1))]
    expected = {History((R_NIL, S_REL, W_OK), frozenset(order)) for order in orders}
    assert set(found.unordered) == expected


@pytest.mark.parametrize(
    ("design", "platform", "calls", "histories_", "unordered", "kind"),
    [
        ("go-2024", "linux", ("wait", "wait"), 6, 2, LOST_RACE),
        ("go-2024", "linux", ("wait;signal", "release"), 10, 2, OVERTAKEN),
        ("go-2024", "windows", ("wait", "release"), 5, 1, OVERTAKEN),
        ("go-2024", "windows", ("wait", "wait", "signal"), 42, 8, BOTH_WAITED),
        ("go-2025", "linux", ("wait", "signal", "release"), 38, 4, OVERTAKEN),
        ("dotnet-safehandle", "any", ("use", "use", "dispose"), 36, 2, KEPT_ALIVE),
    ],
)
def test_the_histories_without_an_order_are_counted(
    design: str, platform: str, calls: tuple[str, ...], histories_: int, unordered: int, kind: str
) -> None:
    """Every design, exactly how many; each of them has an order once calls take two moments."""
    found = linearize(get(design, platform), *calls)
    assert (found.histories, len(found.unordered)) == (histories_, unordered)
    assert set(found.unordered.values()) == {kind}
    assert found.unexplained == ()


def test_a_wrong_outcome_is_not_explained_away() -> None:
    """A Release that says REL fits no order, and no stretched call either."""
    release = replace(GO_2024.by_name["release.load.late"], outcome="REL")
    commands = (release if c.name == release.name else c for c in GO_2024.commands)
    found = linearize(replace(GO_2024, commands=tuple(commands)), "release", "release")
    assert found.unexplained
    assert len(found.unexplained) == len(found.unordered)


def test_an_order_respects_the_clock() -> None:
    """A Signal that returned REL before Release began has no order, though its outcome exists."""
    early = History((R_NIL, S_REL), frozenset({(1, 0)}))
    late = History((R_NIL, S_REL), frozenset({(0, 1)}))
    assert linearization(early, SPECIFICATION) is None
    assert not stretched(early, SPECIFICATION)
    assert linearization(late, SPECIFICATION) == (0, 1)
    assert str(late) == "R1 release nil, S1 signal REL; R1 release < S1 signal"


def test_a_history_is_made_from_calls_and_returns() -> None:
    """One call alone: one history, with the outcome and nothing before it."""
    plan = scenario("release", initial={"exited": 1}, adversary=())
    assert histories(GO_2024, plan) == {History((R_NIL,), frozenset())}
