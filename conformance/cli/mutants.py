"""``lastref mutants``: who checks the checker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import click
from rich import box
from rich.console import Console
from rich.table import Table as Grid

from lastref.conformance.cli import completing
from lastref.conformance.cli.output import (
    JsonTarget,
    conclude,
    console_for,
    json_option,
    progress,
    standard_output,
)
from lastref.conformance.fleet import Caught, fleet
from lastref.conformance.mutants import ENGINES, Examination, Kills
from lastref.conformance.results import Check, Result, Verdict
from lastref.impl.faults import Fault
from lastref.model import designs
from lastref.model.mutate import OPERATORS

FLEET_OF = ("go-2024", "linux")
"""The design whose implementation has a fleet of faults."""


@click.command(
    epilog="""\b
    Examples:
      lastref mutants                              every mutant of go-2024, and the fleet of faults
      lastref mutants go-2024/windows --sample 50  fifty mutants of another table
      lastref mutants --engine explorer            what the explorer's laws alone would catch
      lastref mutants all --json kills.json        every table, with what each engine says
    """
)
@click.argument(
    "design",
    default="go-2024",
    metavar="[DESIGN[/PLATFORM]|all]",
    shell_complete=completing.designs,
)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice(ENGINES),
    help="Use this engine only; may be given several times.",
)
@click.option(
    "--sample", metavar="N", type=click.IntRange(1), help="Examine N mutants of each table."
)
@json_option
def mutants(
    design: str, engines: tuple[str, ...], sample: int | None, json_target: JsonTarget | None
) -> None:
    """Spoil a design in every single small way, and see which engine notices.

    Exits with 1 if a mutant survives and nothing explains why. The fleet of wrong implementations
    goes along where its design does and the replay is among the engines.
    """
    chosen = designs.named(design)
    checks: list[Check] = []
    made: list[Kills] = []
    for table in chosen:
        started = time.perf_counter()
        name = f"{table.id}/{table.platform}"
        examination = Examination(table, engines=engines or ENGINES, sample=sample)
        with progress(f"mutants of {name}", examination.total) as advance:
            kills = examination.run(advance)
        made.append(kills)
        checks += [kills.check(time.perf_counter() - started), *kills.missing()]
        if (table.id, table.platform) == FLEET_OF and "replay" in examination.engines:
            checks.append(_fleet(kills))
    console = console_for(json_target)
    with standard_output():
        for kills in made:
            show(kills, console)
    conclude(Result("mutants", tuple(checks)), json_target)


def _fleet(kills: Kills) -> Check:
    """Return the check of the fleet: each fault noticed twice, the sound implementation never."""
    started = time.perf_counter()
    id_, kind = "go-2024/linux/fleet", "fleet"
    absent = kills.absent.get("replay")
    if absent is not None:
        return Check(id_, kind, Verdict.SKIPPED, 0, reason=absent)
    with progress("the fleet of faults", len(Fault) + 1) as advance:
        caught = []
        for one in fleet(designs.get(*FLEET_OF)):
            caught.append(one)
            advance(1)
    wrong = [w for c in caught if (w := _wrong(c))]
    return Check(
        id_,
        kind,
        Verdict.BROKEN if wrong else Verdict.PASS,
        sum(c.runs for c in caught),
        time.perf_counter() - started,
        wrong[0] if wrong else f"{len(caught) - 1} faults noticed by the replay and from outside",
        *FLEET_OF,
        extra={
            "faults": {
                c.fault: {"replay": c.replay, "outside": c.outside} for c in caught if c.fault
            }
        },
    )


def _wrong(c: Caught) -> str | None:
    if not c.fault:
        told = c.replay or c.outside
        return f"the sound implementation is convicted: {told}" if told else None
    if c.outside is None:
        return f"the fault {c.fault} is not seen from outside"
    return None if c.replay or c.interrupted else f"the replay does not notice the fault {c.fault}"


def show(kills: Kills, console: Console) -> None:
    """Print the kill table of a design: for each operator, how many each engine kills."""
    engines = [e for e in kills.engines if e not in kills.absent]
    grid = Grid(box=box.SIMPLE_HEAD, title=f"{kills.table.id}/{kills.table.platform}")
    for heading in ("operator", "mutants", *engines, "equivalent", "unexplained"):
        grid.add_column(heading, justify="left" if heading == "operator" else "right")
    for operator in (*OPERATORS, None):
        rows = [e for e in kills.examined if operator in (None, e.mutant.operator)]
        if not rows:
            continue
        by = Counter(engine for e in rows for engine in e.killed)
        verdicts = Counter(e.verdict for e in rows)
        numbers: Sequence[int] = (
            len(rows),
            *(by[e] for e in engines),
            verdicts["equivalent"],
            verdicts["survivor"] + verdicts["same"],
        )
        style = "bold" if operator is None else ""
        grid.add_row(operator or "all", *(str(n) for n in numbers), style=style)
    if not console.is_terminal:
        console.width = 160
    console.print(grid)
