"""What a replay costs beside the process it needs: a benchmark, not a timed test.

    bare     start a child, signal it, reap it                           one child per iteration
    replay   the same, with an implementation driven through a schedule,
             every step compared with the model's                        one child per replay

The bare loop starts a tiny program, as anybody would; a replay has the lightest child there is
(:mod:`~lastref.conformance.clones`), or that of the replay before if it was left as it was.  They
run in turns on the one processor of a lane, so that what else runs meanwhile falls on both alike.
The figure is the ratio of their times per child.  The aim is 1.3; what was measured last is 1.8, of
processor time: the median of eight runs on a busy machine, 1.3 to 2.0.  A child is a sixth of what
a replay costs, the rest is Python: twenty-odd steps of the implementation, some 3 µs each, a look
at what each of them changed, and setting all of it up anew.

    python -m lastref.conformance.bench_replay --children 400

Source: the median of paired rounds, as in A. Georges et al., Statistically rigorous Java
performance evaluation (OOPSLA 2007).
"""

from __future__ import annotations

import gc
import itertools
import os
import signal
import statistics
import sys
import time
from dataclasses import dataclass, replace

import click

from lastref.conformance.ending import ended
from lastref.conformance.lanes import stay_on_one_processor
from lastref.conformance.namespace import NamespaceStage, in_worker
from lastref.conformance.replays import Campaign, plan, run
from lastref.conformance.sandbox import Sandbox, unavailable
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


def bench(
    design: str = "go-2024", platform: str = "linux", children: int = 400, *, boxed: bool = True
) -> Cost:
    """Measure both loops on about ``children`` children each, in turns; :class:`Disagreement`.

    A replay is what `lastref verify` does: the trace is worked out, and replayed twice; in the
    sandbox, unless there is none or ``boxed`` is false.
    """
    if boxed and unavailable() is None:
        with Sandbox() as sandbox:
            sandbox.call(stay_on_one_processor, 0)
            return sandbox.call(_as_process_1, design, platform, children)
    with Stage(light=True) as stage:
        return _measure(stage, design, platform, children)


def _as_process_1(design: str, platform: str, children: int) -> Cost:
    return in_worker(_as_worker, design, platform, children)


def _as_worker(design: str, platform: str, children: int) -> Cost:
    gc.freeze()  # as a verification's worker does
    with NamespaceStage() as stage:
        return _measure(stage, design, platform, children)


def _measure(stage: Stage, design: str, platform: str, children: int) -> Cost:
    work = plan(Campaign(design, platform, CALLS, frozenset({"reopen"})))
    per_round = max(children // ROUNDS // 2, 1)
    wanted = per_round * ROUNDS
    # Runs that come one after another are alike: take them from everywhere.
    apart = work.runs[:: max(len(work.runs) // wanted, 1)]
    part = replace(work, runs=tuple(itertools.islice(itertools.cycle(apart), wanted)))
    bare, replayed, done = _Clock(), _Clock(), itertools.count(1)

    def advance(_: int) -> None:
        if next(done) % per_round == 0:
            replayed.stop()
            bare.start()
            bare_loop(2 * per_round)
            bare.stop()
            replayed.start()

    replayed.start()
    tally = run(part, stage, advance)
    if not tally.agrees:
        raise Disagreement(tally.first)
    total = 2 * wanted
    return Cost(
        bare=sum(bare.seconds) / total,
        replay=sum(replayed.seconds) / total,
        ratio=statistics.median(r / b for b, r in zip(bare.seconds, replayed.seconds, strict=True)),
        processor_bare=bare.processor / total,
        processor_replay=replayed.processor / total,
        steps=2 * tally.steps,
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
    """Adds up what runs between start and stop: seconds of each time, processor time of all."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.processor = 0.0
        self._began = (0.0, 0.0)

    def start(self) -> None:
        """Begin to count."""
        self._began = time.perf_counter(), sum(os.times()[:4])

    def stop(self) -> None:
        """Note what has passed since."""
        start, before = self._began
        self.seconds.append(time.perf_counter() - start)
        self.processor += sum(os.times()[:4]) - before


@click.command(name="bench-replay")
@click.option("--children", default=400, show_default=True, type=click.IntRange(2 * ROUNDS))
@click.option("--design", default="go-2024", show_default=True)
def main(children: int, design: str) -> None:
    """Print what a replay costs beside a bare loop of start, signal and reap."""
    click.echo(str(bench(design, children=children)))


if __name__ == "__main__":
    sys.exit(ended(lambda: main.main(standalone_mode=False) or 0))
