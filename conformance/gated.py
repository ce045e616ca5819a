"""The cases at the gate: the named races, explored on the unmodified program.

    case             the race                                                  scenario
    go-13987         the pid is reaped and reused between a kill's check and its call
    go-16028         the same with a signal
    go-67641         a handle is closed and its number reused under a signal
    go-67642         two Waits, and a new child under the old pid
    reaped-elsewhere somebody else in the program reaps the child
    found-dead-wait  a Wait on a process that was missing when it was found

Each is explored within a budget, and again with pidfd_open refused (``/no-pidfd``) where the
implementation uses pidfds: then it has to do with plain pids.  What is wrong is that a process was
signalled or reaped that no operation named; or, in the case with ``/history`` behind it, that some
order of its system calls gives returns which the specification allows in no order of the calls.
Which order does it is in the check's ``schedules``, shrunk, and where a folder for traces is given
in a file: ``lastref replay FILE --adapter NAME``.

Races of the tables that happen between two loads of one variable cannot be held at a system call;
they are replayed on the models' own implementations instead (``lastref verify``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lastref.conformance.errors import UserError
from lastref.conformance.outcomes import Outcome, Status
from lastref.conformance.suite import Case

RECIPES = {"start|wait,wait,start.b": "W1 W1 W2 W2 exit(a) W1 S1 S1 W2 exit(b)"}
"""Orders that are known to be wrong somewhere and too long to be found within a small budget.

They are tried before the exploration, and count only where the program takes every step of them.
"""


def recipes(scenario: str) -> list[tuple[str, ...]]:
    """Return the orders to be tried first, of a scenario in its written form."""
    return [tuple(RECIPES[scenario].split())] if scenario in RECIPES else []


ORDERS, SECONDS = 400, 600.0
"""The default budget of one case.

The orders decide, so that a slow machine says the same; the seconds are for a program that hangs.
"""


@dataclass(frozen=True)
class Gating:
    """How the cases at the gate are run.

    ``adapter`` is the name of the program, ``asked`` what a replay command asks for it by, where
    that is not its name; ``traces`` the folder for traces, None for none.
    """

    adapter: str = "CMD"
    asked: str | None = None
    orders: int = ORDERS
    seconds: float = SECONDS
    traces: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


Memory = dict[tuple[str, tuple[str, ...]], Any]
"""What was found of each scenario: who was hit and what was returned are asked of one exploration.

An examination of the gate's, or the outcome where there could be none.
"""


def examine(
    case: Case, argv: Sequence[str], gating: Gating, memory: Memory | None = None
) -> Outcome:
    """Explore the race of ``case`` on the program ``argv``, or judge what ``memory`` has of it."""
    memory = {} if memory is None else memory
    key = (case.scenario, case.refused)
    if key not in memory:
        memory[key] = _explored(case, argv, gating)
    found = memory[key]
    if isinstance(found, Outcome):
        return replace(found, case=case.id)
    exploration = found.exploration
    extra: dict[str, Any] = {
        "scenario": case.scenario,
        "refused": list(case.refused),
        "orders": exploration.orders,
        "complete": exploration.complete,
        "left": exploration.left,
        "alike": exploration.alike,
        "diverged": exploration.diverged,
        "verdicts": dict(exploration.verdicts),
        "histories": len(exploration.judged),
        "unsteady": list(found.unsteady),
    }
    wrong = found.deviations if case.history else found.records
    if wrong:
        return _deviates(case, wrong, gating, extra)
    incomplete = _incomplete(exploration, gating)
    extra |= {"schedules": []}
    if incomplete is not None:
        return Outcome(
            case.id, Status.PRECONDITION_FAILED, incomplete, incomplete=True, extra=extra
        )
    covered = str(exploration).partition(": ")[2]
    if case.history:
        covered = f"each of {len(exploration.judged)} histories is explained; {covered}"
    return Outcome(case.id, Status.PASS, covered, extra=extra)


def _explored(case: Case, argv: Sequence[str], gating: Gating) -> Any:
    # The gate needs Linux, and much that no other case needs: it is imported where it is used.
    from lastref.conformance.gate import run
    from lastref.conformance.gate.explore import Budget
    from lastref.conformance.gate.scenario import Scenario
    from lastref.conformance.sandbox import unavailable

    reason = unavailable()
    if reason is not None:
        return Outcome(case.id, Status.PRECONDITION_FAILED, f"no gate here: {reason}")
    scenario, simplest = Scenario.parse(case.scenario), Scenario.parse("start|wait")
    try:
        if case.refused:
            # Who cannot start anything now would pass every case, and show nothing by it.
            begun = run.examine(run.program(argv, simplest, case.refused), simplest, Budget(1))
            if not begun.exploration.longest:
                said = f"with {', '.join(case.refused)} it starts no process"
                return Outcome(case.id, Status.PRECONDITION_FAILED, said)
        wanted = run.program(argv, scenario, case.refused)
        budget = Budget(gating.orders, gating.seconds)
        return run.examine(wanted, scenario, budget, recipes(case.scenario))
    except UserError as error:
        said = f"the gate could not be worked: {error}"
        return Outcome(case.id, Status.PRECONDITION_FAILED, said, incomplete=True)


def _incomplete(exploration: Any, gating: Gating) -> str | None:
    """Return why an exploration that found nothing does not say much; None if it does."""
    if exploration.lost:
        return f"the gate lost the program: {exploration.lost[0]}; see what it says on stderr"
    if exploration.diverged:
        return f"{exploration.diverged} orders went another way than before"
    if exploration.left and exploration.orders < gating.orders:
        return (
            f"{gating.seconds:g} s were over after {exploration.orders} of {gating.orders} orders; "
            "give it more by --seconds"
        )
    if not exploration.longest:
        return "no step was taken"
    return None


def _deviates(
    case: Case, records: Sequence[Any], gating: Gating, extra: Mapping[str, Any]
) -> Outcome:
    """Return the outcome of a race that goes wrong; its message says only in which way."""
    what = {str(record.deviation if case.history else record.verdict) for record in records}
    told = {
        **extra,
        "schedules": [".".join(record.schedule) for record in records],
        **_written(records, case, gating),
    }
    said = ("; " if case.history else " and ").join(sorted(what))
    return Outcome(case.id, Status.DEVIATES, said, history=tuple(records[0].history), extra=told)


def _written(records: Sequence[Any], case: Case, gating: Gating) -> dict[str, Any]:
    """Write the traces and return the fields that tell of them."""
    asked = gating.asked or gating.adapter
    if gating.traces is None:
        return {"replay": f"lastref check {asked} --case {case.id} --traces FOLDER"}
    from lastref.conformance.gate.record import plain

    names = []
    for number, record in enumerate(records, 1):
        path = gating.traces / f"{plain(f'{gating.adapter}-{case.id}')}-{number}.json"
        try:
            gating.traces.mkdir(parents=True, exist_ok=True)
            record.write(path, asked)
        except OSError as error:
            raise UserError(
                f"'{path}' cannot be written", error.strerror or str(error), "name another folder"
            ) from error
        names.append(path.name)
    return {
        "trace": names[0],
        "traces": names,
        "replay": f"lastref replay {names[0]} --adapter {asked}",
    }
