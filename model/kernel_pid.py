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

from lastref.model.algebra import BOOL, FALSE, Expr, ite
from lastref.model.kernel import (
    ALIVE,
    CHILD,
    ENDED,
    EXIT,
    FOREIGN,
    GONE,
    KILLED,
    NO_WRONG_PROCESS,
    SLAIN,
    Updates,
    bystander,
    exited,
    kin,
    reaped,
)
from lastref.model.table import (
    Command,
    Must,
    Variable,
    command,
    kernel_command,
    shared,
)

MINE, FREE, STRANGER, SIBLING = 0, 1, 2, 3
N, MINUS_ONE, ZERO, MINUS_TWO = 0, 1, 2, 3

pid = shared(
    "pid", 2, "the Pid field of the process object, a plain variable", labels=("n", "-1", "0")
)
pid_or_missing = shared(
    "pid",
    2,
    "the same, where -2 says that there was no such process",
    labels=("n", "-1", "0", "-2"),
)
pid_owner = shared(
    "pid_owner",
    2,
    "whose process the number n names now",
    labels=("ours", "free", "stranger", "sibling"),
)
stranger = shared("stranger", 1, "a process of somebody else", labels=("alive", "killed"))
waitid_missing = shared(
    "waitid_missing", BOOL, "whether this kernel has no waitid (ENOSYS); it never changes"
)
eldest = shared(
    "eldest",
    1,
    "which child of ours is older: wait4(-1) takes the oldest zombie; it never changes",
    labels=("ours", "sibling"),
)
target = Variable(
    "local", "target", 2, "the pid that this thread gives to the kernel", 0, pid.labels
)
target_or_missing = Variable("local", "target", 2, target.doc, 0, pid_or_missing.labels)

PROCESS_VARIABLES = (kin, exited, reaped, bystander)
"""What a table without a handle needs of the kernel's view of processes."""
PID_VARIABLES = (pid, pid_owner, stranger, eldest)

NAMES_OURS = (Must(NO_WRONG_PROCESS, (pid_owner != STRANGER) & (pid_owner != SIBLING)),)
WRONG = (Must(NO_WRONG_PROCESS, FALSE),)

REAPING: Updates = {reaped: 1, pid_owner: FREE}
"""Reaping our process frees its number."""
REAPING_SIBLING: Updates = {
    bystander: GONE,
    pid_owner: ite(pid_owner == SIBLING, FREE, pid_owner),
}
"""Reaping the bystander frees the number if it had come to it."""

sibling_zombie = (bystander == KILLED) | (bystander == ENDED)
nobody_to_reap = (pid_owner == FREE) | (pid_owner == STRANGER)


def send_by_pid(at: str, to: str, *, fatal: bool, pids: Variable = pid) -> tuple[Command, ...]:
    """Return ``kill(target, sig)`` at location ``at``, going on at ``to``; ESRCH becomes EPD.

    A target of -1 is every process that we may signal, 0 is our own process group, and -2 the
    group 2, which does not exist.  ``pids`` is the Pid field: it says which of them can occur.
    """

    def answer(
        name: str, guard: Expr, outcome: str, hits: Updates, must: tuple[Must, ...] = ()
    ) -> Command:
        update: Updates = {**(hits if fatal else {}), target: 0}
        return command(f"{at}.{name}", "kill", at, to, guard, update, outcome, must)

    named = target == N
    everyone: Updates = {exited: 1, bystander: SLAIN, stranger: 1}
    no_group = answer("no-group", target == MINUS_TWO, "EPD", {})
    return (
        answer("hit", named & (pid_owner == MINE), "nil", {exited: 1}, NAMES_OURS),
        answer("free", named & (pid_owner == FREE), "EPD", {}),
        answer("stranger", named & (pid_owner == STRANGER), "nil", {stranger: 1}, NAMES_OURS),
        answer("sibling", named & (pid_owner == SIBLING), "nil", {bystander: SLAIN}, NAMES_OURS),
        answer("everyone", target == MINUS_ONE, "nil", everyone, WRONG),
        answer("group", target == ZERO, "nil", everyone, WRONG),
        *((no_group,) if pids is pid_or_missing else ()),
    )


