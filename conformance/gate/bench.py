"""How many gated orders a second: a benchmark, not a timed test.

    re-used    one testee, one order after another
    fresh      the program started anew for each order

The order is one in which the program's calls are held and let go, its child ends and its pid is
recycled, and a victim is judged. A busy machine slows it down; so the supervisor's processor time
per order is given beside it.

    python -m lastref.conformance.gate.bench [ADAPTER]... [--orders N]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click

from lastref.conformance.adapters.registry import resolve
from lastref.conformance.ending import ended
from lastref.conformance.errors import UserError
from lastref.conformance.gate.explore import NOBODY
from lastref.conformance.gate.run import program
from lastref.conformance.gate.scenario import Scenario
from lastref.conformance.gate.session import Session
from lastref.conformance.gate.testee import Program
from lastref.conformance.sandbox import Sandbox

RACES = {
    "c-pid": ("start|wait,kill", "K1 exit(a) W1 W1 K1"),
    "c-pidfd": ("start|wait,kill", "W1 W1 K1 exit(a) K1"),
    "cpython-popen": ("start|wait,kill", "W1 K1 exit(a) W1 K1"),
    "java-process": ("start|kill", "K1 exit(a) K1"),
    "node-child-process": ("start|wait,kill", "W1 K1 exit(a) K1"),
    "rust-child": ("start|kill,reap", "K1 R1 exit(a) R1 K1"),
    "go-1.27": ("start|wait,kill", "W1 W1 K1 exit(a) K1"),
    "go-1.27-pid": ("start|wait,kill", "K1 W1 W1 exit(a) K1 W1"),
    "lastref-go-2024": ("start|wait,kill", "W1 W1 K1 exit(a) K1"),
}
"""For each adapter the scenario and the order that is measured."""

AIM = 300


@dataclass(frozen=True)
class Rate:
    """What was measured: orders a second, processor seconds of the supervisor for one, verdicts."""

    per_second: float
    processor: float
    verdicts: tuple[str | None, ...]


def measure(wanted: Program, scenario: str, schedule: str, orders: int, fresh: bool) -> Rate:
    """Run one order again and again; for use inside a sandbox."""
    race, steps = Scenario.parse(scenario), schedule.split()
    with Session(wanted, fresh=fresh, aged=False) as session:
        session.rehearse(race)
        import resource  # absent on Windows, where this module is imported too

        before = resource.getrusage(resource.RUSAGE_SELF)
        timed = session.timed(race, steps, orders)
        after = resource.getrusage(resource.RUSAGE_SELF)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Rate(orders / timed.seconds, processor / orders, timed.verdicts)


@dataclass(frozen=True)
class Measured:
    """The rates of one adapter, with one testee re-used and with a fresh one for each order."""

    adapter: str
    reused: Rate
    fresh: Rate

    @property
    def verdicts(self) -> tuple[str, ...]:
        """What came of the orders, each kind once; more than one is a fault of the gate."""
        both = (*self.reused.verdicts, *self.fresh.verdicts)
        return tuple(sorted({verdict or NOBODY for verdict in both}))


def measure_adapter(name: str, orders: int = 300) -> Measured:
    """Measure the gate on one adapter of `RACES`; UserError where it or the gate cannot run.

    ``orders`` are run on the re-used testee, and a tenth of them on fresh ones.
    """
    scenario, schedule = RACES[name]
    wanted = program(resolve(name).prepare(), Scenario.parse(scenario))
    with Sandbox() as sandbox:
        reused = sandbox.call(measure, wanted, scenario, schedule, orders, False)
        fresh = sandbox.call(measure, wanted, scenario, schedule, max(orders // 10, 1), True)
    return Measured(name, reused, fresh)


@click.command()
@click.argument("adapters", nargs=-1)
@click.option("--orders", default=300, show_default=True, type=click.IntRange(1))
def main(adapters: Sequence[str], orders: int) -> None:
    """Measure the gate on each of ADAPTERS; all that can run here if none is named."""
    click.echo(f"{'adapter':20} {'re-used/s':>10} {'fresh/s':>8} {'ms each':>8}  verdicts")
    for name in adapters or RACES:
        try:
            told = measure_adapter(name, orders)
        except UserError as missing:
            click.echo(f"{name:20} skipped: {missing}")
            continue
        click.echo(
            f"{name:20} {told.reused.per_second:10.0f} {told.fresh.per_second:8.0f} "
            f"{1000 * told.reused.processor:8.2f}  {', '.join(told.verdicts)}"
        )
    click.echo(f"the aim is {AIM} a second with a testee re-used, on an idle machine")


if __name__ == "__main__":
    sys.exit(ended(lambda: main.main(standalone_mode=False) or 0))
