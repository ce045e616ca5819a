"""The mutants of a table: how many, what they are, and what is proved of the same ones."""

from collections import Counter
from collections.abc import Iterator

import pytest

from lastref.model.algebra import FALSE, TRUE, conjunction, key, show, var
from lastref.model.designs import all_tables, get
from lastref.model.equivalence import Equivalence
from lastref.model.histories import Histories, TooLargeError, difference, not_among, show_history
from lastref.model.invariants import INVARIANTS
from lastref.model.mutate import ANSWERED, OPERATORS, Mutant, conjuncts, mutants, variants
from lastref.model.reprove import Unbounded, bit_level, first_refuted
from lastref.model.survey import Survey, mixes, starts
from lastref.model.system import Scenario, System, scenario
from lastref.model.table import Table

GO_2024 = get("go-2024")
INVARIANT = INVARIANTS["go-2024", "linux"]

COUNTS = {
    "guard-dropped": 33,
    "guard-negated": 33,
    "conjunct-dropped": 24,
    "comparison-swapped": 46,
    "constant-off": 42,
    "test-off": 14,
    "bit-swapped": 6,
    "bit-ignored": 34,
    "status-bit-ignored": 12,
    "update-dropped": 30,
    "update-off": 33,
    "reason-left-out": 4,
    "reason-swapped": 4,
    "outcome-replaced": 25,
    "retry-left-out": 6,
    "exchange-skipped": 9,
    "close-before-exchange": 3,
    "close-skipped": 3,
    "release-skipped": 26,
    "step-skipped": 33,
    "destination-changed": 37,
    "panic-dropped": 4,
}


@pytest.fixture(scope="module")
def found() -> dict[str, Mutant]:
    """Every mutant of go-2024 by its id."""
    return {m.id: m for m in mutants(GO_2024)}


@pytest.fixture(scope="module")
def equivalence() -> Equivalence:
    """The equivalence prover of go-2024."""
    return Equivalence(GO_2024, INVARIANT)


def test_the_mutants_of_go_2024_are_exactly_these(found: dict[str, Mutant]) -> None:
    """Each operator makes the same number of mutants as ever: none is lost unnoticed."""
    assert Counter(m.operator for m in found.values()) == COUNTS
    assert len(found) == sum(COUNTS.values()) == 461
    assert set(COUNTS) == set(OPERATORS)


@pytest.mark.parametrize("table", all_tables(), ids=lambda t: f"{t.id}-{t.platform}")
def test_every_table_has_at_least_thirty_mutants_each_once(table: Table) -> None:
    """All tables are mutated, ids are unique, and none is the table itself."""
    made = mutants(table)
    assert len(made) >= 30
    assert len({m.id for m in made}) == len(made)
    assert all(m.changed and m.locations for m in made)


def test_the_same_table_gives_the_same_mutants(found: dict[str, Mutant]) -> None:
    """Ids are stable: they follow from the table alone."""
    assert [m.id for m in mutants(GO_2024)] == list(found)
    assert all(name.startswith("go-2024/linux/") for name in found)


@pytest.mark.parametrize(
    ("name", "command", "column", "becomes"),
    [
        ("signal.load/guard-dropped/1", "signal.load", "guard", "true"),
        ("free.cas.last/close-skipped/1", "free.cas.last", "to", "end"),
        ("wait.waitid.no-child/release-skipped/1", "wait.waitid.no-child", "to", "end"),
        ("drop.cas/reason-left-out/1", "drop.cas", "update", "(old - 1)"),
        ("release.cas/reason-swapped/1", "release.cas", "update", f"((old - 1) | {1 << 62:#x})"),
        ("signal.load.done/outcome-replaced/1", "signal.load.done", "outcome", "EINVAL"),
        ("wait.load/exchange-skipped/1", "wait.load", "to", "wait.waitid"),
    ],
)
def test_an_operator_changes_what_it_says(
    found: dict[str, Mutant], name: str, command: str, column: str, becomes: str
) -> None:
    """The command of the id is changed in that column, and nothing else is."""
    mutant = found[f"go-2024/linux/{name}"]
    assert mutant.changed == {command}
    changed = mutant.table.by_name[command]
    shown = {
        "guard": show(changed.guard),
        "to": changed.to,
        "outcome": changed.outcome,
        "update": show(changed.update[0][1]) if changed.update else None,
    }
    assert shown[column] == becomes


def test_a_failed_exchange_that_is_taken_for_a_success_changes_no_word(
    found: dict[str, Mutant],
) -> None:
    """The retry that is left out goes both ways of the success, without its update."""
    mutant = found["go-2024/linux/free.cas.retry/retry-left-out/1"]
    ways = {
        c.to: c for c in mutant.table.leaving["free.cas"] if c.name.startswith("free.cas.retry")
    }
    assert set(ways) == {"end", "free.close"}
    assert all(c.writes == {"old"} for c in ways.values())


