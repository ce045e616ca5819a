"""The invariants of the designs that work on a plain pid, and of those that swap a handle out.

They break some laws (that is what they are known for) and keep others; here is why they keep those.
And with one Wait, no Release and a child of our own, a pid is safe for any number of signals: that
is what the lock and the flag of 2016 were made for, and they do it.

    signal  ──▶ lock for reading ─ not done? ─ kill ─ unlock
    Wait    ──▶ set done ─ lock for writing, unlock ─ reap        nobody is between "not done?" and
                                                                  his kill when the pid is freed
"""

from __future__ import annotations

from collections.abc import Callable

import z3

from lastref.model.counting import Count
from lastref.model.invariant import Conjunct
from lastref.model.kernel import GONE, OURS, UNOPENED
from lastref.model.kernel_pid import MINE, MINUS_ONE, SIBLING
from lastref.model.smt import Term

Claim = Callable[[Count], Term]

MARKING = ("wait.mark", "wait.mark.cas", "wait.lock", "wait.unlock", "wait.load_pid_again")
REAPING = ("wait.wait4", "wait.process")
FINISHING = ("wait.finish", "wait.finish.cas", "wait.done", "wait.done.cas")
PASSED = ("signal.load_pid", "signal.kill", "kill.load_pid", "kill.kill")
LOCKED_OUT = ("wait.unlock", "wait.load_pid_again", "wait.wait4", *FINISHING)
WHOLE_WAIT = (*MARKING, *REAPING, *FINISHING)
WINDOWS_WAIT = ("wait.code", "wait.times", *FINISHING)
TARGETING = (*PASSED, "wait.waitid", "wait.wait4")
BEFORE_REAPED = ("wait.check", "wait.load", "wait.state", "wait.load_pid", "wait.waitid", *MARKING)


def flag(s: Count) -> Term:
    """Return that the done flag is set."""
    return s.shared["isdone"]


def word_done(s: Count) -> Term:
    """Return that the status word says done."""
    return s.shared["word"] & (1 << 62) != 0


def word_set(s: Count) -> Term:
    """Return that the status word says anything."""
    return s.shared["word"] != 0


def state_done(s: Count) -> Term:
    """Return that the status says done."""
    return s.shared["state"] == 1


def state_set(s: Count) -> Term:
    """Return that the status says anything."""
    return s.shared["state"] != 0


READERS = Conjunct(
    "readers-are-holders",
    "the lock counts exactly the threads that are inside a signal",
    lambda s: s.shared["readers"] == s.holders,
)


def lock() -> tuple[Conjunct, ...]:
    """Return the invariant of the lock between signals and the Wait that reaps."""
    return (
        READERS,
        Conjunct(
            "one-writer",
            "exactly while the lock is held for writing, one Wait is about to unlock it",
            lambda s: s.at("wait.unlock") == z3.If(s.shared["writer"], 1, 0),
        ),
        Conjunct(
            "lock-excludes",
            "nobody reads while somebody writes",
            lambda s: z3.Implies(s.shared["writer"], s.shared["readers"] == 0),
        ),
    )


PID_COMES_BACK = Conjunct(
    "pid-comes-back",
    "the pid is another's only once our process was reaped, and it was reaped only once it ended",
    lambda s: z3.And(
        z3.Implies(s.shared["pid_owner"] != MINE, s.shared["reaped"]),
        z3.Implies(s.shared["reaped"], s.shared["exited"]),
    ),
)
SIBLING_LIVES = Conjunct(
    "sibling-has-its-pid",
    "a child of ours that has the pid was not reaped",
    lambda s: z3.Implies(s.shared["pid_owner"] == SIBLING, s.shared["bystander"] != GONE),
)


def ended(done: Claim, places: tuple[str, ...] = WHOLE_WAIT) -> Conjunct:
    """Return that done is set, or about to be set, only when our process has ended.

    ``places`` are those of a Wait that has seen it end.
    """
    return Conjunct(
        "done-is-ended",
        "done is set, or about to be set, only when our process has ended",
        lambda s: z3.Implies(z3.Or(done(s), s.at(*places) >= 1), s.shared["exited"]),
    )


def word_is_status() -> Conjunct:
    """Return that the word of the pid mode is nothing but a status."""
    return Conjunct(
        "word-is-a-status",
        "the word is 0, done or released",
        lambda s: z3.Or(*(s.shared["word"] == v for v in (0, 1 << 62, 1 << 63))),
    )


RELEASED_PID = Conjunct(
    "released-after-minus-one",
    "released is set, or about to be set, only when the pid is -1",
    lambda s: z3.Implies(
        z3.Or(s.shared["word"] == 1 << 63, s.at("release.cas") >= 1),
        s.shared["pid"] == MINUS_ONE,
    ),
)


def swapped(closers: tuple[str, ...]) -> tuple[Conjunct, ...]:
    """Return the invariant of a handle field that is swapped out by whoever closes."""

    def held(s: Count) -> Term:
        return s.shared["field"] == 1

    return (
        Conjunct(
            "field-implies-open",
            "while the field holds the number the handle is ours, and nobody closes it",
            lambda s: z3.Implies(held(s), z3.And(s.at(*closers) == 0)),
        ),
        Conjunct(
            "one-closer",
            "at most one thread is about to close, and then the handle is open",
            lambda s: z3.Implies(
                s.at(*closers) >= 1,
                z3.And(s.at(*closers) == 1, s.shared["handle"] == OURS),
            ),
        ),
        Conjunct(
            "open-is-held",
            "the handle is open exactly while the field holds it or somebody is about to close it",
            lambda s: (s.shared["handle"] == OURS) == z3.Or(held(s), s.at(*closers) >= 1),
        ),
        Conjunct(
            "opened-here",
            "the handle is a number that was opened here",
            lambda s: s.shared["handle"] != UNOPENED,
        ),
    )


def one_wait(done: Claim) -> tuple[Conjunct, ...]:
    """Return why no signal goes astray beside one Wait of our own child, without a Release."""
    return (
        *lock()[:2],
        Conjunct(
            "pid-is-n",
            "without a Release everybody means the pid that the object has",
            lambda s: s.at(*TARGETING) == s.at(*TARGETING, target=0),
        ),
        Conjunct(
            "reaped-frees",
            "the pid is ours until our process is reaped",
            lambda s: (s.shared["pid_owner"] == MINE) == z3.Not(s.shared["reaped"]),
        ),
        Conjunct(
            "one-wait",
            "there is one Wait, and before it reaps nobody has",
            lambda s: z3.And(
                s.at(*BEFORE_REAPED, "wait.wait4", *FINISHING) <= 1,
                z3.Implies(s.at(*BEFORE_REAPED, "wait.wait4") >= 1, z3.Not(s.shared["reaped"])),
            ),
        ),
        Conjunct(
            "done-before-lock",
            "done is set before the lock is taken for writing, and before the reaping",
            lambda s: z3.Implies(
                z3.Or(s.at("wait.lock", *LOCKED_OUT) >= 1, s.shared["reaped"]), done(s)
            ),
        ),
        Conjunct(
            "nobody-in-between",
            "past the lock nobody is between his look at the flag and his kill",
            lambda s: z3.Implies(
                s.at(*PASSED) >= 1,
                z3.And(s.at(*LOCKED_OUT) == 0, z3.Not(s.shared["reaped"])),
            ),
        ),
    )
