"""Lock-freedom for any number of threads: the lemmas hold of the designs, and broken loops fail."""

from dataclasses import replace

import pytest

from lastref.model.algebra import TRUE
from lastref.model.designs import get
from lastref.model.designs.go_2024 import GO_2024, word
from lastref.model.explore import DEADLOCK
from lastref.model.induct import CONSECUTION, FUSION, INITIATION, prove_any
from lastref.model.liveness import LOCK_FREE
from lastref.model.lockfree import (
    FAIR,
    NEWS,
    ONLY_THREADS,
    SILENT,
    prove_lock_freedom,
    prove_termination,
)
from lastref.model.proof import ANY, PROVED, REFUTED, UNKNOWN
from lastref.model.table import END, Command, Table, command, kernel_command

WITHOUT_LOCKS = (
    ("go-2024", "linux"),
    ("go-2024", "linux-find"),
    ("go-2024", "windows"),
    ("go-2025", "linux"),
    ("go-2025", "windows"),
    ("dotnet-safehandle", "any"),
)


def changed(*new: Command) -> Table:
    """Return go-2024 with commands replaced by name."""
    by_name = {c.name: c for c in new}
    return replace(GO_2024, commands=tuple(by_name.get(c.name, c) for c in GO_2024.commands))


def failed(table: Table) -> dict[str, str]:
    """Return the lemmas that do not hold, with their verdicts; the conclusion must agree."""
    *lemmas, conclusion = prove_lock_freedom(table)
    found = {p.law: p.verdict for p in lemmas if not p.holds}
    worst = REFUTED if REFUTED in found.values() else UNKNOWN if found else PROVED
    assert (conclusion.law, conclusion.verdict) == (LOCK_FREE, worst)
    return found


@pytest.mark.parametrize("key", WITHOUT_LOCKS, ids="/".join)
def test_sound_designs_without_locks_are_lock_free_for_any_number(key: tuple[str, str]) -> None:
    """Each loop is silent, each way round it is news, and only threads write what it reads."""
    *lemmas, conclusion = prove_lock_freedom(get(*key))
    assert {p.law for p in lemmas} == {SILENT, NEWS, ONLY_THREADS}
    assert all(p.holds and p.threads == ANY for p in (*lemmas, conclusion))


def test_a_design_with_locks_claims_nothing() -> None:
    """Whoever waits for a lock waits for its owner."""
    assert prove_lock_freedom(get("go-fdmutex", "any")) == ()


def test_an_exchange_that_may_fail_for_nothing_is_refuted() -> None:
    """A round in which nothing changed: the values that allow it are told."""
    retry = replace(GO_2024.by_name["signal.cas.retry"], guard=TRUE)
    assert failed(changed(retry)) == {NEWS: REFUTED}


def test_a_loop_that_writes_is_refuted() -> None:
    """Who changes the word each time round could keep others from getting on."""
    retry = GO_2024.by_name["signal.cas.retry"]
    loud = replace(retry, update=(*retry.update, ("word", word + 1)))
    assert failed(changed(loud)) == {SILENT: REFUTED}


def test_a_kernel_that_writes_the_word_is_refuted() -> None:
    """A failed exchange is then no other thread's doing."""
    meddle = kernel_command("meddle", TRUE, {word: word + 1})
    assert failed(replace(GO_2024, kernel=(*GO_2024.kernel, meddle))) == {ONLY_THREADS: REFUTED}


def test_a_loop_with_two_ways_round_that_share_no_head_is_not_decided() -> None:
    """The argument needs one location that every way round leads through."""
    table = Table(
        id="two-heads",
        platform="any",
        title="a walk to and fro on three locations",
        source="this test",
        shared=(word,),
        local=(),
        methods={"go": "a"},
        commands=(
            command("ab", "load", "a", "b", word == 1),
            command("ba", "load", "b", "a", word == 2),
            command("bc", "load", "b", "c", word == 3),
            command("cb", "load", "c", "b", word == 4),
            command("ac", "load", "a", "c", word == 5),
            command("ca", "load", "c", "a", word == 6),
            command("a", "load", "a", END, word == 0),
        ),
    )
    assert failed(table) == {NEWS: UNKNOWN}


def test_fair_termination_follows_from_lock_freedom_and_the_induction() -> None:
    """Without the invariant, the absence of deadlock or the laws at rest it does not follow."""
    lock_free, rest = prove_lock_freedom(GO_2024)[-1], frozenset({"closed-at-rest"})
    laws = prove_any(GO_2024)
    used = {FUSION, INITIATION, CONSECUTION, DEADLOCK, "closed-at-rest"}
    whole = prove_termination(lock_free, laws, rest)
    assert (whole.verdict, whole.threads, whole.cases) == (PROVED, ANY, 1 + len(used))
    assert whole.premise.endswith(FAIR)
    assert "2^62 - 1" in whole.premise
    for law in used:
        wrong = [replace(p, verdict=REFUTED) if p.law == law else p for p in laws]
        assert prove_termination(lock_free, wrong, rest).verdict == REFUTED
    for law in used - {FUSION}:
        fewer = [p for p in laws if p.law != law]
        assert prove_termination(lock_free, fewer, rest).verdict == REFUTED
    spun = replace(lock_free, verdict=REFUTED)
    assert prove_termination(spun, laws, rest).verdict == REFUTED
