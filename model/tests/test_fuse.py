"""Load, exchange and retry are one atomic step: the lemma, small systems, negative cases."""

from dataclasses import replace

import pytest

from lastref.model.algebra import TRUE, show, var
from lastref.model.designs import get
from lastref.model.designs.go_2023_pidfd import GO_2023_PIDFD
from lastref.model.designs.go_2024 import GO_2024
from lastref.model.explore import explore
from lastref.model.fuse import fuse, simplify
from lastref.model.kernel import OURS, handle
from lastref.model.refine import compare_reachable, prove_refinement
from lastref.model.system import System, scenario
from lastref.model.table import Table


def changed(name: str, **changes: object) -> Table:
    """Return go-2024 with one command changed."""
    commands = (
        replace(c, **changes) if c.name == name else c  # type: ignore[arg-type]
        for c in GO_2024.commands
    )
    return replace(GO_2024, commands=tuple(commands))


def test_the_fused_table_has_no_loaded_value_left() -> None:
    """Every round of go-2024 becomes one command on the word itself; nothing else changes."""
    fusion = fuse(GO_2024)
    assert fusion.forgotten == {"old"}
    assert fusion.fused.local == ()
    assert set(fusion.home) == {at for at in GO_2024.locations if at.endswith(".cas")}
    acquire = fusion.fused.by_name["signal.cas"]
    assert (acquire.at, acquire.to) == ("signal.load", "signal.send")
    assert show(acquire.guard) == "((word & 0xc000000000000000) == 0)"
    assert [(n, show(e)) for n, e in acquire.update] == [("word", "(word + 1)")]
    untouched = {c.name for c in GO_2024.commands if c.op not in ("load", "compare_exchange")}
    assert all(fusion.fused.by_name[n].guard is GO_2024.by_name[n].guard for n in untouched)


def test_a_table_without_rounds_stays_as_it_is() -> None:
    """go-2023 swaps at once: there is nothing to fuse, and nothing to prove."""
    fusion = fuse(GO_2023_PIDFD)
    assert fusion.rounds == ()
    assert fusion.fused.commands == GO_2023_PIDFD.commands
    assert prove_refinement(GO_2023_PIDFD) == ()


def test_the_lemma_is_proved_for_every_round_of_go_2024() -> None:
    """Loads are silent, rounds are atomic, failures are news, and every fused step is possible."""
    proofs = prove_refinement(GO_2024)
    assert [p for p in proofs if not p.holds] == []
    counts = {law: sum(p.law == law for p in proofs) for law in {p.law for p in proofs}}
    assert counts == {
        "load-is-silent": 6,
        "round-is-atomic": 15,
        "failure-is-news": 6,
        "fused-is-possible": 9,
    }


@pytest.mark.parametrize(
    ("name", "changes", "law"),
    [
        ("signal.cas.retry", {"to": "signal.send"}, "round-is-atomic"),
        ("release.cas.retry", {"to": "end", "outcome": "nil"}, "round-is-atomic"),
        ("free.cas", {"guard": TRUE}, "round-is-atomic"),
        (
            "signal.load",
            {"guard": GO_2024.by_name["signal.load"].guard & (handle == OURS)},
            "round-is-atomic",
        ),
        ("kill.cas.retry", {"guard": TRUE}, "failure-is-news"),
    ],
)
def test_a_round_that_is_not_atomic_is_refuted(
    name: str, changes: dict[str, object], law: str
) -> None:
    """No retry, a swap that does not compare, a load that asks for more than the word."""
    refuted = {p.law for p in prove_refinement(changed(name, **changes)) if not p.holds}
    assert law in refuted


@pytest.mark.parametrize("calls", [["signal|wait|release"] * 2, ["wait", "kill", "release"]])
def test_fine_and_fused_systems_reach_the_same_states(calls: list[str]) -> None:
    """With rounds in progress taken back, the fine graph has exactly the fused one's states."""
    found = compare_reachable(GO_2024, scenario(*calls))
    assert found.equal
    assert found.fine > found.projected == found.fused > 50


def test_a_difference_between_the_two_graphs_is_counted() -> None:
    """Without the retry the fine graph has states that the fused one cannot have."""
    mutant = changed("signal.cas.retry", to="signal.send")
    assert compare_reachable(mutant, scenario("signal", "release")).extra > 0


def test_the_fused_table_breaks_no_law_either() -> None:
    """The explorer runs the fused table as it runs any other."""
    found = explore(System(fuse(GO_2024).fused, scenario("wait", "signal", "release")))
    assert found.holds
    assert found.unseen == ()


def test_conditions_that_are_settled_disappear() -> None:
    """x == x is true, x != x false, and constants vanish from conjunctions and branches."""
    x, p = var("x", 8), var("p", 0)
    assert show(simplify((x == x) & p)) == "p"
    assert show(simplify((x != x) | p)) == "p"
    assert show(simplify((x != x) & p)) == "false"
    assert show(simplify(~~p)) == "p"
    assert show(simplify(~(x == x))) == "false"


@pytest.mark.parametrize("calls", [("read", "close"), ("close", "close"), ("use", "read")])
def test_a_round_in_progress_forgets_what_it_loaded_last(calls: tuple[str, ...]) -> None:
    """fdMutex needs a loaded value after the round; where a round begins it is dead."""
    found = compare_reachable(get("go-fdmutex", "any"), scenario(*calls))
    assert found.equal
    assert found.fine > found.fused > 10
