"""What each step of go-2024 shall do, in terms of the bits of the word.

Written from the commit's own comments and code, on extracted bits: ``done`` is bit 62, ``released``
is bit 63, ``refs`` are bits 61 to 0 as a 62-bit number of their own.  So "add a reference" here is
an addition in 62 bits beside two bits that stay, where the table adds 1 to 64 bits: the two agree
exactly while the count does not run over, which is what makes the limit visible.

Source: Go commit beaf7f3282 (2024), src/os/exec.go, handleTransientAcquire and what follows it.
"""

from __future__ import annotations

from collections.abc import Mapping

import z3

from lastref.model.smt import Term, Terms
from lastref.model.specification import Case, Fact, Specification, When, always, case
from lastref.model.table import BLOCKED, END, PANICKED

DONE_BIT, RELEASED_BIT = 62, 63
LARGEST_COUNT = (1 << 62) - 1
BELOW_LIMIT = "references < 2^62 - 1"


def bit(position: int, word: Term) -> Term:
    """Return whether the bit of ``word`` is set."""
    return z3.Extract(position, position, word) == 1


def count(word: Term) -> Term:
    """Return the references of ``word``: a bit-vector of 62 bits."""
    return z3.Extract(61, 0, word)


def is_done(state: Terms) -> Term:
    """Hold when the status says done and not released."""
    return z3.And(bit(DONE_BIT, state["word"]), z3.Not(bit(RELEASED_BIT, state["word"])))


def is_released(state: Terms) -> Term:
    """Hold when the status says released."""
    return bit(RELEASED_BIT, state["word"])


def is_live(state: Terms) -> Term:
    """Hold when neither status bit is set."""
    word = state["word"]
    return z3.Not(z3.Or(bit(DONE_BIT, word), bit(RELEASED_BIT, word)))


def swaps(state: Terms) -> Term:
    """Hold when the word is still what this thread loaded."""
    return state["word"] == state["old"]


def counts(number: int) -> When:
    """Return the condition that the word has ``number`` references."""
    return lambda s: count(s["word"]) == number


def both(*conditions: When) -> When:
    """Return the conjunction."""
    return lambda s: z3.And(*(c(s) for c in conditions))


def neither(*conditions: When) -> When:
    """Return the negation of each."""
    return lambda s: z3.Not(z3.Or(*(c(s) for c in conditions)))


def loads(to: str, when: When) -> Case:
    """Return the case in which the word is remembered for a compare-and-swap."""
    return case("load", to, None, when, {"old": lambda s: s["word"]})


def exchange(
    to: str,
    change: int,
    when: When = always,
    *,
    sets: int | None = None,
    outcome: str | None = None,
) -> Case:
    """Return a swap that adds ``change`` references, and makes bit ``sets`` the only status bit."""

    def then(before: Terms, after: Terms) -> Term:
        word, new = before["word"], after["word"]
        status = [
            bit(b, new) == (bit(b, word) if sets is None else z3.BoolVal(b == sets))
            for b in (DONE_BIT, RELEASED_BIT)
        ]
        return z3.And(count(new) == count(word) + change, after["old"] == 0, *status)

    writes = frozenset({"word", "old"})
    return Case("compare_exchange", to, outcome, both(swaps, when), then, writes)


def failed(again: str) -> Case:
    """Return the swap that finds another word: it goes round again and changes nothing shared."""
    return case("compare_exchange", again, None, neither(swaps), {"old": _zero})


def _zero(_state: Terms) -> Term:
    return z3.BitVecVal(0, 64)


def acquire(name: str, then: str, done: str, released: str) -> dict[str, tuple[Case, ...]]:
    """An acquire is refused exactly when a status bit is set; otherwise it adds one reference."""
    load, cas = f"{name}.load", f"{name}.cas"
    taken = exchange(then, +1)
    return {
        load: (
            case("load", END, done, is_done),
            case("load", END, released, is_released),
            loads(cas, is_live),
        ),
        cas: (
            Case(
                taken.op,
                taken.to,
                taken.outcome,
                taken.when,
                taken.then,
                taken.writes,
                lambda s: count(s["word"]) != LARGEST_COUNT,
                BELOW_LIMIT,
            ),
            failed(load),
        ),
    }


def transient_release(name: str, then: str) -> dict[str, tuple[Case, ...]]:
    """A transient release drops one reference and keeps the status; the last one goes on to close.

    It panics when there is nothing to drop, and when it would drop the last one of a live word.
    """
    load, cas, close = f"{name}.load", f"{name}.cas", f"{name}.close"
    last = counts(1)
    final = both(last, is_live)
    no_count = "panic:release of handle with refcount 0"
    no_status = "panic:final release of handle without processStatus"
    return {
        load: (
            case("load", PANICKED, no_count, counts(0)),
            case("load", PANICKED, no_status, final),
            loads(cas, neither(counts(0), final)),
        ),
        cas: (exchange(then, -1, neither(last)), exchange(close, -1, last), failed(load)),
        **close_number(close, then),
    }


