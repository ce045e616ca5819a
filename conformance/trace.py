"""A trace: one interleaving, and what must be seen after every step of it.

A trace is a JSON document (``schemas/trace.schema.json``, ``lastref-trace-1``) that anybody can
replay.  It is also one string, from which the model works out the same document again::

    go-2024/linux:wait,signal,release:W1.W1.S1.R1.R1.exit.W1…

Before the first colon the design, its platform and any initial values that differ
(``?exited=true&word=0x…``); then the threads with their calls; then who steps.  A thread's name is
the capital of its first call, and its number; a lower-case name is a command of the kernel.

A trace that came from a file is never believed: it is run in the model first and must agree.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator

from lastref.conformance.errors import UserError
from lastref.model import designs
from lastref.model.algebra import BOOL
from lastref.model.system import KERNEL, Scenario, State, Step, System, Thread, scenario
from lastref.model.table import DesignError, Table, Variable

SCHEMA = "lastref-trace-1"

Shown = bool | str
"""The value of a variable as a trace shows it: a flag, a name, or a hexadecimal number."""


@dataclass(frozen=True)
class TraceStep:
    """One step of a trace, with the shared variables after it."""

    actor: str
    command: str
    op: str
    state: Mapping[str, Shown]
    outcome: str | None = None
    returns: bool = False
    breaks: str | None = None


@dataclass(frozen=True)
class Trace:
    """An interleaving of ``threads`` on a design, and the expected state after every step."""

    design: str
    platform: str
    threads: tuple[Thread, ...]
    initial: Mapping[str, Shown]
    start: Mapping[str, Shown]
    steps: tuple[TraceStep, ...]

    @property
    def broken(self) -> str | None:
        """The first law that the trace breaks."""
        return next((s.breaks for s in self.steps if s.breaks is not None), None)

    @property
    def schedule(self) -> str:
        """The trace as one string."""
        values = "&".join(f"{k}={_plain(v)}" for k, v in self.initial.items())
        head = f"{self.design}/{self.platform}" + (f"?{values}" if values else "")
        calls = ",".join(";".join(t.calls) for t in self.threads)
        actors = ".".join(s.command if s.actor == KERNEL else s.actor for s in self.steps)
        return f"{head}:{calls}:{actors}"

    def document(self) -> dict[str, Any]:
        """Return the trace as the JSON document of the schema."""
        return {
            "schema": SCHEMA,
            "design": self.design,
            "platform": self.platform,
            "threads": [{"name": t.name, "calls": list(t.calls)} for t in self.threads],
            "initial": dict(self.initial),
            "start": dict(self.start),
            "steps": [_step_document(s) for s in self.steps],
        }


def _step_document(step: TraceStep) -> dict[str, Any]:
    document: dict[str, Any] = {
        "actor": step.actor,
        "command": step.command,
        "op": step.op,
        "state": dict(step.state),
    }
    if step.outcome is not None:
        document["outcome"] = step.outcome
    if step.returns:
        document["returns"] = True
    if step.breaks is not None:
        document["breaks"] = step.breaks
    return document


def show_value(variable: Variable, value: int) -> Shown:
    """Return ``value`` of ``variable`` as traces show it."""
    if variable.labels:
        return variable.label(value)
    return bool(value) if variable.width == BOOL else f"{value:#x}"


def read_value(variable: Variable, shown: Shown) -> int:
    """Return the value that ``shown`` stands for; raise :class:`UserError` if it is none."""
    text = _plain(shown)
    if text in variable.labels:
        return variable.labels.index(text)
    if variable.width == BOOL and text in ("true", "false"):
        return text == "true"
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if not 0 <= value < (2 if variable.width == BOOL else 1 << variable.width):
        raise UserError(
            f"'{text}' is no value of {variable.name}",
            f"it takes {', '.join(variable.labels) or f'{variable.width or 1} bits'}",
            "write one of these",
        )
    return value


def _plain(shown: Shown) -> str:
    return str(shown).lower() if isinstance(shown, bool) else shown


def show_state(system: System, state: State) -> dict[str, Shown]:
    """Return the shared variables of ``state`` as a trace shows them."""
    return {
        v.name: show_value(v, value) for v, value in zip(system.table.shared, state[0], strict=True)
    }


def record(system: System, steps: Iterable[Step]) -> Trace:
    """Write down a run of ``system`` as a trace."""
    recorder, before = Recorder(system), system.initial
    written = []
    for step in steps:
        written.append(recorder.written(before, step))
        before = step.state
    return recorder.trace(written)


class Recorder:
    """Writes down runs of one system, each given by who steps.

    Runs share most of their states, so every step is worked out once and then kept.
    """

    def __init__(self, system: System) -> None:
        table, threads = system.table, system.scenario.threads
        variables = table.variables
        self._system = system
        self._size = len(system.locations)
        self._order = {t.name: i for i, t in enumerate(threads)}
        self._initial = {k: show_value(variables[k], v) for k, v in system.scenario.initial.items()}
        self._start = show_state(system, system.initial)
        self._root = _Node(system.initial, {})
        self._nodes = {system.initial: self._root}

    def run(self, actors: Iterable[str]) -> Trace:
        """Return the trace in which ``actors`` step; :class:`UserError` where one cannot."""
        node, written = self._root, []
        for number, actor in enumerate(actors, 1):
            edge = node.edges.get(actor)
            if edge is None:
                edge = node.edges[actor] = self._edge(node.state, actor, number)
            written.append(edge[0])
            node = edge[1]
        return self.trace(written)

    def trace(self, written: Iterable[TraceStep]) -> Trace:
        """Return the trace of the steps that are written down."""
        table, threads = self._system.table, self._system.scenario.threads
        return Trace(table.id, table.platform, threads, self._initial, self._start, tuple(written))

    def written(self, before: State, step: Step) -> TraceStep:
        """Return what a trace says of ``step``, taken in the state ``before``."""
        assert step.command is not None, "a trace's threads have one method to choose from"
        index = self._order.get(step.actor, -1)
        return TraceStep(
            step.actor,
            step.command.name,
            step.command.op,
            show_state(self._system, step.state),
            step.command.outcome,
            index >= 0 and self._returned(index, before, step.state),
            step.broken,
        )

    def _edge(self, state: State, actor: str, number: int) -> tuple[TraceStep, _Node]:
        step = _only(self._system, state, actor, number)
        node = self._nodes.setdefault(step.state, _Node(step.state, {}))
        return self.written(state, step), node

    def _returned(self, index: int, before: State, after: State) -> bool:
        """Return whether a call returns with the step: its thread is done, or begins its next."""
        old, new = before[1][index], after[1][index]
        return self._system.is_done(new, index) or old[0] // self._size != new[0] // self._size


class _Node(NamedTuple):
    """A state, and the steps out of it that were taken so far, by who takes them."""

    state: State
    edges: dict[str, tuple[TraceStep, _Node]]


def walk(system: System, actors: Iterable[str]) -> tuple[Step, ...]:
    """Take the steps of ``actors`` one after another; a lower-case name is a kernel command.

    Raises :class:`UserError` where an actor cannot step: the schedule is not one of this system.
    """
    state, taken = system.initial, []
    for number, actor in enumerate(actors, 1):
        step = _only(system, state, actor, number)
        taken.append(step)
        state = step.state
    return tuple(taken)


def _only(system: System, state: State, actor: str, number: int) -> Step:
    """Return the one step that ``actor`` can take in ``state``, as the schedule's ``number``th."""
    enabled = [
        s for s in system.steps(state) if actor == (s.name if s.actor == KERNEL else s.actor)
    ]
    if len(enabled) == 1:
        return enabled[0]
    known = sorted(
        {t.name for t in system.scenario.threads} | {c.name for c in system.table.kernel}
    )
    reason = (
        f"it is not enabled there, which leaves {', '.join(_actors(system, state)) or 'nobody'}"
        if actor in known
        else f"the actors are {', '.join(known)}"
    )
    raise UserError(f"step {number} of the schedule is '{actor}'", reason, "correct the schedule")


