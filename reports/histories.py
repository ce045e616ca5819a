"""The histories of a report: every trace that its checks name, drawn once, and how to run it again.

A check has a trace as a document, as the name of a file beside the result, or as a schedule string,
in a field of its own or in the command that its reason gives

    go-2024/linux?word=0x1:wait,release:W1.R1.W1…

or, of a foreign implementation, a list of the calls and returns that were seen; that is drawn where
the check did not pass.  A schedule string is no picture yet: only the model knows the states in
between.  So whoever renders may give the documents of the strings that :func:`schedules` finds; a
string without a document is shown as the command that replays it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lastref.reports import calls, gated
from lastref.reports.lamport import broken_words
from lastref.reports.reading import TRACE, Check, Report
from lastref.reports.verdicts import BROKEN, PASS, SKIPPED, VERDICTS, sign_of

Document = Mapping[str, Any]
DRAWN = 160
"""How many histories a page draws; the rest is listed by the command that replays it."""

_SCHEDULE = re.compile(r"[\w.-]+/[\w.-]+(\?[\w.=&-]+)?:[a-z][\w;,|-]*:[\w.-]+")
_IN_WORDS = re.compile(rf"lastref replay '?({_SCHEDULE.pattern.replace('(', '(?:')})")
_KEYS = ("trace", "counterexample", "history", "schedule")


class Seen(NamedTuple):
    """A history of calls that passed, and the words beside it: at the start and after each event.

    A word is a hexadecimal number, or None where the specification has several.
    """

    events: tuple[str, ...]
    words: tuple[str | None, ...]

    @classmethod
    def of(cls, check: Check) -> Seen:
        """Return what was seen in ``check``."""
        return cls(tuple(check.extra.get("history") or ()), tuple(check.extra.get("words") or ()))


def seen(report: Report) -> dict[Seen, str]:
    """Return the histories of calls that passed, each once, with the anchor that it has.

    There are thousands of them and few different ones, so the page holds them as words, and draws
    one when somebody asks for it.
    """
    found: dict[Seen, str] = {}
    for check in report.checks:
        events = check.extra.get("history")
        if (
            check.verdict in (PASS, SKIPPED)
            and isinstance(events, list)
            and calls.is_history(events)
        ):
            found.setdefault(Seen.of(check), f"seen-{len(found) + 1}")
    return found


@dataclass(frozen=True, eq=False)
class History:
    """One run to look at: where the page has it, what it shows, and the checks that name it."""

    anchor: str
    schedule: str
    document: Document | None
    breaks: str | None
    checks: tuple[Check, ...]

    replay: str
    """The command that replays it, or an empty string."""

    @property
    def failed(self) -> bool:
        """Whether a check that names it did not pass."""
        return any(c.verdict not in (PASS, SKIPPED) for c in self.checks)

    @property
    def heading(self) -> str:
        """What it shows, in a few words."""
        if self.breaks:
            return broken_words(self.breaks)
        if self.failed:
            return sign_of(self.checks[0].verdict, self.checks[0].status).word
        return "breaks nothing" if self.document else "not drawn"

    @property
    def subject(self) -> str:
        """What it is a run of."""
        if _SCHEDULE.fullmatch(self.schedule):
            return " · ".join(self.schedule.split(":")[:2])
        return self.schedule


def replay_command(schedule: str) -> str:
    """Return the command that runs ``schedule`` again."""
    return f"lastref replay {shlex.quote(schedule)}"


def schedule_of(document: Document) -> str:
    """Return the trace as one string: design, initial values, threads, and who steps."""
    initial = "&".join(f"{k}={_plain(v)}" for k, v in document["initial"].items())
    head = f"{document['design']}/{document['platform']}" + (f"?{initial}" if initial else "")
    calls = ",".join(";".join(t["calls"]) for t in document["threads"])
    steps = document["steps"]
    actors = ".".join(s["command"] if s["actor"] == "kernel" else s["actor"] for s in steps)
    return f"{head}:{calls}:{actors}"


def name_of(document: Document) -> str:
    """Return the name of a trace: its schedule, or what the gate's record is of."""
    schema = document.get("schema")
    if schema == gated.GATE:
        return gated.title_of(document)
    return schedule_of(document) if schema == TRACE else ""


