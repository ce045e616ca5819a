"""Cases and races on a class of the user's, by an adapter that is made of it.

    lastref_check(Handle, "child/*")              the conformance cases
    lastref_race(Handle, "start|kill,release")    every order of the calls' system calls

What the class is to have is said in :mod:`lastref.conformance.adapters.of_class`.  A string in its
place is an adapter, by its name or command.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any, Protocol

import pytest

from lastref.conformance.adapters import of_class
from lastref.conformance.adapters.registry import Known, resolve
from lastref.conformance.call_lanes import draw
from lastref.conformance.errors import UserError
from lastref.conformance.outcomes import Outcome, Status
from lastref.conformance.plugin.found import found, refused
from lastref.conformance.plugin.running import Running, fail
from lastref.conformance.protocol.adapter import DEADLINE
from lastref.conformance.results import Verdict
from lastref.conformance.selection import Selection
from lastref.conformance.suite import all_cases

ORDERS, SECONDS = 500, 60.0
"""How much of a race is explored unless the test says otherwise: orders, or seconds."""


class CheckHandle(Protocol):
    """The fixture ``lastref_check``."""

    def __call__(
        self, handle: type | str, *patterns: str, deadline: float = DEADLINE
    ) -> Sequence[Outcome]:
        """Run the cases that match a pattern, all if there is none; return what ran.

        Fails at the first case that is not as the specification says, and where none ran.
        """


class RaceHandle(Protocol):
    """The fixture ``lastref_race``."""

    def __call__(
        self,
        handle: type | str,
        scenario: str,
        *,
        refuse: Sequence[str] = (),
        orders: int = ORDERS,
        seconds: float = SECONDS,
    ) -> Any:
        """Explore a scenario such as ``"start|kill,release"``; return what the exploration covered.

        ``refuse`` names system calls that fail, such as ``"pidfd_open=ENOSYS"``.  ``orders`` and
        ``seconds`` bound the search.  Fails if a process was hit that no call named.
        """


def adapter_of(handle: type | str) -> Known:
    """Return the adapter of a class, or the one that a string names."""
    if isinstance(handle, str):
        return resolve(handle)
    argv = of_class.command(found(handle))
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = shlex.join(argv)
    return Known(handle.__qualname__, command, lambda: argv, environment=paths, command=command)


def check_for(request: pytest.FixtureRequest) -> CheckHandle:
    """Return the function for one test."""

    def check(handle: type | str, *patterns: str, deadline: float = DEADLINE) -> Sequence[Outcome]:
        try:
            adapter = adapter_of(handle)
            cases = Selection(patterns).of(all_cases())
            running = Running(adapter, deadline)
            outcomes = []
            try:
                for case in cases:
                    outcome = running.outcome(case)
                    if outcome.verdict not in (Verdict.PASS, Verdict.SKIPPED):
                        fail(outcome, outcome.message, _again(request))
                    outcomes.append(outcome)
            finally:
                running.close()
        except UserError as error:
            refused(error)
        ran = [outcome for outcome in outcomes if outcome.status is Status.PASS]
        if not ran:
            first = outcomes[0]
            pytest.fail(f"no case ran: {first.case}: {first.message}", pytrace=False)
        return ran

    return check


def race_for(request: pytest.FixtureRequest) -> RaceHandle:
    """Return the function for one test."""

    def race(
        handle: type | str,
        scenario: str,
        *,
        refuse: Sequence[str] = (),
        orders: int = ORDERS,
        seconds: float = SECONDS,
    ) -> Any:
        # The gate needs Linux, and much that no other case needs: it is imported where it is used.
        from lastref.conformance.gate import run
        from lastref.conformance.gate.explore import Budget
        from lastref.conformance.gate.scenario import Scenario
        from lastref.conformance.sandbox import unavailable

        reason = unavailable()
        if reason is not None:
            pytest.skip(f"no gate here: {reason}")
        try:
            wanted = Scenario.parse(scenario)
            argv = adapter_of(handle).prepare()
            program = run.program(argv, wanted, refuse)
            found = run.examine(program, wanted, Budget(orders, seconds))
        except UserError as error:
            refused(error)
        for record in found.records:
            said = (
                f"{record.verdict}, in {record.scenario}",
                draw(record.history),
                f"order: {'.'.join(record.schedule)}",
                f"see it again: {_again(request)}",
            )
            pytest.fail("\n\n".join(said), pytrace=False)
        exploration = found.exploration
        if exploration.lost or not exploration.longest:
            lost = exploration.lost[0] if exploration.lost else "no step was taken"
            pytest.fail(f"the gate lost the program: {lost}", pytrace=False)
        return exploration

    return race


def _again(request: pytest.FixtureRequest) -> str:
    return f"pytest '{request.node.nodeid}'"
