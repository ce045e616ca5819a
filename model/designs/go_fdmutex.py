"""go-fdmutex: the lock of Go's file descriptors, everything in one 64-bit word.

     63 62            43 42            23 22             3     2       1       0
    +--+----------------+----------------+----------------+-------+-------+--------+
    |  | write waiters  |  read waiters  |   references   | wlock | rlock | closed |
    +--+----------------+----------------+----------------+-------+-------+--------+   starts at 0

    use        incref: load ─ closed? refuse ─ cas +ref;  the use;  decref
    read       rwlock: load ─ closed? refuse ─ free? cas +rlock+ref : cas +waiter, sleep, again;
               the use;  rwunlock: cas -rlock-ref, one waiter less, wake it
    close      increfAndClose: cas +closed+ref, waiters out, wake them all;  decref;  wait for the
               last user
    decref     load ─ cas -ref ─ closed and no references left ─▶ destroy

The process's own reference is missing here: closing is itself an incref, and the word starts at 0.
A sleeper holds no reference; whoever wakes him has already taken him out of the count.  A count
that would wrap to zero panics (at most 1048575): the guard that Go's process word does not have.

The counts of the semaphores are kept in the unit of the waiter fields, as masks of the word.

Source: Go's internal/poll/fd_mutex.go and fd_unix.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from lastref.model.algebra import FALSE, TRUE, Expr, after, const, implies, ite
from lastref.model.kernel import OURS, REOPEN, Updates, close_handle, handle, use_handle
from lastref.model.properties import NO_PANIC, PANICS, kernel_laws
from lastref.model.table import (
    END,
    HOLDERS,
    PANICKED,
    Command,
    Law,
    Table,
    Variable,
    command,
    local,
    shared,
)

CLOSED, RLOCK, WLOCK = 1, 2, 4
REF, READ_WAIT, WRITE_WAIT = 1 << 3, 1 << 23, 1 << 43
FIELD = (1 << 20) - 1
REF_MASK, READ_MASK, WRITE_MASK = FIELD * REF, FIELD * READ_WAIT, FIELD * WRITE_WAIT
CLOSING = "ErrFileClosing"
OVERFLOW = "panic:too many concurrent operations on a single file or socket"
INCONSISTENT = "panic:inconsistent poll.fdMutex"
SWAP = "compare_exchange"

state = shared("state", 64, "closed, two locks, references and waiters")
read_sema = shared("read_sema", 64, "wake-ups for readers, in the unit of the read waiters")
write_sema = shared("write_sema", 64, "wake-ups for writers, in the unit of the write waiters")
closer = shared("closer", 1, "a wake-up for the closer: the handle is destroyed")
old = local("old", 64, "the state as this thread loaded it")

WAKE_ALL = "close.wake"
ENDING = ("load", "cas")
"""Where a thread still holds the reference that it is about to give back."""


@dataclass(frozen=True)
class Lock:
    """One of the two locks: its bit, one waiter, all of its waiters, and their semaphore."""

    bit: int
    waiter: int
    waiters: int
    sema: Variable


READER = Lock(RLOCK, READ_WAIT, READ_MASK, read_sema)
WRITER = Lock(WLOCK, WRITE_WAIT, WRITE_MASK, write_sema)


def full(mask: int) -> Expr:
    """Return whether one more would wrap the field of ``mask`` to zero."""
    return state & mask == mask


def panic(at: str, name: str, when: Expr, message: str) -> Command:
    """Return a panic at the load ``at``."""
    return command(f"{at}.{name}", "load", at, PANICKED, when, None, message, PANICS)


def swap(cas: str, again: str, *goes: tuple[str, str, Expr, Expr]) -> tuple[Command, ...]:
    """Return the compare-and-swap at ``cas``: for each way its name, where to, when, and the word.

    The loaded value is parked, except on the way to a step that wakes those who were in it.
    """
    taken = tuple(
        command(name, SWAP, cas, to, (state == old) & when, {state: new, **parked(to)})
        for name, to, when, new in goes
    )
    return (*taken, command(f"{cas}.retry", SWAP, cas, again, state != old, {old: 0}))


def parked(to: str) -> Updates:
    """Return the parking of the loaded value, unless the step at ``to`` still needs it."""
    return {} if to == WAKE_ALL else {old: 0}


def incref(name: str, then: str) -> tuple[Command, ...]:
    """Return the incref of an operation that needs no lock."""
    load, cas = f"{name}.load", f"{name}.cas"
    closed = state & CLOSED != 0
    return (
        command(f"{load}.closed", "load", load, END, closed, None, CLOSING),
        panic(load, "full", ~closed & full(REF_MASK), OVERFLOW),
        command(load, "load", load, cas, ~closed & ~full(REF_MASK), {old: state}),
        *swap(cas, load, (cas, then, TRUE, old + REF)),
    )


def decref(name: str, then: str) -> tuple[Command, ...]:
    """Return the decref; the last one of a closed lock destroys."""
    load, cas = f"{name}.load", f"{name}.cas"
    none = state & REF_MASK == 0
    new = old - REF
    last = new & (CLOSED | REF_MASK) == CLOSED
    return (
        panic(load, "zero", none, INCONSISTENT),
        command(load, "load", load, cas, ~none, {old: state}),
        *swap(cas, load, (cas, then, ~last, new), (f"{cas}.last", f"{name}.close", last, new)),
        *destroy(name, then),
    )


def destroy(name: str, then: str) -> tuple[Command, ...]:
    """Return the close of the file, and the wake-up of the one who called Close."""
    wake = f"{name}.wake_closer"
    return (
        *close_handle(f"{name}.close", wake),
        command(wake, "semrelease", wake, then, update={closer: 1}),
    )


def rwlock(name: str, then: str, lock: Lock) -> tuple[Command, ...]:
    """Return the lock for reading or for writing: taken with a reference, or waited for without."""
    load, cas, sleep = f"{name}.load", f"{name}.cas", f"{name}.sleep"
    closed, free = state & CLOSED != 0, state & lock.bit == 0
    stuck = ite(free, full(REF_MASK), full(lock.waiters))
    was_free = old & lock.bit == 0
    return (
        command(f"{load}.closed", "load", load, END, closed, None, CLOSING),
        panic(load, "full", ~closed & stuck, OVERFLOW),
        command(load, "load", load, cas, ~closed & ~stuck, {old: state}),
        *swap(
            cas,
            load,
            (cas, then, was_free, (old | lock.bit) + REF),
            (f"{cas}.wait", sleep, ~was_free, old + lock.waiter),
        ),
        command(
            sleep, "semacquire", sleep, load, lock.sema != 0, {lock.sema: lock.sema - lock.waiter}
        ),
    )


def rwunlock(name: str, then: str, lock: Lock) -> tuple[Command, ...]:
    """Return the unlock: one waiter is taken out and woken; else the last one destroys.

    Closing takes all waiters out, so whoever is the last of a closed lock has nobody to wake.
    """
    load, cas, wake = f"{name}.load", f"{name}.cas", f"{name}.wake"
    wrong = (state & lock.bit == 0) | (state & REF_MASK == 0)
    new = (old & ~const(lock.bit, 64)) - REF
    waited = old & lock.waiters != 0
    last = ~waited & (new & (CLOSED | REF_MASK) == CLOSED)
    return (
        panic(load, "wrong", wrong, INCONSISTENT),
        command(load, "load", load, cas, ~wrong, {old: state}),
        *swap(
            cas,
            load,
            (cas, then, ~waited & ~last, new),
            (f"{cas}.wake", wake, waited, new - lock.waiter),
            (f"{cas}.last", f"{name}.close", last, new),
        ),
        command(wake, "semrelease", wake, then, update={lock.sema: lock.sema + lock.waiter}),
        *destroy(name, then),
    )


def close() -> tuple[Command, ...]:
    """Return Close: shut the door, wake everybody who sleeps, let go, wait for the last user."""
    load, cas, wait = "close.load", "close.cas", "close.wait"
    closed, sleepers = state & CLOSED != 0, old & (READ_MASK | WRITE_MASK) != 0
    new = (old | CLOSED) + REF & ~const(READ_MASK | WRITE_MASK, 64)
    woken: Updates = {
        read_sema: read_sema + (old & READ_MASK),
        write_sema: write_sema + (old & WRITE_MASK),
        old: 0,
    }
    return (
        command(f"{load}.closed", "load", load, END, closed, None, CLOSING),
        panic(load, "full", ~closed & full(REF_MASK), OVERFLOW),
        command(load, "load", load, cas, ~closed & ~full(REF_MASK), {old: state}),
        *swap(
            cas,
            load,
            (cas, "drop.load", ~sleepers, new),
            (f"{cas}.wake", WAKE_ALL, sleepers, new),
        ),
        command(WAKE_ALL, "semrelease", WAKE_ALL, "drop.load", update=woken),
        *decref("drop", wait),
        command(wait, "semacquire", wait, END, closer == 1, {closer: 0}, "nil"),
    )


def laws() -> tuple[Law, ...]:
    """Return the laws of the lock."""
    twice = HOLDERS + HOLDERS
    eight = twice + twice + (twice + twice)
    return (
        Law("refs-are-holders", "always", "references = holders", state & REF_MASK == eight),
        Law(
            "open-while-counted",
            "always",
            "the file is open while it has references",
            implies(state & REF_MASK != 0, handle == OURS),
        ),
        Law(
            "closed-has-no-waiters",
            "always",
            "nobody is counted as waiting once it is closed",
            implies(state & CLOSED != 0, state & (READ_MASK | WRITE_MASK) == 0),
        ),
        Law(
            "closed-set-once",
            "step",
            "closed is never taken back",
            implies(state & CLOSED != 0, after(state) & CLOSED != 0),
        ),
        Law(NO_PANIC, "must", "no operation panics"),
        Law(
            "closed-at-rest",
            "rest",
            "at rest the file is closed exactly if the lock is",
            (state & CLOSED != 0) == (handle != OURS),
        ),
        Law(
            "nobody-left-at-rest",
            "rest",
            "at rest no lock is held, nobody waits and no wake-up is left over",
            (state & ~const(CLOSED, 64) == 0) & (read_sema == 0) & (write_sema == 0),
        ),
        Law(
            "sometimes-two-holders",
            "sometimes",
            "two threads hold a reference at once",
            HOLDERS >= 2,
            beside="refs-are-holders",
        ),
        Law(
            "sometimes-last-user-closes",
            "sometimes",
            "the thread that closes the file is not the one that called Close",
            FALSE,
            frozenset({"free.close", "runlock.close", "wunlock.close"}),
            beside="closed-at-rest",
        ),
    )


GO_FDMUTEX = Table(
    id="go-fdmutex",
    platform="any",
    title="the 64-bit lock of Go's file descriptors",
    source="Go internal/poll/fd_mutex.go",
    shared=(state, read_sema, write_sema, closer, handle),
    local=(old,),
    methods={
        "use": "use.load",
        "read": "read.load",
        "write": "write.load",
        "close": "close.load",
    },
    commands=(
        *incref("use", "use.use"),
        *use_handle("use.use", "free.load"),
        *decref("free", END),
        *rwlock("read", "read.use", READER),
        *use_handle("read.use", "runlock.load"),
        *rwunlock("runlock", END, READER),
        *rwlock("write", "write.use", WRITER),
        *use_handle("write.use", "wunlock.load"),
        *rwunlock("wunlock", END, WRITER),
        *close(),
    ),
    kernel=(REOPEN,),
    laws=(*kernel_laws(reaps=False), *laws()),
    holding=frozenset(
        {
            *("use.use", "read.use", "write.use"),
            *(f"{name}.{at}" for name in ("free", "runlock", "wunlock", "drop") for at in ENDING),
            WAKE_ALL,
        }
    ),
    blocking=frozenset({"read.sleep", "write.sleep", "close.wait"}),
    starts={"start": {}},
)
