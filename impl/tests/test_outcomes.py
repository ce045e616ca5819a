"""The outcome of the last operation of a sequence, per design, on real processes.

The rows are those of the outcome table: go-2024 with and without pidfds and go-2025 were seen in
runs of the real Go; the older designs follow from their steps. W wait, S signal 0, K kill, F a
signal of a foreign type, R release.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self

import pytest

from lastref.impl.errors import GuardRefused, outcome
from lastref.impl.history.go_2016 import WaitidProcess
from lastref.impl.history.go_2023_find import FindProcess
from lastref.impl.history.go_2023_pidfd import SwapProcess
from lastref.impl.history.go_2023_reland import RelandProcess
from lastref.impl.history.go_2024_pid import PidProcess
from lastref.impl.history.go_2025 import SplitProcess
from lastref.impl.history.go_2025_double import DoubleProcess
from lastref.impl.history.pid_naive import NaiveProcess
from lastref.impl.parts import Parts
from lastref.impl.process import Process
from lastref.impl.state import ProcessLike
from lastref.impl.system import Child

if TYPE_CHECKING:
    from lastref.impl.tests.conftest import Machine


class Design(Protocol):
    """The constructors that every design has."""

    @classmethod
    def adopt(cls, child: Child, parts: Parts) -> ProcessLike:
        """Return the process of a child."""

    @classmethod
    def find(cls, pid: int, parts: Parts) -> ProcessLike:
        """Return the process of a pid."""

    @classmethod
    def literal(cls, pid: int, parts: Parts) -> ProcessLike:
        """Return a process made by hand."""


class SplitByPid(SplitProcess):
    """go-2025 where pidfds do not work."""

    @classmethod
    def adopt(cls, child: Child, parts: Parts) -> Self:
        """Return the process in PID mode."""
        return cls(child.pid, None, parts)

    @classmethod
    def find(cls, pid: int, parts: Parts) -> Self:
        """Return the process in PID mode."""
        return cls(pid, None, parts)


DESIGNS: dict[str, type[Design]] = {
    "pid-naive": NaiveProcess,
    "go-2016": WaitidProcess,
    "go-2023-pidfd": SwapProcess,
    "go-2023-find": FindProcess,
    "go-2023-reland": RelandProcess,
    "go-2024": Process,
    "go-2024 pid": PidProcess,
    "go-2025": SplitProcess,
    "go-2025 pid": SplitByPid,
}
WITH_PIDFD = {"go-2023-pidfd", "go-2023-find", "go-2023-reland", "go-2024", "go-2025"}

OPERATIONS: dict[str, Callable[[ProcessLike], object]] = {
    "W": lambda process: process.wait(),
    "S": lambda process: process.signal(0),
    "K": lambda process: process.kill(),
    "F": lambda process: process.signal("a note, as on Plan 9"),
    "R": lambda process: process.release(),
}


def last_outcome(process: ProcessLike, sequence: str) -> str:
    """Run the operations of `sequence`, one letter each, and name how the last one ended."""
    operations = [partial(OPERATIONS[letter], process) for letter in sequence]
    return [outcome(operation) for operation in operations][-1]


# One column per design, in the order of DESIGNS.
STARTED = """
          naive        2016          2023-pidfd    2023-find     2023-reland   2024    2024-pid      2025         2025-pid
  W       ok           ok            ok            ok            ok            ok      ok            ok           ok
  WW      wait:ECHILD  waitid:ECHILD waitid:ECHILD waitid:ECHILD waitid:ECHILD EPD     waitid:ECHILD wait:ECHILD  waitid:ECHILD
  WS      EPD          EPD           EPD           EPD           EPD           EPD     EPD           EPD          EPD
  WK      EPD          EPD           EPD           EPD           EPD           EPD     EPD           EPD          EPD
  WF      EPD          EPD           UNSUP         UNSUP         UNSUP         UNSUP   UNSUP         UNSUP        UNSUP
  WR      nil          nil           nil           nil           nil           nil     nil           nil          nil
  WRS     REL          REL           REL           REL           REL           EPD     EPD           EPD          REL
  WRW     EINVAL       EINVAL        EINVAL        EINVAL        EINVAL        EPD     waitid:EINVAL wait:ECHILD  waitid:EINVAL
  S       nil          nil           nil           nil           nil           nil     nil           nil          nil
  K       nil          nil           nil           nil           nil           nil     nil           nil          nil
  F       UNSUP        UNSUP         UNSUP         UNSUP         UNSUP         UNSUP   UNSUP         UNSUP        UNSUP
  R       nil          nil           nil           nil           nil           nil     nil           nil          nil
  RW      EINVAL       EINVAL        EINVAL        EINVAL        EINVAL        EINVAL  EINVAL        EINVAL       EINVAL
  RS      REL          REL           REL           REL           REL           REL     REL           REL          REL
  RK      REL          REL           REL           REL           REL           REL     REL           REL          REL
  RF      REL          REL           REL           REL           REL           UNSUP   UNSUP         UNSUP        UNSUP
  RR      nil          nil           nil           nil           nil           nil     nil           nil          nil
