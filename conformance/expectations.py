"""The list of known deviations of one implementation, and what it makes of a run.

    [[deviation]]
    message = "kill gave nil, the specification allows EPD"   # what the run must say; or none
    link    = "https://…"                                     # where it is documented
    cases   = ["child/wait.kill", "child/wait.kill.kill"]
    status  = "deviates"              # the default; or crash, timeout, protocol error
    system  = "linux"                 # only there
    version = ">=3.11,<3.14"          # only in these versions of the implementation
    until   = 2027-01-01              # from that day on the entry fails
    flaky   = true                    # it may also pass, and the message may differ

What fails: an unexpected pass, an entry that no longer says what happens or has expired, an entry
whose case is skipped, and an id that there is not.  So the list is always true.
"""

from __future__ import annotations

import datetime
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lastref.conformance.errors import UserError
from lastref.conformance.outcomes import Outcome, Status
from lastref.conformance.results import Check, Verdict

KIND = "expectation"
_FAILING = (Status.DEVIATES, Status.CRASH, Status.TIMEOUT, Status.PROTOCOL_ERROR)
_FIELDS: Mapping[str, type] = {
    "message": str,
    "link": str,
    "cases": list,
    "status": str,
    "system": str,
    "version": str,
    "until": datetime.date,
    "flaky": bool,
}


@dataclass(frozen=True)
class Entry:
    """One known deviation, of one or more cases."""

    cases: tuple[str, ...]
    message: str | None = None
    link: str = ""
    status: Status = Status.DEVIATES
    system: str = ""
    version: str = ""
    until: datetime.date | None = None
    flaky: bool = False

    def applies(self, system: str, version: str) -> bool:
        """Return whether the conditions hold for what is tested."""
        return self.system in ("", system) and satisfies(version, self.version)

    def says(self, outcome: Outcome) -> bool:
        """Return whether ``outcome`` is what the entry expects."""
        if self.flaky:
            return True
        same = self.message is None or self.message == outcome.message
        return same and outcome.status is self.status


@dataclass(frozen=True)
class Expectations:
    """A list of known deviations, and the file that it comes from."""

    path: Path
    entries: tuple[Entry, ...] = ()

    def judge(
        self,
        outcomes: Sequence[Outcome],
        known: Iterable[str],
        adapter: str,
        specification: str,
        system: str,
        version: str,
        today: datetime.date,
    ) -> tuple[Check, ...]:
        """Return a check per outcome, by this list, and one per entry that no case bears out.

        ``known`` are the ids of all cases there are, of which ``outcomes`` may be a selection.
        """
        applying = {
            case: entry
            for entry in self.entries
            if entry.applies(system, version)
            for case in entry.cases
        }
        checks = []
        for outcome in outcomes:
            entry = applying.get(outcome.case)
            if entry is None:
                checks.append(outcome.check(adapter, specification))
                continue
            verdict, remark = _judged(outcome, entry, today)
            checks.append(outcome.check(adapter, specification, verdict=verdict, remark=remark))
        unknown = sorted({case for e in self.entries for case in e.cases} - set(known))
        for case in unknown:
            reason = f"{self.path.name} lists it, and there is no such case; run again with --fix"
            checks.append(
                Check(
                    f"{adapter}/expectations/{case}",
                    KIND,
                    Verdict.BROKEN,
                    0,
                    0.0,
                    reason,
                    extra={"adapter": adapter, "case": case},
                )
            )
        return tuple(checks)

    def fixed(
        self, outcomes: Sequence[Outcome], known: Iterable[str], system: str, version: str
    ) -> Expectations:
        """Return the list that this run would pass with.

        What the run says nothing of stays: cases that did not run, entries for other conditions.
        Links and conditions are kept; an expiry that has passed is not.
        """
        ids = set(known)
        seen = {outcome.case: outcome for outcome in outcomes}
        kept: list[Entry] = []
        old: dict[str, Entry] = {}
        for entry in self.entries:
            applies = entry.applies(system, version)
            stays = [c for c in entry.cases if c in ids and not (applies and c in seen)]
            stays += [
                c
                for c in entry.cases
                if applies and entry.flaky and c in seen and seen[c].status.ran
            ]
            if stays:
                kept.append(replace(entry, cases=tuple(stays)))
            if applies:
                old |= dict.fromkeys(entry.cases, entry)
        new = []
        for outcome in outcomes:
            before = old.get(outcome.case)
            if outcome.status not in _FAILING or (before is not None and before.flaky):
                continue
            base = before or Entry(())
            said = replace(
                base, cases=(), message=outcome.message, status=outcome.status, until=None
            )
            new.append((replace(said, cases=()), outcome.case))
        return replace(self, entries=tuple(_grouped(kept, new)))

    def text(self) -> str:
        """Return the list as the TOML file that :func:`load` reads."""
        head = "# Known deviations; see conformance/expectations.py. Rewritten by 'check --fix'.\n"
        return head + "".join(f"\n{_entry_text(entry)}" for entry in self.entries)


