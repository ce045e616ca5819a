"""go-2024 in PID mode: what is left where pidfds do not work, and what a literal always is.

The word holds only the status here, without references: 0, done or released, and whoever is first
sets it, by one compare-and-swap whose failure is ignored.

    Wait      load(released?) ─ load_pid ─ waitid(WNOWAIT) ─ cas(done) ─ lock ─ unlock ─ load_pid ─
              wait4 ─ cas(done)
    Signal    type ─ load_pid(0?) ─ rlock ─ load(done? released?) ─ load_pid ─ kill ─ runlock
    Release   store_pid(-1) ─ cas(released)

The check for Pid -1 was lost on the way here (go issue 68496), and Wait does not look at *done*
(go issue 67642).  Where the kernel has no waitid, Wait after Wait and Release is wait4(-1).

Source: Go commit beaf7f3282 (2024), src/os/exec_unix.go and wait_waitid.go.
"""

from __future__ import annotations

from lastref.model.algebra import after, implies
from lastref.model.designs.go_2024 import FOREIGN, word
from lastref.model.designs.pid_path import (
    LOCK_VARIABLES,
    LOCKING,
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
    MINUS_ONE,
    PID_KERNEL,
    PID_VARIABLES,
    PROCESS_VARIABLES,
    ZERO,
    pid,
    target,
    waitid_missing,
)
from lastref.model.properties import pid_laws
from lastref.model.table import END, Command, Law, Table, command, shared
from lastref.model.word import DONE, RELEASED, STATUS_MASK, refs, status

bare = shared("word", 64, "the status word, without references")


def read_status(at: str, then: str, refused: str) -> tuple[Command, ...]:
    """Return the load of the status for a signal."""
    return (
        command(f"{at}.done", "load", at, refused, status(word) == DONE, None, "EPD"),
        command(f"{at}.released", "load", at, refused, status(word) & RELEASED != 0, None, "REL"),
        command(at, "load", at, then, status(word) == 0),
    )


def deactivate(
    at: str, to: str, reason: int = DONE, outcome: str | None = None
) -> tuple[Command, ...]:
    """Return the one compare-and-swap from 0 to ``reason``; if it fails, somebody was first."""
    op = "compare_exchange"
    return (
        command(at, op, at, to, word == 0, {word: reason}, outcome),
        command(f"{at}.late", op, at, to, word != 0, None, outcome),
    )


def read_released(at: str, then: str, outcome: str) -> tuple[Command, ...]:
    """Return the load of the status for a Wait, which only minds *released*."""
    return (
        command(f"{at}.released", "load", at, END, status(word) == RELEASED, None, outcome),
        command(at, "load", at, then, status(word) != RELEASED),
    )


def signal(name: str, *, fatal: bool) -> tuple[Command, ...]:
    """Return Signal; the type was checked before, without looking at anything shared."""
    return (
        *check_pid(f"{name}.check", f"{name}.rlock", {"unset": (ZERO, "UNINIT")}),
        *signal_by_pid(name, fatal=fatal, status=read_status),
    )


def status_laws() -> tuple[Law, ...]:
    """Return the laws of a word that holds a status and no references."""
    return (
        Law(
            "word-is-legal",
            "always",
            "done and released are never both set, and there are no references",
            (status(word) != STATUS_MASK) & (refs(word) == 0),
        ),
        Law(
            "status-set-once",
            "step",
            "the status never changes once it is set",
            implies(status(word) != 0, status(after(bare)) == status(word)),
        ),
        Law(
            "sometimes-released",
            "sometimes",
            "released is set",
            status(word) == RELEASED,
            beside="status-set-once",
        ),
        Law(
            "released-pid-is-minus-one",
            "always",
            "whoever sees released sees -1 as the pid, too: Release stores it before",
            implies(status(word) == RELEASED, pid == MINUS_ONE),
        ),
        *done_laws(word & DONE != 0, after(bare) & DONE != 0),
    )


GO_2024_PID = Table(
    id="go-2024",
    platform="linux-pid",
    title="64-bit status word, raw pid",
    source="Go commit beaf7f3282 (2024)",
    shared=(
        bare,
        waitid_missing,
        *PROCESS_VARIABLES,
        *PID_VARIABLES,
        *LOCK_VARIABLES,
    ),
    local=(target,),
    methods={
        "wait": "wait.load",
        "signal": "signal.check",
        "kill": "kill.check",
        "foreign": "foreign.type",
        "release": "release.store_pid",
    },
    commands=(
        *read_released("wait.load", "wait.load_pid", "EINVAL"),
        *wait_by_pid("wait", done=deactivate),
        *signal("signal", fatal=False),
        *signal("kill", fatal=True),
        FOREIGN,
        store_released("release.store_pid", "release.cas"),
        *deactivate("release.cas", END, RELEASED, "nil"),
    ),
    kernel=PID_KERNEL,
    laws=(*pid_laws(), *status_laws(), *lock_laws()),
    holding=read_locked("signal", "kill"),
    blocking=WAITING | LOCKING,
    starts=PID_STARTS,
)
