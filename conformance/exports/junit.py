"""JUnit XML: a suite per adapter, a test per case.

    broken by a deviation            failure
    crash, timeout, protocol error   error (the program failed, not an expectation)
    incomplete, unable               error
    skipped                          skipped

Source: junit-10.xsd of Jenkins's xUnit plugin, https://github.com/jenkinsci/xunit-plugin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(document: Mapping[str, Any]) -> str:
    """Return the result ``document`` as JUnit XML."""
    root = ElementTree.Element("testsuites", name=f"lastref {document['command']}")
    for adapter in dict.fromkeys(_adapter(check) for check in document["checks"]):
        checks = [check for check in document["checks"] if _adapter(check) == adapter]
        root.append(_suite(adapter, checks))
    for count in ("tests", "failures", "errors"):  # the schema has no sum of those skipped
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def _adapter(check: Mapping[str, Any]) -> str:
    return str(check.get("adapter", check["kind"]))


def _suite(adapter: str, checks: Sequence[Mapping[str, Any]]) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=_text(adapter))
    kinds = [_add(suite, adapter, check) for check in checks]
    suite.set("tests", str(len(checks)))
    for count, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(kinds.count(kind)))
    suite.set("time", f"{sum(check['seconds'] for check in checks):.3f}")
    return suite


def _add(suite: ElementTree.Element, adapter: str, check: Mapping[str, Any]) -> str | None:
    """Add one test to the suite; return what it counts as, None for a pass."""
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_text(adapter),
        name=_text(check.get("case", check["id"])),
        time=f"{check['seconds']:.3f}",
    )
    kind = _kind(check)
    if kind is not None:
        told = ElementTree.SubElement(case, kind, message=_text(check["reason"]))
        if kind != "skipped":
            told.set("type", _text(check.get("status", check["verdict"])))
            told.text = _text("\n".join(check.get("history", ())))
    return kind


def _kind(check: Mapping[str, Any]) -> str | None:
    verdict = check["verdict"]
    if verdict == "pass":
        return None
    if verdict == "skipped":
        return "skipped"
    crashed = check.get("status") in ("crash", "timeout", "protocol error")
    return "failure" if verdict == "broken" and not crashed else "error"


def _text(text: object) -> str:
    """Return ``text`` without the characters that XML cannot hold, not even escaped."""
    return _NOT_XML.sub("\ufffd", str(text))
