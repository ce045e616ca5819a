"""Outcome tables: what is worked out from the model is what was seen of the real programs.

``OUTCOMES`` is the table "Outcomes (of the last operation)" of the facts, transcribed row by row:
an id, where the object comes from, the calls, and what the last one returns on each design and
platform.  ``None`` is a dash: the facts say nothing.  The Linux columns were run on a real kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from lastref.model.designs import all_tables, get, way_in
from lastref.model.designs.go_2023_pidfd import EINVAL, ENOSYS, EPERM
from lastref.model.kernel import FOREIGN, IGNORED
from lastref.model.outcomes import LONGEST, Caller, endings, outcome_table, run, sequences
from lastref.model.system import System, scenario
from lastref.model.table import DesignError, Table

COLUMNS = (
    ("go-2024", "linux"),
    ("go-2024", "linux-pid"),
    ("go-2024", "windows"),
    ("go-2024", "plan9"),
    ("go-2025", "linux"),
)
EVERYONE = "kill(-1)"
NOT_FOUND = "wait:not found"
OPEN_PROCESS = "OpenProcess:INVALID_PARAMETER"
ACQUIRE = "panic:handleTransientAcquire called in invalid mode"
DROP = "panic:handlePersistentRelease called in invalid mode"

Cells = tuple[str | None, str | None, str | None, str | None, str | None]


@dataclass(frozen=True)
class Row:
    """A row of the facts: the last outcome of ``calls`` from ``start`` in every column."""

    id: str
    start: str
    calls: str
    cells: Cells
    initial: dict[str, int] = field(default_factory=dict)


ECHILD, INVALID = "waitid:ECHILD", "waitid:EINVAL"
ZOMBIE = {"exited": 1}

OUTCOMES = (
    Row("W;W", "start", "W;W", ("EPD", ECHILD, "EINVAL", NOT_FOUND, "wait:ECHILD")),
    Row("W;S", "start", "W;S", ("EPD", "EPD", "EINVAL", "EPD", "EPD")),
    Row("W;K", "start", "W;K", ("EPD", "EPD", "EINVAL", "EPD", "EPD")),
    Row("R;W", "start", "R;W", ("EINVAL", "EINVAL", "EINVAL", "ErrInvalid", "EINVAL")),
    Row("R;S", "start", "R;S", ("REL", "REL", "EINVAL", "ENOENT", "REL")),
    Row("R;R", "start", "R;R", ("nil", "nil", "EINVAL", "nil", "nil")),
    Row("W;R", "start", "W;R", ("nil", "nil", "EINVAL", "nil", "nil")),
    Row("W;R;S", "start", "W;R;S", ("EPD", "EPD", "EINVAL", "EPD", "EPD")),
    Row("W;R;W", "start", "W;R;W", ("EPD", INVALID, "EINVAL", NOT_FOUND, "wait:ECHILD")),
    Row("R;foreign", "start", "R;F", ("UNSUP", "UNSUP", "EINVAL", "ENOENT", "UNSUP")),
    Row("zombie-S", "start", "S", ("nil", "nil", "EWINDOWS", None, "nil"), ZOMBIE),
    Row("zombie-K", "start", "K", ("nil", "nil", "nil", None, "nil"), ZOMBIE),
    Row("find-missing", "find-missing", "", ("nil", "nil", OPEN_PROCESS, "nil", "nil")),
    Row("find-missing-W", "find-missing", "W", ("EPD", ECHILD, None, NOT_FOUND, ECHILD)),
    Row("find-missing-S", "find-missing", "S", ("EPD", "EPD", None, "PathError", "EPD")),
    Row("find-missing-K", "find-missing", "K", ("EPD", "EPD", None, "PathError", "EPD")),
    Row("find-missing-R", "find-missing", "R", ("nil", "nil", None, "nil", "nil")),
    Row("find-missing-R;R", "find-missing", "R;R", ("nil", "nil", None, "nil", "nil")),
    Row("find-missing-R;W", "find-missing", "R;W", ("EPD", "EINVAL", None, "ErrInvalid", INVALID)),
    Row("find-missing-R;S", "find-missing", "R;S", ("EPD", "REL", None, "ENOENT", "REL")),
    Row("literal-self-S", "literal-other", "S", ("nil", "nil", ACQUIRE, "nil", "nil")),
    Row("literal-self-W", "literal-other", "W", (ECHILD, ECHILD, ACQUIRE, NOT_FOUND, ECHILD)),
    Row("literal-R;W", "literal", "R;W", ("EINVAL", "EINVAL", DROP, "ErrInvalid", "EINVAL")),
    Row("literal-R;S", "literal", "R;S", ("REL", "REL", DROP, "ENOENT", "REL")),
    Row("literal-R;R", "literal", "R;R", ("nil", "nil", DROP, "nil", "nil")),
    Row("literal-child-W;W", "literal", "W;W", (ECHILD, ECHILD, ACQUIRE, NOT_FOUND, ECHILD)),
    Row("literal-child-W;S", "literal", "W;S", ("EPD", "EPD", ACQUIRE, "EPD", "EPD")),
    Row("zero-literal-S", "zero-literal", "S", ("UNINIT", "UNINIT", ACQUIRE, None, "UNINIT")),
    Row("zero-literal-W", "zero-literal", "W", (INVALID, INVALID, ACQUIRE, None, INVALID)),
    Row(
        "literal-minus-one-S", "literal-minus-one", "S", (EVERYONE, EVERYONE, ACQUIRE, None, "REL")
    ),
    Row("find-minus-one-S", "find-minus-one", "S", (EVERYONE, EVERYONE, OPEN_PROCESS, None, "REL")),
)

CALLS = {"W": "wait", "S": "signal", "K": "kill", "F": "foreign", "R": "release"}


def cells() -> Iterator[object]:
    """Yield every cell of the table that says something, under its row's id."""
    for row in OUTCOMES:
        for (design, platform), expected in zip(COLUMNS, row.cells, strict=True):
            if expected is not None:
                name = f"{row.id}-{design}-{platform}"
                yield pytest.param(design, platform, row, expected, id=name)


