"""Liveness on whole graphs: go-2024 is lock-free and ends; broken loops are caught going round."""

from dataclasses import replace

import pytest

from lastref.model.algebra import BOOL, TRUE
from lastref.model.designs import get
from lastref.model.designs.go_2024 import GO_2024
from lastref.model.explore import DEADLOCK, explore
from lastref.model.invariants import PARTIAL, SOUND
from lastref.model.liveness import (
    LOCK_FREE,
    TERMINATES,
    Graph,
    Liveness,
    analyse,
    prove_liveness,
    takes_locks,
)
from lastref.model.proof import UNKNOWN
from lastref.model.system import Scenario, System, scenario
from lastref.model.table import END, Command, Table, command, local, shared

LOCK = shared("lock", 1, "a spin lock")


def spin(*, releases: bool) -> Table:
    """Return a spin lock: `try` until it is free, `hold` it, and give it back or not."""
    return Table(
        id="spin",
        platform="any",
        title="a spin lock",
        source="this test",
        shared=(LOCK,),
        local=(),
        methods={"go": "try"},
        commands=(
            command("try", "compare_exchange", "try", "hold", LOCK == 0, {LOCK: 1}),
            command("try.again", "compare_exchange", "try", "try", LOCK == 1),
            command("hold", "store", "hold", END, update={LOCK: 0} if releases else None),
        ),
    )


def changed(*new: Command) -> Table:
    """Return go-2024 with commands replaced by name."""
    by_name = {c.name: c for c in new}
    commands = tuple(by_name.get(c.name, c) for c in GO_2024.commands)
    return replace(GO_2024, commands=commands)


def liveness(table: Table, *calls: str) -> Liveness:
    """Return what the graph of the calls says."""
    return analyse(Graph(System(table, scenario(*calls))))


def test_every_call_of_go_2024_returns_and_nobody_spins() -> None:
    """The whole graph has no cycle at all: a failed exchange is always somebody's progress."""
    found = liveness(GO_2024, "wait", "signal", "release")
    assert found.ends_well
    assert (found.cycles, found.spins, found.endless, found.stuck) == (0, (), (), ())
    assert found.states == explore(System(GO_2024, scenario("wait", "signal", "release"))).states


def test_a_spin_lock_ends_under_fairness_and_is_not_lock_free() -> None:
    """A spinner goes round while the owner sleeps; a fair scheduler lets the owner go on."""
    found = liveness(spin(releases=True), "go", "go")
    assert set(found.spins) <= {("G1", "try.again"), ("G2", "try.again")}
    assert len(found.spins) == 1
    assert found.endless == ()


def test_a_spin_loop_that_waits_for_nobody_never_ends() -> None:
    """The negative control: the lock is not given back, and the other thread spins for ever."""
    found = liveness(spin(releases=False), "go", "go")
    assert found.endless
    assert {name for _, name in found.endless} == {"try.again"}
    assert not found.ends_well


def test_an_exchange_that_may_fail_for_nothing_is_not_lock_free() -> None:
    """A failed exchange whose word did not change goes round without anybody's progress."""
    retry = replace(GO_2024.by_name["signal.cas.retry"], guard=TRUE)
    found = liveness(changed(retry), "signal", "release")
    assert [name for _, name in found.spins] == ["signal.load", "signal.cas.retry"]


def test_a_call_that_nothing_can_finish_is_stuck() -> None:
    """Without the answer for a reaped child, a second Wait never returns."""
    reaped = replace(GO_2024.by_name["wait.waitid.no-child"], guard=~TRUE)
    found = liveness(changed(reaped), "wait", "wait")
    assert found.stuck
    assert not found.ends_well


def test_two_threads_that_undo_each_others_work_are_not_lock_free() -> None:
    """Every step of the livelock changes something, and no call ever returns."""
    side = local("side", BOOL, "which value this thread wants")
    toggle = Table(
        id="toggle",
        platform="any",
        title="two threads that wait for their own value to stay",
        source="this test",
        shared=(LOCK,),
        local=(side,),
        methods={"up": "up", "down": "down"},
        commands=(
            command("up", "store", "up", "up.look", update={LOCK: 1}),
            command("up.look.gone", "load", "up.look", "up", LOCK == 0),
            command("up.look", "load", "up.look", END, LOCK == 1),
            command("down", "store", "down", "down.look", update={LOCK: 0}),
            command("down.look.gone", "load", "down.look", "down", LOCK == 1),
            command("down.look", "load", "down.look", END, LOCK == 0),
        ),
    )
    found = liveness(toggle, "up", "down")
    assert {actor for actor, _ in found.spins} == {"U1", "D1"}
    assert len(found.spins) == 4
    assert found.endless


def mix(table: Table, threads: int) -> Scenario:
    """Return threads that each pick one of the calls that use the handle."""
    beside = {"foreign", "careless", "find", "kill"}
    return scenario(*("|".join(m for m in table.methods if m not in beside),) * threads)


@pytest.mark.parametrize("key", [*SOUND, *PARTIAL], ids="/".join)
def test_every_design_ends_and_those_without_locks_are_lock_free(key: tuple[str, str]) -> None:
    """All mixes of two threads on every platform, for the laws that the design keeps."""
    table, known = get(*key), {**SOUND, **PARTIAL}[key]
    proofs = prove_liveness(table, mix(table, 2), broken=known.broken)
    lock_free = set() if takes_locks(table) else {LOCK_FREE}
    assert {p.law for p in proofs} == {DEADLOCK, TERMINATES} | lock_free
    assert all(p.holds and p.threads == 2 and p.cases > 90 for p in proofs)


def test_a_graph_that_is_too_large_proves_nothing() -> None:
    """A search that was cut off is unknown, not proved."""
    proofs = prove_liveness(GO_2024, scenario("wait", "signal", "release"), limit=100)
    assert {p.verdict for p in proofs} == {UNKNOWN}
    assert len(proofs) == 3


def test_a_handle_left_open_at_rest_is_seen() -> None:
    """All calls return, and yet the run ends badly: nobody closed the handle."""
    last = replace(GO_2024.by_name["release.cas.last"], to=END)
    graph = Graph(System(changed(last), scenario("release")))
    found = analyse(graph)
    assert found.unrest == ("closed-at-rest",)
    assert not found.ends_well
    assert analyse(graph, broken=frozenset({"closed-at-rest"})).ends_well


def test_a_step_that_breaks_an_obligation_is_neither_followed_nor_a_dead_end() -> None:
    """What comes after is not the design's doing: the Kill of 2023 that hits a bystander."""
    table = get("go-2023-pidfd")
    graph = Graph(System(table, scenario("kill", "release")))
    assert graph.broken
    assert analyse(graph).stuck == ()