def _actors(system: System, state: State) -> list[str]:
    return [s.name if s.actor == KERNEL else s.actor for s in system.steps(state)]


def parse(schedule: str) -> Trace:
    """Return the trace that a schedule string stands for, worked out by the model.

    Raises :class:`UserError` if it is malformed, or is no run of the design.
    """
    parts = schedule.strip().split(":")
    if len(parts) != 3 or not all(parts):
        raise UserError(
            f"'{schedule}' is no schedule",
            "it has the form DESIGN/PLATFORM[?variable=value]:CALLS:STEPS",
            "copy it from a report, for example go-2024/linux:release:R1.R1.R1",
        )
    head, calls, actors = parts
    name, _, values = head.partition("?")
    design, _, platform = name.partition("/")
    pairs = dict(p.partition("=")[::2] for p in values.split("&")) if values else {}
    system = _system(design, platform, calls.split(","), pairs)
    return record(system, walk(system, actors.split(".")))


def _system(
    design: str, platform: str, calls: Iterable[str], initial: Mapping[str, Shown]
) -> System:
    try:
        calls = tuple(calls)
        methods = {method for call in calls for method in call.split(";")}
        table = designs.calling(design, platform, methods)
        return System(table, scenario(*calls, initial=_initial(table, initial)))
    except DesignError as error:
        raise UserError(error.fault, error.reason, error.remedy) from error


