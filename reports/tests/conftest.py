"""What the tests of the reports share: result files of real runs, and checks to make others of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parent / "data"
Write = Callable[..., Path]


@pytest.fixture
def data() -> Path:
    """Return the folder of what real runs wrote: verify.json, replay.json, go-67641.json."""
    return DATA


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes checks as a result file, or as NDJSON, and returns its path."""

    def write(*checks: dict[str, Any], name: str = "result.json", command: str = "check") -> Path:
        path = tmp_path / name
        if name.endswith(".ndjson"):
            path.write_text("".join(json.dumps(c) + "\n" for c in checks), encoding="utf-8")
            return path
        verdicts = {c["verdict"] for c in checks}
        order = ("broken", "incomplete", "unable", "pass")
        verdict = next((v for v in order if v in verdicts), "incomplete")
        document = {"schema": "lastref-result-1", "command": command, "verdict": verdict}
        path.write_text(json.dumps({**document, "checks": checks}), encoding="utf-8")
        return path

    return write


@pytest.fixture
def check() -> Callable[..., dict[str, Any]]:
    """Return a function that makes a check as a result file holds it; fields can be given."""

    def check(name: str = "a", verdict: str = "pass", **fields: Any) -> dict[str, Any]:
        return {
            "id": name,
            "kind": "replay",
            "verdict": verdict,
            "count": 0 if verdict == "skipped" else 1,
            "seconds": 0.5,
            "reason": "" if verdict == "pass" else f"{name} is {verdict}",
            "design": "go-2024",
            "platform": "linux",
            **fields,
        }

    return check
