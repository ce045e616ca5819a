"""The JSON of a badge: how many cases ran, and whether all is as it should be.

Source: the endpoint format of shields.io (schemaVersion 1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_COLOURS = {"pass": "brightgreen", "broken": "red", "incomplete": "yellow", "unable": "lightgrey"}


def badge(document: Mapping[str, Any]) -> str:
    """Return the badge of the result ``document``."""
    ran = sum(check["count"] for check in document["checks"])
    broken = sum(check["verdict"] == "broken" for check in document["checks"])
    known = sum(
        check["verdict"] == "pass" and check.get("status", "pass") != "pass"
        for check in document["checks"]
    )
    message = f"{ran - broken - known}/{ran} cases" + (f", {known} known" if known else "")
    said = {
        "schemaVersion": 1,
        "label": "lastref",
        "message": message if document["verdict"] in ("pass", "broken") else document["verdict"],
        "color": _COLOURS[document["verdict"]],
    }
    return json.dumps(said) + "\n"
