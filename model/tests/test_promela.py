"""Spin, which nobody here wrote, counts the same states and finds the same faults."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from lastref.model.designs import get
from lastref.model.explore import explore
from lastref.model.promela import promela
from lastref.model.system import Scenario, System, scenario
from lastref.model.table import DesignError, Table

NEEDED = ("spin", "cc")
needs_spin = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in NEEDED),
    reason="the comparison needs spin and a C compiler; install spin and gcc",
)
MIXED = "signal|wait|release"


@dataclass(frozen=True)
class Spin:
    """What Spin's verifier printed."""

    states: int
    transitions: int
    errors: int
    said: str


def spin(folder: Path, table: Table, under: Scenario) -> Spin:
    """Run Spin, all reductions off, on the export of `table`."""
    (folder / "model.pml").write_text(promela(table, under), encoding="utf-8")
    for command in (
        ["spin", "-a", "model.pml"],
        ["cc", "-O1", "-w", "-DNOREDUCE", "-DSAFETY", "-DNOFAIR", "-o", "pan", "pan.c"],
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    ran = subprocess.run(
        ["./pan", "-m1000000"], cwd=folder, capture_output=True, text=True, check=False
    )
    said = ran.stdout

    def number(pattern: str) -> int:
        found = re.search(pattern, said)
        assert found is not None, said
        return int(found.group(1))

    return Spin(
        number(r"(\d+) states, stored"),
        number(r"(\d+) transitions"),
        number(r"errors: (\d+)"),
        said,
    )


@needs_spin
@pytest.mark.parametrize(
    ("name", "under"),
    [
        (("go-2024", "linux"), scenario(MIXED, MIXED, initial={"exited": 1})),
        (("go-2024", "linux"), scenario(MIXED, MIXED, MIXED, initial={"exited": 1})),
        (("go-2024", "linux"), scenario("wait", "kill", "release")),
        (("go-2024", "linux"), scenario("wait;release;wait", "kill;kill")),
        (("go-2024", "windows"), scenario("wait", "kill", "release")),
        (("go-2025", "linux"), scenario("wait", "kill", "release")),
        (("dotnet-safehandle", "any"), scenario("use", "dispose", "use")),
    ],
)
def test_spin_stores_exactly_the_states_of_the_explorer(
    tmp_path: Path, name: tuple[str, str], under: Scenario
) -> None:
    """A sound design: no errors, and without reductions the same number of states."""
    table = get(*name)
    found = explore(System(table, under))
    seen = spin(tmp_path, table, under)
    assert seen.errors == 0, seen.said
    assert found.holds
    assert seen.states == found.states


@needs_spin
@pytest.mark.parametrize(
    ("name", "calls"),
    [
        (("go-2023-pidfd", "linux"), ("kill", "release")),
        (("go-2016", "linux-pid"), ("kill", "release")),
        (("pid-naive", "linux-pid"), ("wait", "kill")),
        (("go-2025-double", "linux"), ("wait", "release")),
    ],
)
def test_spin_finds_a_fault_where_the_explorer_does(
    tmp_path: Path, name: tuple[str, str], calls: tuple[str, ...]
) -> None:
    """A faulty design: the verdict is the same."""
    table = get(*name)
    assert explore(System(table, scenario(*calls))).counterexamples
    seen = spin(tmp_path, table, scenario(*calls))
    assert seen.errors == 1, seen.said
    assert "assertion violated" in seen.said


def test_what_promela_cannot_say_is_refused_by_name() -> None:
    """A field in the middle of a word, an urgent kernel, too many threads."""
    with pytest.raises(DesignError, match="has the constant"):
        promela(get("go-fdmutex", "any"), scenario("use"))
    with pytest.raises(DesignError, match="urgent"):
        promela(get("go-2024"), scenario("release", urgent=["reopen"]))
    with pytest.raises(DesignError, match="61 threads"):
        promela(get("go-2024"), scenario(*["release"] * 61))
