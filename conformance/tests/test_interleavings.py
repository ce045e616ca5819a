"""Every class of equivalent interleavings comes out, and comes out once."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from lastref.conformance.interleavings import Interleavings, Move, interleavings
from lastref.model.designs.go_2024 import GO_2024
from lastref.model.designs.go_2025_double import GO_2025_DOUBLE
from lastref.model.designs.pid_naive import PID_NAIVE
from lastref.model.system import State, System, scenario
from lastref.model.table import END, Table, command, shared

Run = tuple[tuple[str, ...], ...]


def system(*calls: str) -> System:
    """Return go-2024 with these threads, and every freed number handed out again at once."""
    return System(GO_2024, scenario(*calls, urgent=["reopen"]))


def all_runs(found: Interleavings) -> dict[Run, list[State]]:
    """Return every run by its moves, with the states before each: no reduction at all."""
    runs: dict[Run, list[State]] = {}

    def go(state: State, taken: list[Move], states: list[State]) -> None:
        moves = found.moves(state)
        if not moves:
            runs[tuple(m.id for m in taken)] = states
        for move in moves:
            go(move.state, [*taken, move], [*states, state])

    go(found.system.initial, [], [])
    return runs


def classes(found: Interleavings) -> dict[Run, Run]:
    """Return every run's representative: runs that differ by one swap are of one class."""
    runs = all_runs(found)
    parent = {run: run for run in runs}

    def root(run: Run) -> Run:
        while parent[run] != run:
            run = parent[run]
        return run

    for run, states in runs.items():
        for i, (first, second) in enumerate(pairwise(run)):
            by_id = {m.id: m for m in found.moves(states[i])}
            if second in by_id and found.independent(states[i], by_id[first], by_id[second]):
                swapped = (*run[:i], second, first, *run[i + 2 :])
                parent[root(swapped)] = root(run)
    return {run: root(run) for run in runs}


def moves_of(found: Interleavings, schedule: tuple[object, ...]) -> Run:
    """Return a schedule as the ids of its moves."""
    state, ids, left = found.system.initial, [], list(schedule)
    while left:
        move = next(m for m in found.moves(state) if list(m.steps) == left[: len(m.steps)])
        ids.append(move.id)
        left = left[len(move.steps) :]
        state = move.state
    return tuple(ids)


@pytest.mark.parametrize(
    ("calls", "count"),
    [(("signal", "release"), 11), (("wait", "release"), 10), (("kill", "release"), 20)],
)
def test_each_class_comes_out_exactly_once(calls: tuple[str, ...], count: int) -> None:
    """Against brute force: as many runs as there are classes, and no two of one class."""
    found = Interleavings(system(*calls))
    root = classes(found)
    chosen = [root[moves_of(found, schedule)] for schedule in found]
    assert len(chosen) == len(set(chosen)) == len(set(root.values())) == count


@pytest.mark.parametrize(
    ("calls", "count"),
    [
        (("wait", "signal"), 131),
        (("wait", "kill"), 196),
        (("wait", "signal", "release"), 2811),
        (("wait", "kill", "release"), 4306),
        (("wait", "wait", "release"), 2628),
        (("kill", "kill", "release"), 4940),
    ],
)
def test_the_inequivalent_interleavings_are_counted_exactly(
    calls: tuple[str, ...], count: int
) -> None:
    """The numbers that the documentation and the reports give."""
    assert sum(1 for _ in interleavings(system(*calls))) == count


def test_they_are_counted_without_being_run_through() -> None:
    """Also where nobody could run through them: three calls of the design with two words."""
    double = System(GO_2025_DOUBLE, scenario("wait", "wait", "kill", urgent=["reopen"]))
    assert len(Interleavings(system("wait", "wait", "kill"))) == 348_020
    assert len(Interleavings(double)) == 1_348_291_100


NAIVE = System(
    PID_NAIVE,
    scenario("kill", "kill", "release", adversary=["exit", "recycle"], urgent=["recycle"]),
)