def test_a_close_before_the_exchange_holds_a_reference_meanwhile(
    found: dict[str, Mutant],
) -> None:
    """The new location is before the decrement, so its thread still counts as a holder."""
    mutant = found["go-2024/linux/free.cas.last/close-before-exchange/1"]
    assert mutant.table.holding - GO_2024.holding == {"free.cas.last.first"}
    assert {c.op for c in mutant.table.leaving["free.cas.last.first"]} == {"close"}


def test_the_answers_of_the_kernel_are_not_mutated(found: dict[str, Mutant]) -> None:
    """Of an answered command only the outcome and the way on differ in any mutant."""
    for mutant in found.values():
        for name in mutant.changed & GO_2024.by_name.keys() & mutant.table.by_name.keys():
            old, new = GO_2024.by_name[name], mutant.table.by_name[name]
            if old.op in ANSWERED:
                assert key(old.guard) == key(new.guard), mutant.id
                assert old.update == new.update, mutant.id


def test_variants_change_one_node_each() -> None:
    """`a & b & a` with every variable negated in turn: three trees."""
    a, b = var("a", 0), var("b", 0)
    whole = a & b & a
    made = list(variants(whole, lambda e: [~e] if e.op == "var" else []))
    assert [show(m) for m in made] == [
        "((!a && b) && a)",
        "((a && !b) && a)",
        "((a && b) && !a)",
    ]
    assert [show(t) for t in conjuncts(whole)] == ["a", "b", "a"]
    assert show(conjunction(*conjuncts(whole))) == show(whole)
    assert (show(TRUE), show(FALSE)) == ("true", "false")


def test_the_survey_starts_from_everywhere() -> None:
    """Every start of the table, and every value of a variable that no command writes."""
    assert list(starts(GO_2024)) == ["", "find-other", "find-missing", "kin=ignored"]
    assert len(list(mixes(GO_2024, 3))) == 5 + 15 + 35


def small(*calls: str) -> Survey:
    """Survey go-2024 in one scenario."""
    return Survey(GO_2024, [scenario(*calls)])


def compiled(mutant: Mutant) -> System:
    """Compile a mutant."""
    return System(mutant.table, Scenario(()))


def test_a_contrast_finds_where_a_mutant_differs(found: dict[str, Mutant]) -> None:
    """An acquire that ignores done differs after a Wait, and not where nobody waits."""
    mutant = found["go-2024/linux/signal.load/status-bit-ignored/1"]
    assert small("signal", "wait").contrast(compiled(mutant), mutant.locations).behaviour
    assert not small("signal", "release").contrast(compiled(mutant), mutant.locations).views


def test_a_wrong_outcome_is_no_other_behaviour(found: dict[str, Mutant]) -> None:
    """An outcome alone differs for those who look at histories, not for the laws."""
    mutant = found["go-2024/linux/signal.send.hit/outcome-replaced/1"]
    contrast = small("signal").contrast(compiled(mutant), mutant.locations)
    assert contrast.outcomes == {0}
    assert not contrast.behaviour
    assert not contrast.hidden


def both(mutant: Mutant, *calls: str, effects: bool) -> Iterator[Histories]:
    """Yield the histories of go-2024 and of a mutant in one scenario."""
    for table in (GO_2024, mutant.table):
        yield Histories(System(table, scenario(*calls)), effects=effects)


def test_a_leak_is_seen_from_outside_only_by_its_effects(found: dict[str, Mutant]) -> None:
    """A close that is skipped changes no outcome; the call returns and nothing was closed."""
    mutant = found["go-2024/linux/release.cas.last/close-skipped/1"]
    assert difference(*both(mutant, "release", effects=False)) is None
    design, wrong = both(mutant, "release", effects=True)
    history = not_among(wrong, design)
    assert history is not None
    assert show_history(history) == "invoke R1, R1 -> nil"


def test_a_design_has_its_own_histories_and_no_others() -> None:
    """Inclusion is reflexive, and a smaller system's histories are not a larger one's."""
    one = Histories(System(GO_2024, scenario("wait", "release")), effects=True)
    assert difference(one, one) is None
    other = Histories(System(GO_2024, scenario("wait")), effects=True)
    assert not_among(one, other) == (("invoke", "R1"),)


def test_a_mutant_that_spins_for_ever_hangs(found: dict[str, Mutant]) -> None:
    """A release that always goes round again never comes to an end, and that is seen."""
    mutant = found["go-2024/linux/release.cas.last/guard-negated/1"]
    design, wrong = both(mutant, "release", effects=False)
    history = not_among(wrong, design)
    assert history is not None
    assert history[-1] in (("hang",), ("end",))


def test_a_graph_that_is_too_large_is_refused() -> None:
    """A comparison that would be cut short says so instead of finding nothing."""
    with pytest.raises(TooLargeError):
        Histories(System(GO_2024, scenario("wait", "signal")), effects=True, most=10)


