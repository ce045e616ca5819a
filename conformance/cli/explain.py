"""``lastref explain``: a known fault as a diagram that a reader can follow."""

from __future__ import annotations

import time

import click
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from lastref.conformance.cli import completing
from lastref.conformance.cli.drawing import WIDTH, print_diagram
from lastref.conformance.cli.output import (
    STARTED,
    JsonTarget,
    closing_line,
    console_for,
    json_option,
    standard_output,
)
from lastref.conformance.diagram import draw
from lastref.conformance.named_cases import (
    Judgement,
    NamedCase,
    judge,
    named_case,
    named_cases,
)
from lastref.conformance.results import Check, Result, Verdict
from lastref.model.unordered import history_of


@click.command(
    epilog="""\b
    Examples:
      lastref explain                    the cases, with what each is about
      lastref explain go-67641           one of them, step by step
      lastref explain go-67641 --json    its trace, for a program
    """
)
@click.argument("case", required=False, shell_complete=completing.cases)
@json_option
def explain(case: str | None, json_target: JsonTarget | None) -> None:
    """Show a known fault step by step: who does what, and what breaks.

    A column for each thread and one for the kernel, the word's bits at every step, the law that
    breaks, why, and the design that mended it. All of it is worked out again by the explorer.
    Without a case, list them.
    """
    console = console_for(json_target)
    if not console.is_terminal:
        console.width = WIDTH
    chosen = list(named_cases().values()) if case is None else [named_case(case)]
    if case is None:
        with standard_output():
            list_cases(chosen, console)
        checks = tuple(
            Check(
                c.id,
                "case",
                Verdict.PASS,
                1,
                reason=c.title,
                design=c.where.design,
                platform=c.where.platform,
            )
            for c in chosen
        )
        finish(Result("explain", checks), console, json_target)
    started = time.perf_counter()
    judgements = list(judge(chosen[0]))
    with standard_output():
        print_case(chosen[0], judgements, console)
    seconds = time.perf_counter() - started
    checks = tuple(_check(chosen[0], n, j, seconds) for n, j in enumerate(judgements))
    extra = {"trace": chosen[0].trace().document()}
    finish(Result("explain", checks, extra), console, json_target)


def finish(result: Result, console: Console, json_target: JsonTarget | None) -> None:
    """Print the closing line, write the JSON, and end the command with the verdict's exit code."""
    seconds = time.perf_counter() - click.get_current_context().meta[STARTED]
    with standard_output():
        console.print(closing_line(result, seconds))
    if json_target is not None:
        json_target.write(result.to_json())
    raise click.exceptions.Exit(result.verdict.exit_code)


def list_cases(cases: list[NamedCase], console: Console) -> None:
    """Print every case: its id, where it is, and its title."""
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for heading in ("case", "in", "about"):
        grid.add_column(heading, overflow="fold")
    for c in cases:
        grid.add_row(Text(c.id, "bold"), f"{c.where.design}/{c.where.platform}", c.title)
    console.print(grid)


def print_case(case: NamedCase, judgements: list[Judgement], console: Console) -> None:
    """Print a case: its title, the diagram, what breaks and why, and where it does not."""
    console.print(Text.assemble((case.id, "bold"), f"  {case.title}"))
    console.print(Text(f"{case.where}: {case.source}", "dim"))
    console.print()
    system, steps = case.system(), case.run()
    print_diagram(draw(system, steps, breaks_at=len(steps)), console)
    console.print()
    _say(console, "breaks", _broken(case), "bold red")
    _say(console, "why", case.why)
    _say(console, "mended", case.open or case.fix, "green")
    for kind, label in (("absent", "absent in"), ("also", "also in")):
        places = [str(j.place) for j in judgements if j.kind == kind and j.holds]
        if places:
            _say(console, label, ", ".join(places))
    for wrong in (j for j in judgements if not j.holds):
        _say(console, "WRONG", f"{wrong.kind} {wrong.place}: {wrong.reason}", "bold red")
    # One line whatever the width, so that it can be copied.
    console.print(Text(f"lastref replay '{case.trace().schedule}'", "dim"), soft_wrap=True)


def _broken(case: NamedCase) -> str:
    """Return the broken law in words, the claim and what was returned instead, or the history."""
    if case.claim is not None:
        return (
            f"call {case.claim.call} of {case.claim.thread} should return {case.claim.says}; "
            f"it returns {case.claim.returns}"
        )
    if case.unordered is not None:
        history = history_of(case.system(), case.run())
        few = f"{len(case.unordered.histories)} of {case.unordered.of} histories are such"
        return f"no order of the calls explains {history} ({case.unordered.kind}; {few})"
    law = case.system().table.law(case.law or "")
    return f"{law.id}: {law.text}"


def _say(console: Console, label: str, text: str, style: str = "") -> None:
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=9, style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(label, Text(text, style))
    console.print(grid)


def _check(case: NamedCase, number: int, judgement: Judgement, seconds: float) -> Check:
    """Return one judgement as a check; the time of all of them stands with the first."""
    place = judgement.place
    return Check(
        f"{case.id}/{judgement.kind}/{number}",
        "case",
        Verdict.PASS if judgement.holds else Verdict.BROKEN,
        1,
        seconds if number == 0 else 0.0,
        f"{place}: {judgement.reason}",
        place.design,
        place.platform,
    )