def persistent_release(
    name: str, reason: int, then: str, outcome: str | None
) -> dict[str, tuple[Case, ...]]:
    """The first persistent release drops one reference and sets its reason in the same step.

    A later one does nothing.
    """
    load, cas, close = f"{name}.load", f"{name}.cas", f"{name}.close"
    last = counts(1)
    no_count = "panic:release of handle with refcount 0"
    return {
        load: (
            case("load", then, outcome, neither(is_live)),
            case("load", PANICKED, no_count, both(is_live, counts(0))),
            loads(cas, both(is_live, neither(counts(0)))),
        ),
        cas: (
            exchange(then, -1, neither(last), sets=reason, outcome=outcome),
            exchange(close, -1, last, sets=reason, outcome=outcome),
            failed(load),
        ),
        **close_number(close, then),
    }


def _ours(state: Terms) -> Term:
    return state["handle"] == 0


def _closed(state: Terms) -> Term:
    return state["handle"] == 1


def _reused(state: Terms) -> Term:
    return state["handle"] == 2


def _reaped(state: Terms) -> Term:
    return state["reaped"]


def _bystander(*values: int) -> When:
    return lambda s: z3.Or(*(s["bystander"] == v for v in values))


def _kin(value: int) -> When:
    return lambda s: s["kin"] == value


def _true(_state: Terms) -> Term:
    return z3.BoolVal(True)


def close_number(at: str, then: str) -> dict[str, tuple[Case, ...]]:
    """Closing frees the number, whoever's it is; a free one stays free."""
    closes = {"handle": lambda _: z3.BitVecVal(1, 2)}
    return {
        at: (
            case("close", then, None, neither(_closed), closes),
            case("close", then, None, _closed),
        )
    }


def send_signal(at: str, then: str, *, fatal: bool) -> dict[str, tuple[Case, ...]]:
    """A signal reaches the process that the number means now, unless that one was reaped."""
    hits = {"exited": _true} if fatal else {}
    # A zombie is not killed again: only a bystander that is alive (0) becomes killed (1).
    kills = (
        {"bystander": lambda s: z3.If(s["bystander"] == 0, z3.BitVecVal(1, 2), s["bystander"])}
        if fatal
        else {}
    )
    op = "pidfd_send_signal"
    return {
        at: (
            case(op, then, "nil", both(_ours, neither(_reaped)), hits),
            case(op, then, "EPD", both(_ours, _reaped)),
            case(op, then, "EBADF", _closed),
            case(op, then, "nil", both(_reused, _bystander(0, 1, 3)), kills),
            case(op, then, "EPD", both(_reused, _bystander(2))),
        )
    }


def wait_for_exit(at: str, then: str, error: str) -> dict[str, tuple[Case, ...]]:
    """A wait reaps a child's zombie, fails for no child of ours, and blocks on one that runs.

    A child whose SIGCHLD we ignore is reaped by the kernel: the wait blocks until then, and fails.
    """
    ended = both(_ours, lambda s: s["exited"], neither(_reaped), _kin(0))
    childless = both(_ours, lambda s: z3.Or(s["reaped"], s["kin"] == 2))
    return {
        at: (
            case("waitid", then, "ok", ended, {"reaped": _true}),
            case("waitid", error, "waitid:ECHILD", childless),
            case("waitid", error, "waitid:EBADF", _closed),
            case("waitid", BLOCKED, "blocked", both(_reused, _bystander(0))),
            case(
                "waitid",
                then,
                "ok",
                both(_reused, _bystander(1, 3)),
                {"bystander": lambda _: z3.BitVecVal(2, 2)},
            ),
            case("waitid", error, "waitid:ECHILD", both(_reused, _bystander(2))),
        )
    }


KERNEL: Mapping[str, tuple[Case, ...]] = {
    "exit": (case("exit", None, None, lambda s: z3.Not(s["exited"]), {"exited": _true}),),
    "autoreap": (
        case(
            "autoreap",
            None,
            None,
            both(lambda s: s["exited"], neither(_reaped), neither(_kin(0))),
            {"reaped": _true},
        ),
    ),
    "reopen": (case("reopen", None, None, _closed, {"handle": lambda _: z3.BitVecVal(2, 2)}),),
}


def overflows_only_at_the_limit(command: str) -> Fact:
    """An acquire changes a status bit exactly when the count was 2^62 - 1."""

    def claim(before: Terms, after: Terms) -> Term:
        word, new = before["word"], after["word"]
        changed = z3.Extract(63, 62, word) != z3.Extract(63, 62, new)
        return changed == (count(word) == LARGEST_COUNT)

    return Fact("overflow-exactly-at-limit", command, claim)


GO_2024_LINUX = Specification(
    cases={
        **acquire("wait", "wait.waitid", done="EPD", released="EINVAL"),
        **wait_for_exit("wait.waitid", "drop.load", "free.load"),
        **persistent_release("drop", DONE_BIT, "free.load", None),
        **acquire("signal", "signal.send", done="EPD", released="REL"),
        **send_signal("signal.send", "free.load", fatal=False),
        **acquire("kill", "kill.send", done="EPD", released="REL"),
        **send_signal("kill.send", "free.load", fatal=True),
        "foreign.type": (case("type_check", END, "UNSUP"),),
        **transient_release("free", END),
        **persistent_release("release", RELEASED_BIT, END, "nil"),
    },
    kernel=KERNEL,
    facts=tuple(overflows_only_at_the_limit(f"{m}.cas") for m in ("wait", "signal", "kill")),
)

SPECIFICATIONS: Mapping[tuple[str, str], Specification] = {("go-2024", "linux"): GO_2024_LINUX}
"""The specification of a design on a platform, by the ids of its table."""
