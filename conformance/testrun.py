"""One adapter, from its name to its checks: select, run, write down, judge by the known deviations.

resolve ──▶ prepare ──▶ cases, a line of the journal each ──▶ expectations ──▶ checks
"""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lastref.conformance import expectations
from lastref.conformance.adapters.registry import Known
from lastref.conformance.checker import Checker
from lastref.conformance.errors import UserError
from lastref.conformance.expectations import Expectations
from lastref.conformance.gated import Gating
from lastref.conformance.journal import Journal
from lastref.conformance.outcomes import KIND, Outcome, Status
from lastref.conformance.protocol.adapter import DEADLINE
from lastref.conformance.protocol.conversation import DEFAULT_SPECIFICATION, Ready
from lastref.conformance.results import Check, Verdict
from lastref.conformance.selection import Selection
from lastref.conformance.suite import Case, all_cases

Advance = Callable[[int], None]


def today_in_utc() -> datetime.date:
    """Return the day by which entries expire."""
    return datetime.datetime.now(tz=datetime.UTC).date()


@dataclass(frozen=True)
class Plan:
    """What is to be run, and how.

    ``deadline`` is in seconds.  ``journal`` is the file to write while running, ``resume`` whether
    to go on with what it holds.  ``expect`` is the list of known deviations, None for no list.
    """

    adapter: Known
    selection: Selection = field(default_factory=Selection)
    deadline: float = DEADLINE
    validate: bool = True
    journal: Path | None = None
    resume: bool = False
    expect: Expectations | None = None
    gating: Gating = field(default_factory=Gating)
    today: Callable[[], datetime.date] = today_in_utc

    @property
    def cases(self) -> tuple[Case, ...]:
        """The cases that are taken."""
        return self.selection.of(all_cases())


