"""Hammers one process handle at a time with threads that nobody schedules.

    round    a new child · one process object · every thread runs its own random program on it
                 T1   signal  wait ────────────────── ok   find  …
                 T2   find  exit ── nil   release nil  signal REL …
                 T3   kill nil  signal … ·· all at once, as the kernel and the interpreter will
             meanwhile the number of the handle goes to the bystander the moment it is closed, and
             the pid to a stranger the moment it is reaped; and threads interrupt each other
    after    the history is judged; bystander and stranger must be untouched; the handle must have
             been closed once, the child reaped once, and no descriptor may be left

The programs follow from the seed and the number of the round; how they interleave does not.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from lastref.conformance.stage import REAPED, Stage
from lastref.conformance.stress.interrupts import interruptions
from lastref.conformance.stress.monitor import Event, Monitor
from lastref.conformance.stress.recycler import NOBODY, UNTOUCHED, PidRecycler, RecyclerLost
from lastref.conformance.stress.round import Round
from lastref.conformance.stress.subject import ENDINGS, RARITIES, Subject
from lastref.conformance.stress.threads import Stuck, Threads

SHORTEST, LONGEST = 16, 96
"""How many operations a thread's program has."""

AT_MOST = 10
"""So many times what was asked for is done, at most, until a pid has come back."""

LAWS = ("linearizable", "no-wrong-process", "no-leak", "no-zombie", "no-hang")


@dataclass(frozen=True)
class Plan:
    """How to hammer: for how long, with how many threads, from which seed.

    ``rounds`` and ``operations`` (calls made) end the run earlier; ``only`` runs one round's
    programs again and again; ``switch_interval`` is how soon the interpreter lets another thread go
    on, in seconds.
    """

    seconds: float
    threads: int = 4
    seed: int = 0
    rounds: int | None = None
    operations: float = math.inf
    only: int | None = None
    switch_interval: float = 1e-4


@dataclass(frozen=True)
class Failure:
    """The first broken law: in which round, what was seen, and the whole history.

    ``event`` is the index of the event that shows it, or None if it shows only afterwards.
    """

    law: str
    round: int
    text: str
    history: tuple[Event, ...]
    event: int | None = None


@dataclass
class Tally:
    """What was done and seen; ``failure`` is None if every law held."""

    rounds: int = 0
    operations: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    fds_recycled: int = 0
    pids_recycled: int = 0
    failure: Failure | None = None


def programs(plan: Plan, subject: Subject, round_number: int) -> list[list[str]]:
    """Return every thread's operations in that round; they follow from the seed alone.

    The first thread lets the child end before it waits for it, so some thread always comes to it.
    """
    rng = random.Random(f"{plan.seed}/{round_number}")
    weights = dict(subject.weights)
    for operation in ENDINGS:
        if operation in weights:
            weights[operation] *= rng.choice(RARITIES)
    lengths = [rng.randint(SHORTEST, LONGEST) for _ in range(plan.threads)]
    drawn = [rng.choices(list(weights), list(weights.values()), k=length) for length in lengths]
    first = drawn[0]
    before = first.index("wait") if "wait" in first else len(first)
    first.insert(rng.randint(0, before), "exit")
    return drawn


def hammer(
    plan: Plan, subject: Subject, stage: Stage, progress: Callable[[Tally], None] | None = None
) -> Tally:
    """Hammer until the time is over or a law is broken; tell ``progress`` now and then.

    On a stage that is in a PID namespace of our own pids are recycled, too.
    """
    tally = Tally()
    before = sys.getswitchinterval()
    with contextlib.ExitStack() as stack:
        stack.callback(sys.setswitchinterval, before)
        stack.enter_context(interruptions(stage.guard))
        # Before the threads: it forks.
        recycler = stack.enter_context(_recycler(stage))
        threads = Threads(plan.threads)
        stack.callback(threads.close)
        sys.setswitchinterval(plan.switch_interval)
        _rounds(plan, subject, stage, threads, recycler, tally, progress)
    return tally


@contextlib.contextmanager
def _recycler(stage: Stage) -> Iterator[PidRecycler | None]:
    if not stage.recycles_pids:
        yield None
        return
    with contextlib.closing(PidRecycler()) as recycler:
        yield recycler


