"""SARIF 2.1.0: what is broken or incomplete, for code scanning.

A rule for each case, a result for each check that is neither passed nor skipped.  The place of a
result is the case itself, as a logical location; the artifact is the trace where there is one.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from typing import Any
from urllib.parse import quote

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"broken": "error", "incomplete": "warning", "unable": "note"}


def sarif(document: Mapping[str, Any]) -> str:
    """Return the result ``document`` as a SARIF log."""
    reported = [check for check in document["checks"] if check["verdict"] in _LEVELS]
    rules = list(dict.fromkeys(_rule(check) for check in reported))
    run = {
        "tool": {
            "driver": {
                "name": "lastref",
                "version": metadata.version("lastref"),
                "rules": [
                    {"id": rule, "shortDescription": {"text": f"conformance case {rule}"}}
                    for rule in rules
                ],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": document["verdict"] in ("pass", "broken"),
                "exitCode": {"pass": 0, "broken": 1, "incomplete": 2, "unable": 3}[
                    document["verdict"]
                ],
            }
        ],
        "results": [_result(check, rules) for check in reported],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _rule(check: Mapping[str, Any]) -> str:
    return str(check.get("case", check["id"]))


def _result(check: Mapping[str, Any], rules: list[str]) -> dict[str, Any]:
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": check["id"], "kind": "member"}]
    }
    # Viewers want a file to show; it is the trace, or else the name of what was tested.
    artifact = check.get("trace") or str(check.get("adapter", check["id"]))
    location["physicalLocation"] = {
        "artifactLocation": {"uri": quote(artifact)},
        "region": {"startLine": 1},
    }
    identity = hashlib.sha256(f"{check['id']}\0{check['reason']}".encode()).hexdigest()
    return {
        "ruleId": _rule(check),
        "ruleIndex": rules.index(_rule(check)),
        "level": _LEVELS[check["verdict"]],
        "message": {"text": f"{check['id']}: {check['reason']}"},
        "locations": [location],
        "partialFingerprints": {"lastref/v1": identity},
        "properties": {
            "status": check.get("status", check["verdict"]),
            "history": list(check.get("history", ())),
        },
    }
