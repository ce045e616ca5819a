"""pid-naive: wait4, then mark it done; a signal looks at the mark.  The wait/kill race itself.

Between the moment wait4 frees the number and the moment the mark is set, the kernel may give the
number to somebody else, and a signal that finds no mark hits him:

    Wait     load_pid ─ load_pid ─ wait4 ─ . . . . . . . . . . . . . . . . ─ store_flag
    kernel                             recycle
    Kill                                   load_pid ─ load_flag ─ load_pid ─ kill(n)

Setting the mark first would not help: then a signal that has already looked is in between.

Source: src/os/exec_unix.go as Go commit cea29c4a35 (2016) found it; go issues 13987 and 16028.
"""

from __future__ import annotations

from lastref.model.designs.pid_path import (
    SIGNAL_REFUSALS,
    WAIT_REFUSALS,
    check_pid,
    flag_laws,
    isdone,
    load_target,
    read_flag,
    store_released,
    wait_by_pid,
)
from lastref.model.designs.starts import PID_STARTS
from lastref.model.kernel_pid import (
    PID_KERNEL,
    PID_VARIABLES,
    PROCESS_VARIABLES,
    send_by_pid,
    target,
)
from lastref.model.properties import pid_laws
from lastref.model.table import END, Command, Table, command


def signal(name: str, *, fatal: bool) -> tuple[Command, ...]:
    """Return Signal: check the pid, look at the mark, send."""
    status, load, kill = f"{name}.status", f"{name}.load_pid", f"{name}.kill"
    return (
        *check_pid(f"{name}.check", status, SIGNAL_REFUSALS),
        *read_flag(status, load, END),
        load_target(load, kill),
        *send_by_pid(kill, END, fatal=fatal),
    )


def foreign() -> tuple[Command, ...]:
    """Return Signal with a type that is no signal: refused, after the mark."""
    at = "foreign.status"
    return (
        *check_pid("foreign.check", at, SIGNAL_REFUSALS),
        command(f"{at}.done", "load_flag", at, END, isdone, None, "EPD"),
        command(at, "load_flag", at, END, ~isdone, None, "UNSUP"),
    )


PID_NAIVE = Table(
    id="pid-naive",
    platform="linux-pid",
    title="wait4, then mark done",
    source="before Go commit cea29c4a35 (2016)",
    shared=(*PROCESS_VARIABLES, *PID_VARIABLES, isdone),
    local=(target,),
    methods={
        "wait": "wait.check",
        "signal": "signal.check",
        "kill": "kill.check",
        "foreign": "foreign.check",
        "release": "release.store_pid",
    },
    commands=(
        *check_pid("wait.check", "wait.load_pid_again", WAIT_REFUSALS),
        *wait_by_pid("wait", waitid=False),
        *signal("signal", fatal=False),
        *signal("kill", fatal=True),
        *foreign(),
        store_released("release.store_pid", END, "nil"),
    ),
    kernel=PID_KERNEL,
    laws=(*pid_laws(), *flag_laws()),
    blocking=frozenset({"wait.wait4"}),
    starts=PID_STARTS,
)
