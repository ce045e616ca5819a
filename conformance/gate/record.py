"""A failure as one portable file: the scenario, the schedule, and what was seen.

The file (``schemas/gate-trace.schema.json``, ``lastref-gate-trace-1``) names no path and no pid. It
holds all that a replay needs, on the implementation it was recorded on or on any other that speaks
the adapter protocol; `steps` shows a reader what happened, and lets a replay on the same
implementation be compared step by step.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from lastref.conformance.errors import UserError
from lastref.conformance.gate.explore import Schedule
from lastref.conformance.gate.filter import Refusal
from lastref.conformance.gate.lines import has_lines
from lastref.conformance.gate.numbers import machine
from lastref.conformance.gate.outcome import Outcome
from lastref.conformance.gate.scenario import Scenario
from lastref.conformance.gate.testee import Program
from lastref.conformance.protocol.conversation import Ready

SCHEMA = "lastref-gate-trace-1"

Shown = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Record:
    """One order and what came of it. ``shown`` pairs each actor with what was seen then.

    ``deviation`` is what the specification does not allow of its history, if that is recorded.
    """

    scenario: Scenario
    schedule: Schedule
    refused: tuple[Refusal, ...]
    processes: bool
    handle: int | None
    lines: tuple[str, ...]
    verdict: str | None
    implementation: Mapping[str, str]
    shown: Shown
    history: tuple[str, ...]
    deviation: str | None = None

    @property
    def wrong(self) -> str | None:
        """What is wrong with it: who was hit, or else what was returned; None if nothing."""
        return self.verdict or self.deviation

    @classmethod
    def of(cls, program: Program, scenario: Scenario, outcome: Outcome, ready: Ready) -> Record:
        """Return the record of an order that was just run."""
        return cls(
            scenario,
            outcome.schedule,
            program.refused,
            program.processes,
            program.handle,
            program.lines,
            outcome.verdict,
            {
                "name": ready.implementation,
                "version": ready.version,
                "system": ready.system,
                "architecture": machine().name,
            },
            tuple((step.actor, step.shown) for step in outcome.steps),
            outcome.history,
            outcome.deviation,
        )

    def program(self, program: Program) -> Program:
        """Return ``program`` with the same held and refused as when this was recorded.

        Lines are held where it has any.
        """
        return replace(
            program,
            refused=self.refused,
            processes=self.processes,
            handle=self.handle,
            lines=self.lines if has_lines(program.argv) else (),
        )

    def document(self, file: str = "FILE", adapter: str = "CMD") -> dict[str, Any]:
        """Return the record as the JSON document of the schema."""
        return {
            "schema": SCHEMA,
            "scenario": str(self.scenario),
            "schedule": list(self.schedule),
            "refused": [str(each) for each in self.refused],
            "processes": self.processes,
            "handle": self.handle,
            "lines": list(self.lines),
            "verdict": self.verdict,
            "deviation": self.deviation,
            "implementation": dict(self.implementation),
            "steps": [{"actor": actor, "shown": list(shown)} for actor, shown in self.shown],
            "history": list(self.history),
            "replay": f"lastref replay {file} --adapter {adapter}",
        }

    def write(self, path: Path, adapter: str) -> None:
        """Write the file; ``adapter`` is the name under which its replay command asks for it."""
        document = self.document(path.name, adapter)
        _check(document)
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def is_record(document: object) -> bool:
    """Return whether a JSON document says that it is such a file."""
    return isinstance(document, dict) and document.get("schema") == SCHEMA


def plain(text: str) -> str:
    """Return ``text`` as part of a file's name."""
    return "-".join(re.findall(r"[A-Za-z0-9.]+", text))


def read_file(path: Path) -> Record:
    """Return the record in a file; UserError if there is none in it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"'{path}' cannot be read", str(error), "give a file that 'lastref gate' wrote"
        ) from None
    if not is_record(document):
        raise UserError(
            f"'{path}' is no gate trace",
            f"its schema is not {SCHEMA}",
            "leave --adapter out for a trace of the model",
        )
    return read(document)


def read(document: Mapping[str, Any]) -> Record:
    """Return the record in a JSON document; UserError if it does not fit the schema."""
    _check(document)
    scenario = Scenario.parse(document["scenario"])
    return Record(
        _named_like(scenario, document["schedule"]),
        tuple(document["schedule"]),
        tuple(map(Refusal.parse, document["refused"])),
        document["processes"],
        document["handle"],
        tuple(document["lines"]),
        document["verdict"],
        document["implementation"],
        tuple((step["actor"], tuple(step["shown"])) for step in document["steps"]),
        tuple(document["history"]),
        document.get("deviation"),  # the first files do not have it
    )


def _named_like(scenario: Scenario, schedule: Sequence[str]) -> Scenario:
    """Return the scenario; UserError if the schedule names a thread that it does not have."""
    names = {thread.name for thread in scenario.threads}
    for actor in schedule:
        if "(" not in actor and actor not in names:
            raise UserError(
                "the gate trace cannot be read",
                f"its schedule names '{actor}', and its threads are {', '.join(sorted(names))}",
                "record it anew",
            )
    return scenario


def _check(document: Mapping[str, Any]) -> None:
    errors = sorted(_validator().iter_errors(document), key=lambda error: error.json_path)
    if errors:
        raise UserError(
            "the gate trace cannot be read",
            f"{errors[0].json_path}: {errors[0].message[:160]}",
            "record it anew",
        )


@functools.cache
def _validator() -> Draft202012Validator:
    file = resources.files("lastref.conformance.schemas").joinpath("gate-trace.schema.json")
    return Draft202012Validator(json.loads(file.read_text(encoding="utf-8")))
