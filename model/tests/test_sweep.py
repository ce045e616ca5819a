"""The vectorised sweep finds exactly the plain search's states, on sound and faulty designs."""

import pytest

from lastref.model.algebra import BOOL, FALSE, Expr
from lastref.model.designs import all_tables, get
from lastref.model.explore import DEADLOCK, explore
from lastref.model.fuse import fuse
from lastref.model.packed import count_states
from lastref.model.sweep import sweep
from lastref.model.system import System, scenario
from lastref.model.table import END, DesignError, Law, Table, command, shared

MIXED = "signal|wait|release"
FINE = get("go-2024")


def _spins(table: Table, *calls: str) -> System:
    """Return what Spin's models say: the process has ended, and only numbers come back."""
    return System(table, scenario(*calls, initial={"exited": 1}, adversary=["reopen"]))


@pytest.mark.parametrize("table", all_tables(), ids=lambda t: f"{t.id}-{t.platform}")
def test_with_identities_it_agrees_with_the_plain_search(table: Table) -> None:
    """Every design: the same states, transitions, states at rest, laws and sights."""
    first, *rest = table.methods
    system = System(table, scenario(first, *rest[:1], first))
    plain, swept = explore(system), sweep(system, counting=False)
    assert (swept.states, swept.transitions) == (plain.states, plain.transitions)
    assert (swept.resting, swept.unseen) == (plain.resting, plain.unseen)
    assert swept.broken == plain.counterexamples.keys()


@pytest.mark.parametrize("table", all_tables(), ids=lambda t: f"{t.id}-{t.platform}")
def test_with_counters_it_agrees_with_the_counting_search(table: Table) -> None:
    """Every design, fused: the same orbits, the same laws, the same sights."""
    first, *rest = table.methods
    system = System(fuse(table).fused, scenario(first, *rest[:1], first))
    plain, swept = count_states(system), sweep(system, counting=True)
    assert (swept.states, swept.transitions) == (plain.states, plain.transitions)
    assert (swept.resting, swept.unseen) == (plain.resting, plain.unseen)
    assert swept.broken == plain.counterexamples.keys()


@pytest.mark.parametrize("table", all_tables(), ids=lambda t: f"{t.id}-{t.platform}")
def test_states_that_are_made_once_are_all_there(table: Table) -> None:
    """Every design: threads that pick, and come to one place from several, lose no state."""
    picks = "|".join([*table.methods][:2])
    system = System(table, scenario(picks, picks))
    kept = sweep(system, counting=False, ranked=False)  # makes every successor
    counted = count_states(system)
    once, orbits = sweep(system, counting=False), sweep(system, counting=True)
    assert (once.states, once.transitions) == (kept.states, kept.transitions)
    assert (once.resting, once.broken, once.unseen) == (kept.resting, kept.broken, kept.unseen)
    assert (orbits.states, orbits.transitions) == (counted.states, counted.transitions)


@pytest.mark.parametrize(
    ("calls", "states"),
    [
        ((MIXED,) * 3, 11_009),
        (("wait", "release", "signal", "signal", "signal"), 93_510),
    ],
)
def test_the_counts_are_those_of_spins_models(calls: tuple[str, ...], states: int) -> None:
    """Load and exchange separate, nothing reduced: Spin's number, less its environment's states."""
    swept = sweep(_spins(FINE, *calls), counting=False)
    assert (swept.states, swept.ranked, swept.holds) == (states, True, True)


@pytest.mark.parametrize("threads", [4, 6])
def test_a_larger_count_agrees_with_the_counting_search(threads: int) -> None:
    """More threads than the instance from which the widths of the fields were learned."""
    system = _spins(fuse(FINE).fused, *[MIXED] * threads)
    plain, swept = count_states(system), sweep(system, counting=True)
    assert (swept.states, swept.transitions) == (plain.states, plain.transitions)
    assert swept.holds


def test_calls_one_after_another_have_ranks_too() -> None:
    """A thread that goes on with its next call goes forward."""
    system = System(FINE, scenario("wait;release", "kill;kill"))
    plain, swept = explore(system), sweep(system, counting=False)
    assert (swept.states, swept.transitions) == (plain.states, plain.transitions)
    assert swept.ranked


@pytest.mark.parametrize("counting", [False, True])
def test_without_ranks_the_visited_set_finds_the_same(counting: bool) -> None:
    """The two orders of search agree on everything they count."""
    table = fuse(FINE).fused if counting else FINE
    system = _spins(table, "wait", "release", "signal", "signal")
    ranked = sweep(system, counting=counting)
    visited = sweep(system, counting=counting, ranked=False)
    assert (ranked.ranked, visited.ranked) == (True, False)
    assert (ranked.states, ranked.transitions) == (visited.states, visited.transitions)
    assert (ranked.resting, ranked.broken) == (visited.resting, visited.broken)


def _spinning(*, lost: bool) -> Table:
    """Return a lock that is taken and given back for ever; ``lost``: or never given back."""
    lock = shared("lock", BOOL, "whether a thread is inside")
    taken: Expr = lock
    give = command("give", "store", "inside", "try", ~taken if lost else taken, {lock: 0})
    return Table(
        id="spinning",
        platform="any",
        title="a lock in circles",
        source="this test",
        shared=(lock,),
        local=(),
        methods={"take": "try"},
        commands=(command("take", "swap", "try", "inside", ~taken, {lock: 1}), give),
        laws=(Law("never", "sometimes", "nothing shows this", FALSE),),
    )


@pytest.mark.parametrize("lost", [False, True])
def test_a_design_that_goes_in_circles_is_swept_with_a_visited_set(lost: bool) -> None:
    """No rank is increased, so the states are kept; a deadlock is found where there is one."""
    system = System(_spinning(lost=lost), scenario("take", "take"))
    plain, swept = explore(system), sweep(system, counting=False)
    assert not swept.ranked
    assert (swept.states, swept.transitions) == (plain.states, plain.transitions)
    assert swept.broken == plain.counterexamples.keys() == ({DEADLOCK} if lost else set())
    assert swept.unseen == ("never",)


def test_what_does_not_fit_is_refused_with_the_reason() -> None:
    """Nothing is hashed: more bits than there are is an error, not a smaller search."""
    with pytest.raises(DesignError, match="does not fit into 63 bits"):
        sweep(_spins(FINE, *["release"] * 40), counting=False)


def test_a_field_that_turns_out_too_narrow_is_widened() -> None:
    """More threads meet in one place than in the small instance: the sweep starts again, wider."""
    gone = shared("gone", 4, "how many have come")
    table = Table(
        id="seats",
        platform="any",
        title="the first three pass, the later ones sit down until all have come",
        source="this test",
        shared=(gone,),
        local=(),
        methods={"come": "door"},
        commands=(
            command("pass", "add", "door", END, gone < 3, {gone: gone + 1}),
            command("sit", "add", "door", "seat", gone >= 3, {gone: gone + 1}),
            command("rise", "load", "seat", END, gone == 6),
        ),
    )
    system = System(table, scenario(*["come"] * 6))
    plain, swept = count_states(system), sweep(system, counting=True)
    assert (swept.states, swept.transitions) == (plain.states, plain.transitions)
    assert swept.holds
