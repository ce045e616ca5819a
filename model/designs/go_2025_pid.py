"""go-2025 on a raw pid: no handle, a literal, or FindProcess of a process that is gone.

As :mod:`~lastref.model.designs.go_2024_pid`, with three differences: Signal checks for Pid -1 again
(which mends go issue 68496), the status is set by a loop of load and compare-and-swap, and an
object for a process that was not there begins as *done*.  Wait looks at *released* only, so that
object goes on to wait for whoever has the number by now:

    find   pidfd_open(n): ESRCH ─▶ done, without a handle
    kernel n is another child of ours
    Wait   load(released? no) ─ load_pid ─ waitid(n) ─ … ─ wait4(n): reaps him

Where pidfds do not work at all FindProcess asks nobody, and that object is not done
(``find-missing-by-pid``): a Release then sets *released*, and a Wait after it says EINVAL itself.

Source: Go 1.25, src/os/exec_unix.go.
"""

from __future__ import annotations

from lastref.model.algebra import after, implies
from lastref.model.designs.go_2024 import FOREIGN
from lastref.model.designs.go_2025 import DONE, OK, RELEASED, state
from lastref.model.designs.pid_path import (
    LOCK_VARIABLES,
    LOCKING,
    SIGNAL_REFUSALS,
    WAITING,
    check_pid,
    done_laws,
    lock_laws,
    read_locked,
    signal_by_pid,
    store_released,
    wait_by_pid,
)
from lastref.model.designs.starts import PID_STARTS
from lastref.model.kernel_pid import (
    PID_KERNEL,
    PID_VARIABLES,
    PROCESS_VARIABLES,
    target,
    waitid_missing,
)
from lastref.model.properties import pid_laws
from lastref.model.table import END, Command, Law, Table, command


def read_status(at: str, then: str, refused: str) -> tuple[Command, ...]:
    """Return the load of the status for a signal."""
    op = "state.load"
    return (
        command(f"{at}.done", op, at, refused, state == DONE, None, "EPD"),
        command(f"{at}.released", op, at, refused, state == RELEASED, None, "REL"),
        command(at, op, at, then, state == OK),
    )


def read_released(at: str, then: str) -> tuple[Command, ...]:
    """Return the load of the status for a Wait, which only minds *released*."""
    op = "state.load"
    return (
        command(f"{at}.released", op, at, END, state == RELEASED, None, "EINVAL"),
        command(at, op, at, then, state != RELEASED),
    )


def set_status(
    at: str, to: str, reason: int = DONE, outcome: str | None = None
) -> tuple[Command, ...]:
    """Return the loop that sets the status, unless somebody was first."""
    cas, op = f"{at}.cas", "state.compare_exchange"
    return (
        command(f"{at}.late", "state.load", at, to, state != OK, None, outcome),
        command(at, "state.load", at, cas, state == OK),
        command(cas, op, cas, to, state == OK, {state: reason}, outcome),
        command(f"{cas}.retry", op, cas, at, state != OK),
    )


def signal(name: str, *, fatal: bool) -> tuple[Command, ...]:
    """Return Signal; the type was checked before, without looking at anything shared."""
    return (
        *check_pid(f"{name}.check", f"{name}.rlock", SIGNAL_REFUSALS),
        *signal_by_pid(name, fatal=fatal, status=read_status),
    )


def status_laws() -> tuple[Law, ...]:
    """Return the laws of the status."""
    return (
        Law(
            "status-set-once",
            "step",
            "the status never changes once it is set",
            implies(state != OK, after(state) == state),
        ),
        Law(
            "sometimes-released",
            "sometimes",
            "released is set",
            state == RELEASED,
            beside="status-set-once",
        ),
        *done_laws(state == DONE, after(state) == DONE),
    )


GO_2025_PID = Table(
    id="go-2025",
    platform="linux-pid",
    title="32-bit status, raw pid",
    source="Go 1.25 to 1.27",
    shared=(state, waitid_missing, *PROCESS_VARIABLES, *PID_VARIABLES, *LOCK_VARIABLES),
    local=(target,),
    methods={
        "wait": "wait.state",
        "signal": "signal.check",
        "kill": "kill.check",
        "foreign": "foreign.type",
        "release": "release.store_pid",
    },
    commands=(
        *read_released("wait.state", "wait.load_pid"),
        *wait_by_pid("wait", done=set_status),
        *signal("signal", fatal=False),
        *signal("kill", fatal=True),
        FOREIGN,
        store_released("release.store_pid", "release.state"),
        *set_status("release.state", END, RELEASED, "nil"),
    ),
    kernel=PID_KERNEL,
    laws=(*pid_laws(), *status_laws(), *lock_laws()),
    holding=read_locked("signal", "kill"),
    blocking=WAITING | LOCKING,
    starts={
        **PID_STARTS,
        "find-missing": {**PID_STARTS["find-missing"], "state": DONE},
        "find-missing-by-pid": PID_STARTS["find-missing"],
    },
)
