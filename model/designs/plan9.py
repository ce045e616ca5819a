"""go-2016 and go-2024 on Plan 9: a note written to /proc/n, with no lock around it.

    2016   Wait     load_pid(-1?) ─ load_pid ─ WaitProcess ─ store_flag
           Signal   load_flag ─ load_pid ─ write_note
           Release  store_pid(-1)
    2024   Wait     load(released?) ─ load_pid ─ WaitProcess ─ cas(done)
           Signal   load(done? released?) ─ load_pid ─ write_note
           Release  store_pid(-1) ─ cas(released)

The number is free when the process ends, so a note can always reach the wrong process: between the
look at the status and the write, or while nobody has waited yet.

Source: src/os/exec_plan9.go at Go commits cea29c4a35 (2016) and beaf7f3282 (2024).
"""

from __future__ import annotations

from lastref.model.designs.go_2024_pid import bare, deactivate, read_released, status_laws
from lastref.model.designs.pid_path import (
    check_pid,
    flag_laws,
    isdone,
    load_target,
    read_flag,
    set_flag,
    store_released,
)
from lastref.model.designs.starts import OTHERS, Starts
from lastref.model.kernel_pid import (
    FREE,
    MINUS_ONE,
    PROCESS_VARIABLES,
    RECYCLE,
    RECYCLE_SIBLING,
    SIBLING_EXIT,
    pid,
    pid_owner,
    stranger,
    target,
)
from lastref.model.kernel_plan9 import EXIT_PLAN9, wait_process, write_note
from lastref.model.properties import pid_laws
from lastref.model.table import END, Command, Table, command
from lastref.model.word import DONE, RELEASED, status

GONE = {"exited": 1, "reaped": 1, "pid_owner": FREE}
STARTS: Starts = {
    "start": {},
    "find": {},
    "find-other": OTHERS,
    "find-missing": GONE,
    "find-minus-one": {"pid": MINUS_ONE},
    "literal": {},
    "literal-other": OTHERS,
    "literal-minus-one": {"pid": MINUS_ONE},
}
VARIABLES = (*PROCESS_VARIABLES, pid, pid_owner, stranger)
KERNEL = (EXIT_PLAN9, RECYCLE, RECYCLE_SIBLING, SIBLING_EXIT)
METHODS = {
    "signal": "signal.status",
    "kill": "kill.status",
    "foreign": "foreign.status",
    "release": "release.store_pid",
}
SIGNALS = {"signal": False, "kill": True, "foreign": False}
"""Each kind of signal, and whether it ends the process; every type of signal is a note."""


def note(name: str, *, fatal: bool) -> tuple[Command, ...]:
    """Return the load of the pid and the write, once the status was looked at."""
    load, write = f"{name}.load_pid", f"{name}.write"
    return (load_target(load, write), *write_note(write, END, fatal=fatal))


def read_status(at: str, then: str) -> tuple[Command, ...]:
    """Return the load of the status word for a note: raw ENOENT after Release."""
    word = bare
    return (
        command(f"{at}.done", "load", at, END, status(word) == DONE, None, "EPD"),
        command(f"{at}.released", "load", at, END, status(word) & RELEASED != 0, None, "ENOENT"),
        command(at, "load", at, then, status(word) == 0),
    )


def waiting(last: tuple[Command, ...]) -> tuple[Command, ...]:
    """Return the wait by pid, and then ``last``."""
    load, wait = "wait.load_pid", "wait.process"
    return (load_target(load, wait), *wait_process(wait, "wait.finish", END), *last)


GO_2016_PLAN9 = Table(
    id="go-2016",
    platform="plan9",
    title="raw pid, done flag, notes",
    source="Go commit cea29c4a35 (2016)",
    shared=(*VARIABLES, isdone),
    local=(target,),
    methods={"wait": "wait.check", **METHODS},
    commands=(
        *check_pid("wait.check", "wait.load_pid", {"released": (MINUS_ONE, "ErrInvalid")}),
        *waiting(set_flag("wait.finish", END)),
        *(
            c
            for name, fatal in SIGNALS.items()
            for c in (
                *read_flag(f"{name}.status", f"{name}.load_pid", END),
                *note(name, fatal=fatal),
            )
        ),
        store_released("release.store_pid", END, "nil"),
    ),
    kernel=KERNEL,
    laws=(*pid_laws(), *flag_laws()),
    blocking=frozenset({"wait.process"}),
    starts=STARTS,
)

GO_2024_PLAN9 = Table(
    id="go-2024",
    platform="plan9",
    title="64-bit status word, notes",
    source="Go commit beaf7f3282 (2024)",
    shared=(bare, *VARIABLES),
    local=(target,),
    methods={"wait": "wait.load", **METHODS},
    commands=(
        *read_released("wait.load", "wait.load_pid", "ErrInvalid"),
        *waiting(deactivate("wait.finish", END)),
        *(
            c
            for name, fatal in SIGNALS.items()
            for c in (
                *read_status(f"{name}.status", f"{name}.load_pid"),
                *note(name, fatal=fatal),
            )
        ),
        store_released("release.store_pid", "release.cas"),
        *deactivate("release.cas", END, RELEASED, "nil"),
    ),
    kernel=KERNEL,
    laws=(*pid_laws(), *status_laws()),
    blocking=frozenset({"wait.process"}),
    starts=STARTS,
)