@pytest.mark.parametrize(
    "name",
    [
        "free.load.zero/panic-dropped/1",
        "release.load.zero/panic-dropped/1",
        "drop.load/status-bit-ignored/1",
        "drop.cas.last/close-skipped/1",
        "drop.cas.last/close-before-exchange/1",
        "signal.send.closed/step-skipped/1",
        "drop.close.again/release-skipped/1",
        "wait.cas/update-dropped/2",
        "free.cas.last/conjunct-dropped/1",
    ],
)
def test_a_mutant_that_does_the_same_is_proved_to(
    found: dict[str, Mutant], equivalence: Equivalence, name: str
) -> None:
    """A check that cannot fail, a branch never taken, a value nobody reads, a lone exchange."""
    proofs = equivalence.prove(found[f"go-2024/linux/{name}"].table)
    assert proofs
    assert all(p.holds for p in proofs), proofs[-1]


@pytest.mark.parametrize(
    "name",
    [
        "signal.load/guard-dropped/1",
        "signal.load/status-bit-ignored/1",
        "free.cas.last/close-skipped/1",
        "wait.waitid.reap/outcome-replaced/1",
        "release.cas.retry/retry-left-out/1",
        "free.cas.last/close-before-exchange/1",
        "drop.cas/reason-swapped/1",
    ],
)
def test_a_mutant_that_does_something_else_is_not_proved_the_same(
    found: dict[str, Mutant], equivalence: Equivalence, name: str
) -> None:
    """The proof of sameness fails where there is a difference."""
    proofs = equivalence.prove(found[f"go-2024/linux/{name}"].table)
    assert not proofs[-1].holds


@pytest.mark.parametrize("name", ["signal.load/guard-dropped/1", "drop.cas/reason-swapped/1"])
def test_the_provers_refuse_a_wrong_mutant(found: dict[str, Mutant], name: str) -> None:
    """What a change touches is proved again, bit by bit and for any number of threads."""
    mutant = found[f"go-2024/linux/{name}"]
    assert first_refuted(bit_level(mutant.table, mutant.commands)) is not None
    if name.startswith("signal"):
        unbounded = Unbounded(GO_2024, INVARIANT)
        assert first_refuted(unbounded.prove(mutant.table)) is not None


def test_the_provers_have_nothing_against_the_design() -> None:
    """Proved again as its own mutant in every command, go-2024 stands."""
    assert first_refuted(bit_level(GO_2024, GO_2024.commands)) is None
    assert first_refuted(Unbounded(GO_2024, INVARIANT).prove(GO_2024)) is None


@pytest.mark.parametrize("platform", ["linux", "windows"])
def test_a_loaded_value_that_leaves_its_round_has_no_proof(platform: str) -> None:
    """A step into the middle of a round cannot be fused: that is said, whatever other locals."""
    table = get("go-2024", platform)
    if (table.id, table.platform) not in INVARIANTS:
        pytest.skip(f"no invariant of go-2024 on {platform} is known")
    wanted = f"go-2024/{platform}/drop.load.late/step-skipped/1"
    mutant = next(m for m in mutants(table) if m.id == wanted)
    refused = first_refuted(Unbounded(table, INVARIANTS["go-2024", platform]).prove(mutant.table))
    assert refused is not None
    assert refused.law == "no-proof"


@pytest.mark.parametrize(
    ("design", "name"),
    [
        (("dotnet-safehandle", "any"), "dispose.cas/destination-changed/2"),
        (("go-2024", "windows"), "drop.cas/destination-changed/2"),
    ],
)
def test_a_silent_step_more_is_proved_to_make_no_difference(
    design: tuple[str, str], name: str
) -> None:
    """It goes round once more, finds what it has just set, and goes where it would have gone."""
    table = get(*design)
    mutant = next(m for m in mutants(table) if m.id.endswith(f"/{name}"))
    proofs = Equivalence(table, INVARIANTS[design]).prove(mutant.table)
    assert {p.law for p in proofs} >= {"arrives-settled", "stays-settled", "nothing-else"}
    assert all(p.holds for p in proofs), proofs[-1]


def test_a_skipped_system_call_is_seen_by_whoever_traces_the_calls() -> None:
    """Nothing else shows it: a Wait that never asks for the times tells the same."""
    table = get("go-2024", "windows")
    mutant = next(m for m in mutants(table) if m.id.endswith("wait.code.ours/step-skipped/1"))
    one, other = (System(t, scenario("wait")) for t in (table, mutant.table))
    for calls in (False, True):
        found = difference(
            Histories(one, effects=True, calls=calls), Histories(other, effects=True, calls=calls)
        )
        assert (found is not None) == calls
    assert found is not None
    assert "call W1/GetProcessTimes" in show_history(found)
