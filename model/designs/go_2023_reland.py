"""go-2023-reland: as it stood just before the overhaul of 2024.

FindProcess never fails again: for a process that is gone it returns one whose Pid is -2, which
Wait and Signal know, before anything else.  Whoever reads the field sees a pid that he never asked
for (go issue 67640).  Everything else is go-2023-pidfd, with two differences: EPERM is no reason to
fall back to the pid, and the close is not deferred (which nobody can see here).

    find   pidfd_open(n) ─┬─ ok ───────────▶ a Process with that handle
                          ├─ ESRCH ────────▶ a Process with Pid -2
                          └─ another error ▶ a Process without a handle, by pid

Source: the parent of Go commit beaf7f3282 (2024), as its diff shows it.
"""

from __future__ import annotations

from dataclasses import replace

from lastref.model.algebra import FALSE
from lastref.model.designs.go_2023_find import FIND_METHODS, careless, careless_laws, find
from lastref.model.designs.go_2023_pidfd import (
    LITERAL_STARTS,
    NO_HANDLE,
    VERSION,
    Version,
    swap_table,
)
from lastref.model.designs.pid_path import MISSING, SIGNAL_REFUSALS, WAIT_REFUSALS
from lastref.model.designs.starts import GONE_PID, OTHERS
from lastref.model.kernel_pid import MINUS_TWO, pid_or_missing
from lastref.model.properties import FIND_KEEPS_PID, find_laws
from lastref.model.table import Command, Must


def find_minus_two() -> tuple[Command, ...]:
    """Return FindProcess(n), whose answer for a missing process has another pid."""
    found, missing = find(missing="nil")
    return (found, replace(missing, must=(Must(FIND_KEEPS_PID, FALSE),)))


RELAND_VERSION: Version = replace(
    VERSION,
    id="go-2023-reland",
    title="the same, a missing process has Pid -2",
    source="the parent of Go commit beaf7f3282 (2024)",
    starts={
        "start": {},
        "find": {},
        "find-other": OTHERS,
        "find-missing": {**NO_HANDLE, **GONE_PID, "pid": MINUS_TWO},
        **LITERAL_STARTS,
    },
    pid=pid_or_missing,
    eperm_falls_back=False,
    before_signal=tuple({**MISSING, **SIGNAL_REFUSALS}.items()),
    before_wait=tuple({**MISSING, **WAIT_REFUSALS}.items()),
    find=(*find_minus_two(), *careless(crashes=False)),
    find_methods=FIND_METHODS,
    find_laws=(*careless_laws(), *find_laws()),
)
GO_2023_RELAND = swap_table(RELAND_VERSION, works=True)
GO_2023_RELAND_PID = swap_table(RELAND_VERSION, works=False)