@pytest.mark.parametrize(
    ("under_test", "pairs", "alone"),
    [
        (system("release", "release"), 2, 0),
        (system("signal", "signal"), 23, 0),
        (system("foreign", "foreign", "release"), 0, 1),
        (NAIVE, 6, 5),
        (NAIVE.under(replace(NAIVE.scenario, threads=scenario("wait", "wait").threads)), 1, 0),
    ],
)
def test_equal_threads_are_exchanged_and_nothing_is_lost(
    under_test: System, pairs: int, alone: int
) -> None:
    """Against brute force: the runs and their mirror images are every class, and each once."""
    found = Interleavings(under_test, interchangeable=True)
    assert found.twins is not None
    exchanged = dict(zip(found.twins, reversed(found.twins), strict=True))
    root = classes(found)
    images = []
    for run in (moves_of(found, schedule) for schedule in found):
        image = tuple((exchanged.get(actor, actor), *steps) for actor, *steps in run)
        images.append({root[run], root[image]})
    assert set().union(*images) == set(root.values())
    assert sum(map(len, images)) == len(set(root.values())) == found.classes
    assert Counter(map(len, images)) == Counter({2: pairs, 1: alone})


@pytest.mark.parametrize("calls", [("wait", "wait", "release"), ("wait", "wait", "kill")])
def test_with_their_mirror_images_they_are_as_many(calls: tuple[str, ...]) -> None:
    """Where brute force takes too long, the number of classes is that of the whole enumeration."""
    whole, found = (
        Interleavings(system(*calls)),
        Interleavings(system(*calls), interchangeable=True),
    )
    assert found.classes == whole.classes == len(whole)
    assert len(whole) / 2 <= len(found) < len(whole)
    last = sum(1 for _ in found.part(len(found) - 1000, len(found) + 1))
    assert last == 1000


def test_different_threads_are_never_exchanged() -> None:
    """Without two that make the same calls, every class comes out."""
    found = Interleavings(system("wait", "kill"), interchangeable=True)
    assert (found.twins, len(found), found.classes) == (None, 196, 196)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_parts_are_the_whole(size: int) -> None:
    """Cut into parts of any size, each run comes out once, and in the same order."""
    found = Interleavings(system("wait", "kill"))
    whole = list(found)
    parts = [found.part(first, first + size) for first in range(0, len(found), size)]
    assert [run for part in parts for run in part] == whole
    assert len(whole) == len(found)


def test_the_one_run_of_nobody_is_empty() -> None:
    """Where nothing can happen that is one run, and a part without it has none."""
    found = Interleavings(System(GO_2024, scenario(adversary=())))
    assert (len(found), list(found), list(found.part(1, 2))) == (1, [()], [])


def test_every_run_ends_where_nothing_is_enabled() -> None:
    """A schedule is a whole run from the initial state, each step enabled where it is taken."""
    under_test = system("wait", "release")
    for schedule in interleavings(under_test):
        state = under_test.initial
        for step in schedule:
            assert step in under_test.steps(state)
            state = step.state
        assert under_test.steps(state) == []
        assert under_test.at_rest(state)


def test_every_state_at_rest_is_reached() -> None:
    """Sleep sets lose no final state: the same ones as by the full search."""
    under_test = system("wait", "kill", "release")
    found = Interleavings(under_test)
    seen, todo, resting = {under_test.initial}, [under_test.initial], set()
    while todo:
        moves = found.moves(state := todo.pop())
        if not moves:
            resting.add(state)
        for move in moves:
            if move.state not in seen:
                seen.add(move.state)
                todo.append(move.state)
    assert {schedule[-1].state for schedule in interleavings(under_test)} == resting


def test_two_stores_of_one_variable_are_not_independent() -> None:
    """The order of two stores of different values shows in the state; of loads it does not."""
    x = shared("x", 8, "a byte")
    toy = Table(
        id="toy",
        platform="any",
        title="toy",
        source="this test",
        shared=(x,),
        local=(),
        methods={"one": "one", "two": "two", "look": "look"},
        commands=(
            command("one", "store", "one", END, update={x: 1}),
            command("two", "store", "two", END, update={x: 2}),
            command("look", "load", "look", END),
        ),
    )
    assert sum(1 for _ in interleavings(System(toy, scenario("one", "two")))) == 2
    assert sum(1 for _ in interleavings(System(toy, scenario("look", "one")))) == 1
    assert sum(1 for _ in interleavings(System(toy, scenario("look", "look")))) == 1
