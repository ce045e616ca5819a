"""Read result files: what ran, what it came to, and the traces that lie beside it.

A file holds one of

    a result        {"schema": "lastref-result-1", "command": …, "checks": […]}
    NDJSON          a line for each check as it ended, or for each result; a line with a schema and
                    no checks is a heading that names the command
    a trace         {"schema": "lastref-trace-1", …}, the history of a check in another file, or
                    what the gate found, {"schema": "lastref-gate-trace-1", …}

Several files together are one report, so the shards of a run can be joined; where one of them is
not there, or a heading promises more cases than follow, the whole is incomplete.  A file that is
none of these is refused by name, and so is a file whose verdict does not follow from its checks.
Only the last line of an NDJSON file may be cut off, which is what a crash leaves: then the checks
before it count and the whole is incomplete.

A check may have these fields beyond the published ones, and the report makes something of them:

    adapter, case, status         a cell of the matrix (``implementation`` names it as well)
    trace, counterexample         a history: a trace, the name of its file, or a schedule string
    history                       the calls and returns that were seen: "wait?", "wait → ok"
    words                         the word at the start and after each of them: "0x1", null
    replay                        the command that shows a failure again
    laws                          how many obligations of each law were proved
    kept_laws, broken_laws        the laws that a design keeps; and breaks, each with a schedule
    coverage                      how often each of the model's commands was taken, 0 included
    mutants, killed_by, equivalent, same, survivors
    ours_s, peer, peer_s          a timing beside a peer's, in seconds
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lastref.reports.errors import ReportError
from lastref.reports.gated import GATE
from lastref.reports.shards import Shards
from lastref.reports.verdicts import BROKEN, INCOMPLETE, PASS, VERDICTS, combine

RESULT, TRACE = "lastref-result-1", "lastref-trace-1"
_REMEDY = "name files that a lastref command wrote with --json"
_OWN = frozenset(
    {"id", "kind", "verdict", "count", "seconds", "reason", "design", "platform", "schema"}
)


@dataclass(frozen=True, eq=False)
class Check:
    """One check as it was written down; ``extra`` holds all fields beyond the published eight."""

    id: str
    kind: str
    verdict: str
    count: int
    seconds: float
    reason: str
    design: str | None
    platform: str | None
    command: str
    source: str
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def implementation(self) -> str | None:
        """The implementation that was checked, if it is one that the result names."""
        name = self.extra.get("implementation") or self.extra.get("adapter")
        if isinstance(name, Mapping):
            name = " ".join(str(name[k]) for k in ("name", "version") if k in name)
        return None if name is None else str(name)

    @property
    def status(self) -> str | None:
        """What was seen of an implementation: pass, deviates, crash, timeout, …"""
        status = self.extra.get("status")
        return None if status is None else str(status)

    @property
    def where(self) -> str:
        """The design and its platform, or the platform, or nothing."""
        return "/".join(p for p in (self.design, self.platform) if p)


@dataclass(frozen=True)
class Report:
    """All that the files hold: the checks in their order, the traces, and what was amiss."""

    checks: tuple[Check, ...]
    traces: tuple[Mapping[str, Any], ...] = ()
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    named: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The traces in files that a check names, by the name that it gives."""

    @property
    def verdict(self) -> str:
        """What all checks come to; a file that was cut off leaves no pass."""
        verdict = combine(c.verdict for c in self.checks)
        return INCOMPLETE if self.notes and verdict != BROKEN else verdict

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands whose results these are, each once."""
        return tuple(dict.fromkeys(c.command for c in self.checks))


def read(paths: Iterable[Path], *, whole: bool = False) -> Report:
    """Read ``paths`` as one report; :class:`ReportError` if one is malformed or nothing ran.

    With ``whole`` a shard alone is incomplete, too; otherwise it is a result of its own.
    """
    gathered = _Gathered(whole=whole)
    for path in paths:
        gathered.add(path)
    return gathered.report()


def read_document(document: object, name: str) -> Report:
    """Read one result that is in memory; ``name`` stands for its file."""
    gathered = _Gathered()
    gathered.sources.append(name)
    gathered.take(document, Path(name), name, "check")
    return gathered.report()


class _Gathered:
    """What the files read so far come to."""

    def __init__(self, *, whole: bool = False) -> None:
        self.checks: list[Check] = []
        self.traces: list[Mapping[str, Any]] = []
        self.sources: list[str] = []
        self.notes: list[str] = []
        self.facts: dict[str, str] = {}
        self.named: dict[str, Mapping[str, Any]] = {}
        self.shards = Shards(whole=whole)

    def add(self, path: Path) -> None:
        """Read one file; :class:`ReportError` if it cannot be read or holds no result."""
        self.sources.append(path.name)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ReportError(f"{path} cannot be read", _said(error), _REMEDY) from error
        if not text.strip():
            raise ReportError(f"{path} is empty", "a result has at least one check", _REMEDY)
        try:
            whole = json.loads(text)
        except json.JSONDecodeError as error:
            self._lines(path, text, error)
            return
        for document in whole if isinstance(whole, list) else [whole]:
            self.take(document, path, str(path), "check")

    def report(self) -> Report:
        """Return all of it; a report on nothing is refused."""
        if not self.checks:
            raise ReportError(
                f"there is nothing to report on in {', '.join(self.sources) or 'no file'}",
                "no check was written there",
                _REMEDY,
            )
        return Report(
            tuple(self.checks),
            tuple(self.traces),
            tuple(self.sources),
            (*self.notes, *self.shards.missing()),
            tuple(self.facts.items()),
            self.named,
        )

    def _lines(self, path: Path, text: str, error: json.JSONDecodeError) -> None:
        """Read NDJSON; a file that starts like one indented document is judged as that."""
        lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        command = "check"
        promised, before = 0, len(self.checks)
        for position, (number, line) in enumerate(lines):
            where = f"{path}, line {number}"
            try:
                document = json.loads(line)
            except json.JSONDecodeError as wrong:
                if position and position == len(lines) - 1 and not text.endswith("\n"):
                    self.notes.append(
                        f"{path.name} ends in the middle of line {number}: the run was cut short"
                    )
                    return
                cause = error if position == 0 else wrong
                raise ReportError(f"{where} is no JSON", _said(cause), _REMEDY) from wrong
            command = self.take(document, path, where, command)
            if isinstance(document.get("cases"), int):
                promised += document["cases"]
        there = len(self.checks) - before
        if there < promised:
            self.notes.append(f"{path.name} has {there} of {promised} cases: the run was cut short")

    def take(self, document: object, path: Path, where: str, command: str) -> str:
        """Take in one JSON object; return the command that later lines belong to."""
        if not isinstance(document, Mapping):
            raise ReportError(f"{where} is no result", "it is no JSON object", _REMEDY)
        schema = document.get("schema", RESULT if "id" in document else None)
        if schema in (TRACE, GATE) and isinstance(document.get("steps"), list):
            self.traces.append(document)
            return command
        if schema != RESULT:
            raise ReportError(
                f"{where} is no result",
                f"its schema is {schema!r} and not '{RESULT}'",
                _REMEDY,
            )
        command = str(document.get("command", command))
        self.shards.add(document)
        if "id" in document:
            self.checks.append(self._check(document, command, path, where))
            return command
        checks = [self._check(c, command, path, where) for c in _listed(document, where)]
        _require_agreement(document, checks, where)
        self.checks += checks
        self.facts |= {
            k: str(v)
            for k, v in document.items()
            if k not in ("schema", "command", "verdict", "checks")
            and isinstance(v, str | int | float)
        }
        return command

    def _check(self, document: object, command: str, path: Path, where: str) -> Check:
        """Take in a check, and the trace files that it names beside the result."""
        check = _check(document, command, path, where)
        for key in ("trace", "counterexample"):
            name = check.extra.get(key)
            if isinstance(name, str) and name.endswith(".json"):
                beside = path.parent / name
                if not beside.is_file():
                    self.notes.append(f"{check.id} names the trace {name}, which is not there")
                    continue
                self.named[name] = _trace_in(beside)
        return check


def _listed(document: Mapping[str, Any], where: str) -> Sequence[object]:
    checks = document.get("checks", [])
    if not isinstance(checks, list):
        raise ReportError(f"{where} is no result", "its 'checks' is no list", _REMEDY)
    return checks


def _require_agreement(document: Mapping[str, Any], checks: Sequence[Check], where: str) -> None:
    stated = document.get("verdict")
    if "checks" not in document and stated is None:
        return
    follows = combine(c.verdict for c in checks)
    if stated != follows:
        raise ReportError(
            f"{where} contradicts itself",
            f"it says {stated!r} and its checks come to '{follows}'",
            "write it again with the command that made it",
        )


def _check(document: object, command: str, path: Path, where: str) -> Check:
    """Return the check that ``document`` writes down, or say what it lacks."""
    if not isinstance(document, Mapping):
        raise ReportError(f"{where} holds a check that is none", "it is no JSON object", _REMEDY)
    name = document.get("id")
    what = f"check '{name}'" if isinstance(name, str) else "a check without an id"

    def take(key: str, kinds: tuple[type, ...], *, null: bool = False) -> Any:
        value = document.get(key)
        if (null and value is None) or (isinstance(value, kinds) and value is not True):
            return value
        raise ReportError(
            f"{where} is malformed", f"{what} has {key} {value!r}", "write it again, or report it"
        )

    verdict, count = take("verdict", (str,)), take("count", (int,))
    if verdict not in VERDICTS or (verdict == PASS and count < 1):
        said = f"has the verdict {verdict!r}" if verdict not in VERDICTS else "passes with no case"
        raise ReportError(f"{where} is malformed", f"{what} {said}", "write it again, or report it")
    return Check(
        take("id", (str,)),
        take("kind", (str,)),
        verdict,
        count,
        float(take("seconds", (int, float))),
        take("reason", (str,)),
        take("design", (str,), null=True),
        take("platform", (str,), null=True),
        command,
        path.name,
        {k: v for k, v in document.items() if k not in _OWN},
    )


def _trace_in(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ReportError(f"{path} cannot be read as a trace", _said(error), _REMEDY) from error
    if not isinstance(document, Mapping) or not isinstance(document.get("steps"), list):
        raise ReportError(f"{path} is no trace", "it has no list of steps", _REMEDY)
    return document


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).splitlines()[0]
