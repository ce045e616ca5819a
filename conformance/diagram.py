"""A run drawn for a reader: a column for each thread, one for the kernel, the word at every step.

         K1                 R1                  kernel    field   what changes
         kill               release
      1  load_pid           │                   │         set
      2  load               │                   │         set
      3  │                  swap                │         unset
      4  │                  close               │         unset   handle: ours → closed
      5  │                  │                   reopen    unset   handle: closed → reused
    ✗ 6  pidfd_send_signal  │                   │         unset   bystander: alive → killed
         = nil

Who acts at a step has the operation's name in its column, and below it what its call will return if
this step decides it.  What the design itself keeps (its word, its state and count, its field, its
flag) stands in a column of its own at every step; what else the step changes is said at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lastref.conformance.trace import show_value
from lastref.model import word as words
from lastref.model.system import KERNEL, Step, System
from lastref.model.table import RESTING, Table

TARGET = "target"
"""The local variable that holds a pid between its load and the system call."""
QUIET = frozenset({"holders", "readers", "dropping"})
"""Ghosts and counts that a reader can do without."""


@dataclass(frozen=True)
class Line:
    """One step: who acts, in which call, by which operation, and what is different after it.

    ``call`` is the method where the step begins it and the thread has several; ``outcome`` is what
    the call will return if this step decides it; ``kept`` is the design's own state after it.
    """

    number: int
    actor: str
    call: str
    command: str
    op: str
    outcome: str | None
    kept: str
    changes: tuple[str, ...]
    broken: bool


@dataclass(frozen=True)
class Diagram:
    """A run as lines; ``actors`` are the columns with what each calls, the kernel last."""

    actors: tuple[tuple[str, str], ...]
    keeps: str
    begins: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class _Kept:
    """What a design keeps: the heading, the variables, and how their values are shown."""

    heading: str
    names: tuple[str, ...]
    show: Callable[[Table, Mapping[str, int]], str]


def draw(system: System, steps: Sequence[Step], *, breaks_at: int | None = None) -> Diagram:
    """Return the diagram of ``steps``, a run of ``system``; the step ``breaks_at`` is marked."""
    table = system.table
    kept = _kept(table)
    before = system.values_of(system.initial)
    begins = kept.show(table, before)
    calls = _begun(system, steps)
    lines = []
    for number, step in enumerate(steps, 1):
        after = system.values_of(step.state)
        c = step.command
        lines.append(
            Line(
                number,
                step.actor,
                calls.get(number, ""),
                step.name,
                step.name if c is None or step.actor == KERNEL else c.op,
                None if c is None else c.outcome,
                kept.show(table, after),
                (*_taken(system, step), *_changes(table, before, after, kept.names)),
                number == breaks_at,
            )
        )
        before = after
    columns = [(t.name, "; ".join(t.calls)) for t in system.scenario.threads]
    return Diagram((*columns, (KERNEL, "")), kept.heading, begins, tuple(lines))


def _begun(system: System, steps: Sequence[Step]) -> dict[int, str]:
    """Return the steps (from 1) that begin a call, for threads that make several calls."""
    several = {t.name: list(t.calls) for t in system.scenario.threads if len(t.calls) > 1}
    begun, inside = {}, set[str]()
    for number, step in enumerate(steps, 1):
        if step.actor not in several:
            continue
        if step.actor not in inside and several[step.actor]:
            begun[number] = several[step.actor].pop(0)
            inside.add(step.actor)
        if step.command is not None and step.command.to in RESTING:
            inside.discard(step.actor)
    return begun


def _taken(system: System, step: Step) -> tuple[str, ...]:
    """Return what the thread has loaded to give to the kernel, if that is what the step does."""
    if step.command is None or TARGET not in step.command.writes or step.actor == KERNEL:
        return ()
    if step.command.op != "load_pid":
        return ()
    thread = [t.name for t in system.scenario.threads].index(step.actor)
    names = [v.name for v in system.table.local]
    value = step.state[1][thread][1 + names.index(TARGET)]
    return (f"takes Pid {system.table.variables[TARGET].label(value)}",)


def _changes(
    table: Table, before: Mapping[str, int], after: Mapping[str, int], known: tuple[str, ...]
) -> list[str]:
    changed = []
    for v in table.shared:
        if v.name in known or v.name in QUIET or before[v.name] == after[v.name]:
            continue
        old, new = (str(show_value(v, values[v.name])).lower() for values in (before, after))
        flag = {("false", "true"): v.name, ("true", "false"): f"no longer {v.name}"}
        changed.append(flag.get((old, new), f"{v.name}: {old} → {new}"))
    return changed


def _kept(table: Table) -> _Kept:
    """Return what the table keeps: the first that it has of these."""
    names = {v.name: v.width for v in table.shared}
    if "word" in names and "refs" in names:
        return _Kept("63 62 word refs / refs", ("word", "refs"), _word_and_count)
    if "word" in names:
        return _Kept("63 62 references", ("word",), _word)
    if "state" in names and "refs" in names:
        return _Kept("state / refs", ("state", "refs"), _state_and_count)
    for name, heading in (("field", "field"), ("state", "state"), ("isdone", "done")):
        if name in names:
            return _Kept(heading, (name,), _single(name))
    return _Kept("", (), lambda _table, _values: "")


def _word(_table: Table, values: Mapping[str, int]) -> str:
    references, done, released = words.decode(values["word"])
    return f" {released:d}  {done:d} {_large(references)}"


def _large(number: int) -> str:
    """Return ``number``, a large one by its distance from a power of two."""
    near = number.bit_length()
    if number < 1 << 16:
        return str(number)
    below = (1 << near) - number
    return f"2^{near} - {below}" if below < 1 << 16 else f"{number:#x}"


def _word_and_count(table: Table, values: Mapping[str, int]) -> str:
    return f"{_word(table, values)} / {values['refs']}"


def _state_and_count(table: Table, values: Mapping[str, int]) -> str:
    return f"{table.variables['state'].label(values['state'])} / {values['refs']}"


def _single(name: str) -> Callable[[Table, Mapping[str, int]], str]:
    def show(table: Table, values: Mapping[str, int]) -> str:
        return str(show_value(table.variables[name], values[name])).lower()

    return show
