"""go-2023-pidfd: a pidfd in an atomic field; whoever is done with it swaps it out and closes it.

The field is loaded, and then the number is used, by everyone without asking who else is using it.
Between a load and its use, Release (or a Wait that succeeded) may swap the field to *unset* and
close the number; the kernel hands it out again, and the use hits whatever it means then.

    Signal   load_pid ─ load ─(7)─ . . . . . . . . . . . . . . . . ─ pidfd_send_signal(7)
    Release                       swap(unset) ─ close(7)                     ▲
    kernel                                              7 is somebody else's ┘

That is go issue 67641.  Where the field is unset, the methods fall back to the raw pid.

Source: Go commit 750738b5d1 (2023), src/os/exec_unix.go and src/os/pidfd_linux.go.
"""

from __future__ import annotations

from lastref.model.algebra import implies
from lastref.model.designs.pid_path import (
    FLAG_VARIABLES,
    SIGNAL_REFUSALS,
    WAIT_REFUSALS,
    check_pid,
    flag_laws,
    flag_signal,
    flag_wait,
    isdone,
    lock_laws,
    read_locked,
)
from lastref.model.kernel import (
    EXIT,
    HANDLE_VARIABLES,
    OURS,
    REOPEN,
    close_handle,
    handle,
    send_signal,
    wait_for_exit,
)
from lastref.model.kernel_pid import (
    MINUS_ONE,
    PID_VARIABLES,
    RECYCLE,
    RECYCLE_SIBLING,
    SIBLING_EXIT,
    ZERO,
    pid,
    target,
)
from lastref.model.properties import kernel_laws
from lastref.model.table import END, Command, Law, Table, command, shared

UNSET, SET = 0, 1

field = shared(
    "field",
    1,
    "whether the handle field holds the number, or is unset",
    initial=1,
    labels=("unset", "set"),
)


def load_field(at: str, known: str, unset: str) -> tuple[Command, ...]:
    """Return the load of the handle field: on to ``known`` with the number, or to ``unset``."""
    return (
        command(at, "load", at, known, field == SET),
        command(f"{at}.unset", "load", at, unset, field == UNSET),
    )


def signal(name: str, *, fatal: bool) -> tuple[Command, ...]:
    """Return Signal: check the pid, load the handle, send; without a handle by pid."""
    return (
        *check_pid(f"{name}.check", f"{name}.load", SIGNAL_REFUSALS),
        *load_field(f"{name}.load", f"{name}.send", f"{name}.rlock"),
        *send_signal(f"{name}.send", END, fatal=fatal),
        *flag_signal(name, fatal=fatal),
    )


def foreign() -> tuple[Command, ...]:
    """Return Signal with a type that is no signal: refused, after the pid was checked."""
    at = "foreign.check"
    return (
        command(f"{at}.released", "load_pid", at, END, pid == MINUS_ONE, None, "REL"),
        command(f"{at}.unset", "load_pid", at, END, pid == ZERO, None, "UNINIT"),
        command(at, "load_pid", at, END, (pid != MINUS_ONE) & (pid != ZERO), None, "UNSUP"),
    )


def swap_and_close(name: str, then: str, *, outcome: str | None = None) -> tuple[Command, ...]:
    """Return ``Swap(unset)`` and, if the number was still there, its close."""
    swap, close = f"{name}.swap", f"{name}.close"
    return (
        command(swap, "swap", swap, close, field == SET, {field: UNSET}, outcome),
        command(f"{swap}.late", "swap", swap, then, field == UNSET, None, outcome),
        *close_handle(close, then),
    )


def wait() -> tuple[Command, ...]:
    """Return Wait: by the handle, reaping at once; without a handle by pid."""
    return (
        *check_pid("wait.check", "wait.load", WAIT_REFUSALS),
        *load_field("wait.load", "wait.pidfd", "wait.load_pid"),
        *wait_for_exit("wait.pidfd", "wait.done", END),
        command("wait.done", "store_flag", "wait.done", "wait.swap", update={isdone: 1}),
        *swap_and_close("wait", END),
        *flag_wait("wait"),
    )


def release() -> tuple[Command, ...]:
    """Return Release: swap and close, then make the Pid field useless."""
    at = "release.store_pid"
    return (
        *swap_and_close("release", at),
        command(at, "store_pid", at, END, update={pid: MINUS_ONE}, outcome="nil"),
    )


def field_laws() -> tuple[Law, ...]:
    """Return the laws of the handle field."""
    return (
        Law(
            "field-implies-open",
            "always",
            "while the field holds the number, the handle is open and ours",
            implies(field == SET, handle == OURS),
        ),
        Law(
            "closed-at-rest",
            "rest",
            "when all threads are done the handle is closed exactly if the field is unset",
            (field == SET) == (handle == OURS),
        ),
    )


GO_2023_PIDFD = Table(
    id="go-2023-pidfd",
    platform="linux",
    title="pidfd in an atomic field, swap then close",
    source="Go commit 750738b5d1 (2023)",
    shared=(field, *HANDLE_VARIABLES, *PID_VARIABLES, *FLAG_VARIABLES),
    local=(target,),
    methods={
        "wait": "wait.check",
        "signal": "signal.check",
        "kill": "kill.check",
        "foreign": "foreign.check",
        "release": "release.swap",
    },
    commands=(
        *wait(),
        *signal("signal", fatal=False),
        *signal("kill", fatal=True),
        *foreign(),
        *release(),
    ),
    kernel=(EXIT, REOPEN, RECYCLE, RECYCLE_SIBLING, SIBLING_EXIT),
    laws=(*kernel_laws(), *flag_laws(), *lock_laws(), *field_laws()),
    holding=read_locked("signal", "kill"),
    blocking=frozenset(
        {"wait.pidfd", "wait.waitid", "wait.wait4", "wait.lock", "signal.rlock", "kill.rlock"}
    ),
)
