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
signalled or reaped that no operation named.  Which order does it is in the check's ``schedules``,
and where a folder for traces is given in a file: ``lastref replay FILE --adapter NAME``.

Races of the tables that happen between two loads of one variable cannot be held at a system call;
they are replayed on the models' own implementations instead (``lastref verify``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lastref.conformance.errors import UserError
from lastref.conformance.outcomes import Outcome, Status
from lastref.conformance.suite import Case

RECIPES = {"start|wait,wait,start.b": "W1 W1 W2 W2 exit(a) W1 S1 S1 W2 exit(b)"}
"""Orders that are known to be wrong somewhere and too long to be found within a small budget.

They are tried before the exploration, and count only where the program takes every step of them.
"""

ORDERS, SECONDS = 100, 5.0
"""The default budget of one case: that many orders, or seconds, whichever ends first."""


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


def examine(case: Case, argv: Sequence[str], gating: Gating) -> Outcome:
    """Explore the race of ``case`` on the program ``argv``."""
    # The gate needs Linux, and much that no other case needs: it is imported where it is used.
    from lastref.conformance.gate import run
    from lastref.conformance.gate.explore import Budget
    from lastref.conformance.gate.scenario import Scenario
    from lastref.conformance.sandbox import unavailable

    reason = unavailable()
    if reason is not None:
        return Outcome(case.id, Status.PRECONDITION_FAILED, f"no gate here: {reason}")
    scenario, simplest = Scenario.parse(case.scenario), Scenario.parse("start|wait")
    wanted = run.program(argv, scenario, case.refused)
    try:
        if case.refused:
            # Who cannot start anything now would pass every case, and show nothing by it.
            begun = run.examine(run.program(argv, simplest, case.refused), simplest, Budget(1, 5.0))
            if not begun.exploration.longest:
                said = f"with {', '.join(case.refused)} it starts no process"
                return Outcome(case.id, Status.PRECONDITION_FAILED, said)
        known = _recipe(case, wanted, scenario)
        if known is not None:
            return _deviates(case, [known], gating, {"orders": 1, "complete": False})
        found = run.examine(wanted, scenario, Budget(gating.orders, gating.seconds))
    except (UserError, ValueError) as error:
        # A ValueError of the shrinker: what was found once did not come again.
        said = f"the gate could not be worked: {error}"
        return Outcome(case.id, Status.PRECONDITION_FAILED, said, incomplete=True)
    exploration = found.exploration
    extra: dict[str, Any] = {
        "orders": exploration.orders,
        "complete": exploration.complete,
        "verdicts": dict(exploration.verdicts),
    }
    if found.records:
        return _deviates(case, found.records, gating, extra)
    extra |= {"scenario": case.scenario, "refused": list(case.refused), "schedules": []}
    if exploration.lost or not exploration.longest:
        lost = exploration.lost[0] if exploration.lost else "no step was taken"
        said = f"the gate lost the program: {lost}"
        return Outcome(case.id, Status.PRECONDITION_FAILED, said, incomplete=True, extra=extra)
    covered = str(exploration).partition(": ")[2]
    return Outcome(case.id, Status.PASS, covered, extra=extra)


def _recipe(case: Case, wanted: Any, scenario: Any) -> Any | None:
    """Try the order that is known for the scenario; return its record if it hits somebody."""
    from lastref.conformance.gate import run
    from lastref.conformance.gate.record import Record

    schedule = RECIPES.get(case.scenario)
    if schedule is None:
        return None
    record = Record(
        scenario=scenario,
        schedule=tuple(schedule.split()),
        refused=wanted.refused,
        processes=wanted.processes,
        handle=wanted.handle,
        lines=wanted.lines,
        verdict=None,
        implementation={},
        shown=(),
        history=(),
    )
    replays = run.replay(wanted, record)
    # With steps left out it is another order; what that one shows is for the exploration to say.
    return None if replays.skipped or replays.first.verdict is None else replays.first


def _deviates(
    case: Case, records: Sequence[Any], gating: Gating, extra: Mapping[str, Any]
) -> Outcome:
    """Return the outcome of a race that hits somebody; its message says only what was hit."""
    said = " and ".join(sorted({str(record.verdict) for record in records}))
    told = {
        **extra,
        "scenario": case.scenario,
        "refused": list(case.refused),
        "schedules": [".".join(record.schedule) for record in records],
        **_written(records, case, gating),
    }
    return Outcome(case.id, Status.DEVIATES, said, history=tuple(records[0].history), extra=told)


def _written(records: Sequence[Any], case: Case, gating: Gating) -> dict[str, Any]:
    """Write the traces and return the fields that tell of them."""
    asked = gating.asked or gating.adapter
    if gating.traces is None:
        return {"replay": f"lastref check {asked} --case {case.id} --traces FOLDER"}
    names = []
    for number, record in enumerate(records, 1):
        plain = f"{gating.adapter}-{case.id}".replace("/", "-")
        name = "".join(c if c.isalnum() or c in "-." else "-" for c in plain)
        path = gating.traces / f"{name}-{number}.json"
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
