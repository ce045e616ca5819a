"""go-2023-pidfd: a pidfd in an atomic field; whoever is done with it swaps it out and closes it.

The field is loaded, and then the number is used, by everyone without asking who else is using it.
Between a load and its use, Release (or a Wait that succeeded) may swap the field to *unset* and
close the number; the kernel hands it out again, and the use hits whatever it means then.

    Signal   load_pid ─ load ─(7)─ . . . . . . . . . . . . . . . . ─ pidfd_send_signal(7)
    Release                       swap(unset) ─ close(7)                     ▲
    kernel                                              7 is somebody else's ┘

That is go issue 67641.  A Process made by hand has 0 in the field, which is not *unset*: it is
taken for descriptor 0 (go issue 67634).  Where the field is unset, or a filter refuses the pidfd
calls, a call falls back to the raw pid, for itself alone.

Source: Go commit 750738b5d1 (2023), src/os/exec_unix.go and src/os/pidfd_linux.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lastref.model.algebra import implies
from lastref.model.designs.pid_path import (
    FLAG_VARIABLES,
    LOCKING,
    SIGNAL_REFUSALS,
    WAIT_REFUSALS,
    WAITING,
    Refusals,
    check_pid,
    flag_laws,
    isdone,
    lock_laws,
    read_locked,
    signal_by_pid,
    store_released,
    wait_by_pid,
)
from lastref.model.designs.starts import GONE_PID, OTHERS, Starts
from lastref.model.kernel import (
    CLOSED,
    EXIT,
    OURS,
    REOPEN,
    UNOPENED,
    any_handle,
    close_handle,
    send_signal,
    wait_for_exit,
)
from lastref.model.kernel_pid import (
    AUTOREAP_PID,
    MINUS_ONE,
    PID_VARIABLES,
    PROCESS_VARIABLES,
    REAPING,
    REAPING_SIBLING,
    RECYCLE,
    RECYCLE_SIBLING,
    SIBLING_EXIT,
    ZERO,
    pid,
    target,
    target_or_missing,
    waitid_missing,
)
from lastref.model.properties import kernel_laws, pid_sights
from lastref.model.table import END, Command, Law, Table, Variable, command, shared

UNSET, SET = 0, 1
NONE, ENOSYS, EPERM, EINVAL = 0, 1, 2, 3

field = shared(
    "field",
    1,
    "whether the handle field holds the number, or is unset",
    initial=SET,
    labels=("unset", "set"),
)
no_field = shared("field", 1, "the same, where the probe failed", labels=field.labels)
no_handle = shared("handle", 2, any_handle.doc, initial=CLOSED, labels=any_handle.labels)
refusal = shared(
    "refusal",
    2,
    "what a filter installed after the probe answers to pidfd calls; it never changes",
    labels=("none", "ENOSYS", "EPERM", "EINVAL"),
)

Answers = Mapping[int, tuple[str, str | None]]
"""For each refusal: where the call goes on, and with which outcome."""


@dataclass(frozen=True)
class Version:
    """What the versions of 2023 differ in."""

    id: str
    title: str
    source: str
    starts: Starts
    refuses: Mapping[str, str]
    pid: Variable = pid
    eperm_falls_back: bool = True
    before_signal: tuple[tuple[str, tuple[int, str]], ...] = tuple(SIGNAL_REFUSALS.items())
    before_wait: tuple[tuple[str, tuple[int, str]], ...] = tuple(WAIT_REFUSALS.items())
    find: tuple[Command, ...] = ()
    find_methods: tuple[tuple[str, str], ...] = ()
    find_laws: tuple[Law, ...] = ()

    @property
    def signal_refusals(self) -> Refusals:
        """The pids for which Signal ends at once."""
        return dict(self.before_signal)

    @property
    def wait_refusals(self) -> Refusals:
        """The pids for which Wait ends at once."""
        return dict(self.before_wait)


def load_field(at: str, known: str, unset: str, *, works: bool) -> tuple[Command, ...]:
    """Return the load of the handle field: on to ``known`` with the number, or to ``unset``.

    Where the probe failed (not ``works``) the number is not used, whatever it is.
    """
    if not works:
        return (command(at, "load", at, unset),)
    return (
        command(at, "load", at, known, field == SET),
        command(f"{at}.unset", "load", at, unset, field == UNSET),
    )


def unless_refused(
    commands: tuple[Command, ...], at: str, op: str, answers: Answers
) -> tuple[Command, ...]:
    """Return the system call ``commands`` at ``at`` with the answers of a filter beside them."""
    let_through = tuple(replace(c, guard=c.guard & (refusal == NONE)) for c in commands)
    refused = tuple(
        command(f"{at}.{refusal.labels[why]}", op, at, to, refusal == why, None, outcome)
        for why, (to, outcome) in answers.items()
    )
    return (*let_through, *refused)


def signal(version: Version, name: str, *, fatal: bool, works: bool) -> tuple[Command, ...]:
    """Return Signal: check the pid, load the handle, send; without a handle by pid."""
    load, send, by_pid = f"{name}.load", f"{name}.send", f"{name}.rlock"
    sent = unless_refused(
        send_signal(send, END, fatal=fatal, literal=True),
        send,
        "pidfd_send_signal",
        {ENOSYS: (by_pid, None), EPERM: (END, "EPERM"), EINVAL: (END, "EINVAL")},
    )
    return (
        *check_pid(f"{name}.check", load, version.signal_refusals),
        *load_field(load, send, by_pid, works=works),
        *(sent if works else ()),
        *signal_by_pid(name, fatal=fatal, pids=version.pid),
    )


def swap_and_close(name: str, then: str, *, op: str = "close") -> tuple[Command, ...]:
    """Return ``Swap(unset)`` and, if there was a number, its close."""
    swap, close = f"{name}.swap", f"{name}.close"
    return (
        command(swap, "swap", swap, close, field == SET, {field: UNSET}),
        command(f"{swap}.late", "swap", swap, then, field == UNSET),
        *close_handle(close, then, op=op, literal=True),
    )


def wait(version: Version, *, works: bool) -> tuple[Command, ...]:
    """Return Wait: by the handle, reaping at once; without a handle by pid."""
    at, by_pid = "wait.pidfd", "wait.load_pid"
    eperm = (by_pid, None) if version.eperm_falls_back else (END, "waitid:EPERM")
    waited = unless_refused(
        wait_for_exit(
            at, "wait.done", END, reaping=REAPING, reaping_other=REAPING_SIBLING, literal=True
        ),
        at,
        "waitid",
        {ENOSYS: (by_pid, None), EPERM: eperm, EINVAL: (by_pid, None)},
    )
    by_handle = (
        *waited,
        command("wait.done", "store_flag", "wait.done", "wait.swap", update={isdone: 1}),
        *swap_and_close("wait", END),
    )
    return (
        *check_pid("wait.check", "wait.load", version.wait_refusals),
        *load_field("wait.load", at, by_pid, works=works),
        *(by_handle if works else ()),
        *wait_by_pid("wait", pids=version.pid),
    )


def release() -> tuple[Command, ...]:
    """Return Release: swap and close, then make the Pid field useless."""
    at = "release.store_pid"
    return (*swap_and_close("release", at), store_released(at, END, "nil"))


def field_laws() -> tuple[Law, ...]:
    """Return the laws of the handle field."""
    holds = (any_handle == OURS) | (any_handle == UNOPENED)
    return (
        Law(
            "field-implies-open",
            "always",
            "while the field holds a number, nobody has closed it",
            implies(field == SET, holds),
        ),
        Law(
            "closed-at-rest",
            "rest",
            "at rest the handle is closed exactly if the field is unset",
            (field == SET) == holds,
        ),
    )


def swap_table(version: Version, *, works: bool) -> Table:
    """Return ``version`` on a Linux where the pidfd probe succeeded, or did not."""
    filtered, handles = ((refusal,), {"wait.pidfd"}) if works else ((), set())
    return Table(
        id=version.id,
        platform="linux" if works else "linux-pid",
        title=version.title if works else f"{version.title}; the probe failed",
        source=version.source,
        shared=(
            field if works else no_field,
            *filtered,
            waitid_missing,
            *PROCESS_VARIABLES,
            any_handle if works else no_handle,
            version.pid,
            *(v for v in PID_VARIABLES if v is not pid),
            *FLAG_VARIABLES,
        ),
        local=(target if version.pid is pid else target_or_missing,),
        methods={
            "wait": "wait.check",
            "signal": "signal.check",
            "kill": "kill.check",
            "foreign": "foreign.check",
            "release": "release.swap",
            **(dict(version.find_methods) if works else {}),
        },
        commands=(
            *wait(version, works=works),
            *signal(version, "signal", fatal=False, works=works),
            *signal(version, "kill", fatal=True, works=works),
            *check_pid("foreign.check", END, version.signal_refusals, outcome="UNSUP"),
            *release(),
            *(version.find if works else ()),
        ),
        kernel=(EXIT, AUTOREAP_PID, REOPEN, RECYCLE, RECYCLE_SIBLING, SIBLING_EXIT),
        laws=(
            *kernel_laws(literal=True),
            *pid_sights(),
            *flag_laws(),
            *lock_laws(),
            *field_laws(),
            *(version.find_laws if works else ()),
        ),
        holding=read_locked("signal", "kill"),
        blocking=WAITING | LOCKING | handles,
        starts=version.starts if works else BY_PID_STARTS,
        refuses=version.refuses if works else {},
    )


NO_HANDLE: Mapping[str, int] = {"field": UNSET, "handle": CLOSED}
HANDLE_ZERO: Mapping[str, int] = {"handle": UNOPENED}

LITERAL_STARTS: Starts = {
    "literal": HANDLE_ZERO,
    "literal-other": {**HANDLE_ZERO, **OTHERS},
    "literal-minus-one": {**HANDLE_ZERO, "pid": MINUS_ONE},
    "zero-literal": {**HANDLE_ZERO, "pid": ZERO},
    "find-minus-one": {**NO_HANDLE, "pid": MINUS_ONE},
}
"""Made by hand: the field is 0, and 0 is a descriptor."""
FOUND_BY_PID: Starts = {
    "find": NO_HANDLE,
    "find-other": {**NO_HANDLE, **OTHERS},
    "find-missing": {**NO_HANDLE, **GONE_PID},
}
"""FindProcess that opens nothing."""
BY_PID_STARTS: Starts = {
    "start": {},
    **FOUND_BY_PID,
    **{name: {"field": SET, **values} for name, values in LITERAL_STARTS.items()},
    "find-minus-one": {"pid": MINUS_ONE},
}
"""Where the probe failed nothing has a handle, but for a value made by hand."""

VERSION = Version(
    id="go-2023-pidfd",
    title="pidfd in an atomic field, swap then close",
    source="Go commit 750738b5d1 (2023)",
    starts={"start": {}, **FOUND_BY_PID, **LITERAL_STARTS},
    refuses={},
)
GO_2023_PIDFD = swap_table(VERSION, works=True)
GO_2023_PIDFD_PID = swap_table(VERSION, works=False)