def last_outcome(design: str, platform: str, row: Row) -> str:
    """Return the last outcome of ``row``: of a start that is refused, why; ``kill(-1)`` as such."""
    table = get(design, platform)
    # Every value made by hand is in the same, wrong mode on Windows; it is one start there.
    known = {*table.starts, *table.elsewhere, *table.refuses}
    start = row.start if row.start in known else "literal"
    way = way_in(table, start)
    if way.table is None or not row.calls:
        return way.outcome
    calls = tuple(CALLS[letter] for letter in row.calls.split(";"))
    made = run(way.table, {**way.initial, **row.initial}, calls)
    hits = [s.name for s in made.steps if s.broken is not None]
    return EVERYONE if hits and hits[-1].endswith("kill.everyone") else made.last


@pytest.mark.parametrize(("design", "platform", "row", "expected"), list(cells()))
def test_every_row_of_the_facts_comes_out_of_the_model(
    design: str, platform: str, row: Row, expected: str
) -> None:
    """The last operation returns what was seen of the real program, or read in its source."""
    assert last_outcome(design, platform, row) == expected


def test_go_2025_by_pid_checks_the_pid_before_the_status() -> None:
    """W;R;S on the raw pid is REL in go-2025, where go-2024 says EPD."""
    calls = ("wait", "release", "signal")
    assert run(get("go-2025", "linux-pid"), {}, calls).last == "REL"
    assert run(get("go-2024", "linux-pid"), {}, calls).last == "EPD"


@pytest.mark.parametrize("design", ["go-2025", "go-2025-double"])
def test_without_pidfds_nobody_knows_that_a_process_is_missing(design: str) -> None:
    """R;W on an object found missing is EINVAL by the status there, and by waitid where it is done.

    Seen on Go 1.27.3 with pidfd_open refused, and without.
    """
    table, calls = get(design, "linux-pid"), ("release", "wait")
    by_pid = run(table, table.starts["find-missing-by-pid"], calls).last
    done = run(table, table.starts["find-missing"], calls).last
    assert by_pid == "EINVAL"
    assert done == INVALID


@pytest.mark.parametrize("calls", [("wait", "wait"), ("release", "wait")])
@pytest.mark.parametrize("design", ["go-2016", "go-2023-pidfd", "go-2023-find", "go-2023-reland"])
def test_before_2024_windows_hangs(design: str, calls: tuple[str, ...]) -> None:
    """W;W and R;W wait for the pseudo-handle -1, the calling process itself."""
    made = run(get(design, "windows"), {}, calls)
    assert made.last == "hang"
    assert "no-hang" in made.broken


@pytest.mark.parametrize(
    ("design", "platform", "loser"),
    [
        ("go-2023-pidfd", "linux", {ECHILD, "waitid:EBADF", "blocked"}),
        ("go-2024", "linux", {ECHILD, "EPD"}),
        ("go-2025", "linux", {ECHILD, "wait:ECHILD"}),
        ("go-2016", "linux-pid", {ECHILD, "wait:ECHILD"}),
        ("go-2024", "linux-pid", {ECHILD, "wait:ECHILD"}),
    ],
)
def test_of_two_waits_at_once_one_loses(design: str, platform: str, loser: set[str]) -> None:
    """Exactly one Wait succeeds; the other is told so by the kernel or the word."""
    kernel = {"exit", "reopen"} if design == "go-2023-pidfd" else {"exit"}
    system = System(get(design, platform), scenario("wait", "wait", adversary=kernel))
    found = [sorted(o for t in e.outcomes.values() for o in t) for e in endings(system)]
    assert all(pair.count("ok") == 1 for pair in found)
    assert {o for pair in found for o in pair} - {"ok"} == loser


