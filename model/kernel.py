"""The kernel as the designs see it: one process of ours, its pid, its handle, and an adversary.

The process of ours runs, is a zombie, then is reaped; only reaping frees its pid.  Closing the
handle frees its number.  Whatever is free the adversary may hand out at once, for a *bystander*: a
process that no operation of the caller names.

        exit              waitid                        close             reopen
    running ──▶ zombie ──▶ reaped             ours ──▶ closed ──▶ reused (the bystander's)

A system call is a group of commands that leave one location, one per answer of the kernel, with
the laws it must respect as obligations.  Sources: pidfd_open(2), pidfd_send_signal(2), waitid(2),
close(2), and the kernel's own pidfd selftests.
"""

from __future__ import annotations

from lastref.model.algebra import BOOL, Expr
from lastref.model.table import BLOCKED, Command, Must, Variable, command, kernel_command, shared

OURS, CLOSED, REUSED = 0, 1, 2
ALIVE, KILLED, GONE, ENDED = 0, 1, 2, 3

exited = shared("exited", BOOL, "our process has ended (it is a zombie until it is reaped)")
reaped = shared("reaped", BOOL, "our process was reaped: its pid is free")
handle = shared(
    "handle",
    2,
    "what the handle's number means to the kernel now",
    labels=("ours", "closed", "reused"),
)
bystander = shared(
    "bystander",
    2,
    "a process that nothing here may touch; the adversary gives it what is free",
    labels=("alive", "killed", "reaped", "ended"),
)

HANDLE_VARIABLES = (exited, reaped, handle, bystander)

NO_USE_AFTER_CLOSE = "no-use-after-close"
NO_WRONG_PROCESS = "no-wrong-process"
NO_DOUBLE_CLOSE = "no-double-close"

USES_HANDLE = (
    Must(NO_USE_AFTER_CLOSE, handle != CLOSED),
    Must(NO_WRONG_PROCESS, handle != REUSED),
)


def send_signal(at: str, to: str, *, fatal: bool) -> tuple[Command, ...]:
    """Return ``pidfd_send_signal(handle, sig)`` at location ``at``, going on at ``to``.

    Go turns ESRCH, the answer for a reaped process, into ErrProcessDone (EPD).  A ``fatal`` signal
    ends the process that it hits.
    """
    op = "pidfd_send_signal"

    def answer(
        name: str, guard: Expr, outcome: str, hits: dict[Variable, Expr | int] | None = None
    ) -> Command:
        return command(f"{at}.{name}", op, at, to, guard, hits, outcome, USES_HANDLE)

    mine, reused = handle == OURS, handle == REUSED
    kill_ours: dict[Variable, Expr | int] = {exited: 1} if fatal else {}
    kill_other: dict[Variable, Expr | int] = {bystander: KILLED} if fatal else {}
    return (
        answer("hit", mine & ~reaped, "nil", kill_ours),
        answer("reaped", mine & reaped, "EPD"),
        answer("closed", handle == CLOSED, "EBADF"),
        answer("wrong", reused & (bystander != GONE), "nil", kill_other),
        answer("wrong-gone", reused & (bystander == GONE), "EPD"),
    )


def wait_for_exit(at: str, to: str, failed: str) -> tuple[Command, ...]:
    """Return ``waitid(P_PIDFD, handle, WEXITED)`` at ``at``: then ``to``, or ``failed`` on an error.

    The call blocks while the process runs: then none of these commands is enabled.  On a reused
    number it blocks on the bystander, for ever as far as the caller can tell.
    """
    op = "waitid"

    def answer(
        name: str,
        goes: str,
        guard: Expr,
        outcome: str,
        reaps: dict[Variable, Expr | int] | None = None,
    ) -> Command:
        return command(f"{at}.{name}", op, at, goes, guard, reaps, outcome, USES_HANDLE)

    mine, reused = handle == OURS, handle == REUSED
    zombie = (bystander == KILLED) | (bystander == ENDED)
    return (
        answer("reap", to, mine & exited & ~reaped, "ok", {reaped: 1}),
        answer("no-child", failed, mine & reaped, "waitid:ECHILD"),
        answer("closed", failed, handle == CLOSED, "waitid:EBADF"),
        answer("wrong", BLOCKED, reused & (bystander == ALIVE), "blocked"),
        answer("wrong-reap", to, reused & zombie, "ok", {bystander: GONE}),
        answer("wrong-gone", failed, reused & (bystander == GONE), "waitid:ECHILD"),
    )


def close_handle(at: str, to: str) -> tuple[Command, ...]:
    """Return ``close(handle)`` at ``at``.

    Closing a number that was handed out again closes somebody else's file, so it counts as a second
    close too.
    """
    must = (Must(NO_DOUBLE_CLOSE, handle == OURS),)
    return (
        command(at, "close", at, to, handle != CLOSED, {handle: CLOSED}, None, must),
        command(f"{at}.again", "close", at, to, handle == CLOSED, None, None, must),
    )


EXIT = kernel_command("exit", ~exited, {exited: 1})
"""Our process ends by itself."""
REOPEN = kernel_command("reopen", handle == CLOSED, {handle: REUSED})
"""The adversary hands the closed handle's number out again, for the bystander."""
