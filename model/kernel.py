"""The kernel as the designs see it: one process of ours, its pid, its handle, and an adversary.

The process of ours runs, is a zombie, then is reaped; only reaping frees its pid.  Closing the
handle frees its number.  Whatever is free the adversary may hand out at once, for a *bystander*: a
process that no operation of the caller names.

        exit              waitid                        close             reopen
    running ──▶ zombie ──▶ reaped             ours ──▶ closed ──▶ reused (the bystander's)
                   └─ autoreap ─▲  of a child whose SIGCHLD we ignore, or that is another's

A system call is a group of commands that leave one location, one per answer of the kernel, with
the laws it must respect as obligations.  Sources: pidfd_open(2), pidfd_send_signal(2), waitid(2),
close(2), and the kernel's own pidfd selftests.
"""

from __future__ import annotations

from collections.abc import Mapping

from lastref.model.algebra import BOOL, FALSE, Expr, const, ite
from lastref.model.table import (
    BLOCKED,
    Command,
    Must,
    Variable,
    command,
    kernel_command,
    shared,
)

Updates = Mapping[Variable, Expr | int]
"""What a command changes."""

OURS, CLOSED, REUSED, UNOPENED = 0, 1, 2, 3
CHILD, IGNORED, FOREIGN = 0, 1, 2
ALIVE, KILLED, GONE, ENDED = 0, 1, 2, 3

exited = shared("exited", BOOL, "our process has ended (it is a zombie until it is reaped)")
reaped = shared("reaped", BOOL, "our process was reaped: its pid is free")
handle = shared(
    "handle",
    2,
    "what the handle's number means to the kernel now",
    labels=("ours", "closed", "reused"),
)
any_handle = shared(
    "handle",
    2,
    "the same, for a design that also takes numbers which it never opened",
    labels=("ours", "closed", "reused", "unopened"),
)
bystander = shared(
    "bystander",
    2,
    "a process that nothing here may touch; the adversary gives it what is free",
    labels=("alive", "killed", "reaped", "ended"),
)

SLAIN = ite(bystander == ALIVE, const(KILLED, 2), bystander)
"""What a fatal signal makes of the bystander: a zombie is not killed again."""

kin = shared(
    "kin",
    2,
    "whose child our process is; it never changes",
    labels=("child", "ignored", "foreign"),
)

HANDLE_VARIABLES = (kin, exited, reaped, handle, bystander)

NO_USE_AFTER_CLOSE = "no-use-after-close"
NO_WRONG_PROCESS = "no-wrong-process"
NO_DOUBLE_CLOSE = "no-double-close"
NO_UNOPENED = "no-unopened-handle"

USES_HANDLE = (
    Must(NO_USE_AFTER_CLOSE, handle != CLOSED),
    Must(NO_WRONG_PROCESS, handle != REUSED),
)
NOT_OPENED_HERE = (Must(NO_UNOPENED, FALSE),)
"""The obligation of a use of a number that this process object never opened: it is never taken."""


def send_signal(at: str, to: str, *, fatal: bool, literal: bool = False) -> tuple[Command, ...]:
    """Return ``pidfd_send_signal(handle, sig)`` at location ``at``, going on at ``to``.

    Go turns ESRCH, the answer for a reaped process, into ErrProcessDone (EPD).  A ``fatal`` signal
    ends the process that it hits.  ``literal`` adds the answer for a number that is no pidfd.
    """
    op = "pidfd_send_signal"

    def answer(
        name: str, guard: Expr, outcome: str, hits: Updates, must: tuple[Must, ...] = USES_HANDLE
    ) -> Command:
        return command(f"{at}.{name}", op, at, to, guard, hits if fatal else {}, outcome, must)

    mine, reused = handle == OURS, handle == REUSED
    unopened = answer("unopened", handle == UNOPENED, "EBADF", {}, NOT_OPENED_HERE)
    return (
        answer("hit", mine & ~reaped, "nil", {exited: 1}),
        answer("reaped", mine & reaped, "EPD", {}),
        answer("closed", handle == CLOSED, "EBADF", {}),
        answer("wrong", reused & (bystander != GONE), "nil", {bystander: SLAIN}),
        answer("wrong-gone", reused & (bystander == GONE), "EPD", {}),
        *((unopened,) if literal else ()),
    )


