"""Two designs of one thing agree: go-2024 and go-2025 on a Linux that has pidfds.

All interleavings of a scenario are searched with the outcomes of every call, on both designs; what
the callers can be told, together, is compared.  The one known difference is a Wait after a Wait
that succeeded: ErrProcessDone in go-2024, ECHILD from "wait" in go-2025.
"""

from __future__ import annotations

import pytest

from lastref.model.designs import get
from lastref.model.outcomes import Caller, endings, sequences
from lastref.model.system import System, scenario

Told = tuple[tuple[str, tuple[str, ...]], ...]

SCENARIOS = (
    ("wait", "signal"),
    ("wait", "wait"),
    ("wait", "release"),
    ("kill", "release"),
    ("signal", "release"),
    ("release", "release"),
    ("wait", "kill", "release"),
    ("wait", "wait", "signal"),
    ("wait;release", "signal"),
    ("wait;wait", "release"),
    ("wait;signal", "release;wait"),
    ("foreign", "wait;release;signal"),
)


def told(design: str, calls: tuple[str, ...], initial: dict[str, int]) -> set[Told]:
    """Return everything that the callers can be told together, in the words of go-2024."""
    system = System(get(design), scenario(*calls, initial=initial))
    found = set()
    for ending in endings(system):
        outcomes = {
            name: tuple("EPD" if o == "wait:ECHILD" else o for o in each)
            for name, each in ending.outcomes.items()
        }
        found.add(tuple(sorted(outcomes.items())))
    return found


@pytest.mark.parametrize("exited", [0, 1], ids=["running", "zombie"])
@pytest.mark.parametrize("calls", SCENARIOS, ids="-".join)
def test_go_2024_and_go_2025_tell_their_callers_the_same(
    calls: tuple[str, ...], exited: int
) -> None:
    """Over all interleavings, but for the name of "done" to a Wait."""
    initial = {"exited": exited}
    older, newer = told("go-2024", calls, initial), told("go-2025", calls, initial)
    assert older == newer
    assert older


def test_the_known_difference_is_real() -> None:
    """A Wait after a Wait: without translation the two differ, and only there."""
    older, newer = Caller(get("go-2024")), Caller(get("go-2025"))
    pairs = ((c, older.run({}, c).last, newer.run({}, c).last) for c in sequences(4))
    differences = [(calls, o, n) for calls, o, n in pairs if o != n]
    assert differences
    assert {(o, n) for _, o, n in differences} == {("EPD", "wait:ECHILD")}
    assert all(calls[-1] == "wait" and "wait" in calls[:-1] for calls, _, _ in differences)


def test_an_older_design_does_not_agree() -> None:
    """The comparison can fail: go-2023-pidfd tells its callers other things."""
    calls = ("wait", "signal", "release")
    assert told("go-2023-pidfd", calls, {}) != told("go-2024", calls, {})