"""  # noqa: E501

# go-2023-find is not here: there a missing process is no process at all.
MISSING = """
          naive        2016          2023-pidfd    -   2023-reland  2024   2024-pid       2025           2025-pid
  W       wait:ECHILD  waitid:ECHILD waitid:ECHILD -   EPD          EPD    waitid:ECHILD  waitid:ECHILD  waitid:ECHILD
  S       EPD          EPD           EPD           -   EPD          EPD    EPD            EPD            EPD
  K       EPD          EPD           EPD           -   EPD          EPD    EPD            EPD            EPD
  F       UNSUP        UNSUP         UNSUP         -   EPD          UNSUP  UNSUP          UNSUP          UNSUP
  R       nil          nil           nil           -   nil          nil    nil            nil            nil
  RR      nil          nil           nil           -   nil          nil    nil            nil            nil
  RW      EINVAL       EINVAL        EINVAL        -   EINVAL       EPD    EINVAL         waitid:EINVAL  EINVAL
  RS      REL          REL           REL           -   REL          EPD    REL            REL            REL
"""  # noqa: E501

Row = tuple[str, str, str]


def rows(table: str) -> list[Row]:
    """Return (design, sequence, outcome) for every cell of a table."""
    lines = [line.split() for line in table.strip().splitlines()[1:]]
    return [
        (design, line[0], cell)
        for line in lines
        for design, cell in zip(DESIGNS, line[1:], strict=True)
        if cell != "-"
    ]


@pytest.mark.parametrize(("design", "sequence", "expected"), rows(STARTED))
def test_outcomes_of_a_child(machine: Machine, design: str, sequence: str, expected: str) -> None:
    """Each sequence on a started child that has ended and is not reaped."""
    child = machine.zombie(pidfd=design in WITH_PIDFD)
    process = DESIGNS[design].adopt(child, machine.parts)
    assert last_outcome(process, sequence) == expected
    process.release()


@pytest.mark.parametrize(("design", "sequence", "expected"), rows(MISSING))
def test_outcomes_of_a_missing_process(
    machine: Machine, design: str, sequence: str, expected: str
) -> None:
    """Each sequence on what find returns for a pid that no process has."""
    process = DESIGNS[design].find(machine.never_a_pid, machine.parts)
    assert last_outcome(process, sequence) == expected


@pytest.mark.parametrize("sequence", ["WW", "WS", "WR", "WRS", "S", "RW", "RS", "RF", "RR"])
def test_go_2025_double_alone_is_go_2024(machine: Machine, sequence: str) -> None:
    """Its second count shows only under concurrency."""
    process = DoubleProcess.adopt(machine.zombie(), machine.parts)
    expected = {(row[0], row[1]): row[2] for row in rows(STARTED)}["go-2024", sequence]
    assert last_outcome(process, sequence) == expected
    process.release()


@pytest.mark.parametrize(("sequence", "expected"), [("W", "waitid:ECHILD"), ("S", "EPD")])
def test_go_2025_double_finds_a_missing_process_done_in_pid_mode(
    machine: Machine, sequence: str, expected: str
) -> None:
    """As go-2025 after it: done, but Wait does not look at that."""
    process = DoubleProcess.find(machine.never_a_pid, machine.parts)
    assert last_outcome(process, sequence) == expected


@pytest.mark.parametrize("design", DESIGNS)
def test_the_pid_of_a_missing_process_is_kept(machine: Machine, design: str) -> None:
    """Only go-2023-reland overwrites it, with -2, and go-2023-find returns no process."""
    find = DESIGNS[design].find
    if design == "go-2023-find":
        assert outcome(lambda: find(machine.never_a_pid, machine.parts)) == "EPD"
        return
    expected = -2 if design == "go-2023-reland" else machine.never_a_pid
    assert find(machine.never_a_pid, machine.parts).pid == expected


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("sequence", ["S", "W", "WW", "WS", "RW", "RS", "R"])
def test_a_found_child_is_as_a_started_one(machine: Machine, design: str, sequence: str) -> None:
    """Who finds a live child by its pid gets the outcomes of who started it."""
    child = machine.zombie(pidfd=False)
    process = DESIGNS[design].find(child.pid, machine.parts)
    expected = {(row[0], row[1]): row[2] for row in rows(STARTED)}[design, sequence]
    assert last_outcome(process, sequence) == expected
    process.release()


LITERAL_IS_PID_MODE = {"go-2024": "go-2024 pid", "go-2025": "go-2025 pid"}
LITERAL_WORKS = [name for name in DESIGNS if not name.startswith("go-2023")]


@pytest.mark.parametrize("design", LITERAL_WORKS)
@pytest.mark.parametrize("sequence", ["S", "W", "WW", "WS", "RW", "RS", "RR"])
def test_a_literal_child_is_addressed_by_its_pid(
    machine: Machine, design: str, sequence: str
) -> None:
    """A process made by hand has the outcomes of PID mode, also where others have a pidfd."""
    child = machine.zombie(pidfd=False)
    process = DESIGNS[design].literal(child.pid, machine.parts)
    column = LITERAL_IS_PID_MODE.get(design, design)
    expected = {(row[0], row[1]): row[2] for row in rows(STARTED)}[column, sequence]
    assert last_outcome(process, sequence) == expected


@pytest.mark.parametrize("design", LITERAL_WORKS)
def test_a_literal_of_ourselves(machine: Machine, design: str) -> None:
    """We can be asked for, but are no child of ours."""
    literal = DESIGNS[design].literal
    assert outcome(lambda: literal(os.getpid(), machine.parts).signal(0)) == "nil"
    waiting = outcome(lambda: literal(os.getpid(), machine.parts).wait())
    assert waiting == ("wait:ECHILD" if design == "pid-naive" else "waitid:ECHILD")


@pytest.mark.parametrize("design", DESIGNS)
def test_the_zero_value_is_not_initialized(machine: Machine, design: str) -> None:
    """Pid 0 is nobody's: a signal says so."""
    assert outcome(lambda: DESIGNS[design].literal(0, machine.parts).signal(0)) == "UNINIT"


