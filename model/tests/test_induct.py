"""Proofs for any number of threads: they hold, nothing in them can be spared, mutants fail them."""

from dataclasses import replace

import pytest

from lastref.model.algebra import FALSE, TRUE
from lastref.model.designs.go_2024 import GO_2024, word
from lastref.model.explore import DEADLOCK
from lastref.model.induct import CONSECUTION, FUSION, INITIATION, Induction, prove_any, without
from lastref.model.invariants import INVARIANTS
from lastref.model.proof import ANY
from lastref.model.table import Table

INVARIANT = INVARIANTS["go-2024", "linux"]


def changed(name: str, **changes: object) -> Table:
    """Return go-2024 with one command changed."""
    commands = (
        replace(c, **changes) if c.name == name else c  # type: ignore[arg-type]
        for c in GO_2024.commands
    )
    return replace(GO_2024, commands=tuple(commands))


def test_every_law_of_go_2024_holds_for_any_number_of_threads() -> None:
    """The invariant starts, stays, and implies every law that is not a mere sight."""
    proofs = prove_any(GO_2024)
    assert [p for p in proofs if not p.holds] == []
    stated = {law.id for law in GO_2024.laws if law.kind != "sometimes"}
    assert {p.law for p in proofs} == stated | {INITIATION, CONSECUTION, FUSION, DEADLOCK}
    assert all(p.threads == ANY and p.cases >= 1 for p in proofs)
    assert all("2^62" in p.premise for p in proofs)


@pytest.mark.parametrize("conjunct", INVARIANT.conjuncts, ids=lambda c: c.id)
def test_no_conjunct_can_be_spared(conjunct: object) -> None:
    """Without any one sentence of the invariant, some obligation fails."""
    weaker = replace(
        INVARIANT, conjuncts=tuple(c for c in INVARIANT.conjuncts if c is not conjunct)
    )
    assert not all(p.holds for p in prove_any(GO_2024, weaker))


def test_the_invariant_is_not_empty() -> None:
    """Three holders at work, and a closer after all have gone, both satisfy the invariant."""
    induction = Induction(GO_2024, INVARIANT)
    before = induction.before
    busy = [before.at("signal.send") == 2, before.at("drop.load") == 1]
    closing = [before.at("free.close") == 1]
    for given in (busy, closing):
        assert induction.decider.possible("seen", "", given, {}).holds


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("signal.load", {"guard": TRUE}),
        ("signal.cas", {"update": ()}),
        ("free.cas.last", {"to": "end"}),
        ("free.cas", {"to": "free.close"}),
        ("drop.cas", {"update": (("word", word - 1),)}),
        ("release.cas.last", {"to": "end"}),
        ("release.load", {"guard": word != 0}),
        ("release.cas.retry", {"to": "end"}),
        ("free.load", {"guard": FALSE}),
        ("wait.waitid.reap", {"to": "free.load"}),
    ],
)
def test_a_mutant_fails(name: str, changes: dict[str, object]) -> None:
    """Each broken guard, update or jump fails some obligation, with concrete values."""
    failed = [p for p in prove_any(changed(name, **changes)) if not p.holds]
    assert failed
    assert all(p.counterexample for p in failed)


def test_one_holder_more_than_the_premise_allows_breaks_the_invariant() -> None:
    """With the premise weakened by one, an acquire no longer keeps the invariant."""
    weaker = replace(INVARIANT, limit=INVARIANT.limit + 1)
    failed = {p.law: p for p in prove_any(GO_2024, weaker) if not p.holds}
    found = failed[CONSECUTION].counterexample
    assert found is not None
    assert found["holders"] == 0x3FFFFFFFFFFFFFFE


def test_dropping_a_conjunct_is_a_weaker_invariant() -> None:
    """`without` drops exactly one."""
    first = INVARIANT.conjuncts[0]
    assert without(INVARIANT, first).conjuncts == INVARIANT.conjuncts[1:]
