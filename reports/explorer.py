"""The explorer's page: the model's tables as JSON, and a script that runs them.

The tables come as a document (``lastref-tables-1``) that somebody exported; this module knows no
model.  The page is one file and loads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lastref.reports.errors import ReportError
from lastref.reports.page import environment

TABLES = "lastref-tables-1"

SIGHTS = (
    ("go issue 67641", "go-2023-pidfd/linux:kill,release:"),
    ("the same with the word", "go-2024/linux:kill,release:"),
    ("wait against kill, by pid", "pid-naive/linux-pid:wait,kill:"),
    ("why waitid leaves the zombie", "go-2016/linux-pid:wait,kill:"),
    ("two waits by pid", "go-2016/linux-pid:wait,wait:"),
    ("the last of four closes", "go-2024/linux:wait,signal,signal,release:"),
    ("two words for one thing", "go-2025-double/linux:kill,release:"),
    ("one reference short of overflow", "go-2024/linux?word=0x3fffffffffffffff:signal:"),
)
"""Scenarios to begin with: a name, and the schedule of nobody having stepped."""


def render(document: Mapping[str, Any]) -> str:
    """Return the explorer of the tables in ``document`` as HTML; ReportError if there are none."""
    if document.get("schema") != TABLES or not document.get("tables"):
        raise ReportError(
            "the tables cannot be shown",
            f"their schema is {document.get('schema')!r} and not '{TABLES}', or there are none",
            "export them with lastref play",
        )
    known = {f"{t['id']}/{t['platform']}" for t in document["tables"]}
    sights = [(name, at) for name, at in SIGHTS if at.split(":")[0].split("?")[0] in known]
    page = environment().get_template("play.html.jinja")
    return page.render(document=document, sights=sights)
