"""The steps of every design that works on a raw pid: the field, the status and the lock.

``sigMu`` keeps a signal from being sent between the moment a Wait reaps the process and the moment
everybody knows: a signaller reads the status and calls kill() under the read lock; Wait waits for
the exit without reaping, sets the status, passes through the write lock once (so that every
signaller who missed the status has finished), and only then reaps.

    signal   rlock ─ status ─ load_pid ─ kill ─ runlock
    wait     load_pid ─ waitid(WNOWAIT) ─ mark ─ lock ─ unlock ─ load_pid ─ wait4 ─ finish

Where the kernel has no waitid, Wait goes straight on to wait4, and the race is open.  What the
status is, a flag or a word, is each design's own; here are the steps of the flag of 2016 and 2023.

Not a design by itself: :mod:`~lastref.model.designs.go_2016` and the raw-pid parts of the later
ones are made of these.  Source: Go commit cea29c4a35 (2016), src/os/exec_unix.go.
"""

from __future__ import annotations

from collections.abc import Callable

from lastref.model.algebra import BOOL, TRUE, Expr, after, implies
from lastref.model.kernel import exited
from lastref.model.kernel_pid import (
    MINUS_ONE,
    MINUS_TWO,
    ZERO,
    pid,
    send_by_pid,
    target,
    wait_and_reap,
    wait_without_reaping,
)
from lastref.model.table import END, HOLDERS, Command, Law, Variable, command, shared

isdone = shared("isdone", BOOL, "the flag: a Wait has seen the process end")
readers = shared("readers", 64, "signallers that hold sigMu for reading")
writer = shared("writer", BOOL, "a Wait holds sigMu for writing")

LOCK_VARIABLES = (readers, writer)
FLAG_VARIABLES = (isdone, *LOCK_VARIABLES)

Refusals = dict[str, tuple[int, str]]
"""Values of Pid that end a call: the command's suffix, the value, and the outcome."""

SIGNAL_REFUSALS: Refusals = {"released": (MINUS_ONE, "REL"), "unset": (ZERO, "UNINIT")}
WAIT_REFUSALS: Refusals = {"released": (MINUS_ONE, "EINVAL")}
MISSING: Refusals = {"missing": (MINUS_TWO, "EPD")}

ReadStatus = Callable[[str, str, str], tuple[Command, ...]]
"""Makes the load of the status at a location: on to the second, or refused to the third."""
SetDone = Callable[[str, str], tuple[Command, ...]]
"""Makes the commands that set the status to done at a location, and go on to the second."""


def check_pid(
    at: str, then: str, refusals: Refusals, *, outcome: str | None = None
) -> tuple[Command, ...]:
    """Return the load of ``Pid`` that only compares it, on to ``then`` with ``outcome``."""
    fine: Expr = TRUE
    for value, _ in refusals.values():
        fine = pid != value if fine is TRUE else fine & (pid != value)
    refused = tuple(
        command(f"{at}.{name}", "load_pid", at, END, pid == value, None, refusal)
        for name, (value, refusal) in refusals.items()
    )
    return (*refused, command(at, "load_pid", at, then, fine, None, outcome))


def load_target(at: str, to: str) -> Command:
    """Return the load of ``Pid`` whose value goes to the kernel."""
    return command(at, "load_pid", at, to, update={target: pid})


def read_flag(at: str, then: str, refused: str) -> tuple[Command, ...]:
    """Return the load of the done flag."""
    return (
        command(f"{at}.done", "load_flag", at, refused, isdone, None, "EPD"),
        command(at, "load_flag", at, then, ~isdone),
    )


def set_flag(at: str, to: str) -> tuple[Command, ...]:
    """Return the store to the done flag."""
    return (command(at, "store_flag", at, to, update={isdone: 1}),)


def signal_by_pid(
    name: str, *, fatal: bool, status: ReadStatus = read_flag, pids: Variable = pid
) -> tuple[Command, ...]:
    """Return a signal by pid under the read lock, refused when the status says so."""
    rlock, check, load = f"{name}.rlock", f"{name}.status", f"{name}.load_pid"
    kill, runlock = f"{name}.kill", f"{name}.runlock"
    return (
        read_lock(rlock, check),
        *status(check, load, runlock),
        load_target(load, kill),
        *send_by_pid(kill, runlock, fatal=fatal, pids=pids),
        read_unlock(runlock, END),
    )


