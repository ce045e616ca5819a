"""A diagram on the terminal, in colour or as plain text, 80 to 100 columns wide."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from lastref.conformance.diagram import Diagram, Line
from lastref.model.system import KERNEL

WIDTH = 100
"""How wide a diagram is where no terminal says how wide it may be."""
_COLOURS = ("cyan", "yellow", "green", "blue", "bright_cyan", "bright_yellow")
_KERNEL_COLOUR = "magenta"
_BROKEN = "bold red"


def print_diagram(diagram: Diagram, console: Console) -> None:
    """Print ``diagram``; a terminal that cannot show the lines gets ASCII ones."""
    plain = not (console.encoding or "").lower().startswith("utf")
    line, arrow, cross = ("|", "->", "X") if plain else ("│", "→", "✗")
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column("", justify="right", no_wrap=True)
    colours = _colours(diagram)
    for name, calls in diagram.actors:
        heading = Text(f"{name}\n{calls}" if calls else name, colours[name])
        grid.add_column(heading, overflow="fold", vertical="top")
    grid.add_column(diagram.keeps, overflow="fold")
    grid.add_column("what changes", overflow="fold")
    grid.add_row("", *(Text(line, "dim") for _ in diagram.actors), diagram.begins, "")
    for step in diagram.lines:
        mark = Text(f"{cross} {step.number}", _BROKEN) if step.broken else Text(str(step.number))
        cells = (_cell(step, name, colours[name], line) for name, _ in diagram.actors)
        changes = "\n".join(step.changes).replace("→", arrow)
        grid.add_row(mark, *cells, step.kept, changes)
    console.print(grid)


def _colours(diagram: Diagram) -> dict[str, str]:
    names = [name for name, _ in diagram.actors if name != KERNEL]
    chosen = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    return {**chosen, KERNEL: _KERNEL_COLOUR}


def _cell(step: Line, name: str, colour: str, line: str) -> Text:
    if step.actor != name:
        return Text(line, "dim")
    style = _BROKEN if step.broken else colour
    said = Text(f"{step.call}()\n", f"bold {colour}") if step.call else Text()
    said.append(step.op, style)
    if step.outcome is not None:
        said.append(f"\n= {step.outcome}", style)
    return said
