"""``lastref explore``: every interleaving of some calls on a design, and the shortest to harm."""

from __future__ import annotations

import time

import click
from rich.console import Console
from rich.text import Text

from lastref.conformance.cli import completing
from lastref.conformance.cli.designs import DESIGN, chosen_table
from lastref.conformance.cli.drawing import print_diagram
from lastref.conformance.cli.output import (
    JsonTarget,
    conclude,
    console_for,
    json_option,
    progress,
    standard_output,
)
from lastref.conformance.cli.scenario import (
    calls_of,
    chosen_system,
    scenario_options,
    with_method_options,
)
from lastref.conformance.diagram import draw
from lastref.conformance.results import Check, Result, Verdict
from lastref.conformance.trace import record
from lastref.model.designs import all_tables
from lastref.model.explore import DEADLOCK, Counterexample, Exploration, explore
from lastref.model.system import System
from lastref.model.table import Table

NOBODY_STUCK = "somebody can take a step until all threads are done"
DEFAULT_LIMIT = 5_000_000
"""How many states are searched before giving up: about a gigabyte."""


@click.command(
    name="explore",
    epilog="""\b
    Examples:
      lastref explore go-2024 --wait 1 --signal 2 --release 1
      lastref explore go-2023-pidfd --kill 1 --release 1        finds go issue 67641
      lastref explore go-2024 --platform windows --thread 'wait;release' --kill 1
      lastref explore go-2025 --start find-missing --wait 1
      lastref explore go-fdmutex --thread read --thread write --thread close
      lastref explore go-2024 --set word=0x3fffffffffffffff --signal 1
      lastref explore mine.py --wait 1 --release 1              a table of your own
    """,
)
@click.argument("design", metavar=DESIGN, shell_complete=completing.designs)
@scenario_options
@click.option(
    "--limit",
    default=DEFAULT_LIMIT,
    show_default=True,
    type=click.IntRange(1),
    help="Give up after so many states.",
)
@json_option
def explore_command(
    design: str,
    threads: tuple[str, ...],
    platform: str | None,
    start: str,
    settings: tuple[str, ...],
    limit: int,
    json_target: JsonTarget | None,
    **counts: int,
) -> None:
    """Search every interleaving of some threads on a design, and the kernel with them.

    Prints the exact number of states, every law with its verdict, and the shortest run that breaks
    one as a diagram. Exits with 1 if a law breaks and with 2 if the search was not complete.
    """
    calls = calls_of(threads, counts)
    system = chosen_system(chosen_table(design, platform), start, settings, calls)
    started = time.perf_counter()
    found = _search(system, limit)
    seconds = time.perf_counter() - started
    console = console_for(json_target)
    with standard_output():
        _print(system, found, console)
    checks = tuple(_checks(system, found, seconds))
    conclude(Result("explore", checks, _counts(found)), json_target)


with_method_options(explore_command)


def _search(system: System, limit: int) -> Exploration:
    name = f"{system.table.id}/{system.table.platform}"
    with progress(f"states of {name}", None) as advance:
        told = 0

        def tell(states: int, _transitions: int, _depth: int) -> None:
            nonlocal told
            advance(states - told)
            told = states

        return explore(system, limit=limit, progress=tell)


def _counts(found: Exploration) -> dict[str, object]:
    return {
        "states": found.states,
        "transitions": found.transitions,
        "depth": found.depth,
        "complete": found.complete,
    }


def _print(system: System, found: Exploration, console: Console) -> None:
    table = system.table
    threads = " ‖ ".join(f"{t.name}: {';'.join(t.calls)}" for t in system.scenario.threads)
    console.print(Text(f"{table.id}/{table.platform}  {threads}", "bold"), soft_wrap=True)
    console.print(
        f"{found.states:,} states, {found.transitions:,} transitions, depth {found.depth}"
        + ("" if found.complete else "; not all of them")
    )
    shortest = min(found.counterexamples.values(), key=lambda c: len(c.steps), default=None)
    if shortest is None:
        return
    print_counterexample(system, shortest, console)
    console.print(Text(_run(system, shortest), "dim"), soft_wrap=True)
    console.print()


def print_counterexample(system: System, broken: Counterexample, console: Console) -> None:
    """Print a run that breaks a law as a diagram, and the law in words."""
    console.print()
    steps = broken.steps
    print_diagram(draw(system, steps, breaks_at=len(steps)), console)
    console.print()
    console.print(Text(f"breaks {broken.law}: {_text(system.table, broken.law)}", "bold red"))


def _text(table: Table, law: str) -> str:
    return NOBODY_STUCK if law == DEADLOCK else table.law(law).text


def _run(system: System, broken: Counterexample) -> str:
    """Return the command that replays a run; the schedule alone for a design that nobody has."""
    schedule = record(system, broken.steps).schedule
    return f"lastref replay '{schedule}'" if system.table in all_tables() else schedule


def _checks(system: System, found: Exploration, seconds: float) -> list[Check]:
    """Return a check for every law: broken with its run, else held in all states, or nothing said.

    A sight that was not seen is skipped: this scenario cannot show it.
    """
    table, checks = system.table, list[Check]()
    for law in (*(law.id for law in table.laws), DEADLOCK):
        kind = "must" if law == DEADLOCK else table.law(law).kind
        broken = found.counterexamples.get(law)
        verdict, reason = Verdict.PASS, _text(table, law)
        if broken is not None:
            verdict = Verdict.BROKEN
            reason = f"{len(broken.steps)} steps: {_run(system, broken)}"
        elif law in found.unseen:
            verdict, reason = Verdict.SKIPPED, f"these threads do not show it: {reason}"
        elif not found.complete and kind != "sometimes":
            verdict = Verdict.INCOMPLETE
            reason = f"the search was given up after {found.states:,} states; raise --limit"
        checks.append(
            Check(
                f"{table.id}/{table.platform}/{law}",
                kind,
                verdict,
                found.states,
                seconds if not checks else 0.0,
                reason,
                table.id,
                table.platform,
            )
        )
    return checks
