"""The invariant that is guessed: whatever the guesses, what is left of them is inductive."""

from dataclasses import replace

from lastref.model.designs import get
from lastref.model.houdini import guesses, houdini
from lastref.model.induct import CONSECUTION, INITIATION, prove_any
from lastref.model.invariants import INVARIANTS
from lastref.model.survey import Survey, starts
from lastref.model.system import scenario

TABLE = get("dotnet-safehandle", "any")
INVARIANT = INVARIANTS["dotnet-safehandle", "any"]


def test_what_is_left_of_wrong_guesses_is_an_invariant() -> None:
    """One thread alone never sees another close: guessed never to be, and dropped again."""
    survey = Survey(TABLE, [scenario("use")])
    guessed = {c.id for c in guesses(TABLE, INVARIANT, survey)}
    assert "nobody-at-dispose.close" in guessed
    found = houdini(TABLE, INVARIANT, survey)
    assert "nobody-at-dispose.close" not in {c.id for c in found.conjuncts}
    proofs = {p.law: p for p in prove_any(TABLE, found)}
    assert proofs[INITIATION].holds
    assert proofs[CONSECUTION].holds


def test_what_is_known_of_a_design_is_kept() -> None:
    """Conjuncts that are inductive stay, beside those that were guessed."""
    found = houdini(TABLE, INVARIANT, Survey(TABLE))
    assert set(INVARIANT.conjuncts) <= set(found.conjuncts)
    assert len(found.conjuncts) > len(INVARIANT.conjuncts)


def test_a_start_made_by_hand_weakens_what_it_breaks() -> None:
    """go-2016 on Windows with a number nobody opened: the field's law holds, or it began so."""
    table = get("go-2016", "windows")
    known = INVARIANTS["go-2016", "windows"]
    everywhere = replace(known, starts=(*known.starts, *starts(table).values()))
    kept = {c.id for c in houdini(table, everywhere, Survey(table)).conjuncts}
    assert "open-is-held" not in kept
    assert "open-is-held-or-handle=unopened" in kept
