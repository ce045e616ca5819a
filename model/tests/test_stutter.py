"""Tests of `lastref.model.stutter`: steps and places that make no difference, and some that do."""

import pytest

from lastref.model.designs import get
from lastref.model.fuse import fuse
from lastref.model.invariants import INVARIANTS
from lastref.model.mutate import mutants
from lastref.model.proof import Proof
from lastref.model.reprove import Unbounded
from lastref.model.stutter import same_place, silent_difference
from lastref.model.table import Command, Table

FD_MUTEX = ("go-fdmutex", "any")
BY_PID, ON_WINDOWS = ("go-2025", "linux-pid"), ("go-2025", "windows")


def spoilt(design: tuple[str, str], name: str) -> tuple[Unbounded, Command, Command, Table]:
    """Return the design's proofs, its command, the mutant's in its stead, and the mutant."""
    table = get(*design)
    mutant = next(m for m in mutants(table) if m.id == f"{'/'.join(design)}/{name}")
    (changed,) = mutant.changed
    ours, theirs = table.by_name[changed], mutant.table.by_name[changed]
    return Unbounded(table, INVARIANTS[design]), ours, theirs, mutant.table


def fused(table: Table, name: str) -> Command:
    """Return a command of the fused form of ``table``."""
    return fuse(table).fused.by_name[name]


def proved(proofs: tuple[Proof, ...]) -> bool:
    """Return whether there are proofs and all hold."""
    return bool(proofs) and all(p.holds for p in proofs)


def test_a_wake_up_of_nobody_makes_no_difference() -> None:
    """Close comes there with nobody counted as asleep, and that nobody else can change."""
    name = "close.cas/destination-changed/1"
    unbounded, ours, _, mutant = spoilt(FD_MUTEX, name)
    ways = fused(unbounded.table, ours.name), fused(mutant, ours.name)
    assert ways[1].to == "close.wake"
    assert proved(silent_difference(unbounded, *ways, fuse(mutant).fused.commands))


def test_another_round_makes_a_difference() -> None:
    """To close once more is not silent."""
    unbounded, ours, _, mutant = spoilt(FD_MUTEX, "close.cas/destination-changed/2")
    ways = fused(unbounded.table, ours.name), fused(mutant, ours.name)
    assert not proved(silent_difference(unbounded, *ways, fuse(mutant).fused.commands))


@pytest.mark.parametrize(
    ("design", "name", "to"),
    [
        (BY_PID, "wait.wait4.any-sibling/step-skipped/2", "wait.finish.cas"),
        (ON_WINDOWS, "wait.times.ours/step-skipped/2", "drop.state_cas"),
    ],
)
def test_an_exchange_with_a_constant_is_as_good_a_place_as_its_load(
    design: tuple[str, str], name: str, to: str
) -> None:
    """Of the two a thread is always at the one that lets it go on, or a silent step before it."""
    unbounded, ours, theirs, _ = spoilt(design, name)
    assert theirs.to == to
    proofs = same_place(unbounded, ours, theirs)
    assert {p.law for p in proofs} == {"as-good-a-place"}
    assert proved(proofs)


@pytest.mark.parametrize(
    ("design", "name"),
    [
        (BY_PID, "wait.wait4.any-sibling/step-skipped/1"),
        (ON_WINDOWS, "signal.refs.closed/step-skipped/1"),
        (("go-2024", "linux"), "wait.waitid.reap/step-skipped/2"),
    ],
)
def test_another_place_is_not_as_good(design: tuple[str, str], name: str) -> None:
    """Nothing leads back from an end, and an exchange may want what its load has loaded."""
    unbounded, ours, theirs, _ = spoilt(design, name)
    assert not proved(same_place(unbounded, ours, theirs))
