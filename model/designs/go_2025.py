"""go-2025 (Go 1.25 to 1.27): a status, and a handle that counts its own references.

    Process   state ∈ {ok, done, released}             handle   refs, starts at 1

    acquire             state.load ─ not ok? that is the answer ─ acquire of the handle
                        ─ closed? ─ state.load again ─ ok? panic
    do_release(reason)  state.load ─ not ok? nothing to do ─ state.cas ─ release of the handle

Two words where go-2024 has one.  An acquire that has read *ok* can still succeed after Release has
set its status, as long as another reference lives: harmless, for the handle is open exactly while
refs > 0.  A Wait after a Wait says ECHILD here, where go-2024 says ErrProcessDone.

FindProcess of a process that is gone gives an object that is *done* and has no handle: it works on
the raw pid (:mod:`~lastref.model.designs.go_2025_pid`), and there Wait does not look at *done*.

Source: Go 1.25, src/os/exec.go, exec_unix.go, pidfd_linux.go, exec_windows.go.
"""

from __future__ import annotations

from lastref.model.algebra import BOOL, FALSE, Expr, after, conjunction, const, implies, ite
from lastref.model.designs.counted_handle import acquire_handle, refs, release_handle, seen
from lastref.model.designs.go_2024 import FOREIGN
from lastref.model.designs.starts import LITERALS, OTHERS
from lastref.model.kernel import (
    AUTOREAP,
    EXIT,
    HANDLE_VARIABLES,
    OURS,
    REOPEN,
    bystander,
    exited,
    handle,
    send_signal,
    wait_for_exit,
)
from lastref.model.kernel import reaped as was_reaped
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
from lastref.model.properties import NO_PANIC, PANICS, kernel_laws
from lastref.model.table import END, HOLDERS, PANICKED, Command, Law, Table, command, shared

OK, DONE, RELEASED = 0, 1, 2
COMPARED = 9
INCONSISTENT = "panic:inconsistent process status"

state = shared("state", 32, "the status", labels=("ok", "done", "released"))
dropping = shared(
    "dropping",
    BOOL,
    "a ghost: the status is set and the process's own reference not given back yet",
)


def acquire(
    method: str, then: str, *, done: str, released: str, outcome: str | None = None
) -> tuple[Command, ...]:
    """Return the acquire of ``method``: on to ``then``, or end as the status says."""
    first, again = f"{method}.state", f"{method}.again"

    def answers(at: str) -> tuple[Command, ...]:
        return (
            command(f"{at}.done", "state.load", at, END, state == DONE, None, done),
            command(f"{at}.released", "state.load", at, END, state == RELEASED, None, released),
        )

    return (
        *answers(first),
        command(first, "state.load", first, f"{method}.refs", state == OK, None, outcome),
        *acquire_handle(method, then, (again, None)),
        *answers(again),
        command(again, "state.load", again, PANICKED, state == OK, None, INCONSISTENT, PANICS),
    )


def do_release(
    name: str,
    reason: int,
    then: str,
    *,
    outcome: str | None = None,
    late: str | None = None,
    closing: str = "close",
) -> tuple[Command, ...]:
    """Return the release for ``reason``: whoever sets the status gives the reference back.

    ``late`` is the outcome where the handle was released before, if that is another one.
    """
    load, cas = f"{name}.state", f"{name}.state_cas"
    again = state != OK if late is None else state == DONE
    twice = command(f"{load}.twice", "state.load", load, then, state == RELEASED, None, late)
    op = "state.compare_exchange"
    return (
        command(f"{load}.late", "state.load", load, then, again, None, outcome),
        *(() if late is None else (twice,)),
        command(load, "state.load", load, cas, state == OK),
        command(cas, op, cas, f"{name}.refs", state == OK, {state: reason, dropping: 1}, outcome),
        command(f"{cas}.retry", op, cas, load, state != OK),
        *release_handle(name, then, closing=closing, dropped={dropping: 0}),
    )


def inside(*names: str) -> frozenset[str]:
    """Return the locations of a do_release called ``names``."""
    places = ("state", "state_cas", "refs", "refs_cas", "close")
    return frozenset(f"{name}.{place}" for name in names for place in places)


