"""Memory orders: the axioms on litmus tests, and which accesses of the designs may be weaker."""

from collections.abc import Mapping

import pytest

from lastref.model.accesses import program
from lastref.model.algebra import TRUE
from lastref.model.designs import get
from lastref.model.designs.go_2024 import GO_2024
from lastref.model.kernel import NO_DOUBLE_CLOSE, NO_USE_AFTER_CLOSE
from lastref.model.memory_order import (
    ACQ_REL,
    ACQUIRE,
    RELAXED,
    RELEASE,
    SEQ_CST,
    Searched,
    prove_orders,
    weakest,
)
from lastref.model.proof import PROVED, REFUTED
from lastref.model.table import END, Command, Law, Must, Table, command, shared

X, Y, Z = (shared(name, 32, "a word") for name in "xyz")
LAWS = (Law(NO_USE_AFTER_CLOSE, "must", "no use"), Law(NO_DOUBLE_CLOSE, "must", "no close"))


def add(at: str, to: str, word: Command | object, *, seen: int | None = None) -> Command:
    """Return a read-modify-write of a word, which must have seen that number."""
    assert isinstance(word, type(X))
    return command(at, "add", at, to, TRUE if seen is None else word == seen, {word: word + 1})


def look(at: str, to: str, word: Command | object, *, seen: int) -> Command:
    """Return a load of a word, which must have seen that number."""
    assert isinstance(word, type(X))
    return command(at, "load", at, to, word == seen)


def use(at: str, to: str = END) -> Command:
    """Return a use of the handle."""
    return command(at, "use", at, to, must=(Must(NO_USE_AFTER_CLOSE, TRUE),))


def close(at: str, to: str = END) -> Command:
    """Return a close of the handle."""
    return command(at, "close", at, to, must=(Must(NO_DOUBLE_CLOSE, TRUE),))


def litmus(*threads: tuple[Command, ...]) -> Table:
    """Return a table in which each thread is a method, which goes through its commands."""
    return Table(
        id="litmus",
        platform="any",
        title="a litmus test",
        source="this test",
        shared=(X, Y, Z),
        local=(),
        methods={f"{i}": t[0].at or "" for i, t in enumerate(threads)},
        commands=tuple(c for t in threads for c in t),
        laws=LAWS,
    )


MESSAGE = litmus(
    (use("use", "send"), add("send", END, X)),
    (look("receive", "close", X, seen=1), close("close")),
)
"""Message passing: whoever has seen the flag closes."""
CHAIN = litmus(
    (use("use", "send"), add("send", END, X)),
    (add("between", END, X, seen=1),),
    (look("receive", "close", X, seen=2), close("close")),
)
"""The same with an update between: it continues the release sequence."""
BUFFERS = litmus(
    (add("a", "b", X), look("b", "use", Y, seen=0), use("use")),
    (add("c", "d", Y), look("d", "close", X, seen=0), close("close")),
)
"""Store buffering: may both see that the other has not begun?"""
LATE = litmus(
    (look("a", "b", X, seen=1), add("b", "use", Y), use("use")),
    (look("c", "d", Y, seen=1), add("d", "close", X), close("close")),
)
"""Load buffering: each sees what the other does only afterwards."""
COHERENCE = litmus(
    (add("a", END, X),),
    (look("b", "c", X, seen=1), look("c", "close", X, seen=0), close("close", "use"), use("use")),
)
"""Read-read coherence: may a thread see a word go back?"""


