"""go-2023-find: FindProcess opens a pidfd too, and fails where there is no such process.

    find   pidfd_open(n) ─┬─ ok ───────────▶ a Process with that handle
                          ├─ ESRCH ────────▶ (none, EPD)
                          └─ another error ▶ a Process without a handle, by pid

Until then FindProcess had never failed on a unix, so callers did not look at its error; one that
ignores it now uses a Process that is not there (go issue 65866).  The setting osfinderr=0 brings
the old behaviour back: that is platform ``linux`` with the start ``find-by-pid``.

The text added to the documentation says ErrProcessGone; the code returns ErrProcessDone.

Source: Go commit cdf3249d74 (2023), src/os/exec_unix.go and src/os/pidfd_linux.go.
"""

from __future__ import annotations

from dataclasses import replace

from lastref.model.designs.go_2023_pidfd import (
    FOUND_BY_PID,
    LITERAL_STARTS,
    NO_HANDLE,
    VERSION,
    Version,
    swap_table,
)
from lastref.model.designs.starts import OTHERS
from lastref.model.kernel_pid import FREE, pid_owner
from lastref.model.properties import NO_PANIC, PANICS
from lastref.model.table import END, PANICKED, Command, Law, command

NIL_POINTER = "panic:nil pointer dereference"


def find(*, missing: str) -> tuple[Command, ...]:
    """Return FindProcess(n), which changes nothing here; ``missing`` is its answer to ESRCH."""
    at = "find.open"
    return (
        command(at, "pidfd_open", at, END, pid_owner != FREE, None, "nil"),
        command(f"{at}.missing", "pidfd_open", at, END, pid_owner == FREE, None, missing),
    )


def careless(*, crashes: bool) -> tuple[Command, ...]:
    """Return ``p, _ := FindProcess(n); p.Signal(0)``, by a caller who ignores the error.

    What the signal does to a Process that was found is that Process's own affair.
    """
    at, gone = "careless.open", pid_owner == FREE
    missing = (
        command(f"{at}.missing", "pidfd_open", at, PANICKED, gone, None, NIL_POINTER, PANICS)
        if crashes
        else command(f"{at}.missing", "pidfd_open", at, END, gone, None, "EPD")
    )
    return (command(at, "pidfd_open", at, END, pid_owner != FREE, None, "nil"), missing)


FIND_METHODS = (("find", "find.open"), ("careless", "careless.open"))


def careless_laws() -> tuple[Law, ...]:
    """Return the law that a careless caller lives by."""
    return (Law(NO_PANIC, "must", "a caller who ignores FindProcess's error does not crash"),)


FIND_VERSION: Version = replace(
    VERSION,
    id="go-2023-find",
    title="the same, FindProcess opens a pidfd",
    source="Go commit cdf3249d74 (2023)",
    starts={
        "start": {},
        "find": {},
        "find-other": OTHERS,
        "find-by-pid": NO_HANDLE,
        "find-missing-by-pid": FOUND_BY_PID["find-missing"],
        **LITERAL_STARTS,
    },
    refuses={"find-missing": "EPD"},
    find=(*find(missing="EPD"), *careless(crashes=True)),
    find_methods=FIND_METHODS,
    find_laws=careless_laws(),
)
GO_2023_FIND = swap_table(FIND_VERSION, works=True)
GO_2023_FIND_PID = swap_table(FIND_VERSION, works=False)
