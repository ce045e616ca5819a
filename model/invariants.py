"""Why the designs are right for any number of threads: their inductive invariants.

Each conjunct is a sentence about how many threads stand where, about the words and the handle.
Together they hold at the start, every command keeps them, and they imply the laws; that is for
:mod:`~lastref.model.induct` to show.  None can be spared: a test drops each in turn.

A design that is known to break laws has an invariant too, for the laws that it keeps; those that it
breaks are named here, and :mod:`~lastref.model.cases` has the runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lastref.model.designs import get
from lastref.model.invariant import Conjunct, Invariant
from lastref.model.invariants_fdmutex import LIMIT as FD_MUTEX_LIMIT
from lastref.model.invariants_fdmutex import SUMS as FD_MUTEX_SUMS
from lastref.model.invariants_fdmutex import fd_mutex
from lastref.model.invariants_handle import (
    DOUBLE_SUMS,
    HANDLE_LIMIT,
    HANDLE_WORD_LIMIT,
    PINNED,
    SAFE_HANDLE_LIMIT,
    counted_linux,
    counted_windows,
    double_count,
    linux_word,
    safe_handle,
    windows_word,
)
from lastref.model.invariants_pid import (
    FINISHING,
    PID_COMES_BACK,
    READERS,
    RELEASED_PID,
    SIBLING_LIVES,
    WINDOWS_WAIT,
    Claim,
    ended,
    flag,
    lock,
    one_wait,
    state_done,
    state_set,
    swapped,
    word_done,
    word_is_status,
    word_set,
)
from lastref.model.kernel import NO_UNOPENED, NO_USE_AFTER_CLOSE, NO_WRONG_PROCESS, UNOPENED
from lastref.model.properties import FIND_KEEPS_PID, NO_PANIC

__all__ = ["INVARIANTS", "ONE_WAIT", "PARTIAL", "SOUND", "Conjunct", "Invariant"]

Key = tuple[str, str]


def _starts(design: str, platform: str) -> tuple[Mapping[str, int | None], ...]:
    """Return the starts of a table, each with a process that has ended or not.

    Those of a value made by hand are left out where the design has no good number to work on.
    """
    table = get(design, platform)
    chosen = (values for values in table.starts.values() if not _without_handle(values))
    return tuple({"exited": None, **values} for values in chosen)


def _without_handle(values: Mapping[str, int]) -> bool:
    """Return whether the object takes a number that it never opened for its handle."""
    return bool(
        values.get("has_handle") == 0
        or (values.get("handle") == UNOPENED and values.get("field", 1) == 1)
    )


WORD_TEXT = "fewer than 2^62 - 1 threads hold a reference at once"
HANDLE_TEXT = "fewer than 2^31 - 1 threads hold a reference at once"

BY_FLAG: tuple[Key, ...] = (
    ("go-2016", "linux-pid"),
    ("go-2023-pidfd", "linux-pid"),
    ("go-2023-find", "linux-pid"),
    ("go-2023-reland", "linux-pid"),
)
BY_WORD: tuple[Key, ...] = (("go-2024", "linux-pid"), ("go-2025-double", "linux-pid"))
SWAPPED: tuple[Key, ...] = (
    ("go-2023-pidfd", "linux"),
    ("go-2023-find", "linux"),
    ("go-2023-reland", "linux"),
    *BY_FLAG[1:],
)
SWAPPED_WINDOWS: tuple[Key, ...] = (
    ("go-2016", "windows"),
    ("go-2023-pidfd", "windows"),
    ("go-2023-find", "windows"),
    ("go-2023-reland", "windows"),
)
WRONG = frozenset({NO_WRONG_PROCESS})
SWAP_BREAKS = WRONG | {NO_USE_AFTER_CLOSE, NO_UNOPENED, NO_PANIC, FIND_KEEPS_PID, "no-hang"}


def _kept(key: Key, conjuncts: tuple[Conjunct, ...], broken: frozenset[str]) -> Invariant:
    """Return the invariant of a design that breaks some laws, for those that it keeps."""
    stated = {law.id for law in get(*key).laws}
    return Invariant(conjuncts, starts=_starts(*key), broken=broken & stated)


def _by_pid(key: Key, done: Claim, *more: Conjunct) -> Invariant:
    conjuncts = (*lock(), PID_COMES_BACK, SIBLING_LIVES, ended(done), *more)
    return _kept(key, conjuncts, WRONG)


def _one_wait(key: Key, done: Claim, *more: Conjunct) -> Invariant:
    """Return the invariant for one Wait and any number of signals, on a child of our own."""
    return Invariant(
        (*one_wait(done), *more),
        starts=({"exited": None, **get(*key).starts["start"]},),
        limit_text="one Wait, no Release, a child of our own",
        broken=frozenset(law.id for law in get(*key).laws) - {NO_WRONG_PROCESS},
        methods=("wait", "signal", "kill"),
        once=("wait",),
    )


PARTIAL: Mapping[Key, Invariant] = {
    **{key: _by_pid(key, flag) for key in BY_FLAG},
    **{key: _by_pid(key, word_done, word_is_status(), RELEASED_PID) for key in BY_WORD},
    ("go-2025", "linux-pid"): _by_pid(("go-2025", "linux-pid"), state_done),
    ("go-2016", "unix"): _kept(
        ("go-2016", "unix"),
        (READERS, SIBLING_LIVES, ended(flag, FINISHING)),
        WRONG,
    ),
    ("pid-naive", "linux-pid"): _kept(
        ("pid-naive", "linux-pid"), (SIBLING_LIVES, ended(flag, FINISHING)), WRONG
    ),
    ("go-2016", "plan9"): _kept(
        ("go-2016", "plan9"), (SIBLING_LIVES, ended(flag, FINISHING)), WRONG
    ),
    ("go-2024", "plan9"): _kept(
        ("go-2024", "plan9"),
        (SIBLING_LIVES, ended(word_done, FINISHING), word_is_status(), RELEASED_PID),
        WRONG,
    ),
    **{
        key: _kept(
            key,
            (
                *lock(),
                PID_COMES_BACK,
                SIBLING_LIVES,
                ended(flag),
                *swapped(("wait.close", "release.close")),
            ),
            SWAP_BREAKS,
        )
        for key in SWAPPED
    },
    **{
        key: _kept(
            key,
            (ended(flag, WINDOWS_WAIT), PINNED, *swapped(("wait.close", "release.close"))),
            SWAP_BREAKS,
        )
        for key in SWAPPED_WINDOWS
    },
    ("go-2025-double", "linux"): replace(
        _kept(("go-2025-double", "linux"), double_count(), frozenset({NO_PANIC})),
        sums=DOUBLE_SUMS,
        limit=HANDLE_LIMIT,
        limit_text=HANDLE_TEXT,
    ),
}
"""The invariant of every design that breaks some law, for the laws that it keeps."""

ONE_WAIT: Mapping[Key, Invariant] = {
    **{key: _one_wait(key, flag) for key in BY_FLAG},
    **{key: _one_wait(key, word_set, word_is_status()) for key in BY_WORD},
    ("go-2025", "linux-pid"): _one_wait(("go-2025", "linux-pid"), state_set),
}
"""Where one Wait beside any number of signals is safe, although two Waits are not."""

SOUND: Mapping[Key, Invariant] = {
    **{
        ("go-2024", platform): Invariant(
            linux_word(),
            starts=_starts("go-2024", platform),
            limit=HANDLE_WORD_LIMIT,
            limit_text=WORD_TEXT,
        )
        for platform in ("linux", "linux-find")
    },
    ("go-2024", "windows"): Invariant(
        windows_word(),
        starts=_starts("go-2024", "windows"),
        limit=HANDLE_WORD_LIMIT,
        limit_text=f"{WORD_TEXT}; the object was not made by hand",
    ),
    ("go-2025", "linux"): Invariant(
        counted_linux(),
        starts=_starts("go-2025", "linux"),
        limit=HANDLE_LIMIT,
        limit_text=HANDLE_TEXT,
    ),
    ("go-2025", "windows"): Invariant(
        counted_windows(),
        starts=_starts("go-2025", "windows"),
        limit=HANDLE_LIMIT,
        limit_text=HANDLE_TEXT,
    ),
    ("dotnet-safehandle", "any"): Invariant(
        safe_handle(),
        limit=SAFE_HANDLE_LIMIT,
        limit_text="fewer than 2^30 - 1 threads hold a reference at once",
    ),
    ("go-fdmutex", "any"): Invariant(
        fd_mutex(),
        limit=FD_MUTEX_LIMIT,
        limit_text="fewer than 2^20 - 1 threads hold a reference, or wait for one lock, at once",
        sums=FD_MUTEX_SUMS,
    ),
}
"""The invariant of every design that keeps all of its laws, by the ids of its table."""

INVARIANTS: Mapping[Key, Invariant] = {**SOUND, **PARTIAL}
"""The invariant of every design on its platform, by the ids of its table."""
