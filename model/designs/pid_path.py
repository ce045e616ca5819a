"""The steps of every design that works on a raw pid: the field, the done flag and the lock.

``sigMu`` keeps a signal from being sent between the moment a Wait reaps the process and the moment
everybody knows: a signaller reads the done flag and calls kill() under the read lock; Wait waits
for the exit without reaping, sets the flag, passes through the write lock once (so that every
signaller who missed the flag has finished), and only then reaps.

    signal   load_pid ─ rlock ─ load_flag ─ load_pid ─ kill ─ runlock
    wait     load_pid ─ load_pid ─ waitid(WNOWAIT) ─ store_flag ─ lock ─ unlock ─┐
                                                   store_flag ─ wait4 ─ load_pid ┘

Not a design by itself: :mod:`~lastref.model.designs.go_2016` and the raw-pid parts of the later
ones are made of these.  Source: Go commit cea29c4a35 (2016), src/os/exec_unix.go.
"""

from __future__ import annotations

from lastref.model.algebra import BOOL, TRUE, after, implies
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
from lastref.model.table import END, HOLDERS, Command, Law, command, shared

isdone = shared("isdone", BOOL, "the flag: a Wait has seen the process end")
readers = shared("readers", 64, "signallers that hold sigMu for reading")
writer = shared("writer", BOOL, "a Wait holds sigMu for writing")

LOCK_VARIABLES = (readers, writer)
FLAG_VARIABLES = (isdone, *LOCK_VARIABLES)


def check_pid(
    at: str, then: str, refusals: dict[str, tuple[int, str]], *, op: str = "load_pid"
) -> tuple[Command, ...]:
    """Return the load of ``Pid`` that only compares it; ``refusals`` name values and outcomes."""
    fine = TRUE
    for value, _ in refusals.values():
        fine = (pid != value) if fine is TRUE else fine & (pid != value)
    refused = tuple(
        command(f"{at}.{name}", op, at, END, pid == value, None, outcome)
        for name, (value, outcome) in refusals.items()
    )
    return (*refused, command(at, op, at, then, fine))


SIGNAL_REFUSALS = {"released": (MINUS_ONE, "REL"), "unset": (ZERO, "UNINIT")}
WAIT_REFUSALS = {"released": (MINUS_ONE, "EINVAL")}
MISSING = {"missing": (MINUS_TWO, "EPD")}


def load_target(at: str, to: str) -> Command:
    """Return the load of ``Pid`` whose value goes to the kernel."""
    return command(at, "load_pid", at, to, update={target: pid})


def flag_signal(name: str, *, fatal: bool) -> tuple[Command, ...]:
    """Return a signal by pid under the read lock, refused when the flag is set."""
    rlock, flag, load = f"{name}.rlock", f"{name}.flag", f"{name}.load_pid"
    kill, runlock = f"{name}.kill", f"{name}.runlock"
    return (
        read_lock(rlock, flag),
        command(f"{flag}.done", "load_flag", flag, runlock, isdone, None, "EPD"),
        command(flag, "load_flag", flag, load, ~isdone),
        load_target(load, kill),
        *send_by_pid(kill, runlock, fatal=fatal),
        read_unlock(runlock, END),
    )


def flag_wait(name: str) -> tuple[Command, ...]:
    """Return a wait by pid: wait for the exit, set the flag, drain the signallers, reap."""
    load, block, mark = f"{name}.load_pid", f"{name}.waitid", f"{name}.mark"
    lock, unlock = f"{name}.lock", f"{name}.unlock"
    again, reap, finish = f"{name}.load_pid_again", f"{name}.wait4", f"{name}.finish"
    return (
        load_target(load, block),
        *wait_without_reaping(block, mark, END),
        command(mark, "store_flag", mark, lock, update={isdone: 1}),
        write_lock(lock, unlock),
        write_unlock(unlock, again),
        load_target(again, reap),
        *wait_and_reap(reap, finish, END),
        command(finish, "store_flag", finish, END, update={isdone: 1}),
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


def read_locked(*names: str) -> frozenset[str]:
    """Return the locations at which a thread in a signal of ``names`` holds the read lock."""
    inside = ("flag", "load_pid", "kill", "runlock")
    return frozenset(f"{name}.{place}" for name in names for place in inside)


def lock_laws() -> tuple[Law, ...]:
    """Return the laws of ``sigMu``; the table's ``holding`` must be its readers' locations."""
    return (
        Law(
            "readers-are-holders",
            "always",
            "the lock counts exactly the threads that are inside a signal",
            readers == HOLDERS,
        ),
        Law(
            "lock-excludes",
            "always",
            "nobody reads under the lock while somebody writes",
            ~writer | (readers == 0),
        ),
        Law(
            "sometimes-reader",
            "sometimes",
            "a signaller holds the lock",
            readers != 0,
            beside="lock-excludes",
        ),
        Law(
            "sometimes-writer", "sometimes", "a Wait holds the lock", writer, beside="lock-excludes"
        ),
    )


def flag_laws() -> tuple[Law, ...]:
    """Return the laws of the done flag: it is set once, and only for a process that has ended."""
    return (
        Law(
            "done-set-once",
            "step",
            "the done flag is never cleared",
            implies(isdone, after(isdone)),
        ),
        Law(
            "done-implies-ended",
            "always",
            "the flag is set only when our process has ended",
            implies(isdone, exited),
        ),
        Law("sometimes-done", "sometimes", "the flag is set", isdone, beside="done-set-once"),
    )
