"""A local state has a parent only while every way to it is a quiet step from there."""

import pytest

from lastref.model.parents import Joined, Parents

START, LOAD, CAS, USE = range(4)


def _parents() -> Parents:
    return Parents(lambda local: local == START)


def test_a_quiet_step_makes_a_parent() -> None:
    """The first quiet step to a local state names its parent, and the same step again agrees."""
    parents = _parents()
    assert parents.is_child(START, LOAD, quiet=True)
    assert parents.is_child(START, LOAD, quiet=True)


def test_a_step_that_changes_what_is_shared_makes_none() -> None:
    """Nor does a quiet one later on: the thread may have come the other way."""
    parents = _parents()
    assert not parents.is_child(LOAD, USE, quiet=False)
    assert not parents.is_child(CAS, USE, quiet=True)


def test_where_threads_start_there_is_no_parent() -> None:
    """A thread may stand there without having taken a step."""
    assert not _parents().is_child(LOAD, START, quiet=True)


def test_a_round_back_from_a_child_is_allowed() -> None:
    """Load, exchange, retry: without the whole round the thread is where it was."""
    parents = _parents()
    assert parents.is_child(START, LOAD, quiet=True)
    assert parents.is_child(LOAD, CAS, quiet=True)
    assert not parents.is_child(CAS, LOAD, quiet=True)


@pytest.mark.parametrize(("before", "quiet"), [(USE, True), (START, False), (CAS, False)])
def test_a_second_way_is_told(before: int, quiet: bool) -> None:
    """Another place, or a step that is not quiet: what was assumed is wrong."""
    parents = _parents()
    parents.is_child(START, LOAD, quiet=True)
    parents.is_child(LOAD, CAS, quiet=True)
    with pytest.raises(Joined) as told:
        parents.is_child(before, LOAD, quiet=quiet)
    assert told.value.local == LOAD
