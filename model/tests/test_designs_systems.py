"""The systems, a row each: what a call of each does, atomic action by atomic action.

Transcribed from the facts: the operations of one call that nobody disturbs, in their order.  Every
load, store, exchange, lock and system call of the original is one, and nothing else is.
"""

from __future__ import annotations

import pytest

from lastref.model.algebra import variables
from lastref.model.designs import all_tables, get, named
from lastref.model.outcomes import Caller, run
from lastref.model.system import KERNEL
from lastref.model.table import DesignError, Table

CAS = "compare_exchange"
OBJECT = "WaitForSingleObject GetExitCodeProcess GetProcessTimes"
TERMINATE = "DuplicateHandle TerminateProcess CloseHandle"
COUNT_UP = "refs.load refs.compare_exchange"
WORD_UP = "word.load word.compare_exchange"

SWAPPED = {
    "wait": "load_pid load waitid store_flag swap close",
    "signal": "load_pid load pidfd_send_signal",
    "kill": "load_pid load pidfd_send_signal",
    "foreign": "load_pid",
    "release": "swap close store_pid",
}
SWAPPED_BY_PID = {
    "wait": "load_pid load load_pid waitid store_flag lock unlock load_pid wait4 store_flag",
    "signal": "load_pid load rlock load_flag load_pid kill runlock",
    "release": "swap store_pid",
}
SWAPPED_WINDOWS = {
    "wait": f"load {OBJECT} store_flag swap CloseHandle",
    "signal": "load load_flag",
    "kill": f"load load_flag {TERMINATE}",
    "release": "swap CloseHandle",
}

SYSTEMS: dict[str, dict[str, dict[str, str]]] = {
    "pid-naive": {
        "linux-pid": {
            "wait": "load_pid load_pid wait4 store_flag",
            "signal": "load_pid load_flag load_pid kill",
            "kill": "load_pid load_flag load_pid kill",
            "foreign": "load_pid load_flag",
            "release": "store_pid",
        },
    },
    "go-2016": {
        "linux-pid": {
            "wait": "load_pid load_pid waitid store_flag lock unlock load_pid wait4 store_flag",
            "signal": "load_pid rlock load_flag load_pid kill runlock",
            "foreign": "load_pid rlock load_flag runlock",
            "release": "store_pid",
        },
        "unix": {
            "wait": "load_pid load_pid wait4 store_flag",
            "kill": "load_pid rlock load_flag load_pid kill runlock",
        },
        "windows": SWAPPED_WINDOWS,
        "plan9": {
            "wait": "load_pid load_pid WaitProcess store_flag",
            "signal": "load_flag load_pid write_note",
            "release": "store_pid",
        },
    },
    "go-2023-pidfd": {
        "linux": SWAPPED,
        "linux-pid": SWAPPED_BY_PID,
        "windows": SWAPPED_WINDOWS,
    },
    "go-2023-find": {
        "linux": {**SWAPPED, "find": "pidfd_open"},
        "linux-pid": SWAPPED_BY_PID,
        "windows": SWAPPED_WINDOWS,
    },
    "go-2023-reland": {
        "linux": {**SWAPPED, "find": "pidfd_open"},
        "linux-pid": SWAPPED_BY_PID,
        "windows": SWAPPED_WINDOWS,
    },
    "go-2024": {
        "linux": {
            "wait": f"load {CAS} waitid load {CAS} load {CAS} close",
            "signal": f"load {CAS} pidfd_send_signal load {CAS}",
            "kill": f"load {CAS} pidfd_send_signal load {CAS}",
            "foreign": "type_check",
            "release": f"load {CAS} close",
        },
        "linux-find": {"find": "pidfd_open", "careless": "pidfd_open"},
        "linux-pid": {
            "wait": f"load load_pid waitid {CAS} lock unlock load_pid wait4 {CAS}",
            "signal": "load_pid rlock load load_pid kill runlock",
            "foreign": "type_check",
            "release": f"store_pid {CAS}",
        },
        "windows": {
            "wait": f"load {CAS} {OBJECT} load {CAS} load {CAS} CloseHandle",
            "signal": f"load {CAS} load {CAS}",
            "kill": f"load {CAS} {TERMINATE} load {CAS}",
            "release": f"load {CAS} CloseHandle",
            "find": "OpenProcess",
        },
        "plan9": {
            "wait": f"load load_pid WaitProcess {CAS}",
            "signal": "load load_pid write_note",
            "release": f"store_pid {CAS}",
        },
    },
    "go-2025-double": {
        "linux": {
            "signal": f"{WORD_UP} {COUNT_UP} pidfd_send_signal {WORD_UP} {COUNT_UP}",
            "release": f"{WORD_UP} {COUNT_UP} close",
        },
        "linux-pid": {"release": f"store_pid {CAS}"},
    },
    "go-2025": {
        "linux": {
            "wait": f"state.load {COUNT_UP} waitid state.load state.{CAS} "
            f"{COUNT_UP} {COUNT_UP} close",
            "signal": f"state.load {COUNT_UP} pidfd_send_signal {COUNT_UP}",
            "release": f"state.load state.{CAS} {COUNT_UP} close",
        },
        "linux-pid": {
            "wait": f"state.load load_pid waitid state.load state.{CAS} lock unlock "
            "load_pid wait4 state.load",
            "signal": "load_pid rlock state.load load_pid kill runlock",
            "release": f"store_pid state.load state.{CAS}",
        },
        "windows": {
            "kill": f"state.load {COUNT_UP} {TERMINATE} {COUNT_UP}",
            "release": f"state.load state.{CAS} {COUNT_UP} CloseHandle",
        },
    },
    "dotnet-safehandle": {
        "any": {
            "use": f"load {CAS} use load {CAS}",
            "dispose": f"load {CAS} ReleaseHandle",
            "invalidate": "or",
        },
    },
    "go-fdmutex": {
        "any": {
            "use": f"load {CAS} use load {CAS}",
            "read": f"load {CAS} use load {CAS}",
            "write": f"load {CAS} use load {CAS}",
            "close": f"load {CAS} load {CAS} close semrelease semacquire",
        },
    },
}

