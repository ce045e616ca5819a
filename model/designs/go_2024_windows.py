"""go-2024 on Windows: the word of :mod:`~lastref.model.designs.go_2024` around a Windows handle.

    Wait      acquire ─ WaitForSingleObject ─ GetExitCodeProcess ─ GetProcessTimes ─
              its own Release: persistent release(released) ─ transient release
    Kill      acquire ─ DuplicateHandle ─ TerminateProcess ─ CloseHandle(copy) ─ transient release
    Release   persistent release(released); EINVAL if it was released before

The deferred Release of a Wait runs before anything could set *done*: so on Windows the status is
only ever *released*, and Wait, Signal and Release after a Wait all give EINVAL, where the message
of the commit promises ErrProcessDone.

A value made by hand has no handle and is in the wrong mode: every method panics.

Source: Go commit beaf7f3282 (2024), src/os/exec.go and src/os/exec_windows.go.
"""

from __future__ import annotations

from dataclasses import replace

from lastref.model.algebra import BOOL
from lastref.model.designs.go_2024 import (
    acquire,
    old,
    persistent_release,
    transient_release,
    word,
)
from lastref.model.kernel import EXIT, REOPEN, bystander, exited, handle
from lastref.model.kernel_windows import (
    FORGET,
    RECYCLE_WINDOWS,
    copy,
    exit_code,
    open_process,
    pid_owner,
    process_times,
    terminate,
    wait_for_object,
    windows_laws,
)
from lastref.model.properties import PANICS, kernel_laws, word_laws
from lastref.model.table import END, PANICKED, Command, Table, command, shared
from lastref.model.word import RELEASED

has_handle = shared(
    "has_handle",
    BOOL,
    "whether the object is in handle mode; a value made by hand is not, and it never changes",
    initial=1,
)


def in_handle_mode(commands: tuple[Command, ...], entry: str, function: str) -> tuple[Command, ...]:
    """Return ``commands`` with the panic of ``function`` at ``entry`` for a value made by hand."""
    panic = command(
        f"{entry}.mode",
        "mode_check",
        entry,
        PANICKED,
        ~has_handle,
        None,
        f"panic:{function} called in invalid mode",
        PANICS,
    )
    guarded = (replace(c, guard=has_handle & c.guard) if c.at == entry else c for c in commands)
    return (*guarded, panic)


def acquired(method: str, then: str, *, outcome: str | None = None) -> tuple[Command, ...]:
    """Return the transient acquire that ``method`` begins with."""
    commands = acquire(method, then, done="EPD", released="EINVAL", outcome=outcome)
    return in_handle_mode(commands, f"{method}.load", "handleTransientAcquire")


def wait() -> tuple[Command, ...]:
    """Return Wait: the object, its exit code, its times; then a Release, whose outcome is lost."""
    code, times = "wait.code", "wait.times"
    return (
        *acquired("wait", "wait.object"),
        *wait_for_object("wait.object", code, "free.load"),
        *exit_code(code, times, "free.load"),
        *process_times(times, "drop.load", "free.load"),
        *persistent_release("drop", RELEASED, "free.load", outcome=None, closing="CloseHandle"),
    )


def release() -> tuple[Command, ...]:
    """Return Release: EINVAL the second time, and after a Wait."""
    commands = persistent_release(
        "release", RELEASED, END, outcome="nil", late="EINVAL", closing="CloseHandle"
    )
    return in_handle_mode(commands, "release.load", "handlePersistentRelease")


HOLDING = frozenset(
    {
        "wait.object",
        "wait.code",
        "wait.times",
        "drop.load",
        "drop.cas",
        "drop.close",
        "kill.duplicate",
        "kill.terminate",
        "kill.close_copy",
        "free.load",
        "free.cas",
    }
)

GO_2024_WINDOWS = Table(
    id="go-2024",
    platform="windows",
    title="64-bit status/refcount word, Windows handle",
    source="Go commit beaf7f3282 (2024)",
    shared=(word, has_handle, exited, handle, bystander, pid_owner),
    local=(old, copy),
    methods={
        "wait": "wait.load",
        "signal": "signal.load",
        "kill": "kill.load",
        "foreign": "foreign.load",
        "release": "release.load",
        "find": "find.open",
    },
    commands=(
        *wait(),
        *acquired("signal", "free.load", outcome="EWINDOWS"),
        *acquired("kill", "kill.duplicate"),
        *terminate("kill", "free.load"),
        *acquired("foreign", "free.load", outcome="EWINDOWS"),
        *transient_release(closing="CloseHandle"),
        *release(),
        *open_process(),
    ),
    kernel=(EXIT, REOPEN, FORGET, RECYCLE_WINDOWS),
    laws=(
        *kernel_laws(reaps=False),
        *windows_laws(),
        *word_laws(
            word,
            last_user_closes=frozenset({"free.close"}),
            last_release=frozenset({"free.cas.last"}),
            reaps=False,
        ),
    ),
    holding=HOLDING,
    blocking=frozenset({"wait.object"}),
    starts={"start": {}, "find": {}, "literal": {"has_handle": 0}},
    refuses=dict.fromkeys(("find-missing", "find-minus-one"), "OpenProcess:INVALID_PARAMETER"),
)
