"""Alike: which orders may stand for each other, and what keeps two apart."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lastref.conformance.gate.alike import Trail
from lastref.conformance.gate.scenario import Scenario
from lastref.conformance.protocol.conversation import Event

_RACE = Scenario.parse("start|wait,wait,kill,start.b")
_IDS = {"W1": 1, "W2": 2, "K1": 3, "S1": 4}


def state(*steps: str, waiting: Sequence[str] = (), rest: object = None) -> str:
    """Return the state after some steps: ``W1`` begins its call, ``W1=ok`` returns from it.

    ``world:x`` is no step: what there is to meet is x from then on. Those of ``waiting`` sleep in
    the end, in that order.
    """
    trail = Trail(_RACE.threads)
    places = dict.fromkeys(_IDS, "idle")
    worlds = dict.fromkeys(_IDS, "")
    events: list[Event] = []
    trail.gap("", places, worlds, set(), events, {}, rest)
    for step in steps:
        name, _, outcome = step.partition("=")
        if step.startswith("world:"):
            worlds = dict.fromkeys(_IDS, step)
        elif name == "exit":
            events.append(Event("exit", 0, "exit", "a"))
        else:
            if not outcome:
                trail.began(_IDS[name], name)
            places[name] = outcome or "held"
            kind, process = "return" if outcome else "invoke", "b" if name == "S1" else "a"
            events.append(Event(kind, _IDS[name], name[0], process, outcome))
        last = trail.gap(name, places, worlds, set(), events, {}, rest)
    for count in range(1, len(waiting) + 1):
        last = trail.gap("", places, worlds, set(waiting[:count]), events, {}, rest)
    return last


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("W1 K1", "K1 W1"),
        ("W1", "W2"),
        ("W1 W2 W1=ok", "W1 W2 W2=ok"),
        ("W1 W2 W1=ok W2=ECHILD", "W2 W1 W2=ok W1=ECHILD"),
        ("S1 S1=nil W1", "W1 S1 S1=nil"),
        ("exit S1", "S1 exit"),
    ],
)
def test_what_has_nothing_to_do_with_each_other_may_come_in_either_order(
    one: str, other: str
) -> None:
    """Calls that overlap, calls on another object, threads that do the same."""
    assert state(*one.split()) == state(*other.split())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("W1 W1=ok K1", "W1 K1 W1=ok"),
        ("W1 W1=ok", "W1 W1=ECHILD"),
        ("exit W1", "W1 exit"),
        ("W1 world:reaped K1", "K1 world:reaped W1"),
        ("W1 W2", "W1 K1"),
    ],
)
def test_what_may_matter_keeps_two_orders_apart(one: str, other: str) -> None:
    """What was over before a call, what it returned, and what there was for it to meet."""
    assert state(*one.split()) != state(*other.split())


def test_the_kernel_wakes_in_the_order_of_the_queue() -> None:
    """Who went to sleep first matters where the two have not done the same before."""
    begun = ("W1", "exit", "W2")
    assert state(*begun, waiting=("W1", "W2")) != state(*begun, waiting=("W2", "W1"))
    assert state("W1", "W2", waiting=("W1", "W2")) == state("W1", "W2", waiting=("W2", "W1"))


def test_whatever_else_can_be_seen_counts() -> None:
    """A victim that was hit is no victim that was not."""
    assert state("W1", rest="untouched") != state("W1", rest="hit")