def _judged(outcome: Outcome, entry: Entry, today: datetime.date) -> tuple[Verdict, str]:
    """Return the verdict and the remark for a case that is on the list."""
    link = f" ({entry.link})" if entry.link else ""
    fix = "run again with --fix if that is right"
    if outcome.incomplete:
        return Verdict.INCOMPLETE, outcome.message
    if not outcome.status.ran:
        return (
            Verdict.BROKEN,
            f"it is listed as deviating, and was skipped: {outcome.message}; {fix}",
        )
    if entry.until is not None and entry.until <= today:
        return Verdict.BROKEN, f"its entry expired on {entry.until}: {outcome.message}"
    if entry.says(outcome):
        told = outcome.message or "it passed this time"
        return Verdict.PASS, f"known: {told}{link}"
    if outcome.status is Status.PASS:
        return (
            Verdict.BROKEN,
            f"unexpected pass: listed as '{entry.message or entry.status}'; {fix}",
        )
    return (
        Verdict.BROKEN,
        f"stale entry: {outcome.status}: {outcome.message}; listed as "
        f"'{entry.message or entry.status}'; {fix}",
    )


def _grouped(kept: Sequence[Entry], new: Sequence[tuple[Entry, str]]) -> list[Entry]:
    """Return the entries with those that differ only in their cases put together."""
    groups: dict[Entry, list[str]] = {}
    for entry in kept:
        groups.setdefault(replace(entry, cases=()), []).extend(entry.cases)
    for entry, case in new:
        groups.setdefault(entry, []).append(case)
    return [replace(entry, cases=tuple(cases)) for entry, cases in groups.items()]


def load(path: Path) -> Expectations:
    """Read a list of known deviations; UserError if it is malformed."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(
            f"'{path.name}' cannot be read", str(error), "name a TOML file of known deviations"
        ) from error
    entries = document.pop("deviation", [])
    if document or not isinstance(entries, list):
        raise _malformed(path, f"it has {', '.join(document) or 'something'} beside [[deviation]]")
    expectations = Expectations(path, tuple(_entry(path, entry) for entry in entries))
    listed = [case for entry in expectations.entries for case in entry.cases]
    conditions = [e for e in expectations.entries if not (e.system or e.version)]
    twice = {c for e in conditions for c in e.cases if listed.count(c) > 1}
    if twice:
        raise _malformed(path, f"it lists {min(twice)} more than once")
    return expectations


def _entry(path: Path, given: Any) -> Entry:
    if not isinstance(given, dict):
        raise _malformed(path, "a deviation is no table")
    for key, value in given.items():
        if key not in _FIELDS:
            raise _malformed(path, f"'{key}' is no field of a deviation")
        if not isinstance(value, _FIELDS[key]):
            raise _malformed(path, f"'{key}' is {value!r}")
    cases = given.get("cases", [])
    if not cases or not all(isinstance(case, str) for case in cases):
        raise _malformed(path, "a deviation has no 'cases', a list of ids")
    if given.get("status", "deviates") not in [status.value for status in _FAILING]:
        raise _malformed(path, f"'{given['status']}' is no status that deviates")
    if _parsed(given.get("version", "")) is None:
        raise _malformed(path, f"'{given['version']}' is no condition such as '>=1.23,<1.25'")
    fields = {**given, "cases": tuple(cases), "status": Status(given.get("status", "deviates"))}
    return Entry(**fields)


def _malformed(path: Path, reason: str) -> UserError:
    return UserError(
        f"'{path.name}' is no list of known deviations",
        reason,
        f"its fields are {', '.join(_FIELDS)}",
    )


_COMPARED = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}


def satisfies(version: str, condition: str) -> bool:
    """Return whether ``version`` meets ``condition``, such as ``>=1.23,<1.25``; "" always holds.

    The version's first run of numbers counts: ``go1.27.3`` is 1.27.3, ``17.0.15+6-Debian`` 17.0.15.

    >>> satisfies("go1.27.3", ">=1.25"), satisfies("v20.1", "<20")
    (True, False)
    """
    numbers = _numbers(version)
    for sign, wanted in _parsed(condition) or ():
        length = max(len(numbers), len(wanted))
        padded = [(*n, *(0,) * (length - len(n))) for n in (numbers, wanted)]
        if not _COMPARED[sign](*padded):
            return False
    return True


def _parsed(condition: str) -> list[tuple[str, tuple[int, ...]]] | None:
    found = []
    for part in filter(None, condition.split(",")):
        match = re.fullmatch(r"\s*(>=|<=|==|>|<)\s*(\d+(?:\.\d+)*)\s*", part)
        if match is None:
            return None
        found.append((match[1], _numbers(match[2])))
    return found


def _numbers(version: str) -> tuple[int, ...]:
    match = re.search(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _entry_text(entry: Entry) -> str:
    """Return one entry; a JSON string is a TOML string."""
    lines = ["[[deviation]]"]
    for name in ("message", "link", "system", "version"):
        if value := getattr(entry, name):
            lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}")
    if entry.status is not Status.DEVIATES:
        lines.append(f"status = {json.dumps(entry.status.value)}")
    if entry.until is not None:
        lines.append(f"until = {entry.until.isoformat()}")
    if entry.flaky:
        lines.append("flaky = true")
    lines.append("cases = [")
    lines += [f"    {json.dumps(case)}," for case in entry.cases]
    return "\n".join([*lines, "]"]) + "\n"