def drawable(document: Document) -> Document:
    """Return a trace of any kind in the form in which it is drawn."""
    return gated.document(document) if document.get("schema") == gated.GATE else document


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def named_by(check: Check, named: Mapping[str, Document]) -> Iterator[tuple[str, Document | None]]:
    """Yield the schedules that ``check`` names, each with its document where it has one."""
    values = [check.extra.get(key) for key in _KEYS]
    runs = check.extra.get("broken_laws")
    values += list(runs.values()) if isinstance(runs, Mapping) else []
    values += [check.id] if check.kind == "replay" else []
    values += [found.rstrip(".") for found in _IN_WORDS.findall(check.reason)]
    for value in values:
        given = named.get(value) if isinstance(value, str) else value
        if isinstance(given, Mapping) and isinstance(given.get("steps"), list):
            yield name_of(given) or check.id, drawable(given)
        elif (
            isinstance(given, list)
            and calls.is_history(given)
            and check.verdict not in (PASS, SKIPPED)
        ):
            yield check.id, calls.document(given, check.id, check.extra.get("words", ()))
        elif isinstance(value, str) and _SCHEDULE.fullmatch(value):
            yield value, None


def schedules(report: Report) -> tuple[str, ...]:
    """Return the schedule strings of ``report`` of which it does not hold the document."""
    held = {name_of(t) for t in (*report.traces, *report.named.values())}
    found = (s for c in report.checks for s, d in named_by(c, report.named) if d is None)
    return tuple(dict.fromkeys(s for s in found if s not in held))


def histories(report: Report, known: Mapping[str, Document] | None = None) -> tuple[History, ...]:
    """Return the histories of ``report``, those of failures first, each once.

    ``known`` has documents for schedule strings, from whoever can work them out.
    """
    documents: dict[str, Document] = dict(known or {})
    documents |= {name_of(t): drawable(t) for t in (*report.traces, *report.named.values())}
    order = sorted(report.checks, key=lambda c: VERDICTS.index(c.verdict))
    by_schedule: dict[str, list[Check]] = {}
    for check in order:
        for schedule, document in named_by(check, report.named):
            if document is not None:
                documents[schedule] = document
            checks = by_schedule.setdefault(schedule, [])
            if check not in checks:
                checks.append(check)
    for trace in report.traces:
        by_schedule.setdefault(name_of(trace), [c for c in order if _found_by(c, trace)])
    return tuple(
        History(
            f"history-{n}",
            s,
            documents.get(s),
            _broken(documents.get(s)),
            tuple(checks),
            _replay(s, documents.get(s), checks, report.named),
        )
        for n, (s, checks) in enumerate(by_schedule.items(), 1)
    )


def _broken(document: Document | None) -> str | None:
    if document is None:
        return None
    return next((s["breaks"] for s in document["steps"] if s.get("breaks")), None)


def _found_by(check: Check, trace: Document) -> bool:
    """Return whether a check of the gate lists the run that ``trace`` is a record of."""
    listed = check.extra.get("schedules")
    return (
        trace.get("schema") == gated.GATE
        and isinstance(listed, list)
        and gated.schedule_of(trace) in listed
        and check.extra.get("scenario") == trace.get("scenario")
    )


def _replay(
    schedule: str,
    document: Document | None,
    checks: Sequence[Check],
    named: Mapping[str, Document],
) -> str:
    given = document.get("replay") if document is not None else None
    given = given or next(filter(None, map(_given, checks)), None)
    if given:
        return str(given)
    if _SCHEDULE.fullmatch(schedule):
        return replay_command(schedule)
    return next(filter(None, (rerun(c, named) for c in checks)), "")


def _given(check: Check) -> str | None:
    """Return the command that, as a check says, shows it again."""
    given = check.extra.get("replay") or check.extra.get("command")
    return given if isinstance(given, str) else None


def rerun(check: Check, named: Mapping[str, Document]) -> str | None:
    """Return the command that shows a check's failure again, or None for one that did not fail."""
    if check.verdict in (PASS, SKIPPED):
        return None
    given = _given(check)
    if given:
        return given
    first = next((s for s, _ in named_by(check, named) if _SCHEDULE.fullmatch(s)), None)
    if first is not None and check.verdict == BROKEN:
        return replay_command(first)
    adapter, case = check.extra.get("adapter"), check.extra.get("case")
    if isinstance(adapter, str) and isinstance(case, str):
        return f"lastref check {shlex.quote(adapter)} --case {shlex.quote(case)}"
    return f"lastref {check.command}"