@pytest.mark.parametrize("design", ["go-2016", "go-2024", "go-2024 pid", "go-2025"])
def test_waiting_for_the_zero_value_is_the_kernels_to_refuse(machine: Machine, design: str) -> None:
    """waitid(P_PID, 0) is invalid; it must not become a wait for any child.

    pid-naive is not asked: its wait4(0) would wait for our whole process group.
    """
    process = DESIGNS[design].literal(0, machine.parts)
    assert outcome(lambda: process.wait()) == "waitid:EINVAL"


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("way", ["find", "literal"])
def test_a_pid_of_minus_one(machine: Machine, design: str, way: str) -> None:
    """Go issue 68496: go-2024 lost the check, so the signal is kill(-1); all others refuse.

    That it is kill(-1) is seen by the guard, which does not let it out.
    """
    process = getattr(DESIGNS[design], way)(-1, machine.parts)
    if design.startswith("go-2024"):
        with pytest.raises(GuardRefused, match=r"kill\(-1, 0\)"):
            process.signal(0)
    else:
        assert outcome(lambda: process.signal(0)) == "REL"


@pytest.mark.parametrize("design", DESIGNS)
def test_a_true_is_no_signal(machine: Machine, design: str) -> None:
    """bool is an int to Python; nobody means SIGHUP by it."""
    process = DESIGNS[design].find(machine.zombie(pidfd=False).pid, machine.parts)
    assert outcome(lambda: process.signal(True)) == "UNSUP"
    process.release()


def test_an_invalid_signal_is_the_kernels_to_refuse(machine: Machine) -> None:
    """Signal 65 does not exist: EINVAL, unwrapped. Once reaped, ESRCH comes first."""
    process = Process.adopt(machine.zombie(), machine.parts)
    assert outcome(lambda: process.signal(65)) == "EINVAL"
    process.wait()
    assert outcome(lambda: process.signal(65)) == "EPD"