def _rounds(
    plan: Plan,
    subject: Subject,
    stage: Stage,
    threads: Threads,
    recycler: PidRecycler | None,
    tally: Tally,
    progress: Callable[[Tally], None] | None,
) -> None:
    # One more than the threads: the main thread makes the last call of each round.
    monitor = Monitor(subject.specification, plan.threads + 1)
    start = told = time.perf_counter()
    stage.bystander  # noqa: B018 -- started before the descriptors are counted
    descriptors = _descriptors()
    for number_of_round in itertools.count():
        tally.seconds = time.perf_counter() - start
        if number_of_round == plan.rounds or _enough(plan, tally, recycler):
            return
        if progress is not None and time.perf_counter() - told > 0.5:
            told = time.perf_counter()
            progress(tally)
        which = number_of_round if plan.only is None else plan.only
        drawn = programs(plan, subject, which)
        a_round = Round(subject, stage, drawn)
        broken = _play(a_round, threads, recycler, plan.threads, tally)
        broken = broken or _judge(a_round, subject, monitor, descriptors, tally)
        tally.rounds += 1
        tally.operations += len(a_round.events) // 2
        tally.outcomes.update(e.outcome for e in a_round.events if e.outcome is not None)
        if broken is not None:
            tally.failure = broken.failure(which, a_round)
            tally.seconds = time.perf_counter() - start
            return


def _enough(plan: Plan, tally: Tally, recycler: PidRecycler | None) -> bool:
    """Return whether as much was done as asked for and, where any may come back, a pid has."""
    waits = recycler is not None and plan.only is None and not tally.pids_recycled
    most = AT_MOST if waits else 1
    return tally.seconds >= plan.seconds * most or tally.operations >= plan.operations * most


class _Broken(NamedTuple):
    law: str
    text: str
    event: int | None = None

    def failure(self, which: int, a_round: Round) -> Failure:
        return Failure(self.law, which, self.text, tuple(a_round.events), self.event)


def _play(
    a_round: Round,
    threads: Threads,
    recycler: PidRecycler | None,
    main_thread: int,
    tally: Tally,
) -> _Broken | None:
    """Run the threads and clear up after them; return what that showed."""
    try:
        if recycler is not None:
            recycler.watch(a_round.pid)
        hung = threads.run(a_round)
        a_round.programs.append(["release"])
        a_round.run(main_thread)
        stranger = NOBODY if recycler is None else recycler.end()
    except (RecyclerLost, Stuck) as error:
        law = "no-hang" if isinstance(error, Stuck) else "no-wrong-process"
        return _Broken(law, str(error))
    tally.pids_recycled += stranger != NOBODY
    if hung is not None:
        return _Broken("no-hang", hung)
    if stranger not in (NOBODY, UNTOUCHED):
        return _Broken("no-wrong-process", f"a stranger with the child's number was {stranger}")
    return None


def _judge(
    a_round: Round, subject: Subject, monitor: Monitor, descriptors: int, tally: Tally
) -> _Broken | None:
    """Hold what the round left behind against the laws, and clear it away."""
    stage, system = a_round.stage, a_round.system
    hit, bystander = stage.hit, stage.bystander.state
    reaped = a_round.child.state == REAPED
    waited = any(e.outcome == "ok" for e in a_round.events)
    stolen = system.handed_out and _pid_of(a_round.handle) != stage.bystander.pid
    tally.fds_recycled += system.handed_out
    if system.handed_out or not subject.handle:
        with contextlib.suppress(OSError):
            os.close(a_round.handle)
    stage.drop_process()
    refuted = monitor.judge(a_round.events)
    left = _descriptors() - descriptors
    if hit:
        return _Broken("no-wrong-process", f"the bystander was {bystander}")
    if stolen:
        return _Broken("no-wrong-process", "a descriptor was closed that belonged to somebody else")
    if refuted is not None:
        return _Broken("linearizable", str(refuted), refuted.at)
    if subject.handle and system.closings != 1:
        return _Broken("no-leak", f"the handle was closed {system.closings} times")
    if left:
        return _Broken("no-leak", f"{left} more descriptors are open than before the round")
    if reaped != waited:
        return _Broken(
            "no-zombie", f"a Wait succeeded: {waited}, and the child was reaped: {reaped}"
        )
    return None


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _pid_of(descriptor: int) -> int | None:
    with contextlib.suppress(OSError), open(f"/proc/self/fdinfo/{descriptor}") as lines:
        for line in lines:
            if line.startswith("Pid:"):
                return int(line.split()[1])
    return None
