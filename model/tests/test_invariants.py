"""Every design for any number of threads: what it keeps is proved, and nothing in that is spare."""

from dataclasses import replace

import pytest

from lastref.model.cases import CASES
from lastref.model.designs import all_tables, get
from lastref.model.explore import DEADLOCK
from lastref.model.induct import CONSECUTION, INITIATION, Induction, prove_any, without
from lastref.model.invariants import INVARIANTS, ONE_WAIT, PARTIAL, SOUND, Invariant
from lastref.model.overflow import FILLINGS, overflow
from lastref.model.proof import ANY

Key = tuple[str, str]
SLOW = ("go-fdmutex", "any")
REPEATED = frozenset(
    key for key in PARTIAL if key[0] in ("go-2023-find", "go-2023-reland", "go-2025-double")
)
"""Designs whose conjuncts are, one for one, those of another one here."""


def marked(keys: object) -> list[object]:
    """Return the keys as parameters; what takes long is marked so."""
    return [
        pytest.param(k, marks=pytest.mark.slow if k == SLOW or k in REPEATED else ())
        for k in keys  # type: ignore[attr-defined]
    ]


def failing(key: Key, invariant: Invariant) -> str | None:
    """Return the first law that the invariant does not prove."""
    return next((p.law for p in Induction(get(*key), invariant).run() if not p.holds), None)


def test_every_design_on_every_platform_has_an_invariant() -> None:
    """Nothing is left out: sound designs claim all their laws, the others say what they break."""
    tables = {(t.id, t.platform) for t in all_tables()}
    assert set(INVARIANTS) == tables
    assert set(SOUND) & set(PARTIAL) == set()
    assert all(not invariant.broken for invariant in SOUND.values())
    assert all(invariant.broken for invariant in PARTIAL.values())
    broken = {(c.design, c.platform): c.law for c in CASES}
    assert all(law in PARTIAL[key].broken for key, law in broken.items())


@pytest.mark.parametrize("key", marked(INVARIANTS))
def test_what_a_design_keeps_it_keeps_for_any_number_of_threads(key: Key) -> None:
    """Every law that the design is not known to break is proved, and that nobody is stuck."""
    proofs = prove_any(get(*key))
    assert [p.id for p in proofs if not p.holds] == []
    stated = {law.id for law in get(*key).laws if law.kind != "sometimes"}
    expected = (stated - INVARIANTS[key].broken) | {INITIATION, CONSECUTION, DEADLOCK}
    assert expected <= {p.law for p in proofs}
    assert all(p.threads == ANY and p.cases >= 1 for p in proofs)


@pytest.mark.parametrize("key", [("go-2016", "linux-pid"), ("go-2024", "linux-pid")])
def test_one_wait_beside_any_number_of_signals_is_safe(key: Key) -> None:
    """What the lock of 2016 is for: no signal goes astray while one Wait reaps our child."""
    proofs = {p.law: p for p in Induction(get(*key), ONE_WAIT[key]).run()}
    assert all(p.holds for p in proofs.values())
    assert "one Wait" in proofs["no-wrong-process"].premise
    twice = replace(ONE_WAIT[key], once=())
    assert failing(key, twice) == CONSECUTION


@pytest.mark.parametrize("key", marked(INVARIANTS))
def test_no_conjunct_can_be_spared(key: Key) -> None:
    """Without any one sentence of the invariant, some law is no longer proved."""
    for conjunct in INVARIANTS[key].conjuncts:
        assert failing(key, without(INVARIANTS[key], conjunct)), conjunct.id


@pytest.mark.parametrize("key", FILLINGS)
def test_the_limit_of_a_count_is_exact(key: Key) -> None:
    """The largest number of holders is reached; the next acquire goes wrong or is refused."""
    found = overflow(get(*key))
    assert [p.id for p in found.proofs if not p.holds] == []
    assert found.proofs[-1].law == (
        "limit-is-guarded" if key[0] == "go-fdmutex" else "limit-is-exact"
    )


def test_word_overflow_is_the_last_word_before_the_status_bits() -> None:
    """Case word-overflow: 2^62 - 2 holders, and one more acquire says done with no references."""
    found = overflow(get("go-2024"))
    witness = found.proofs[-1].counterexample
    assert witness == {"holders": 0x3FFFFFFFFFFFFFFE, "word": (1 << 62) - 1, "word'": 1 << 62}
    assert found.run is not None
    assert found.run.law == "no-panic"
    names = [name for _, name in found.run.schedule]
    assert names == ["signal.load", "signal.cas", "signal.send.hit", "free.load.zero"]


def test_safe_handle_wraps_to_zero_and_nothing_notices() -> None:
    """SafeHandle at 0xFFFFFFFC: one more reference makes the word 0, and no obligation breaks."""
    found = overflow(get("dotnet-safehandle", "any"))
    witness = found.proofs[-1].counterexample
    assert witness is not None
    assert (witness["state"], witness["state'"]) == (0xFFFFFFFC, 0)
    assert found.run is None