def laws(done_when: Expr) -> tuple[Law, ...]:
    """Return the laws of a status beside a count; ``done_when`` is what *done* says."""
    own = ite(state == OK, const(1, 64), 0) + ite(dropping, const(1, 64), 0)
    # The count has 32 bits and the ghost has 64: they are compared number by number.
    same = conjunction(*((refs == n) == (HOLDERS + own == n) for n in range(COMPARED)))
    return (
        Law(
            "refs-are-holders",
            "always",
            f"references = the process's own + transient holders, where either is below {COMPARED}",
            same,
        ),
        Law(
            "status-set-once",
            "step",
            "the status never changes once it is set",
            implies(state != OK, after(state) == state),
        ),
        Law(
            "done-means-done",
            "always",
            "done says that our process has ended and was reaped",
            implies(state == DONE, done_when),
        ),
        Law(
            "open-while-counted",
            "always",
            "the handle is open while it has references",
            implies(refs != 0, handle == OURS),
        ),
        Law(NO_PANIC, "must", "no method panics"),
        Law(
            "closed-at-rest",
            "rest",
            "at rest the handle is closed exactly if the status is set",
            (state != OK) == (handle != OURS),
        ),
        Law(
            "sometimes-two-holders",
            "sometimes",
            "two threads hold a transient reference at once",
            HOLDERS >= 2,
            beside="refs-are-holders",
        ),
        Law(
            "sometimes-released",
            "sometimes",
            "released is set",
            state == RELEASED,
            beside="status-set-once",
        ),
        Law(
            "sometimes-last-user-closes",
            "sometimes",
            "the thread that closes is not the one that set the status",
            FALSE,
            frozenset({"free.close"}),
            beside="closed-at-rest",
        ),
    )


def sometimes_done() -> tuple[Law, ...]:
    """Return the sight of *done*, which Windows never sets."""
    return (
        Law("sometimes-done", "sometimes", "done is set", state == DONE, beside="done-means-done"),
    )


TRANSIENT = frozenset({"free.refs", "free.refs_cas"})
"""Where a thread still holds the reference that it is about to give back."""

GO_2025 = Table(
    id="go-2025",
    platform="linux",
    title="32-bit status, and a handle with its own 32-bit count",
    source="Go 1.25 to 1.27",
    shared=(state, refs, dropping, *HANDLE_VARIABLES),
    local=(seen,),
    methods={
        "wait": "wait.state",
        "signal": "signal.state",
        "kill": "kill.state",
        "foreign": "foreign.type",
        "release": "release.state",
    },
    commands=(
        *acquire("wait", "wait.waitid", done="wait:ECHILD", released="EINVAL"),
        *wait_for_exit("wait.waitid", "drop.state", "free.refs"),
        *do_release("drop", DONE, "free.refs"),
        *acquire("signal", "signal.send", done="EPD", released="REL"),
        *send_signal("signal.send", "free.refs", fatal=False),
        *acquire("kill", "kill.send", done="EPD", released="REL"),
        *send_signal("kill.send", "free.refs", fatal=True),
        FOREIGN,
        *release_handle("free", END),
        *do_release("release", RELEASED, END, outcome="nil"),
    ),
    kernel=(EXIT, AUTOREAP, REOPEN),
    laws=(*kernel_laws(), *laws(was_reaped), *sometimes_done()),
    holding=TRANSIENT | inside("drop") | {"wait.waitid", "signal.send", "kill.send"},
    blocking=frozenset({"wait.waitid"}),
    starts={"start": {}, "find": {}, "find-other": OTHERS},
    elsewhere=dict.fromkeys((*LITERALS, "find-missing"), "linux-pid"),
)

GO_2025_WINDOWS = Table(
    id="go-2025",
    platform="windows",
    title="32-bit status, and a Windows handle with its own count",
    source="Go 1.25 to 1.27",
    shared=(state, refs, dropping, exited, handle, bystander, pid_owner),
    local=(seen, copy),
    methods={
        "wait": "wait.state",
        "signal": "signal.state",
        "kill": "kill.state",
        "foreign": "foreign.state",
        "release": "release.state",
        "find": "find.open",
    },
    commands=(
        *acquire("wait", "wait.object", done="EPD", released="EINVAL"),
        *wait_for_object("wait.object", "wait.code", "free.refs"),
        *exit_code("wait.code", "wait.times", "free.refs"),
        *process_times("wait.times", "drop.state", "free.refs"),
        *do_release("drop", RELEASED, "free.refs", closing="CloseHandle"),
        *acquire("signal", "free.refs", done="EPD", released="EINVAL", outcome="EWINDOWS"),
        *acquire("kill", "kill.duplicate", done="EPD", released="EINVAL"),
        *terminate("kill", "free.refs"),
        *acquire("foreign", "free.refs", done="EPD", released="EINVAL", outcome="EWINDOWS"),
        *release_handle("free", END, closing="CloseHandle"),
        *do_release("release", RELEASED, END, outcome="nil", late="EINVAL", closing="CloseHandle"),
        *open_process(),
    ),
    kernel=(EXIT, REOPEN, FORGET, RECYCLE_WINDOWS),
    laws=(*kernel_laws(reaps=False), *windows_laws(), *laws(FALSE)),
    holding=TRANSIENT
    | inside("drop")
    | {"wait.object", "wait.code", "wait.times"}
    | {"kill.duplicate", "kill.terminate", "kill.close_copy"},
    blocking=frozenset({"wait.object"}),
    starts={"start": {}, "find": {}},
    refuses=dict.fromkeys(("find-missing", "find-minus-one"), "OpenProcess:INVALID_PARAMETER"),
)