def _initial(table: Table, shown: Mapping[str, Shown]) -> dict[str, int]:
    variables = {v.name: v for v in table.shared}
    for name in shown.keys() - variables.keys():
        raise UserError(
            f"{table.id} has no variable '{name}'",
            f"it has {', '.join(variables)}",
            "correct the schedule's initial values",
        )
    return {name: read_value(variables[name], value) for name, value in shown.items()}


@cache
def _validator() -> Draft202012Validator:
    text = resources.files("lastref.conformance.schemas").joinpath("trace.schema.json").read_text()
    return Draft202012Validator(json.loads(text))


def from_document(document: object, where: str = "the trace") -> Trace:
    """Return the trace in a JSON document, after checking it against the schema and the model.

    Raises :class:`UserError` if it does not fit the schema or if the model disagrees with it.
    """
    error = next(iter(sorted(_validator().iter_errors(document), key=lambda e: e.json_path)), None)
    if error is not None:
        raise UserError(
            f"{where} is no {SCHEMA} document",
            f"{error.json_path}: {error.message[:120]}",
            "compare it with trace.schema.json",
        )
    assert isinstance(document, dict)
    calls = [";".join(t["calls"]) for t in document["threads"]]
    system = _system(document["design"], document["platform"], calls, document["initial"])
    actors = [s["command"] if s["actor"] == KERNEL else s["actor"] for s in document["steps"]]
    trace = record(system, walk(system, actors))
    if trace.document() != document:
        raise UserError(
            f"{where} disagrees with the model",
            _difference(trace.document(), document),
            f"record it again: lastref replay '{trace.schedule}' --trace FILE",
        )
    return trace


def _difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    for number, (mine, other) in enumerate(zip(ours["steps"], theirs["steps"], strict=True), 1):
        if mine != other:
            key = next(k for k in {**mine, **other} if mine.get(k) != other.get(k))
            return f"step {number} has {key} {other.get(key)!r}, the model {mine.get(key)!r}"
    key = next(k for k in ours if ours[k] != theirs[k])
    return f"it has {key} {theirs[key]!r}, the model {ours[key]!r}"


def load(path: Path) -> Trace:
    """Read and check the trace in ``path``; :class:`UserError` if it is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(
            f"{path} cannot be read as a trace", str(error).splitlines()[0], "name a JSON file"
        ) from error
    return from_document(document, str(path))


__all__ = [
    "SCHEMA",
    "Recorder",
    "Scenario",
    "Trace",
    "TraceStep",
    "from_document",
    "load",
    "parse",
    "record",
    "walk",
]