def wait_for_exit(
    at: str,
    to: str,
    failed: str,
    *,
    reaping: Updates | None = None,
    reaping_other: Updates | None = None,
    literal: bool = False,
) -> tuple[Command, ...]:
    """Return ``waitid(P_PIDFD, handle, WEXITED)`` at ``at``: then ``to``; on an error ``failed``.

    The call blocks while the process runs: then none of these commands is enabled.  On a reused
    number it blocks on the bystander, for ever as far as the caller can tell.  ``reaping`` and
    ``reaping_other`` are what reaping our process and the bystander changes; by default nothing
    but themselves, where a table has no pids.
    """
    op = "waitid"

    def answer(
        name: str,
        goes: str,
        guard: Expr,
        outcome: str,
        reaps: Updates | None = None,
        must: tuple[Must, ...] = USES_HANDLE,
    ) -> Command:
        return command(f"{at}.{name}", op, at, goes, guard, reaps, outcome, must)

    mine, reused = handle == OURS, handle == REUSED
    zombie = (bystander == KILLED) | (bystander == ENDED)
    ours = {reaped: 1} if reaping is None else reaping
    others = {bystander: GONE} if reaping_other is None else reaping_other
    unopened = answer("unopened", failed, handle == UNOPENED, "waitid:EBADF", None, NOT_OPENED_HERE)
    return (
        answer("reap", to, mine & exited & ~reaped & (kin == CHILD), "ok", ours),
        answer("no-child", failed, mine & (reaped | (kin == FOREIGN)), "waitid:ECHILD"),
        answer("closed", failed, handle == CLOSED, "waitid:EBADF"),
        answer("wrong", BLOCKED, reused & (bystander == ALIVE), "blocked"),
        answer("wrong-reap", to, reused & zombie, "ok", others),
        answer("wrong-gone", failed, reused & (bystander == GONE), "waitid:ECHILD"),
        *((unopened,) if literal else ()),
    )


def close_handle(
    at: str, to: str, *, op: str = "close", literal: bool = False
) -> tuple[Command, ...]:
    """Return ``close(handle)`` at ``at``.

    Closing a number that was handed out again closes somebody else's file, so it counts as a second
    close too.  ``literal`` tells apart the close of a number that was never opened here.
    """
    opened = (Must(NO_UNOPENED, handle != UNOPENED),) if literal else ()
    must = (*opened, Must(NO_DOUBLE_CLOSE, handle == OURS))
    return (
        command(at, op, at, to, handle != CLOSED, {handle: CLOSED}, None, must),
        command(f"{at}.again", op, at, to, handle == CLOSED, None, None, must),
    )


EXIT = kernel_command("exit", ~exited, {exited: 1})
"""Our process ends by itself."""
AUTOREAP = kernel_command("autoreap", exited & ~reaped & (kin != CHILD), {reaped: 1})
"""Our process is reaped without us: by its own parent, or because we ignore SIGCHLD."""
EVENTUALLY = frozenset({"exit", "autoreap", "sibling_exit"})
"""What the kernel does at some time if it can: processes end.  Recycling it may leave undone."""
REOPEN = kernel_command("reopen", handle == CLOSED, {handle: REUSED})
"""The adversary hands the closed handle's number out again, for the bystander."""


def use_handle(at: str, to: str) -> tuple[Command, ...]:
    """Return any use of the handle at ``at``, for a design that says nothing about what it is."""

    def answer(name: str, guard: Expr, outcome: str) -> Command:
        return command(f"{at}.{name}", "use", at, to, guard, None, outcome, USES_HANDLE)

    return (
        answer("hit", handle == OURS, "nil"),
        answer("closed", handle == CLOSED, "EBADF"),
        answer("wrong", handle == REUSED, "nil"),
    )
