"""The named cases: known faults, each a file of data with a permanent id.

A file under ``cases/`` says in which design and scenario which law breaks, by which shortest
schedule, where else, and where not.  Nothing in it is believed.  :func:`judge` works it out again:

    found        the explorer finds the violation by itself, in as many steps as are stored
    replayed     the stored schedule is a run of the model, and its last step breaks that law
    also         the explorer finds it in the other designs that are named
    absent       a complete search of the designs that mended it does not
    exactly      of all histories just those that are stored have no order

A case is about a law, or about a *claim*: what one call should have returned, as a commit's message
or the design before it says, and what it returns; or about histories that have no *order*: what the
calls return together is explained by no order of them (:mod:`lastref.model.linearize`).

Not to be confused with the cases of :mod:`lastref.conformance.suite`, which an implementation
behind an adapter is asked.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator

from lastref.conformance.errors import UserError
from lastref.conformance.trace import Shown, Trace, read_value, record
from lastref.model import designs
from lastref.model.explore import explore
from lastref.model.linearize import linearize_scenario
from lastref.model.outcomes import endings
from lastref.model.sequential import SPECIFICATIONS, Specification
from lastref.model.system import Scenario, Step, System, scenario
from lastref.model.table import DesignError, Law, Table
from lastref.model.unordered import history_of, shortest_unordered

SCHEMA = "lastref-case-1"


@dataclass(frozen=True)
class Claim:
    """The call ``call`` (from 1) of ``thread`` should return ``says``; it ``returns`` another."""

    thread: str
    call: int
    says: str
    returns: str

    def __str__(self) -> str:
        return f"call {self.call} of {self.thread} returns {self.says}"


@dataclass(frozen=True)
class Order:
    """Of so many histories (``of``) these have no order; they are of one known ``kind``."""

    kind: str
    of: int
    histories: tuple[str, ...]

    def __str__(self) -> str:
        return f"an order of the calls that explains what they return ({self.kind})"


@dataclass(frozen=True)
class Place:
    """A design on a platform, from a start with some initial values."""

    design: str
    platform: str
    start: str
    initial: Mapping[str, Shown]

    def __str__(self) -> str:
        how = "" if self.start == "start" else f" from {self.start}"
        values = ", ".join(f"{k}={v}" for k, v in self.initial.items())
        return f"{self.design}/{self.platform}{how}" + (f" with {values}" if values else "")


@dataclass(frozen=True)
class NamedCase:
    """One file of ``cases/``; the fields are those of ``schemas/case.schema.json``."""

    id: str
    title: str
    kind: str
    where: Place
    threads: tuple[str, ...]
    adversary: tuple[str, ...] | None
    law: str | None
    claim: Claim | None
    unordered: Order | None
    source: str
    why: str
    fix: str
    schedule: tuple[tuple[str, str], ...]
    also_in: tuple[Place, ...]
    absent_in: tuple[Place, ...]
    open: str

    @property
    def broken(self) -> str:
        """The law, the claim, or that there is no order, in words."""
        return self.law if self.law is not None else str(self.claim or self.unordered)

    def system(self, place: Place | None = None) -> System:
        """Return the system at ``place``; :class:`UserError` if there is no such scenario there."""
        try:
            return System(*self.setting(place))
        except DesignError as error:
            raise UserError(error.fault, error.reason, error.remedy) from error

    def setting(self, place: Place | None = None) -> tuple[Table, Scenario]:
        """Return the table and the scenario at ``place``; :class:`UserError` if there is none."""
        place = place or self.where
        try:
            way = designs.way_in(designs.get(place.design, place.platform), place.start)
            if way.table is None:
                raise UserError(
                    f"{place} is no object", f"the start is refused: {way.outcome}", "correct it"
                )
            given = {k: _value(way.table, k, v) for k, v in place.initial.items()}
            initial = {**way.initial, **given}
            return way.table, scenario(*self.threads, initial=initial, adversary=self.adversary)
        except DesignError as error:
            raise UserError(error.fault, error.reason, error.remedy) from error

    def run(self) -> tuple[Step, ...]:
        """Return the stored schedule as steps of the model; :class:`UserError` if it is no run."""
        system, steps = self.system(), list[Step]()
        state = system.initial
        for number, (actor, command) in enumerate(self.schedule, 1):
            enabled = system.steps(state)
            step = next((s for s in enabled if (s.actor, s.name) == (actor, command)), None)
            if step is None:
                could = ", ".join(f"{s.actor} {s.name}" for s in enabled) or "nothing"
                raise UserError(
                    f"step {number} of case {self.id}, '{actor} {command}', cannot be taken",
                    f"there the model allows {could}",
                    f"find the run again: lastref explore {self.where.design}",
                )
            steps.append(step)
            state = step.state
        return tuple(steps)

    def trace(self) -> Trace:
        """Return the stored schedule as a trace, which can be replayed on an implementation."""
        return record(self.system(), self.run())


def _value(table: Table, name: str, shown: Shown) -> int:
    variable = next((v for v in table.shared if v.name == name), None)
    if variable is None:
        raise UserError(
            f"{table.id} on {table.platform} has no variable '{name}'",
            f"it has {', '.join(v.name for v in table.shared)}",
            "correct the case's initial values",
        )
    return read_value(variable, shown)


def shortest(case: NamedCase, place: Place | None = None) -> tuple[Step, ...] | None:
    """Return a shortest run that breaks the law or the claim of ``case``, or ``None``.

    The search is complete unless it finds one.  It is given nothing but the scenario and the law.
    """
    system = case.system(place)
    if case.claim is not None:
        return _shortest_against(system, case.claim)
    if case.unordered is not None:
        unordered = shortest_unordered(system, _specification(system.table))
        same = unordered is not None and unordered.kind == case.unordered.kind
        return unordered.steps if unordered is not None and same else None
    laws = _laws(system.table, case)
    found = explore(system, laws)
    assert found.complete
    if not found.resting and not found.counterexamples:
        raise UserError(
            f"case {case.id} shows nothing on {place or case.where}",
            "no run of it ends",
            "correct its threads or its adversary",
        )
    runs = sorted((c.steps for c in found.counterexamples.values()), key=len)
    return runs[0] if runs else None


def _specification(table: Table) -> Specification:
    key = (table.id, table.platform)
    if key not in SPECIFICATIONS:
        known = ", ".join(f"{d}/{p}" for d, p in SPECIFICATIONS)
        raise UserError(
            f"{table.id} on {table.platform} has no sequential specification",
            f"there is one for {known}",
            "name one of these",
        )
    return SPECIFICATIONS[key]


def _laws(table: Table, case: NamedCase) -> tuple[Law, ...]:
    """Return the law of ``case``; all laws of a table that does not state it, which is stronger."""
    return tuple(law for law in table.laws if law.id == case.law) or table.laws


def _shortest_against(system: System, claim: Claim) -> tuple[Step, ...] | None:
    against = [
        e.steps for e in endings(system) if e.outcomes[claim.thread][claim.call - 1] != claim.says
    ]
    return min(against, key=len) if against else None


@dataclass(frozen=True)
class Judgement:
    """One thing that was worked out about a case: what, where, and whether it is so."""

    kind: str
    place: Place
    holds: bool
    reason: str
    steps: int = 0


def judge(case: NamedCase) -> Iterator[Judgement]:
    """Work out everything that the file of ``case`` says."""
    length = len(case.schedule)
    for place in (case.where, *case.also_in):
        run = shortest(case, place)
        kind = "found" if place is case.where else "also"
        if run is None:
            yield Judgement(kind, place, False, f"no run breaks {case.broken}")
        elif kind == "found" and len(run) != length:
            reason = f"the shortest run has {len(run)} steps, the stored one {length}"
            yield Judgement(kind, place, False, reason, len(run))
        else:
            yield Judgement(kind, place, True, f"a run of {len(run)} steps", len(run))
    yield _replayed(case)
    if case.unordered is not None:
        yield _exactly(case, case.unordered)
    for place in case.absent_in:
        run = shortest(case, place)
        holds = run is None
        reason = "a complete search finds none" if run is None else f"a run of {len(run)} steps"
        yield Judgement("absent", place, holds, reason, len(run or ()))


def _replayed(case: NamedCase) -> Judgement:
    """Take the stored schedule step by step: its last step, and no other, breaks the law."""
    steps = case.run()
    if case.claim is not None:
        said = _said(steps, case.claim)
        holds = said == case.claim.returns and said != case.claim.says
        return Judgement("replayed", case.where, holds, f"{case.claim.thread} returned {said}")
    if case.unordered is not None:
        history = history_of(case.system(), steps)
        over = case.system().at_rest(steps[-1].state)
        holds = over and str(history) in case.unordered.histories
        return Judgement("replayed", case.where, holds, str(history), len(steps))
    broken = [i for i, law in enumerate(_broken(case, steps)) if law == case.law]
    holds = broken == [len(steps) - 1]
    where = ", ".join(str(i + 1) for i in broken) or "none"
    return Judgement("replayed", case.where, holds, f"steps that break it: {where}", len(steps))


def _exactly(case: NamedCase, expected: Order) -> Judgement:
    """Make every history of the scenario: which have no order, and is the reason a known one."""
    table, plan = case.setting()
    found = linearize_scenario(table, plan)
    told = {str(h) for h in found.unordered}
    wrong = [
        *(f"'{h}' has no order and is not stored" for h in sorted(told - {*expected.histories})),
        *(f"'{h}' is stored and has an order" for h in sorted({*expected.histories} - told)),
        *(
            f"'{h}' is {kind or 'of no kind'}"
            for h, kind in found.unordered.items()
            if kind != expected.kind
        ),
    ]
    if found.histories != expected.of:
        wrong.append(f"there are {found.histories} histories, not {expected.of}")
    reason = wrong[0] if wrong else f"{len(told)} of {found.histories} histories have no order"
    return Judgement("exactly", case.where, not wrong, reason, found.histories)


def _broken(case: NamedCase, steps: tuple[Step, ...]) -> Iterator[str | None]:
    """Yield the law that each step breaks by itself, or by the state that it leads to."""
    system = case.system()
    stated = system.table.law(case.law or "")
    check = system.law_checker([stated] if stated.kind in ("always", "step") else [])
    before = system.initial
    for step in steps:
        state = step.state if stated.kind == "always" else before
        yield step.broken or next(iter(check(state, step.state)), None)
        before = step.state


def _said(steps: tuple[Step, ...], claim: Claim) -> str:
    """Return what the claimed call returned in the run ``steps``."""
    calls, current = list[str](), "nil"
    for step in steps:
        if step.actor != claim.thread or step.command is None:
            continue
        current = step.command.outcome or current
        if step.command.to in ("end", "panicked", "blocked"):
            calls.append(current)
            current = "nil"
    return calls[claim.call - 1] if len(calls) >= claim.call else "nothing"


@functools.cache
def _validator() -> Draft202012Validator:
    text = resources.files("lastref.conformance.schemas").joinpath("case.schema.json")
    return Draft202012Validator(json.loads(text.read_text(encoding="utf-8")))


def from_document(document: Mapping[str, Any], where: str) -> NamedCase:
    """Return the case in a JSON document; :class:`UserError` if it does not fit the schema."""
    error = next(iter(sorted(_validator().iter_errors(document), key=lambda e: e.json_path)), None)
    if error is not None:
        raise UserError(
            f"{where} is no {SCHEMA} document",
            f"{error.json_path}: {error.message[:120]}",
            "compare it with case.schema.json",
        )
    own = _place(document, "start", {})
    default = own.start, own.initial
    claim, unordered = document.get("claim"), document.get("unordered")
    adversary = document.get("adversary")
    return NamedCase(
        id=document["id"],
        title=document["title"],
        kind=document["kind"],
        where=own,
        threads=tuple(document["threads"]),
        adversary=None if adversary is None else tuple(adversary),
        law=document.get("law"),
        claim=None if claim is None else Claim(**claim),
        unordered=None
        if unordered is None
        else Order(unordered["kind"], unordered["of"], tuple(unordered["histories"])),
        source=document["source"],
        why=document["why"],
        fix=document["fix"],
        schedule=tuple((a, c) for a, c in (s.split(" ") for s in document["schedule"])),
        also_in=tuple(_place(p, *default) for p in document["also_in"]),
        absent_in=tuple(_place(p, *default) for p in document["absent_in"]),
        open=document.get("open", ""),
    )


def _place(document: Mapping[str, Any], start: str, initial: Mapping[str, Shown]) -> Place:
    return Place(
        document["design"],
        document["platform"],
        document.get("start", start),
        document.get("initial", initial),
    )


@functools.cache
def named_cases() -> Mapping[str, NamedCase]:
    """Return every named case by its id, in the order of the ids; UserError if a file is wrong."""
    folder = resources.files("lastref.conformance").joinpath("cases")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)
    cases = {}
    for file in files:
        case = from_document(json.loads(file.read_text(encoding="utf-8")), file.name)
        if file.name != f"{case.id}.json":
            raise UserError(
                f"{file.name} holds the case {case.id}", "a file is called as its id", "rename it"
            )
        cases[case.id] = case
    return cases


def named_case(case_id: str) -> NamedCase:
    """Return the case ``case_id``; :class:`UserError` with those that exist if there is none."""
    cases = named_cases()
    if case_id not in cases:
        raise UserError(
            f"there is no case '{case_id}'", f"there are {', '.join(cases)}", "name one"
        )
    return cases[case_id]
