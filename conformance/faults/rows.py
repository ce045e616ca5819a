"""What every design must do under every fault, as rows: the fault, the scenario, the outcomes.

The outcomes are those of the designs' own documents: in PID mode where pidfds do not work from the
start; where they fail later, the fallback per call of 2023 against the error of 2024; a failed
start with nothing left; EINTR looped over from 2023 on.  Alternatives that depend on the C library
are written with ``|``.

Source: Go's os package at the commits named in `impl/`; seccomp(2), getrlimit(2), signal(7).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SWAP = ("go-2023-pidfd", "go-2023-find", "go-2023-reland")
WORD = ("go-2024", "go-2025", "go-2025-double")
HANDLE = (*SWAP, *WORD)
BY_PID = ("go-2016", "pid-naive")

ERRNOS = ("ENOSYS", "EPERM", "EINVAL")
PIDFD_CALLS = {
    "pidfd_open": "pidfd_open",
    "pidfd_send_signal": "pidfd_send_signal",
    "waitid-pidfd": "waitid[0]=3",
}
_FORKS = ("clone", "clone3", "fork", "vfork")


@dataclass(frozen=True)
class Row:
    """One fault: its id, what is done under it, what is refused, and the outcomes by design."""

    id: str
    scenario: str
    expected: Mapping[str, str]
    refusals: tuple[str, ...] = ()


def _all(*groups: tuple[tuple[str, ...], str], **others: str) -> dict[str, str]:
    """Return the outcomes by design: each group's, then those of single designs (_ for -)."""
    outcomes = {design: words for designs, words in groups for design in designs}
    return outcomes | {design.replace("_", "-"): words for design, words in others.items()}


def _again(before: str, after: str = "EPD nil") -> dict[str, str]:
    """Return the outcomes of handle designs that differ only in what a second Wait says."""
    return _all(
        (SWAP, f"{before} waitid:ECHILD {after}"),
        (WORD, f"{before} EPD {after}"),
        go_2025=f"{before} wait:ECHILD {after}",
    )


_PID_LIFE = _all((HANDLE, "pid nil ok waitid:ECHILD EPD nil"))


def _refused_from_the_start() -> Iterator[Row]:
    """PID mode, in every design and for every errno."""
    yield Row("none", "life", _again("handle nil ok"))
    for name, call in PIDFD_CALLS.items():
        for error in ERRNOS:
            yield Row(f"{name}={error}", "life", _PID_LIFE, (f"{call}={error}",))
    without = _all(
        (HANDLE, "pid nil ok wait:ECHILD EPD nil"),
        go_2016="pid nil waitid:ENOSYS waitid:ENOSYS nil nil",
        pid_naive="pid nil ok wait:ECHILD EPD nil",
    )
    yield Row("waitid=ENOSYS", "life", without, ("waitid=ENOSYS",))
    for error in ("EPERM", "EINVAL"):
        failed = f"pid nil waitid:{error} waitid:{error} nil nil"
        naive = "pid nil ok wait:ECHILD EPD nil"
        expected = _all((HANDLE, failed), go_2016=failed, pid_naive=naive)
        yield Row(f"waitid={error}", "life", expected, (f"waitid={error}",))


def _refused_later() -> Iterator[Row]:
    """2023 falls back for each call alone; from 2024 on the mode is fixed, and the error shows."""
    fallen = "handle nil ok waitid:ECHILD EPD nil"
    for error in ERRNOS:
        failed = f"handle nil waitid:{error} waitid:{error} nil nil"
        expected = _all((SWAP, fallen), (WORD, failed))
        if error == "EPERM":
            expected["go-2023-reland"] = failed
        yield Row(f"late/waitid-pidfd={error}", "late", expected, (f"waitid[0]=3={error}",))
        expected = _again(f"handle {error} ok")
        if error == "ENOSYS":
            expected |= dict.fromkeys(SWAP, fallen)
        refused = (f"pidfd_send_signal={error}",)
        yield Row(f"late/pidfd_send_signal={error}", "late", expected, refused)