def wait_without_reaping(
    at: str, to: str, failed: str, *, missing: str, missing_outcome: str | None = None
) -> tuple[Command, ...]:
    """Return ``waitid(P_PID, target, WEXITED|WNOWAIT)`` at ``at``: it waits and leaves the zombie.

    It blocks while the process runs.  It reaps nobody, so even on a number that has become
    another child's it does no harm yet.  Where the kernel has no waitid it goes to ``missing``.
    """

    def answer(name: str, goes: str, guard: Expr, outcome: str | None) -> Command:
        guard = guard & ~waitid_missing
        return command(f"{at}.{name}", "waitid", at, goes, guard, {target: 0}, outcome)

    named, mine = target == N, pid_owner == MINE
    foreign = mine & (kin == FOREIGN)
    return (
        answer("ended", to, named & mine & exited & (kin == CHILD), None),
        answer("no-child", failed, named & (nobody_to_reap | foreign), "waitid:ECHILD"),
        answer("sibling", to, named & (pid_owner == SIBLING) & sibling_zombie, None),
        answer("no-pid", failed, target != N, "waitid:EINVAL"),
        command(
            f"{at}.missing", "waitid", at, missing, waitid_missing, {target: 0}, missing_outcome
        ),
    )


def wait_and_reap(at: str, to: str, failed: str, *, pids: Variable = pid) -> tuple[Command, ...]:
    """Return ``wait4(target)`` at ``at``: it reaps the child with that number, which frees it.

    A target of -1 takes any child of ours, the oldest zombie first (which is the oldest the caller
    does not decide), and so does 0 as long as all are of one process group.
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

    named = target == N
    whoever = (target == MINUS_ONE) | (target == ZERO)
    mine, other = pid_owner == MINE, pid_owner == SIBLING
    zombie = mine & exited & (kin == CHILD)
    ours_runs = mine & ~exited & (kin != FOREIGN)
    no_group = answer("no-group", failed, target == MINUS_TWO, "wait:ECHILD")
    first = zombie & ((eldest == 0) | ~sibling_zombie)
    others, nothing = sibling_zombie & ~first, (bystander == GONE) & ~zombie & ~ours_runs
    return (
        answer("reap", to, named & zombie, "ok", REAPING),
        answer(
            "no-child",
            failed,
            named & (nobody_to_reap | (mine & (kin == FOREIGN))),
            "wait:ECHILD",
        ),
        answer("sibling", to, named & other & sibling_zombie, "ok", REAPING_SIBLING, NAMES_OURS),
        answer("any-ours", to, whoever & first, "ok", REAPING),
        answer("any-sibling", to, whoever & others, "ok", REAPING_SIBLING, WRONG),
        answer("none", failed, whoever & nothing, "wait:ECHILD"),
        *((no_group,) if pids is pid_or_missing else ()),
    )


AUTOREAP_PID = kernel_command("autoreap", exited & ~reaped & (kin != CHILD), REAPING)
"""Our process is reaped without us, and its number is free."""
RECYCLE = kernel_command("recycle", pid_owner == FREE, {pid_owner: STRANGER})
"""A stranger is born with the number n."""
RECYCLE_SIBLING = kernel_command(
    "recycle_sibling", (pid_owner == FREE) & (bystander == ALIVE), {pid_owner: SIBLING}
)
"""Another child of ours is born with the number n: from now on it is the bystander."""
SIBLING_EXIT = kernel_command("sibling_exit", bystander == ALIVE, {bystander: ENDED})
"""The bystander ends by itself and waits to be reaped."""

PID_KERNEL = (EXIT, AUTOREAP_PID, RECYCLE, RECYCLE_SIBLING, SIBLING_EXIT)
"""All that may happen to a number behind the back of a design without a handle."""
