"""The Plan 9 kernel as the designs see it: /proc/n is there exactly while the process runs.

    our process     running ──exit──▶ ended; its wait message waits for us
    the number n    ours ───────────▶ free ──recycle──▶ a stranger's, or our other child's

There is no zombie that would keep the number.  Go's WaitProcess gives the wait message of a child
to one caller; a second one, or a wait for anybody else's process, is "not found".  From source
only: nothing here was run.

Source: src/syscall/exec_plan9.go, src/os/exec_plan9.go; proc(3).
"""

from __future__ import annotations

from lastref.model.algebra import Expr
from lastref.model.kernel import (
    CHILD,
    ENDED,
    GONE,
    KILLED,
    SLAIN,
    Updates,
    bystander,
    exited,
    kin,
    reaped,
)
from lastref.model.kernel_pid import (
    FREE,
    MINE,
    NAMES_OURS,
    SIBLING,
    STRANGER,
    WRONG,
    N,
    pid_owner,
    stranger,
    target,
)
from lastref.model.table import Command, Must, command, kernel_command

NOT_FOUND = "wait:not found"


def wait_process(at: str, to: str, failed: str) -> tuple[Command, ...]:
    """Return ``WaitProcess(target)`` at ``at``: it blocks while the child runs."""

    def answer(
        name: str,
        goes: str,
        guard: Expr,
        outcome: str,
        takes: Updates | None = None,
        must: tuple[Must, ...] = (),
    ) -> Command:
        update: Updates = {**(takes or {}), target: 0}
        return command(f"{at}.{name}", "WaitProcess", at, goes, guard, update, outcome, must)

    ours = (target == N) & (pid_owner != SIBLING)
    other = (target == N) & (pid_owner == SIBLING)
    told = (kin == CHILD) & ~reaped
    ended = (bystander == ENDED) | (bystander == KILLED)
    return (
        answer("ended", to, ours & told & exited, "ok", {reaped: 1}),
        answer("not-found", failed, ours & ~told, NOT_FOUND),
        answer("sibling", to, other & ended, "ok", {bystander: GONE, pid_owner: FREE}, WRONG),
        answer("no-pid", failed, target != N, NOT_FOUND),
    )


def write_note(at: str, to: str, *, fatal: bool) -> tuple[Command, ...]:
    """Return the write to ``/proc/target/note`` at ``at``."""

    def answer(
        name: str, guard: Expr, outcome: str, hits: Updates, must: tuple[Must, ...] = ()
    ) -> Command:
        update: Updates = {**(hits if fatal else {}), target: 0}
        return command(f"{at}.{name}", "write_note", at, to, guard, update, outcome, must)

    named = target == N
    ends: Updates = {exited: 1, pid_owner: FREE}
    return (
        answer("hit", named & (pid_owner == MINE), "nil", ends, NAMES_OURS),
        answer("free", named & (pid_owner == FREE), "PathError", {}),
        answer("stranger", named & (pid_owner == STRANGER), "nil", {stranger: 1}, NAMES_OURS),
        answer("sibling", named & (pid_owner == SIBLING), "nil", {bystander: SLAIN}, NAMES_OURS),
        answer("no-pid", target != N, "PathError", {}),
    )


EXIT_PLAN9 = kernel_command("exit", ~exited, {exited: 1, pid_owner: FREE})
"""Our process ends by itself, and its number is free at once."""