@pytest.mark.parametrize(
    ("design", "platform"), [("go-2024", "linux"), ("go-2025", "linux"), ("go-2024", "linux-pid")]
)
def test_with_sigchld_ignored_wait_fails_and_the_status_stays(design: str, platform: str) -> None:
    """The kernel reaps: Wait gives ECHILD, a signal EPD, and only Release ends the object."""
    table = get(design, platform)
    waited = run(table, {"kin": IGNORED}, ("wait", "signal"))
    assert waited.outcomes == (ECHILD, "EPD")
    names = [v.name for v in table.shared]
    after = dict(zip(names, waited.steps[-1].state[0], strict=True))
    assert after.get("handle", 0) == 0
    assert after["reaped"]
    released = run(table, {"kin": IGNORED}, ("wait", "release", "signal"))
    assert released.last == "REL"


@pytest.mark.parametrize("design", ["go-2016", "go-2023-pidfd", "go-2024", "go-2025"])
def test_waiting_for_somebody_elses_child_changes_nothing(design: str) -> None:
    """A Wait on a process that is no child: ECHILD at once, and a signal still works."""
    table = get(design, "linux-pid" if design == "go-2016" else "linux")
    assert run(table, {"kin": FOREIGN}, ("wait", "signal")).outcomes == (ECHILD, "nil")


@pytest.mark.parametrize(
    ("design", "refusal", "expected"),
    [
        ("go-2023-pidfd", ENOSYS, ("nil", "ok")),
        ("go-2023-pidfd", EPERM, ("EPERM", "ok")),
        ("go-2023-pidfd", EINVAL, ("EINVAL", "ok")),
        ("go-2023-reland", ENOSYS, ("nil", "ok")),
        ("go-2023-reland", EPERM, ("EPERM", "waitid:EPERM")),
        ("go-2023-reland", EINVAL, ("EINVAL", "ok")),
    ],
)
def test_refused_pidfd_calls_fall_back_to_the_pid(
    design: str, refusal: int, expected: tuple[str, str]
) -> None:
    """Wait falls back on ENOSYS and EINVAL, before the reland on EPERM too; a signal on ENOSYS."""
    made = run(get(design), {"refusal": refusal}, ("signal", "wait"))
    assert made.outcomes == expected


def test_without_waitid_the_kernel_is_waited_by_wait4() -> None:
    """ENOSYS from waitid is an error in 2016, and later the way to wait4."""
    missing = {"waitid_missing": 1}
    assert run(get("go-2016", "linux-pid"), missing, ("wait",)).last == "waitid:ENOSYS"
    for design in ("go-2023-pidfd", "go-2024", "go-2025"):
        assert run(get(design, "linux-pid"), missing, ("wait",)).last == "ok"


PROCESSES = [t for t in all_tables() if "wait" in t.methods]


@pytest.mark.parametrize("table", PROCESSES, ids=lambda t: f"{t.id}-{t.platform}")
def test_every_sequence_of_up_to_four_calls_has_one_outcome(table: Table) -> None:
    """Whole tables are worked out: every sequence from every start, but what follows an end."""
    columns = outcome_table(table)
    whole = sum(1 for _ in sequences(LONGEST))
    assert whole == 780
    for column in columns:
        assert bool(column.runs) == (column.made == "nil"), column.start
        if column.runs and all(r.complete for r in column.runs):
            assert len(column.runs) == whole
        assert all(r.outcomes for r in column.runs)
        assert len({r.calls for r in column.runs}) == len(column.runs)


def test_what_the_caller_remembers_is_what_a_whole_system_does() -> None:
    """Call by call on remembered states gives what one thread with all the calls in turn gives."""
    table = get("go-2024")
    caller = Caller(table)
    for calls in sequences(3):
        made = caller.run({}, calls)
        together = System(table, scenario(";".join(calls), adversary={"exit"}))
        every = {e.outcomes[together.scenario.threads[0].name] for e in endings(together)}
        assert made.outcomes in every, calls


def test_an_unknown_start_is_refused_with_those_that_exist() -> None:
    """The error says the fault, the reason and the remedy."""
    with pytest.raises(DesignError, match="has no start 'borrowed'") as caught:
        way_in(get("go-2024"), "borrowed")
    assert "find-missing" in caught.value.reason