CALLS = [
    pytest.param(design, platform, method, steps, id=f"{design}-{platform}-{method}")
    for design, platforms in SYSTEMS.items()
    for platform, methods in platforms.items()
    for method, steps in methods.items()
]


@pytest.mark.parametrize("design", list(SYSTEMS))
def test_every_system_is_modelled_on_its_platforms(design: str) -> None:
    """The rows of "The systems": each id is a design, and has a table for each platform."""
    platforms = [t.platform for t in all_tables() if t.id == design]
    assert sorted(platforms) == sorted(SYSTEMS[design])


def test_no_system_is_modelled_that_is_no_row() -> None:
    """Every table is one of the systems."""
    assert {t.id for t in all_tables()} == set(SYSTEMS)


@pytest.mark.parametrize(("design", "platform", "method", "steps"), CALLS)
def test_a_call_takes_exactly_its_steps(
    design: str, platform: str, method: str, steps: str
) -> None:
    """Alone, a call performs the operations of the original in their order, each its own step."""
    table = get(design, platform)
    made = run(table, {}, (method,))
    assert [s.command.op for s in made.steps if s.actor != KERNEL and s.command] == steps.split()
    assert not made.broken


@pytest.mark.parametrize("table", all_tables(), ids=lambda t: f"{t.id}-{t.platform}")
def test_every_start_has_values_that_its_table_knows(table: Table) -> None:
    """A start names variables of the table and values that fit them, and a call can be made."""
    caller = Caller(table)
    for start, initial in table.starts.items():
        variables = {v.name: v for v in table.shared}
        assert initial.keys() <= variables.keys(), start
        for name, value in initial.items():
            labels = variables[name].labels
            assert value < len(labels) if labels else value >= 0, (start, name)
        assert caller.start(initial)


def test_a_pid_that_is_read_again_may_be_another() -> None:
    """Go reads the Pid field for the check and again for the call: two loads, one variable."""
    kill = run(get("go-2016", "linux-pid"), {}, ("kill",))
    loads = [s.name for s in kill.steps if s.command is not None and s.command.op == "load_pid"]
    assert loads == ["kill.check", "kill.load_pid"]


@pytest.mark.parametrize("table", all_tables(), ids=lambda t: f"{t.id}-{t.platform}")
def test_a_table_has_no_variable_that_it_does_not_use(table: Table) -> None:
    """Every variable is read by a guard, an obligation, an update or a law of its own table.

    But for the stranger, who is only ever hit: that he was is what a reader and a replay look at.
    """
    commands = (*table.commands, *table.kernel)
    read = {name for c in commands for name in c.reads}
    stated = {name for law in table.laws for name in variables(law.holds)}
    written = {name for c in commands for name in c.writes}
    unread = {v.name for v in (*table.shared, *table.local)} - read - stated
    assert unread <= {"stranger"} & written


def test_a_design_is_named_with_its_platform_or_without() -> None:
    """`go-2024` is its Linux table, `all` is every table, an unknown name is refused."""
    assert named("go-2024") == (get("go-2024"),)
    assert named("go-2024/windows") == (get("go-2024", "windows"),)
    assert named("dotnet-safehandle") == (get("dotnet-safehandle", "any"),)
    assert named("all") == all_tables()
    for unknown in ("plan-10", "go-2024/plan-10", ""):
        with pytest.raises(DesignError, match="there is no design"):
            named(unknown)
