"""The laws of a handle word, and beside each the sight that keeps it from being vacuous.

Always      the handle is not used after it was closed, nor when its number is somebody else's; it
            is not closed twice; references = persistent + transient holders; the word is legal;
            done means reaped; nothing panics.
Step        the status never changes once it is set.
Eventually  when all threads are done, the handle is closed exactly if the persistent reference was
            dropped (and with "not closed twice": exactly once).
Sometimes   what each of these would miss if nothing ever happened.

The three kinds, and the habit of a ``sometimes`` beside every claim, are Stateright's.
"""

from __future__ import annotations

from lastref.model.algebra import FALSE, Expr, after, const, implies, ite
from lastref.model.kernel import (
    CHILD,
    CLOSED,
    NO_DOUBLE_CLOSE,
    NO_UNOPENED,
    NO_USE_AFTER_CLOSE,
    NO_WRONG_PROCESS,
    OURS,
    REUSED,
    handle,
    kin,
    reaped,
)
from lastref.model.kernel_pid import SIBLING, STRANGER, pid_owner
from lastref.model.table import HOLDERS, Law, Must
from lastref.model.word import DONE, RELEASED, STATUS_MASK, refs, status

NO_PANIC = "no-panic"
PANICS = (Must(NO_PANIC, FALSE),)
"""The obligation of a command that panics: it is never taken."""


def kernel_laws(*, literal: bool = False, reaps: bool = True) -> tuple[Law, ...]:
    """Return the laws about what the kernel is asked to do, for any design that has a handle.

    ``literal`` adds the law about numbers that were never opened, for a design that takes them;
    without ``reaps`` there are no zombies (Windows).
    """
    never_opened = Law(
        NO_UNOPENED, "must", "no system call is given a number that was never opened here"
    )
    reaping = Law(
        "sometimes-reaped",
        "sometimes",
        "our process is reaped",
        reaped,
        beside=NO_WRONG_PROCESS,
    )
    return (
        *((never_opened,) if literal else ()),
        *((reaping,) if reaps else ()),
        Law(NO_USE_AFTER_CLOSE, "must", "no system call is given a closed handle"),
        Law(
            NO_WRONG_PROCESS,
            "must",
            "nobody is signalled or reaped whom the caller did not name",
        ),
        Law(NO_DOUBLE_CLOSE, "must", "the handle is closed at most once"),
        Law(
            "sometimes-closed",
            "sometimes",
            "the handle is closed",
            handle == CLOSED,
            beside=NO_USE_AFTER_CLOSE,
        ),
        Law(
            "sometimes-recycled",
            "sometimes",
            "the adversary hands the handle's number out again",
            handle == REUSED,
            beside=NO_WRONG_PROCESS,
        ),
    )


def word_laws(
    word: Expr,
    *,
    last_user_closes: frozenset[str],
    last_release: frozenset[str],
    reaps: bool = True,
) -> tuple[Law, ...]:
    """Return the laws of a 64-bit word whose references guard the handle.

    ``last_user_closes`` are the commands by which a transient holder closes, ``last_release`` those
    by which it takes the count to zero: the sights that show the counting is not idle.  Without
    ``reaps`` there are no zombies, and no Wait sets done (Windows).
    """
    persistent = ite(status(word) == 0, const(1, 64), 0)
    done_by_reaping = (
        Law(
            "done-implies-reaped",
            "always",
            "the word says done only when our process was reaped",
            implies(word & DONE != 0, reaped),
        ),
        Law(
            "waited-at-rest",
            "rest",
            "at rest, if we reaped our process, the status says so or says released",
            implies(reaped & (kin == CHILD), status(word) != 0),
        ),
        Law(
            "sometimes-done",
            "sometimes",
            "done is set",
            status(word) == DONE,
            beside="status-set-once",
        ),
    )
    never_done = (
        Law(
            "never-done",
            "rest",
            "at rest done is not set: a Wait's own Release comes first and sets released",
            word & DONE == 0,
        ),
    )
    return (
        Law(
            "refs-are-holders",
            "always",
            "references = persistent + transient holders",
            refs(word) == HOLDERS + persistent,
        ),
        Law(
            "word-is-legal",
            "always",
            "done and released are never both set, and no live word has zero references",
            (status(word) != STATUS_MASK) & (word != 0),
        ),
        Law(
            "status-set-once",
            "step",
            "the status never changes once it is set",
            implies(status(word) != 0, status(after(word)) == status(word)),
        ),
        *(done_by_reaping if reaps else never_done),
        Law(NO_PANIC, "must", "no method panics"),
        Law(
            "closed-at-rest",
            "rest",
            "at rest the handle is closed exactly if the persistent reference was dropped",
            (status(word) != 0) == (handle != OURS),
        ),
        Law(
            "sometimes-two-holders",
            "sometimes",
            "two threads hold a transient reference at once",
            HOLDERS >= 2,
            beside="refs-are-holders",
        ),
        Law(
            "sometimes-used-after-release",
            "sometimes",
            "a thread still uses the handle after it was released",
            (status(word) == RELEASED) & (HOLDERS >= 1) & (handle == OURS),
            beside=NO_USE_AFTER_CLOSE,
        ),
        Law(
            "sometimes-released",
            "sometimes",
            "released is set",
            status(word) == RELEASED,
            beside="status-set-once",
        ),
        Law(
            "sometimes-last-user-closes",
            "sometimes",
            "the thread that closes is not the one that dropped the persistent reference",
            FALSE,
            last_user_closes,
            beside="closed-at-rest",
        ),
        Law(
            "sometimes-last-release",
            "sometimes",
            "a transient release takes the count to zero without a panic",
            FALSE,
            last_release,
            beside=NO_PANIC,
        ),
    )


def pid_sights() -> tuple[Law, ...]:
    """Return the sights that show the recycling of pids, for any design that has a pid."""
    return (
        Law(
            "sometimes-pid-strangers",
            "sometimes",
            "the pid comes back to a stranger",
            pid_owner == STRANGER,
            beside=NO_WRONG_PROCESS,
        ),
        Law(
            "sometimes-pid-siblings",
            "sometimes",
            "the pid comes back to another child of ours",
            pid_owner == SIBLING,
            beside=NO_WRONG_PROCESS,
        ),
    )


def pid_laws() -> tuple[Law, ...]:
    """Return the laws about what the kernel is asked to do, for a design without a handle."""
    return (
        Law(NO_WRONG_PROCESS, "must", "nobody is signalled or reaped whom the caller did not name"),
        Law(
            "sometimes-reaped",
            "sometimes",
            "our process is reaped",
            reaped,
            beside=NO_WRONG_PROCESS,
        ),
        *pid_sights(),
    )


FIND_KEEPS_PID = "find-keeps-pid"


def find_laws() -> tuple[Law, ...]:
    """Return the law of FindProcess that other programs rely on.

    It has no sight beside it: most scenarios find nothing.  The named case that is about it asks
    for the step by name.
    """
    return (
        Law(
            FIND_KEEPS_PID,
            "must",
            "FindProcess returns a Process with the pid it was asked for, or none",
        ),
    )
