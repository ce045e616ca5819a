"""A history of calls as text: each call in its column, from its invocation to its return."""

from __future__ import annotations

import doctest

from lastref.conformance import call_lanes
from lastref.conformance.call_lanes import draw

OVERLAP = """\
                       the process
1  ┌ wait
2  │        ┌ signal
3  │        └ nil
4  │                   exit
5  └ ok"""


def test_a_call_keeps_its_column_while_it_is_under_way() -> None:
    """A second call stands beside the first; the process has a column of its own."""
    assert draw(["wait?", "signal?", "signal → nil", "exit", "wait → ok"]) == OVERLAP


def test_the_example_is_what_is_drawn() -> None:
    """The docstring's example is true."""
    assert doctest.testmod(call_lanes).failed == 0
    assert doctest.testmod(call_lanes).attempted == 1


def test_every_event_is_a_row_whatever_the_history() -> None:
    """Nothing is left out: a call that never returns, a return of no call, nothing at all."""
    assert draw(["kill?"]) == "1  ┌ kill"
    assert draw(["kill → nil"]) == "1  └ nil"
    assert draw(["exit"]).splitlines()[-1] == "1  exit"
    assert draw([]) == ""
    assert len(draw(["wait?", "wait?", "wait → ok", "wait → EPD"]).splitlines()) == 4
