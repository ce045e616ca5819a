"""go-2025-double: the word of go-2024, and a second count in the handle; days in February 2025.

    acquire   word.load ─ word.cas +1 ─ refs.load ─ zero? panic ─ refs.cas +1
    release   word.load ─ word.cas -1 ─ refs.load ─ refs.cas -1 ─ it was 1 ─▶ close

Two counts of one thing, changed one after the other, disagree in between (go issue 71564):

    Signal    word.load ─ word.cas +1 ─ . . . . . . . . . . . . . . . . . ─ refs.load: 0, panic
    Release                           word.cas -1|released ─ refs.cas 1→0 ─ close

Source: the Go tree of February 2025, src/os/exec.go, before the fix of go issue 71564.
"""

from __future__ import annotations

from dataclasses import replace

from lastref.model.algebra import Expr
from lastref.model.designs.counted_handle import acquire_handle, refs, release_handle, seen
from lastref.model.designs.go_2024 import FOREIGN, NO_STATUS, REFCOUNT_ZERO, old
from lastref.model.designs.go_2024_pid import GO_2024_PID
from lastref.model.designs.starts import LITERALS, OTHERS, PID_STARTS
from lastref.model.kernel import (
    AUTOREAP,
    EXIT,
    HANDLE_VARIABLES,
    REOPEN,
    send_signal,
    wait_for_exit,
)
from lastref.model.properties import NO_PANIC, PANICS, kernel_laws, word_laws
from lastref.model.table import END, PANICKED, Command, Law, Table, command, shared
from lastref.model.word import DONE, RELEASED, status
from lastref.model.word import refs as word_refs

MISMATCH = "panic:inconsistent reference counts"
LOAD, CAS = "word.load", "word.compare_exchange"

word = shared("word", 64, "the status/refcount word", initial=1)


def swap(cas: str, again: str, to: str, new: Expr, outcome: str | None) -> tuple[Command, ...]:
    """Return the compare-and-swap of the word, on to ``to``; the handle's own count is next."""
    return (
        command(cas, CAS, cas, to, word == old, {word: new, old: 0}, outcome),
        command(f"{cas}.retry", CAS, cas, again, word != old, {old: 0}),
    )


def acquire(method: str, then: str, *, done: str, released: str) -> tuple[Command, ...]:
    """Return the acquire of both counts; the second failing is a panic."""
    load, cas = f"{method}.load", f"{method}.cas"
    gone = status(word) & RELEASED != 0
    return (
        command(f"{load}.done", LOAD, load, END, status(word) == DONE, None, done),
        command(f"{load}.released", LOAD, load, END, gone, None, released),
        command(load, LOAD, load, cas, status(word) == 0, {old: word}),
        *swap(cas, load, f"{method}.refs", old + 1, None),
        *acquire_handle(method, then, (PANICKED, MISMATCH)),
    )


def transient_release(name: str = "free") -> tuple[Command, ...]:
    """Return the transient release: the word's count, then the handle's, which alone closes."""
    load, cas = f"{name}.load", f"{name}.cas"
    lost = word_refs(word) == 0
    bare = (word_refs(word) == 1) & (status(word) == 0)
    return (
        command(f"{load}.zero", LOAD, load, PANICKED, lost, None, REFCOUNT_ZERO, PANICS),
        command(f"{load}.bare", LOAD, load, PANICKED, bare, None, NO_STATUS, PANICS),
        command(load, LOAD, load, cas, ~lost & ~bare, {old: word}),
        *swap(cas, load, f"{name}.refs", old - 1, None),
        *release_handle(name, END),
    )


def persistent_release(
    name: str, reason: int, then: str, *, outcome: str | None
) -> tuple[Command, ...]:
    """Return the persistent release for ``reason``, of both counts."""
    load, cas = f"{name}.load", f"{name}.cas"
    live = status(word) == 0
    lost = live & (word_refs(word) == 0)
    return (
        command(f"{load}.late", LOAD, load, then, ~live, None, outcome),
        command(f"{load}.zero", LOAD, load, PANICKED, lost, None, REFCOUNT_ZERO, PANICS),
        command(load, LOAD, load, cas, live & (word_refs(word) != 0), {old: word}),
        *swap(cas, load, f"{name}.refs", old - 1 | reason, outcome),
        *release_handle(name, then),
    )


LAWS_OF_THE_WORD = frozenset(
    {
        "word-is-legal",
        "status-set-once",
        "done-implies-reaped",
        NO_PANIC,
        "closed-at-rest",
        "sometimes-released",
        "sometimes-last-user-closes",
    }
)
"""The laws of go-2024's word that say nothing of who holds a reference: two counts differ there."""


def laws() -> tuple[Law, ...]:
    """Return the laws of the word beside a second count."""
    closes = frozenset({"free.close"})
    return (
        *(
            law
            for law in word_laws(word, last_user_closes=closes, last_release=closes)
            if law.id in LAWS_OF_THE_WORD
        ),
        Law("sometimes-done", "sometimes", "done is set", status(word) == DONE, beside=NO_PANIC),
    )


GO_2025_DOUBLE = Table(
    id="go-2025-double",
    platform="linux",
    title="the word of go-2024 and a second count in the handle",
    source="the Go tree of February 2025",
    shared=(word, refs, *HANDLE_VARIABLES),
    local=(old, seen),
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
    laws=(*kernel_laws(), *laws()),
    blocking=frozenset({"wait.waitid"}),
    starts={"start": {}, "find": {}, "find-other": OTHERS},
    elsewhere=dict.fromkeys((*LITERALS, "find-missing"), "linux-pid"),
)

GO_2025_DOUBLE_PID = replace(
    GO_2024_PID,
    id="go-2025-double",
    title=f"{GO_2024_PID.title}; a missing process is done",
    source="the Go tree of February 2025",
    starts={
        **PID_STARTS,
        "find-missing": {**PID_STARTS["find-missing"], "word": DONE},
        "find-missing-by-pid": PID_STARTS["find-missing"],
    },
)
"""Without a handle it is go-2024 by pid, but for FindProcess of a process that is gone."""