@dataclass
class Finished:
    """What came of a plan: the outcomes, what the adapter said of itself, and the checks."""

    outcomes: list[Outcome]
    ready: Ready | None
    checks: tuple[Check, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


def run(plan: Plan, advance: Advance = lambda _by: None) -> Finished:
    """Run the plan; raises UserError where the adapter's toolchain is missing."""
    argv = plan.adapter.prepare()
    checker = Checker(
        argv,
        plan.deadline,
        plan.validate,
        environment=dict(plan.adapter.environment) or None,
        gating=replace(plan.gating, adapter=plan.adapter.name, asked=plan.adapter.asked),
    )
    if plan.journal is None:
        finished = Finished(_outcomes(checker, plan.cases, advance), checker.ready)
    else:
        finished = _with_journal(plan, plan.journal, checker, advance)
    return _judged(plan, finished)


def _outcomes(checker: Checker, cases: Sequence[Case], advance: Advance) -> list[Outcome]:
    outcomes = []
    for outcome in checker.run(cases):
        outcomes.append(outcome)
        advance(1)
    return outcomes


def _with_journal(plan: Plan, path: Path, checker: Checker, advance: Advance) -> Finished:
    """Run the cases that the journal does not hold yet; each is written as soon as it is known."""
    head = {
        "command": "check",
        "adapter": plan.adapter.name,
        "title": plan.adapter.title,
        "cases": len(plan.cases),
        **plan.selection.document(),
    }
    with Journal(path, head, resume=plan.resume) as journal:
        before = {check["case"]: Outcome.from_check(check) for check in journal.done}
        advance(len(before))
        fresh = {}
        for outcome in checker.run([case for case in plan.cases if case.id not in before]):
            check = judged(plan.adapter, plan.expect, outcome, checker.ready, plan.today())
            journal.write(check.document())
            fresh[outcome.case] = outcome
            advance(1)
    if checker.ready is None and before:
        # All was there already: only the handshake is asked for, which says what was tested.
        list(checker.run([case for case in all_cases() if case.id == "adapter/handshake"]))
    ordered = [{**before, **fresh}[case.id] for case in plan.cases]
    return Finished(ordered, checker.ready)


def judged(
    adapter: Known,
    expect: Expectations | None,
    outcome: Outcome,
    ready: Ready | None,
    today: datetime.date,
) -> Check:
    """Return the check that comes of one outcome, by the list of known deviations if any."""
    specification = ready.specification if ready else DEFAULT_SPECIFICATION
    if expect is None or ready is None:
        return _with_replay(adapter, outcome.check(adapter.name, specification))
    known = {case for entry in expect.entries for case in entry.cases}  # of others it says nothing
    (check,) = expect.judge(
        [outcome], known, adapter.name, specification, ready.system, ready.version, today
    )
    return _with_replay(adapter, check)


def _with_replay(adapter: Known, check: Check) -> Check:
    """Return the check with the command that shows it again, where it did not pass."""
    if check.verdict in (Verdict.PASS, Verdict.SKIPPED) or "replay" in check.extra:
        return check
    case = shlex.quote(str(check.extra["case"]))
    command = f"lastref check {adapter.asked} --case {case}"
    return replace(check, extra={**check.extra, "replay": command})


def _judged(plan: Plan, finished: Finished) -> Finished:
    ready, name = finished.ready, plan.adapter.name
    specification = ready.specification if ready else DEFAULT_SPECIFICATION
    if plan.expect is None or ready is None:
        checks = tuple(o.check(name, specification) for o in finished.outcomes)
    else:
        checks = plan.expect.judge(
            finished.outcomes,
            [case.id for case in all_cases()],
            name,
            specification,
            ready.system,
            ready.version,
            plan.today(),
        )
    finished.checks = tuple(_with_replay(plan.adapter, check) for check in checks)
    finished.extra = {"adapters": [described(plan.adapter, ready)], **plan.selection.document()}
    return finished


def described(adapter: Known, ready: Ready | None) -> dict[str, Any]:
    """Return what a result says of an adapter."""
    told: dict[str, Any] = {"name": adapter.name, "title": adapter.title}
    if ready is not None:
        told |= {
            "implementation": ready.implementation,
            "version": ready.version,
            "system": ready.system,
            "specification": ready.specification,
            "capabilities": sorted(ready.capabilities),
        }
    return told


def fix(plan: Plan, finished: Finished) -> Path:
    """Rewrite the list of known deviations to what this run has shown, and return its path.

    Raises :class:`UserError` if there is no list, or the run is not one to go by.
    """
    if plan.expect is None or finished.ready is None:
        raise UserError(
            "the list of known deviations cannot be fixed",
            "there is no list" if plan.expect is None else "the adapter never said what it is",
            "name the file with --expect",
        )
    ready = finished.ready
    known = [case.id for case in all_cases()]
    fixed = plan.expect.fixed(finished.outcomes, known, ready.system, ready.version)
    try:
        plan.expect.path.write_text(fixed.text(), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"cannot write '{plan.expect.path}'", error.strerror or str(error), "check its folder"
        ) from error
    return plan.expect.path


def expected(adapter: Known, given: str | None, *, new: bool = False) -> Expectations | None:
    """Return the list to use: the file named, none for ``none``, else the adapter's own if any.

    A file that was named and is not there is a UserError, unless a ``new`` one is to be written.
    """
    if given == "none":
        return None
    path = adapter.expectations if given is None else Path(given)
    if given is None and not path.is_file():
        return None
    if path.is_file():
        return expectations.load(path)
    if not new:
        raise UserError(
            f"'{path}' cannot be read",
            "it is no file" if path.exists() else "there is no such file",
            "write it with 'lastref check ADAPTER --expect FILE --fix'",
        )
    return Expectations(path)


def unable(adapter: Known, error: UserError) -> Check:
    """Return the check of an adapter that cannot run on this machine."""
    return Check(
        f"{adapter.name}/adapter/handshake",
        KIND,
        Verdict.SKIPPED,
        0,
        0.0,
        str(error),
        extra={
            "adapter": adapter.name,
            "case": "adapter/handshake",
            "status": Status.PRECONDITION_FAILED.value,
            "message": str(error),
            "history": [],
            "wait_status": None,
        },
    )