def wait_by_pid(
    name: str,
    *,
    done: SetDone = set_flag,
    pids: Variable = pid,
    fallback: bool = True,
    waitid: bool = True,
) -> tuple[Command, ...]:
    """Return a wait by pid: wait for the exit, set the status, drain the signallers, reap.

    Without ``fallback`` a kernel that has no waitid is an error, as it was in 2016; without
    ``waitid`` the system has none and is not asked.
    """
    load, block, mark = f"{name}.load_pid", f"{name}.waitid", f"{name}.mark"
    lock, unlock = f"{name}.lock", f"{name}.unlock"
    again, reap, finish = f"{name}.load_pid_again", f"{name}.wait4", f"{name}.finish"
    reaping = (
        load_target(again, reap),
        *wait_and_reap(reap, finish, END, pids=pids),
        *done(finish, END),
    )
    if not waitid:
        return reaping
    missing, outcome = (again, None) if fallback else (END, "waitid:ENOSYS")
    return (
        load_target(load, block),
        *wait_without_reaping(block, mark, END, missing=missing, missing_outcome=outcome),
        *done(mark, lock),
        write_lock(lock, unlock),
        write_unlock(unlock, again),
        *reaping,
    )


def read_lock(at: str, to: str) -> Command:
    """Return ``sigMu.RLock()``: it waits while a writer holds the lock."""
    return command(at, "rlock", at, to, ~writer, {readers: readers + 1})


def read_unlock(at: str, to: str) -> Command:
    """Return ``sigMu.RUnlock()``."""
    return command(at, "runlock", at, to, update={readers: readers - 1})


def write_lock(at: str, to: str) -> Command:
    """Return ``sigMu.Lock()``: it waits for every reader and writer."""
    return command(at, "lock", at, to, ~writer & (readers == 0), {writer: 1})


def write_unlock(at: str, to: str) -> Command:
    """Return ``sigMu.Unlock()``."""
    return command(at, "unlock", at, to, update={writer: 0})


def store_released(at: str, to: str, outcome: str | None = None) -> Command:
    """Return Release's store to the Pid field, with no lock around it."""
    return command(at, "store_pid", at, to, update={pid: MINUS_ONE}, outcome=outcome)


def read_locked(*names: str) -> frozenset[str]:
    """Return the locations at which a thread in a signal of ``names`` holds the read lock."""
    inside = ("status", "load_pid", "kill", "runlock")
    return frozenset(f"{name}.{place}" for name in names for place in inside)


WAITING = frozenset({"wait.waitid", "wait.wait4", "wait.lock"})
"""Where a Wait by pid may have to stand for a while."""
LOCKING = frozenset({"signal.rlock", "kill.rlock"})
"""Where a signal by pid may have to."""


def lock_laws(*, writers: bool = True) -> tuple[Law, ...]:
    """Return the laws of ``sigMu``; the table's ``holding`` must be its readers' locations.

    Without ``writers`` nobody ever writes: there is nothing to exclude.
    """
    excludes = (
        Law(
            "lock-excludes",
            "always",
            "nobody reads under the lock while somebody writes",
            ~writer | (readers == 0),
        ),
        Law(
            "sometimes-writer", "sometimes", "a Wait holds the lock", writer, beside="lock-excludes"
        ),
    )
    return (
        Law(
            "readers-are-holders",
            "always",
            "the lock counts exactly the threads that are inside a signal",
            readers == HOLDERS,
        ),
        Law(
            "sometimes-reader",
            "sometimes",
            "a signaller holds the lock",
            readers != 0,
            beside="readers-are-holders",
        ),
        *(excludes if writers else ()),
    )


def done_laws(done: Expr, done_after: Expr) -> tuple[Law, ...]:
    """Return the laws of "done": set once, and only for a process that has ended."""
    return (
        Law("done-set-once", "step", "done is never taken back", implies(done, done_after)),
        Law(
            "done-implies-ended",
            "always",
            "done says that our process has ended",
            implies(done, exited),
        ),
        Law("sometimes-done", "sometimes", "done is set", done, beside="done-set-once"),
    )


def flag_laws() -> tuple[Law, ...]:
    """Return the laws of the done flag."""
    return done_laws(isdone, after(isdone))
