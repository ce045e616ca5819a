"""go-2016: wait until the child is a zombie, stop the signallers, and only then reap it.

A zombie keeps its number.  So from waitid(WNOWAIT) to wait4 the number is nobody else's, and in
that time Wait sets the flag and passes through the write lock, behind every signal that had not
seen the flag.  The race of :mod:`~lastref.model.designs.pid_naive` is closed where waitid exists:

    Kill   … rlock ─ status(not done) ─ load_pid ─ kill ─ runlock
    Wait   … waitid(WNOWAIT) ─ mark ─ lock: waits for Kill ─────▶ unlock ─ load_pid ─ wait4

What stays: two Waits may both pass waitid (go issue 67642); Release writes the field that kill()
and wait4() read again (-1).  On a unix without waitid the old race is open.

Source: Go commit cea29c4a35 (2016), src/os/exec_unix.go, wait_linux.go and wait_unimp.go.
"""

from __future__ import annotations

from lastref.model.designs.pid_path import (
    FLAG_VARIABLES,
    LOCKING,
    SIGNAL_REFUSALS,
    WAIT_REFUSALS,
    WAITING,
    check_pid,
    flag_laws,
    isdone,
    lock_laws,
    read_lock,
    read_locked,
    read_unlock,
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
from lastref.model.table import END, Command, Table, command


def signal(name: str, *, fatal: bool) -> tuple[Command, ...]:
    """Return Signal: check the pid, then send under the read lock."""
    return (
        *check_pid(f"{name}.check", f"{name}.rlock", SIGNAL_REFUSALS),
        *signal_by_pid(name, fatal=fatal),
    )


def foreign() -> tuple[Command, ...]:
    """Return Signal with a type that is no signal: refused under the lock, after the flag."""
    status, runlock = "foreign.status", "foreign.runlock"
    return (
        *check_pid("foreign.check", "foreign.rlock", SIGNAL_REFUSALS),
        read_lock("foreign.rlock", status),
        command(f"{status}.done", "load_flag", status, runlock, isdone, None, "EPD"),
        command(status, "load_flag", status, runlock, ~isdone, None, "UNSUP"),
        read_unlock(runlock, END),
    )


def table(platform: str, *, waitid: bool) -> Table:
    """Return the design where waitid exists, and on a unix where it does not."""
    first = "wait.load_pid" if waitid else "wait.load_pid_again"
    asked = (waitid_missing,) if waitid else ()
    return Table(
        id="go-2016",
        platform=platform,
        title="raw pid, done flag, lock" + ("" if waitid else "; no waitid"),
        source="Go commit cea29c4a35 (2016)",
        shared=(*asked, *PROCESS_VARIABLES, *PID_VARIABLES, *FLAG_VARIABLES),
        local=(target,),
        methods={
            "wait": "wait.check",
            "signal": "signal.check",
            "kill": "kill.check",
            "foreign": "foreign.check",
            "release": "release.store_pid",
        },
        commands=(
            *check_pid("wait.check", first, WAIT_REFUSALS),
            *wait_by_pid("wait", fallback=False, waitid=waitid),
            *signal("signal", fatal=False),
            *signal("kill", fatal=True),
            *foreign(),
            store_released("release.store_pid", END, "nil"),
        ),
        kernel=PID_KERNEL,
        laws=(*pid_laws(), *flag_laws(), *lock_laws(writers=waitid)),
        holding=read_locked("signal", "kill") | {"foreign.status", "foreign.runlock"},
        blocking=LOCKING | {"foreign.rlock"} | (WAITING if waitid else {"wait.wait4"}),
        starts=PID_STARTS,
    )


GO_2016_PID = table("linux-pid", waitid=True)
GO_2016_UNIX = table("unix", waitid=False)
