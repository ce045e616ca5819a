"""The Windows kernel as the designs see it: a process object that an open handle pins.

    our process     running ──exit──▶ ended (no zombie: the object stays while a handle is open)
    the handle      ours ──CloseHandle──▶ closed ──reopen──▶ reused, for the bystander's process
    the number n    ours ──forget, when it has ended and the handle is closed──▶ free ──recycle──▶ …

Handle values are handed out again (seen under Wine: 1999 times of 1999 at once).  Every call on
a value that means nothing fails with ERROR_INVALID_HANDLE.

Sources: WaitForSingleObject, GetExitCodeProcess, GetProcessTimes, DuplicateHandle, CloseHandle,
TerminateProcess and OpenProcess in Microsoft's documentation of processthreadsapi.h, synchapi.h and
handleapi.h.  TerminateProcess on a process that has ended succeeds here as it does under Wine;
Windows itself answers ERROR_ACCESS_DENIED.
"""

from __future__ import annotations

from lastref.model.algebra import Expr, implies
from lastref.model.kernel import (
    ALIVE,
    CLOSED,
    KILLED,
    NO_DOUBLE_CLOSE,
    NO_UNOPENED,
    NOT_OPENED_HERE,
    OURS,
    REUSED,
    UNOPENED,
    USES_HANDLE,
    Updates,
    bystander,
    exited,
    handle,
)
from lastref.model.kernel_pid import FREE, MINE, STRANGER
from lastref.model.table import (
    BLOCKED,
    END,
    Command,
    Law,
    Must,
    command,
    kernel_command,
    local,
    shared,
)

pid_owner = shared(
    "pid_owner", 2, "whose process the number n names now", labels=("ours", "free", "stranger")
)
copy = local("copy", 1, "whose process the duplicate that this thread made is: ours, or another's")

INVALID = "INVALID_HANDLE"
STILL_ACTIVE = "ok:259"
"""The outcome of a Wait that tells the exit code of a process which still runs."""


def _call(
    at: str,
    op: str,
    answers: tuple[tuple[str, str, Expr, str | None, Updates | None], ...],
    failed: str,
    *,
    literal: bool,
) -> tuple[Command, ...]:
    """Return a call on the handle: ``answers``, and failure on a value that means nothing."""

    def answer(
        name: str,
        to: str,
        guard: Expr,
        outcome: str | None,
        update: Updates | None = None,
        must: tuple[Must, ...] = USES_HANDLE,
    ) -> Command:
        return command(f"{at}.{name}", op, at, to, guard, update, outcome, must)

    invalid = f"{op}:{INVALID}"
    unopened = answer("unopened", failed, handle == UNOPENED, invalid, None, NOT_OPENED_HERE)
    return (
        *(answer(*given) for given in answers),
        answer("closed", failed, handle == CLOSED, invalid),
        *((unopened,) if literal else ()),
    )


def wait_for_object(at: str, to: str, failed: str, *, literal: bool = False) -> tuple[Command, ...]:
    """Return ``WaitForSingleObject(handle, INFINITE)`` at ``at``; it blocks until the exit."""
    mine, reused = handle == OURS, handle == REUSED
    answers = (
        ("ended", to, mine & exited, None, None),
        ("wrong", BLOCKED, reused & (bystander == ALIVE), "blocked", None),
        ("wrong-ended", to, reused & (bystander != ALIVE), None, None),
    )
    return _call(at, "WaitForSingleObject", answers, failed, literal=literal)


def exit_code(at: str, to: str, failed: str, *, literal: bool = False) -> tuple[Command, ...]:
    """Return ``GetExitCodeProcess(handle)`` at ``at``: what the Wait will tell.

    A process that runs has the exit code 259.  So a Wait on a value that was handed out again can
    tell of an end that has not come, with no error.
    """
    reused = handle == REUSED
    answers = (
        ("ours", to, handle == OURS, "ok", None),
        ("wrong", to, reused & (bystander != ALIVE), "ok", None),
        ("wrong-running", to, reused & (bystander == ALIVE), STILL_ACTIVE, None),
    )
    return _call(at, "GetExitCodeProcess", answers, failed, literal=literal)


def process_times(at: str, to: str, failed: str, *, literal: bool = False) -> tuple[Command, ...]:
    """Return ``GetProcessTimes(handle)`` at ``at``."""
    answers = (
        ("ours", to, handle == OURS, None, None),
        ("wrong", to, handle == REUSED, None, None),
    )
    return _call(at, "GetProcessTimes", answers, failed, literal=literal)


def close_returning(at: str, to: str) -> tuple[Command, ...]:
    """Return ``CloseHandle(handle)`` at ``at``, by a caller who returns its error.

    0 is no handle, and no process is ever given it: to close it fails and changes nothing.
    """
    must = (Must(NO_UNOPENED, handle != UNOPENED), Must(NO_DOUBLE_CLOSE, handle == OURS))
    meant, op, failed = (
        (handle == OURS) | (handle == REUSED),
        "CloseHandle",
        f"CloseHandle:{INVALID}",
    )
    return (
        command(at, op, at, to, meant, {handle: CLOSED}, None, must),
        command(f"{at}.again", op, at, to, ~meant, None, failed, must),
    )


def terminate(name: str, to: str, *, literal: bool = False) -> tuple[Command, ...]:
    """Return Kill: duplicate the handle with the right to terminate, terminate, close the copy.

    The copy refers to the process and not to the value, so that nothing can go wrong after the
    first step that has not gone wrong in it.
    """
    first, second, third = f"{name}.duplicate", f"{name}.terminate", f"{name}.close_copy"
    answers = (
        ("ours", second, handle == OURS, None, None),
        ("wrong", second, handle == REUSED, None, {copy: 1}),
    )
    op = "TerminateProcess"
    return (
        *_call(first, "DuplicateHandle", answers, to, literal=literal),
        command(second, op, second, third, copy == 0, {exited: 1}, "nil"),
        command(f"{second}.wrong", op, second, third, copy == 1, {bystander: KILLED}, "nil"),
        command(third, "CloseHandle", third, to, update={copy: 0}),
    )


def open_process(name: str = "find") -> tuple[Command, ...]:
    """Return FindProcess(n), by another caller who gets a handle of his own."""
    at, op = f"{name}.open", "OpenProcess"
    missing = "OpenProcess:INVALID_PARAMETER"
    return (
        command(at, op, at, END, pid_owner != FREE, None, "nil"),
        command(f"{at}.missing", op, at, END, pid_owner == FREE, None, missing),
    )


FORGET = kernel_command(
    "forget", exited & (handle != OURS) & (pid_owner == MINE), {pid_owner: FREE}
)
"""Nothing pins the process object any more: its number is free."""
RECYCLE_WINDOWS = kernel_command("recycle", pid_owner == FREE, {pid_owner: STRANGER})
"""Another process gets the number n."""


def windows_laws() -> tuple[Law, ...]:
    """Return what an open handle promises on Windows."""
    return (
        Law(
            "handle-pins-pid",
            "always",
            "while our handle is open the pid is our process's",
            implies(handle == OURS, pid_owner == MINE),
        ),
        Law(
            "sometimes-pid-recycled",
            "sometimes",
            "the pid comes back to another process",
            pid_owner == STRANGER,
            beside="handle-pins-pid",
        ),
    )
