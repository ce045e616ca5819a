"""A summary in Markdown: a table of the adapters, and what is wrong, like with like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

_STATUSES = (
    "pass",
    "deviates",
    "crash",
    "timeout",
    "protocol error",
    "not supported",
    "precondition failed",
)
_SHOWN = 3  # case ids, or adapters, that are named


def markdown(document: Mapping[str, Any]) -> str:
    """Return the result ``document`` as Markdown."""
    checks = [check for check in document["checks"] if "status" in check]
    lines = [f"## lastref {document['command']}: {document['verdict']}", ""]
    lines += _row(["adapter", "verdict", *_STATUSES])
    lines += _row(["---", "---", *["--:"] * len(_STATUSES)])
    for adapter in dict.fromkeys(check["adapter"] for check in checks):
        own = [check for check in document["checks"] if check.get("adapter") == adapter]
        counts = Counter(check.get("status") for check in own)
        cells = [str(counts[status] or "") for status in _STATUSES]
        lines += _row([f"`{adapter}`", _verdict(own), *cells])
    groups = grouped(document["checks"])
    if groups:
        lines += ["", "### What did not pass", ""]
    for (adapter, verdict, reason), cases in groups.items():
        named = ", ".join(f"`{_escaped(case)}`" for case in cases[:_SHOWN])
        more = f" and {len(cases) - _SHOWN} more" if len(cases) > _SHOWN else ""
        lines.append(f"- **{verdict}** `{adapter}`: {_escaped(reason)} ({named}{more})")
    reasons = unsupported(document["checks"])
    if reasons:
        lines += ["", "### What is not supported", ""]
    lines += [f"- {_escaped(reason)} ({counted})" for reason, counted in reasons.items()]
    return "\n".join(lines) + "\n"


def grouped(checks: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str], list[str]]:
    """Return the cases that could have passed and did not, by adapter, verdict and reason.

    One that the adapter does not support could not; one that lacked its precondition is listed.
    """
    groups: dict[tuple[str, str, str], list[str]] = {}
    for check in checks:
        skipped = check["verdict"] == "skipped" and check.get("status") != "precondition failed"
        if check["verdict"] != "pass" and not skipped:
            key = (str(check.get("adapter", "")), str(check["verdict"]), str(check["reason"]))
            groups.setdefault(key, []).append(str(check.get("case", check["id"])))
    return groups


def unsupported(checks: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the reasons for which cases were not run, the commonest first, and of how many."""
    cases: Counter[str] = Counter()
    adapters: dict[str, set[str]] = {}
    for check in checks:
        if check.get("status") == "not supported":
            cases[str(check["message"])] += 1
            adapters.setdefault(str(check["message"]), set()).add(str(check["adapter"]))
    several = len(set().union(*adapters.values())) > 1
    told = {}
    for reason, count in cases.most_common():
        told[reason] = f"{count} case{'s' if count > 1 else ''}"
        if several:
            names = sorted(adapters[reason])
            named = ", ".join(names) if len(names) <= _SHOWN else f"{len(names)} adapters"
            told[reason] += f" of {named}"
    return told


def _verdict(checks: Iterable[Mapping[str, Any]]) -> str:
    verdicts = {check["verdict"] for check in checks}
    order = ("broken", "incomplete", "unable", "pass")
    return next((verdict for verdict in order if verdict in verdicts), "skipped")


def _row(cells: Iterable[str]) -> list[str]:
    return [f"| {' | '.join(cells)} |"]


def _escaped(text: str) -> str:
    """Return ``text`` so that a table and a list show it as it is."""
    for character in "\\|<>*`":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())