def _found() -> Iterator[Row]:
    """FindProcess: PID mode, silently, whatever else than ESRCH goes wrong."""
    by_pid = _all((HANDLE, "pid nil ok nil"))
    by_handle = _all((HANDLE, "handle nil ok nil"), go_2023_pidfd="pid nil ok nil")
    yield Row("find/none", "found", by_handle)
    for error in ERRNOS:
        yield Row(f"find/pidfd_open={error}", "found", by_pid, (f"pidfd_open={error}",))
    yield Row("find/EMFILE", "found_without_descriptors", by_pid)
    yield Row("probe/EMFILE", "probe_without_descriptors", _PID_LIFE)


def _started() -> Iterator[Row]:
    """A failed Start is an error with nothing left behind; there is no fallback."""
    every = (*HANDLE, *BY_PID)
    for error in ERRNOS:
        refused = tuple(f"{call}={error}" for call in _FORKS)
        yield Row(f"start/clone={error}", "start", _all((every, f"fork/exec:{error}")), refused)
        # glibc 2.34 and later try clone3 first, and clone after ENOSYS alone.
        either = "started ok nil" if error == "ENOSYS" else f"started ok nil|fork/exec:{error}"
        yield Row(f"start/clone3={error}", "start", _all((every, either)), (f"clone3={error}",))
    full = _all((HANDLE, "fork/exec:EMFILE"))  # without a pidfd a start needs no descriptor
    yield Row("start/EMFILE", "start_without_descriptors", full)
    yield Row("start/EAGAIN", "start_without_processes", _all((every, "fork/exec:EAGAIN")))
    yield Row("start/ENOENT", "start_missing", _all((every, "fork/exec:ENOENT")))
    yield Row("start/pidfd_spawn", "by_pidfd_spawn", _again("handle ok"))
    yield Row("start/posix_spawn", "by_posix_spawn", _again("handle ok"))
    yield Row("start/zombie", "zombie_keeps_its_pid", _all((HANDLE, "nil ok nil")))
    unset, minus_one = "nil ok nil", "EBADF waitid:EINVAL nil"
    yield Row("start/no-CLONE_PIDFD", "no_pidfd_given", _all((SWAP, unset), (WORD, minus_one)))


def _disturbed() -> Iterator[Row]:
    """Signals, other reapers, stops and copies."""
    ended = _all((HANDLE, "ok nil"), go_2016="waitid:EINTR nil", pid_naive="wait:EINTR nil")
    yield Row("EINTR", "interrupted", ended)
    yield Row(
        "SIGCHLD-ignored",
        "ignored",
        _all(
            (HANDLE, "waitid:ECHILD EPD 1 open nil"),
            go_2016="waitid:ECHILD EPD 0 open nil",
            pid_naive="wait:ECHILD EPD 0 open nil",
        ),
    )
    yield Row("foreign-reaper", "foreign_reaper", _by_kernel("{} EPD nil"))
    every = (*HANDLE, *BY_PID)
    yield Row("stopped", "stopped", _all((every, "nil stopped nil ok nil")))
    yield Row("forked", "forked", _by_kernel("{} nil nil / nil ok nil"))
    taken = _all(
        (WORD, "ok nil took another"),
        (SWAP, "ok nil EINVAL"),
        go_2016="waitid:ENOSYS nil EINVAL",
        pid_naive="ok nil EINVAL",
    )
    yield Row("wait4-minus-one", "released", taken, ("waitid=ENOSYS",))


def _by_kernel(words: str) -> dict[str, str]:
    return _all(
        ((*HANDLE, "go-2016"), words.format("waitid:ECHILD")),
        pid_naive=words.format("wait:ECHILD"),
    )


ROWS: tuple[Row, ...] = (
    *_refused_from_the_start(),
    *_refused_later(),
    *_found(),
    *_started(),
    *_disturbed(),
)
"""Every fault; wait4-minus-one is a known bug of the designs that it names, and kept."""
