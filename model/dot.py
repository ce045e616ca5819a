"""A table as a picture for Graphviz: where a thread can be, or every state of some threads.

Without threads the control graph: a node for each location, an edge for each command, labelled
with its guard and what it changes; a method begins at its own node.

    (Release) ──▶ release.load ── status(word) == 0 ──▶ release.cas ── … ──▶ end

With a scenario the state graph, one node for each state that the explorer counts.  A node says
where the threads are and what differs from the beginning; states at rest have a double border.  A
step that breaks a law is drawn in red: to a node of its own, as nobody follows it, where it breaks
an obligation, and to the state that it leads to where it breaks a law about states or steps.

    dot -Tsvg FILE > picture.svg

Source: the DOT language, https://graphviz.org/doc/info/lang.html.
"""

from __future__ import annotations

from collections.abc import Iterator

from lastref.model.algebra import TRUE, show
from lastref.model.explore import DEADLOCK
from lastref.model.system import Scenario, State, Step, System
from lastref.model.table import RESTING, Command, DesignError, Table

MOST_STATES = 2_000
"""How many states a picture may have unless more are asked for; Graphviz takes minutes for them."""
_BROKEN = "color=red, fontcolor=red"


def control_graph(table: Table) -> str:
    """Return the locations of a thread of ``table`` and the commands between them, as DOT."""
    return "\n".join(_control(table)) + "\n"


def state_graph(table: Table, scenario: Scenario, limit: int = MOST_STATES) -> str:
    """Return every state of ``table`` under ``scenario`` and every step between them, as DOT.

    Raises :class:`~lastref.model.table.DesignError` if the scenario names what the table does not
    have, or has more than ``limit`` states.
    """
    return "\n".join(_States(System(table, scenario), limit).lines()) + "\n"


def _control(table: Table) -> Iterator[str]:
    yield f"digraph {_quoted(f'{table.id} on {table.platform}')} {{"
    yield f"  label={_quoted(f'{table.id} on {table.platform}: {table.title}')};"
    yield "  node [shape=box, style=rounded, fontname=monospace]; edge [fontname=monospace];"
    used = {c.to for c in table.commands}
    for at in table.locations:
        if at not in RESTING or at in used:
            shape = " [peripheries=2]" if at in RESTING else _marked(table, at)
            yield f"  {_quoted(at)}{shape};"
    for number, (method, at) in enumerate(table.methods.items()):
        yield f"  m{number} [label={_quoted(method)}, shape=plaintext];"
        yield f"  m{number} -> {_quoted(at)};"
    for c in table.commands:
        label = _quoted(*_labels(c))
        yield f"  {_quoted(str(c.at))} -> {_quoted(str(c.to))} [label={label}];"
    if table.kernel:
        rows = [f"{c.name}: {'; '.join(_labels(c)[1:])}" for c in table.kernel]
        yield f"  kernel [label={_quoted('the kernel', *rows)}, shape=note];"
    yield "}"


def _marked(table: Table, at: str) -> str:
    """Return how a location is drawn: filled where a thread holds a reference, dashed if it blocks.

    The two may be together.
    """
    style = ["rounded"]
    style += ["filled"] if at in table.holding else []
    style += ["dashed"] if at in table.blocking else []
    return "" if len(style) == 1 else f" [style={_quoted(','.join(style))}]"


def _labels(c: Command) -> list[str]:
    labels = [c.name]
    if c.guard is not TRUE:
        labels.append(f"if {show(c.guard)}")
    labels += [f"{name} := {show(value)}" for name, value in c.update]
    return labels + ([] if c.outcome is None else [f"returns {c.outcome}"])


class _States:
    def __init__(self, system: System, limit: int) -> None:
        self._system, self._limit = system, limit
        laws = system.table.laws
        self._must = {law.id for law in laws if law.kind == "must"}
        self._always, self._step, self._rest = system.checkers(laws)
        self._numbers = {system.initial: 0}

    def lines(self) -> Iterator[str]:
        system, table = self._system, self._system.table
        threads = " ‖ ".join(f"{t.name}: {';'.join(t.calls)}" for t in system.scenario.threads)
        title = f"{table.id} on {table.platform}"
        yield f"digraph {_quoted(title)} {{"
        yield f"  label={_quoted(f'{title}, {threads}')};"
        yield "  node [shape=box, fontname=monospace]; edge [fontname=monospace];"
        behind = [system.initial]
        for state in behind:  # grows as it is gone through: breadth first
            yield from self._node(state)
            for step in system.steps(state):
                followed = step.broken not in self._must
                if followed and step.state not in self._numbers:
                    self._numbers[step.state] = len(self._numbers)
                    behind.append(step.state)
                yield from self._edge(state, step, followed)
            if len(behind) > self._limit:
                raise DesignError(
                    f"the picture has more than {self._limit:,} states",
                    "nobody sees anything in so large a one",
                    "draw fewer threads, or raise --limit",
                )
        yield "}"

    def _node(self, state: State) -> Iterator[str]:
        system = self._system
        rest = system.at_rest(state)
        broken = [*self._always(state, state), *(self._rest(state, state) if rest else ())]
        if not rest and not system.steps(state):
            broken.append(DEADLOCK)
        where = [f"{name} {at}" for name, at in system.locations_of(state).items()]
        begins = system.values_of(system.initial)
        shown = [
            f"{v.name} = {v.label(value) if v.labels else hex(value)}"
            for v in system.table.shared
            if (value := system.values_of(state)[v.name]) != begins[v.name]
        ]
        label = _quoted(*where, *shown, *(f"breaks {law}" for law in broken))
        style = (", peripheries=2" if rest else "") + (f", {_BROKEN}" if broken else "")
        yield f"  s{self._numbers[state]} [label={label}{style}];"

    def _edge(self, state: State, step: Step, followed: bool) -> Iterator[str]:
        here = self._numbers[state]
        said = f"{step.actor} {step.name}"
        if not followed:
            end = f"{_quoted(f's{here} {said}')}"
            yield f"  {end} [label={_quoted(f'breaks {step.broken}')}, {_BROKEN}];"
            yield f"  s{here} -> {end} [label={_quoted(said)}, {_BROKEN}];"
            return
        broken = self._step(state, step.state)
        style = f", {_BROKEN}" if broken else ""
        label = _quoted(said, *(f"breaks {law}" for law in broken))
        yield f"  s{here} -> s{self._numbers[step.state]} [label={label}{style}];"


def _quoted(*lines: str) -> str:
    """Return lines as one string of the DOT language."""
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(" ".join(line.split("\n")) for line in escaped) + '"'
