"""The result of a command: its checks, the verdict that follows from them, and the file.

    checks                                        verdict      exit code
    one is broken                                 broken       1
    else one is incomplete, or none ran at all    incomplete   2
    else one is unable                            unable       3
    else at least one passed, the rest skipped    pass         0

"Broken" outranks all because it is the only one that more running cannot take back. "Incomplete"
outranks "unable" because what the machine cannot do is explained by the machine, and a run that
stopped half way is explained by nothing.

The written form is ``schemas/result.schema.json``; what does not conform to it is not written.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = "lastref-result-1"


class Verdict(StrEnum):
    """What a check or a result comes to; SKIPPED is for a check only."""

    PASS = "pass"
    BROKEN = "broken"
    INCOMPLETE = "incomplete"
    UNABLE = "unable"
    SKIPPED = "skipped"

    @property
    def exit_code(self) -> int:
        """The exit code of a run with this verdict."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Verdict.PASS: 0,
    Verdict.BROKEN: 1,
    Verdict.INCOMPLETE: 2,
    Verdict.UNABLE: 3,
}
_OUTRANKING = (Verdict.BROKEN, Verdict.INCOMPLETE, Verdict.UNABLE, Verdict.PASS)


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict of all checks together, by the table in the module's docstring."""
    present = set(verdicts)
    return next((v for v in _OUTRANKING if v in present), Verdict.INCOMPLETE)


@dataclass(frozen=True)
class Check:
    """One law on one design, and what came of it.

    ``count`` is how many cases really ran and ``seconds`` how long they took on the wall clock.
    ``extra`` holds fields that a command adds to the published eight.

    >>> Check("replay.wait-signal-release", "replay", Verdict.PASS, count=2811).verdict.value
    'pass'
    """

    id: str
    kind: str
    verdict: Verdict
    count: int
    seconds: float = 0.0
    reason: str = ""
    design: str | None = None
    platform: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a pass of nothing and a failure without a reason, where they are made."""
        if self.verdict is Verdict.PASS and self.count < 1:
            raise ValueError(f"check {self.id}: nothing ran, so it cannot pass")
        if self.verdict is not Verdict.PASS and not self.reason:
            raise ValueError(f"check {self.id}: {self.verdict} without a reason")

    def document(self) -> dict[str, Any]:
        """Return the check in its written form."""
        own = asdict(self)
        return _joined(own, own.pop("extra"))


@dataclass(frozen=True)
class Result:
    """What one run of one command showed; the verdict always follows from the checks.

    ``extra`` holds fields that a command adds to the published four.
    """

    command: str
    checks: tuple[Check, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse two checks of one id: a reader could not tell which one it means."""
        twice = [name for name, times in Counter(c.id for c in self.checks).items() if times > 1]
        if twice:
            raise ValueError(f"{self.command}: more than one check is called {', '.join(twice)}")

    @property
    def verdict(self) -> Verdict:
        """The combined verdict of the checks."""
        return combine(check.verdict for check in self.checks)

    def document(self) -> dict[str, Any]:
        """Return the result in its written form, checked against the published schema."""
        own = {
            "schema": SCHEMA,
            "command": self.command,
            "verdict": self.verdict,
            "checks": [check.document() for check in self.checks],
        }
        document = _joined(own, self.extra)
        validate(document)
        return document

    def to_json(self) -> str:
        """Return the written form as indented JSON text that ends with a line break."""
        return json.dumps(self.document(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def validate(document: Mapping[str, Any]) -> None:
    """Check a document against the published schema; jsonschema.ValidationError if it differs."""
    _validator().validate(document)


@functools.cache
def _validator() -> Draft202012Validator:
    text = resources.files("lastref.conformance.schemas").joinpath("result.schema.json")
    schema = json.loads(text.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def _joined(own: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return both together; an extra field may not take the name of a published one."""
    clash = own.keys() & extra.keys()
    if clash:
        raise ValueError(f"extra fields hide published ones: {', '.join(sorted(clash))}")
    return {**own, **extra}
