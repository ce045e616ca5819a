"""The kernel as seen through a plain pid: a number that comes back to somebody else once reaped.

    our process     running ──exit──▶ zombie ──wait4──▶ reaped
    the number n    ours ─────────────────────────────▶ free ──recycle──▶ a stranger's
                                                          └──recycle_sibling──▶ our other child's

The stranger belongs to somebody else: it can be signalled (same user) and not be waited for.  The
*bystander* of :mod:`~lastref.model.kernel` is another child of ours: it can be both, and it may end
by itself, so that a wait for the wrong number finds something to reap.  A thread first loads the
``Pid`` field into its ``target`` and then makes the system call with it: in between, the field and
the meaning of the number may change.

Sources: kill(2), waitid(2), wait4(2); go issues 13987, 16028 and 67642.
"""

from __future__ import annotations

from collections.abc import Mapping

from lastref.model.algebra import FALSE, Expr
from lastref.model.kernel import (
    ALIVE,
    ENDED,
    GONE,
    KILLED,
    NO_WRONG_PROCESS,
    bystander,
    exited,
    reaped,
)
from lastref.model.table import Command, Must, Variable, command, kernel_command, local, shared

MINE, FREE, STRANGER, SIBLING = 0, 1, 2, 3
N, MINUS_ONE, ZERO, MINUS_TWO = 0, 1, 2, 3
PID_LABELS = ("n", "-1", "0", "-2")

pid = shared("pid", 2, "the Pid field of the process object, a plain variable", labels=PID_LABELS)
pid_owner = shared(
    "pid_owner",
    2,
    "whose process the number n names now",
    labels=("ours", "free", "stranger", "sibling"),
)
stranger = shared(
    "stranger",
    1,
    "a process of somebody else was killed",
    labels=("alive", "killed"),
)
target = local("target", 2, "the pid that this thread is about to give to the kernel")

PID_VARIABLES = (pid, pid_owner, stranger)

NAMES_OURS = (Must(NO_WRONG_PROCESS, (pid_owner != STRANGER) & (pid_owner != SIBLING)),)
WRONG = (Must(NO_WRONG_PROCESS, FALSE),)
Updates = Mapping[Variable, Expr | int]

sibling_zombie = (bystander == KILLED) | (bystander == ENDED)


def send_by_pid(at: str, to: str, *, fatal: bool) -> tuple[Command, ...]:
    """Return ``kill(target, sig)`` at location ``at``, going on at ``to``; ESRCH becomes EPD.

    A target of -1 is every process that we may signal, 0 is our own process group.
    """

    def answer(
        name: str, guard: Expr, outcome: str, hits: Updates, must: tuple[Must, ...] = ()
    ) -> Command:
        update: Updates = {**(hits if fatal else {}), target: 0}
        return command(f"{at}.{name}", "kill", at, to, guard, update, outcome, must)

    named = target == N
    everyone: Updates = {exited: 1, bystander: KILLED, stranger: 1}
    return (
        answer("hit", named & (pid_owner == MINE), "nil", {exited: 1}, NAMES_OURS),
        answer("free", named & (pid_owner == FREE), "EPD", {}),
        answer("stranger", named & (pid_owner == STRANGER), "nil", {stranger: 1}, NAMES_OURS),
        answer("sibling", named & (pid_owner == SIBLING), "nil", {bystander: KILLED}, NAMES_OURS),
        answer("everyone", target == MINUS_ONE, "nil", everyone, WRONG),
        answer("group", target == ZERO, "nil", everyone, WRONG),
        answer("no-group", target == MINUS_TWO, "EPD", {}),
    )


def wait_without_reaping(at: str, to: str, failed: str) -> tuple[Command, ...]:
    """Return ``waitid(P_PID, target, WEXITED|WNOWAIT)`` at ``at``: it waits and leaves the zombie.

    It blocks while the process runs.  It reaps nobody, so even on a number that has become
    another child's it does no harm yet.
    """

    def answer(name: str, goes: str, guard: Expr, outcome: str | None) -> Command:
        return command(f"{at}.{name}", "waitid", at, goes, guard, {target: 0}, outcome)

    named = target == N
    childless = (pid_owner == FREE) | (pid_owner == STRANGER)
    return (
        answer("ended", to, named & (pid_owner == MINE) & exited, None),
        answer("no-child", failed, named & childless, "waitid:ECHILD"),
        answer("sibling", to, named & (pid_owner == SIBLING) & sibling_zombie, None),
        answer("no-pid", failed, target != N, "waitid:EINVAL"),
    )


def wait_and_reap(at: str, to: str, failed: str) -> tuple[Command, ...]:
    """Return ``wait4(target)`` at ``at``: it reaps the child with that number, which frees it.

    A target of -1 takes any child of ours, and so does 0 as long as all are of one process group.
    """

    def answer(
        name: str,
        goes: str,
        guard: Expr,
        outcome: str,
        reaps: Updates | None = None,
        must: tuple[Must, ...] = (),
    ) -> Command:
        update: Updates = {**(reaps or {}), target: 0}
        return command(f"{at}.{name}", "wait4", at, goes, guard, update, outcome, must)

    named, whoever = target == N, (target == MINUS_ONE) | (target == ZERO)
    childless = (pid_owner == FREE) | (pid_owner == STRANGER)
    zombie = (pid_owner == MINE) & exited
    ours: Updates = {reaped: 1, pid_owner: FREE}
    return (
        answer("reap", to, named & zombie, "ok", ours),
        answer("no-child", failed, named & childless, "wait:ECHILD"),
        answer(
            "sibling",
            to,
            named & (pid_owner == SIBLING) & sibling_zombie,
            "ok",
            {bystander: GONE, pid_owner: FREE},
            NAMES_OURS,
        ),
        answer("any-ours", to, whoever & zombie, "ok", ours),
        answer("any-sibling", to, whoever & sibling_zombie, "ok", {bystander: GONE}, WRONG),
        answer("none", failed, whoever & (pid_owner != MINE) & (bystander == GONE), "wait:ECHILD"),
        answer("no-pid", failed, target == MINUS_TWO, "wait:ECHILD"),
    )


RECYCLE = kernel_command("recycle", pid_owner == FREE, {pid_owner: STRANGER})
"""A stranger is born with the number n."""
RECYCLE_SIBLING = kernel_command(
    "recycle_sibling", (pid_owner == FREE) & (bystander == ALIVE), {pid_owner: SIBLING}
)
"""Another child of ours is born with the number n: from now on it is the bystander."""
SIBLING_EXIT = kernel_command("sibling_exit", bystander == ALIVE, {bystander: ENDED})
"""The bystander ends by itself and waits to be reaped."""
