"""go-2024: one 64-bit word, the last user closes.

Every method that gives the handle to the kernel first *acquires* a transient reference and releases
it afterwards.  Release, and a Wait that succeeded, drop the persistent reference and set the status
in the same atomic step.  Load and compare-and-swap are separate steps; a failed one goes round
again.

    acquire              use            transient release          persistent release(reason)
    load ─ status? ──▶   waitid /       load ─ panics ──▶          load ─ status? ──▶ nothing to do
     ▲  │  refuse        pidfd_send_     ▲  │                       ▲  │
     │  ▼                signal          │  ▼                       │  ▼
     └ cas +1                            └ cas -1 ─ 0 left ─▶ close └ cas -1|reason ─ 0 ─▶ close

Signal  = acquire; pidfd_send_signal; transient release.
Wait    = acquire; waitid; on success persistent release(done); transient release.
Release = persistent release(released).  (In this mode nobody reads its store to Pid.)

Source: Go commit beaf7f3282 (2024); src/os/exec.go, exec_unix.go, pidfd_linux.go.
"""

from __future__ import annotations

from lastref.model.algebra import Expr
from lastref.model.designs.starts import GONE_HANDLE, LITERALS, OTHERS
from lastref.model.kernel import (
    AUTOREAP,
    EXIT,
    HANDLE_VARIABLES,
    REOPEN,
    close_handle,
    send_signal,
    wait_for_exit,
)
from lastref.model.properties import PANICS, kernel_laws, word_laws
from lastref.model.table import END, PANICKED, Command, Table, command, local, shared
from lastref.model.word import DONE, RELEASED, refs, status

word = shared("word", 64, "the status/refcount word", initial=1)
old = local("old", 64, "the word as this thread loaded it")

REFCOUNT_ZERO = "panic:release of handle with refcount 0"
NO_STATUS = "panic:final release of handle without processStatus"


def acquire(
    method: str, then: str, *, done: str, released: str, outcome: str | None = None
) -> tuple[Command, ...]:
    """Return the transient acquire of ``method``: on to ``then``, or end as the status says."""
    load, cas = f"{method}.load", f"{method}.cas"
    return (
        command(f"{load}.done", "load", load, END, status(word) == DONE, outcome=done),
        command(
            f"{load}.released", "load", load, END, (status(word) & RELEASED) != 0, outcome=released
        ),
        command(load, "load", load, cas, status(word) == 0, {old: word}),
        *compare_exchange(cas, load, {then: None}, old + 1, outcome),
    )


def transient_release(name: str = "free", *, closing: str = "close") -> tuple[Command, ...]:
    """Return the transient release: the code that Wait and Signal share."""
    load, cas, close = f"{name}.load", f"{name}.cas", f"{name}.close"
    lost = refs(word) == 0
    bare = (refs(word) == 1) & (status(word) == 0)
    return (
        command(f"{load}.zero", "load", load, PANICKED, lost, None, REFCOUNT_ZERO, PANICS),
        command(f"{load}.bare", "load", load, PANICKED, bare, None, NO_STATUS, PANICS),
        command(load, "load", load, cas, ~lost & ~bare, {old: word}),
        *compare_exchange(cas, load, {END: refs(old) != 1, close: refs(old) == 1}, old - 1),
        *close_handle(close, END, op=closing),
    )


def persistent_release(
    name: str,
    reason: int,
    then: str,
    *,
    outcome: str | None,
    late: str | None = None,
    closing: str = "close",
) -> tuple[Command, ...]:
    """Return the persistent release for ``reason``: on to ``then``, the first or not.

    ``late`` is the outcome where the handle was released before, if that is another one.
    """
    load, cas, close = f"{name}.load", f"{name}.cas", f"{name}.close"
    live = status(word) == 0
    again = ~live if late is None else status(word) == DONE
    twice = command(f"{load}.twice", "load", load, then, status(word) & RELEASED != 0, None, late)
    return (
        command(f"{load}.late", "load", load, then, again, None, outcome),
        *(() if late is None else (twice,)),
        command(
            f"{load}.zero",
            "load",
            load,
            PANICKED,
            live & (refs(word) == 0),
            None,
            REFCOUNT_ZERO,
            PANICS,
        ),
        command(load, "load", load, cas, live & (refs(word) != 0), {old: word}),
        *compare_exchange(
            cas, load, {then: refs(old) != 1, close: refs(old) == 1}, old - 1 | reason, outcome
        ),
        *close_handle(close, then, op=closing),
    )


def compare_exchange(
    cas: str,
    again: str,
    goes: dict[str, Expr | None],
    new: Expr,
    outcome: str | None = None,
) -> tuple[Command, ...]:
    """Return the compare-and-swap at ``cas`` from ``old`` to ``new``.

    Swapped, it goes on to the one of ``goes`` whose condition holds; otherwise to ``again``.  The
    loaded value is dead afterwards and is parked at 0, so that it makes no states of its own.
    """
    op = "compare_exchange"
    swapped = tuple(
        command(
            cas if index == 0 else f"{cas}.last",
            op,
            cas,
            to,
            word == old if condition is None else (word == old) & condition,
            {word: new, old: 0},
            outcome,
        )
        for index, (to, condition) in enumerate(goes.items())
    )
    return (*swapped, command(f"{cas}.retry", op, cas, again, word != old, {old: 0}))


FOREIGN = command("foreign.type", "type_check", "foreign.type", END, outcome="UNSUP")
"""Signal with a type that is no signal: refused before the word is looked at."""


GO_2024 = Table(
    id="go-2024",
    platform="linux",
    title="64-bit status/refcount word, pidfd",
    source="Go commit beaf7f3282 (2024)",
    shared=(word, *HANDLE_VARIABLES),
    local=(old,),
    methods={
        "wait": "wait.load",
        "signal": "signal.load",
        "kill": "kill.load",
        "foreign": "foreign.type",
        "release": "release.load",
    },
    commands=(
        *acquire("wait", "wait.waitid", done="EPD", released="EINVAL"),
        *wait_for_exit("wait.waitid", "drop.load", "free.load"),
        *persistent_release("drop", DONE, "free.load", outcome=None),
        *acquire("signal", "signal.send", done="EPD", released="REL"),
        *send_signal("signal.send", "free.load", fatal=False),
        *acquire("kill", "kill.send", done="EPD", released="REL"),
        *send_signal("kill.send", "free.load", fatal=True),
        FOREIGN,
        *transient_release(),
        *persistent_release("release", RELEASED, END, outcome="nil"),
    ),
    kernel=(EXIT, AUTOREAP, REOPEN),
    laws=(
        *kernel_laws(),
        *word_laws(
            word,
            last_user_closes=frozenset({"free.close"}),
            last_release=frozenset({"free.cas.last"}),
        ),
    ),
    holding=frozenset(
        {
            "wait.waitid",
            "drop.load",
            "drop.cas",
            "drop.close",
            "signal.send",
            "kill.send",
            "free.load",
            "free.cas",
        }
    ),
    blocking=frozenset({"wait.waitid"}),
    starts={
        "start": {},
        "find": {},
        "find-other": OTHERS,
        "find-missing": {**GONE_HANDLE, "word": DONE},
    },
    elsewhere=dict.fromkeys(LITERALS, "linux-pid"),
)