@pytest.mark.parametrize(
    ("table", "orders", "allowed"),
    [
        (MESSAGE, {"send": RELAXED, "receive": RELAXED}, True),
        (MESSAGE, {"send": RELEASE, "receive": RELAXED}, True),
        (MESSAGE, {"send": RELAXED, "receive": ACQUIRE}, True),
        (MESSAGE, {"send": RELEASE, "receive": ACQUIRE}, False),
        (CHAIN, {"send": RELEASE, "between": RELAXED, "receive": ACQUIRE}, False),
        (CHAIN, {"send": RELAXED, "between": ACQ_REL, "receive": ACQUIRE}, True),
        (BUFFERS, dict.fromkeys("abcd", RELAXED), True),
        (BUFFERS, {"a": ACQ_REL, "b": ACQUIRE, "c": ACQ_REL, "d": ACQUIRE}, True),
        (BUFFERS, {"a": SEQ_CST, "b": SEQ_CST, "c": SEQ_CST, "d": ACQUIRE}, True),
        (BUFFERS, dict.fromkeys("abcd", SEQ_CST), False),
        (LATE, dict.fromkeys("abcd", RELAXED), False),
        (COHERENCE, dict.fromkeys("abc", RELAXED), False),
    ],
    ids=[
        *("mp-relaxed", "mp-release", "mp-acquire", "mp-both", "chain", "chain-broken"),
        *("sb-relaxed", "sb-acq-rel", "sb-mixed", "sb-seq-cst", "lb", "corr"),
    ],
)
def test_the_axioms_allow_what_the_textbook_allows(
    table: Table, orders: Mapping[str, str], allowed: bool
) -> None:
    """The outcomes of the litmus tests, as in the papers; RC11 forbids load buffering."""
    found = Searched(table, tuple(table.methods)).racy(orders)
    assert (found is not None) is allowed


@pytest.mark.parametrize(
    ("design", "platform", "calls"),
    [
        ("go-2024", "linux", ("signal", "release")),
        ("go-2024", "windows", ("kill", "release")),
        ("go-2025", "linux", ("signal", "release")),
        ("dotnet-safehandle", "any", ("use", "use", "dispose")),
    ],
)
def test_with_go_s_order_every_use_is_before_the_close(
    design: str, platform: str, calls: tuple[str, ...]
) -> None:
    """Sequentially consistent, as Go's atomics are: no race and no panic, and not for nothing."""
    proof = prove_orders(get(design, platform), calls)
    assert (proof.verdict, proof.threads) == (PROVED, len(calls))
    assert proof.cases > 2


def test_a_relaxed_decrement_before_the_close_is_a_race() -> None:
    """The count decides who closes, and nothing orders the other's use before it."""
    calls = ("signal", "release")
    found = Searched(GO_2024, calls).racy({"free.cas": RELAXED})
    assert found is not None
    assert found.fault == "S1 signal.send is not before R2 release.close"
    assert ("R2 release.cas", "S1 free.cas") in found.reads_from
    assert found.threads[0][-3:] == ("S1 signal.send", "S1 free.load", "S1 free.cas")
    assert str(found).startswith(found.fault)
    assert prove_orders(GO_2024, calls, {"free.cas": RELAXED}).verdict == REFUTED


def test_the_weakest_orders_of_go_2024() -> None:
    """Acquiring needs no order; giving back releases, and whoever is the last acquires."""
    found = weakest(GO_2024, [("signal", "release"), ("signal", "signal", "release")])
    assert found.orders == {
        "signal.load": RELAXED,
        "signal.cas": RELAXED,
        "free.load": RELAXED,
        "free.cas": ACQ_REL,
        "release.load": RELAXED,
        "release.cas": ACQUIRE,
    }
    assert {at: order for at, (order, _) in found.too_weak.items()} == {
        "free.cas": RELEASE,
        "release.cas": RELAXED,
    }
    assert found.executions == 8


def test_what_cannot_close_proves_nothing() -> None:
    """Two Signals never close the handle: there is nothing to be before."""
    proof = prove_orders(GO_2024, ("signal", "signal"))
    assert (proof.verdict, proof.cases) == (REFUTED, 0)


def test_the_accesses_are_those_of_the_table() -> None:
    """Loads and exchanges of the word, by where they are; system calls are none."""
    found = program(GO_2024).accesses(["signal"])
    assert found == {
        "signal.load": False,
        "signal.cas": True,
        "free.load": False,
        "free.cas": True,
    }
