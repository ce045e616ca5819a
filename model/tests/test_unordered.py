"""The shortest run without an order: found exactly where some history has none, and a real run."""

import pytest

from lastref.model.designs import get
from lastref.model.linearize import OVERTAKEN, linearize
from lastref.model.sequential import SPECIFICATIONS
from lastref.model.system import System
from lastref.model.unordered import history_of, shortest_unordered


@pytest.mark.parametrize(
    ("design", "platform", "calls", "steps"),
    [
        ("go-2024", "linux", ("wait", "release", "signal"), 10),
        ("go-2024", "linux", ("wait;signal", "release"), 10),
        ("go-2024", "linux", ("wait", "wait"), 13),
        ("go-2024", "windows", ("wait", "wait"), 18),
        ("go-2025", "linux", ("wait", "release", "signal"), 13),
        ("dotnet-safehandle", "any", ("use", "use", "dispose"), 13),
        ("go-2024", "linux", ("wait", "release"), None),
        ("go-2024", "linux", ("signal", "release", "release"), None),
        ("dotnet-safehandle", "any", ("use", "dispose"), None),
    ],
)
def test_a_run_is_found_just_where_a_history_has_no_order(
    design: str, platform: str, calls: tuple[str, ...], steps: int | None
) -> None:
    """Load and exchange apart here, fused there: the history of the run is one of those."""
    table = get(design, platform)
    all_of_them = linearize(table, *calls)
    system = System(table, all_of_them.scenario)
    found = shortest_unordered(system, SPECIFICATIONS[design, platform])
    if steps is None:
        assert found is None
        assert not all_of_them.unordered
        return
    assert found is not None
    assert len(found.steps) == steps
    assert all_of_them.unordered[found.history] == found.kind
    assert history_of(system, found.steps) == found.history


def test_the_nb_of_the_commit_is_told_by_who_heard_what() -> None:
    """Wait succeeds although the word says released; whoever calls later hears that."""
    table = get("go-2024")
    plan = linearize(table, "wait", "release", "signal").scenario
    found = shortest_unordered(System(table, plan), SPECIFICATIONS["go-2024", "linux"])
    assert found is not None
    assert (found.kind, str(found.history)) == (
        OVERTAKEN,
        "R1 release nil, S1 signal REL, W1 wait ok; R1 release < S1 signal, W1 wait < S1 signal",
    )
