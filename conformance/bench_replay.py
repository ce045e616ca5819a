"""What a replay costs beside the process it needs: a benchmark, not a timed test.

    bare     start a child, signal it, reap it                           one child per iteration
    replay   the same, with an implementation driven through a schedule,
             every step compared with the model's                        one child per replay

Both start the same program in the same way on the same machine, in turns, so that what else runs
meanwhile falls on both alike.  The figure is the ratio of their times per child; the aim is 1.3.

    python -m lastref.conformance.bench_replay --children 400

Source: the median of paired rounds, as in A. Georges et al., Statistically rigorous Java
performance evaluation (OOPSLA 2007).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import click

from lastref.conformance.replays import Campaign, plan, run
from lastref.conformance.stage import Stage
from lastref.conformance.tiny import Program
from lastref.impl.guard import Guard, Mode

CALLS = ("wait", "kill", "release")
ROUNDS = 8
AIM = 1.3


class Disagreement(Exception):
    """A replay did not do what the model does: there is nothing to measure."""


@dataclass(frozen=True)
class Cost:
    """Seconds per child of both loops, on the clock and of processor time, and their ratios.

    The ratio on the clock is the median of the paired rounds; on a busy machine it says mostly how
    busy that is, and the processor's time is the better figure.
    """

    bare: float
    replay: float
    ratio: float
    processor_bare: float
    processor_replay: float
    steps: int
    children: int

    @property
    def processor_ratio(self) -> float:
        """The ratio of processor time, of this process and its children."""
        return self.processor_replay / max(self.processor_bare, 1e-6)

    def __str__(self) -> str:
        """Return the figures in one line."""
        return (
            f"bare {1 / self.bare:,.0f}/s, replays {1 / self.replay:,.0f}/s "
            f"({self.steps / self.children:.1f} steps each): ratio {self.ratio:.2f} on the clock, "
            f"{self.processor_ratio:.2f} of processor time, aim {AIM}"
        )


def bench(design: str = "go-2024", platform: str = "linux", children: int = 400) -> Cost:
    """Measure both loops on about ``children`` children each, in turns.

    A replay is what `lastref verify` does: the trace is worked out, and replayed twice.  Raises
    :class:`Disagreement` if one is not what the model has.
    """
    work = plan(Campaign(design, platform, CALLS, frozenset({"reopen"})))
    per_round = max(children // ROUNDS // 2, 1)
    chosen = itertools.cycle(work.runs)
    bare, replayed = _Clock(), _Clock()
    steps = 0
    with Stage(light=True) as stage:
        for _ in range(ROUNDS):
            with bare.running():
                bare_loop(2 * per_round)
            part = replace(work, runs=tuple(itertools.islice(chosen, per_round)))
            with replayed.running():
                tally = run(part, stage, lambda _: None)
            if not tally.agrees:
                raise Disagreement(tally.first)
            steps += 2 * tally.steps
    total = 2 * per_round * ROUNDS
    return Cost(
        bare=sum(bare.seconds) / total,
        replay=sum(replayed.seconds) / total,
        ratio=statistics.median(r / b for b, r in zip(bare.seconds, replayed.seconds, strict=True)),
        processor_bare=bare.processor / total,
        processor_replay=replayed.processor / total,
        steps=steps,
        children=total,
    )


def bare_loop(children: int) -> None:
    """Start, signal and reap that many children, with the least that this takes."""
    guard = Guard(Mode.LIBRARY)  # which asks nothing: these are all our own children
    program = Program()
    assert program.path is not None
    for _ in range(children):
        reader, hold = os.pipe()
        actions = [
            (os.POSIX_SPAWN_DUP2, reader, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        ]
        pid = os.posix_spawn(program.path, ["child"], {}, file_actions=actions)
        os.close(reader)
        pidfd = os.pidfd_open(pid)
        guard.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)
        os.close(hold)
    program.close()


class _Clock:
    """Adds up what runs under it: seconds of every run, and processor time of all."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.processor = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        start, before = time.perf_counter(), sum(os.times()[:4])
        yield
        self.seconds.append(time.perf_counter() - start)
        self.processor += sum(os.times()[:4]) - before


@click.command(name="bench-replay")
@click.option("--children", default=400, show_default=True, type=click.IntRange(2 * ROUNDS))
@click.option("--design", default="go-2024", show_default=True)
def main(children: int, design: str) -> None:
    """Print what a replay costs beside a bare loop of start, signal and reap."""
    click.echo(str(bench(design, children=children)))


if __name__ == "__main__":
    main()
