"""The designs before 2024 on Windows: the handle in an atomic field, swapped out by Release.

    Wait      load ─ WaitForSingleObject ─ GetExitCodeProcess ─ GetProcessTimes ─ store_flag ─
              swap ─ CloseHandle
    Kill      load ─ load_flag ─ DuplicateHandle ─ TerminateProcess ─ CloseHandle(copy)
    Release   swap ─ CloseHandle; a second one is EINVAL

Between a load and the use of its value another thread may swap and close, and Windows hands the
value out again.  Wait does not check the field: after Release, or a second time, it waits for the
pseudo-handle -1, which is the calling process itself, and hangs.

Not a design by itself: the Windows side of go-2016 and of the versions of 2023.
Source: src/os/exec_windows.go at Go commits cea29c4a35 (2016) to beaf7f3282's parent (2024).
"""

from __future__ import annotations

from lastref.model.algebra import FALSE
from lastref.model.designs.go_2023_pidfd import (
    HANDLE_ZERO,
    SET,
    UNSET,
    field,
    field_laws,
    load_field,
    swap_and_close,
)
from lastref.model.designs.pid_path import flag_laws, isdone, read_flag
from lastref.model.kernel import EXIT, REOPEN, any_handle, bystander, exited
from lastref.model.kernel_windows import (
    FORGET,
    RECYCLE_WINDOWS,
    close_returning,
    copy,
    exit_code,
    open_process,
    pid_owner,
    process_times,
    terminate,
    wait_for_object,
    windows_laws,
)
from lastref.model.properties import kernel_laws
from lastref.model.table import BLOCKED, END, Command, Law, Must, Table, command

NO_HANG = "no-hang"
HANGS = (Must(NO_HANG, FALSE),)


def wait() -> tuple[Command, ...]:
    """Return Wait, which ends with a Release of its own."""
    code, times, done = "wait.code", "wait.times", "wait.done"
    hang = "wait.invalid"
    return (
        *load_field("wait.load", "wait.object", hang, works=True),
        command(hang, "WaitForSingleObject", hang, BLOCKED, outcome="hang", must=HANGS),
        *wait_for_object("wait.object", code, END, literal=True),
        *exit_code(code, times, END, literal=True),
        *process_times(times, done, END, literal=True),
        command(done, "store_flag", done, "wait.swap", update={isdone: 1}),
        *swap_and_close("wait", END, op="CloseHandle"),
    )


def load_for_signal(name: str) -> tuple[Command, ...]:
    """Return the load of the field for a signal: EINVAL where it is unset."""
    at = f"{name}.load"
    return (
        command(at, "load", at, f"{name}.status", field == SET),
        command(f"{at}.unset", "load", at, END, field == UNSET, None, "EINVAL"),
    )


def kill() -> tuple[Command, ...]:
    """Return Signal(Kill), the one signal that Windows has."""
    return (
        *load_for_signal("kill"),
        *read_flag("kill.status", "kill.duplicate", END),
        *terminate("kill", END, literal=True),
    )


def other_signal(name: str) -> tuple[Command, ...]:
    """Return Signal with anything else: not supported by Windows."""
    at = f"{name}.status"
    return (
        *load_for_signal(name),
        command(f"{at}.done", "load_flag", at, END, isdone, None, "EPD"),
        command(at, "load_flag", at, END, ~isdone, None, "EWINDOWS"),
    )


def release() -> tuple[Command, ...]:
    """Return Release: the first one closes, and returns what CloseHandle says."""
    swap, close = "release.swap", "release.close"
    return (
        command(swap, "swap", swap, close, field == SET, {field: UNSET}, "nil"),
        command(f"{swap}.late", "swap", swap, END, field == UNSET, None, "EINVAL"),
        *close_returning(close, END),
    )


def swap_windows(design: str, source: str) -> Table:
    """Return ``design`` on Windows."""
    return Table(
        id=design,
        platform="windows",
        title="handle in an atomic field, swap then close",
        source=source,
        shared=(field, exited, any_handle, bystander, pid_owner, isdone),
        local=(copy,),
        methods={
            "wait": "wait.load",
            "signal": "signal.load",
            "kill": "kill.load",
            "foreign": "foreign.load",
            "release": "release.swap",
            "find": "find.open",
        },
        commands=(
            *wait(),
            *other_signal("signal"),
            *kill(),
            *other_signal("foreign"),
            *release(),
            *open_process(),
        ),
        kernel=(EXIT, REOPEN, FORGET, RECYCLE_WINDOWS),
        laws=(
            Law(NO_HANG, "must", "no call waits for something that cannot happen"),
            *kernel_laws(literal=True, reaps=False),
            *windows_laws(),
            *flag_laws(),
            *field_laws(),
        ),
        blocking=frozenset({"wait.object"}),
        starts={"start": {}, "find": {}, "literal": HANDLE_ZERO},
        refuses=dict.fromkeys(("find-missing", "find-minus-one"), "OpenProcess:INVALID_PARAMETER"),
    )


GO_2016_WINDOWS = swap_windows("go-2016", "Go commit cea29c4a35 (2016)")
GO_2023_PIDFD_WINDOWS = swap_windows("go-2023-pidfd", "Go commit 750738b5d1 (2023)")
GO_2023_FIND_WINDOWS = swap_windows("go-2023-find", "Go commit cdf3249d74 (2023)")
GO_2023_RELAND_WINDOWS = swap_windows("go-2023-reland", "the parent of Go commit beaf7f3282 (2024)")
