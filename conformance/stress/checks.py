"""What the stress showed, as checks of a result: one for each law, and one for the pids.

Source: the laws are the no-wrong-process, no-leak and linearizability of the model, seen from
outside.
"""

from __future__ import annotations

from typing import Any

from lastref.conformance.results import Check, Verdict
from lastref.conformance.stress.hammer import LAWS, Plan
from lastref.conformance.stress.history import command
from lastref.conformance.stress.run import Stressed

KIND = "stress"


def checks(plan: Plan, design: str, stressed: Stressed) -> tuple[Check, ...]:
    """Return one check for each law; the laws that are not broken held as long as it ran."""
    tally, failure = stressed.tally, stressed.tally.failure
    made = []
    for law in LAWS:
        count = tally.operations if law == "linearizable" else tally.rounds
        verdict, reason = Verdict.PASS, ""
        if failure is not None and failure.law == law:
            again = command(plan, design, failure)
            verdict, reason = Verdict.BROKEN, f"{failure.text}; {again}"
        elif count == 0:
            verdict, reason = Verdict.INCOMPLETE, "no round was run"
        name = f"{design}/stress/{law}"
        made.append(Check(name, KIND, verdict, count, tally.seconds, reason, design))
    return (*made, _pids(plan, design, stressed))


def figures(plan: Plan, stressed: Stressed) -> dict[str, Any]:
    """Return what else the result of a run says: how much was done, and what came of it."""
    tally = stressed.tally
    return {
        "seed": plan.seed,
        "threads": plan.threads,
        "rounds": tally.rounds,
        "operations": tally.operations,
        "seconds": round(tally.seconds, 3),
        "operations_per_second": round(tally.operations / max(tally.seconds, 1e-9)),
        "fds_recycled": tally.fds_recycled,
        "pids_recycled": tally.pids_recycled,
        "outcomes": dict(sorted(tally.outcomes.items())),
    }


def _pids(plan: Plan, design: str, stressed: Stressed) -> Check:
    """Say how often a pid came back while the threads ran, or why none could."""
    name, count = f"{design}/stress/pids-recycled", stressed.tally.pids_recycled
    if stressed.without_pids is not None:
        return Check(name, KIND, Verdict.SKIPPED, 0, 0.0, stressed.without_pids, design)
    if count:
        return Check(name, KIND, Verdict.PASS, count, 0.0, "", design)
    if plan.only is not None:
        reason = f"in the programs of round {plan.only} no pid came back"
        return Check(name, KIND, Verdict.SKIPPED, 0, 0.0, reason, design)
    reason = "no pid came back while the threads ran: run it longer"
    return Check(name, KIND, Verdict.INCOMPLETE, 0, 0.0, reason, design)
