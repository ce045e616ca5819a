"""Hammers one process handle at a time with threads that nobody schedules.

    round    a new child · one process object · every thread runs its own random program on it
                 T1   signal  wait ────────────────── ok   find  …
                 T2   find  exit ── nil   release nil  signal REL …
                 T3   kill nil  signal … ·· all at once, as the kernel and the interpreter will
             meanwhile the number of the handle goes to the bystander the moment it is closed, and
             the pid to a stranger the moment it is reaped
    after    the history is judged; bystander and stranger must be untouched; the handle must have
             been closed once, the child reaped once, and no descriptor may be left

The programs follow from the seed and the number of the round; how they interleave does not.  The
order of the events is that of appends to one list, which the interpreter does one at a time.

A thread that waits for the wrong process would never come back.  It is noticed by looking at it:
the child has ended, and twice in a row the thread is seen in the same wait.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from lastref.conformance.stage import REAPED, RUNNING, Stage, StageProcess
from lastref.conformance.stress.monitor import Event, Monitor
from lastref.conformance.stress.recycler import NOBODY, UNTOUCHED, PidRecycler, RecyclerLost
from lastref.conformance.stress.subject import ENDINGS, RARITIES, Subject
from lastref.impl.errors import Panic, ProcessError, Refusal
from lastref.impl.parts import Parts
from lastref.impl.probe import PidfdProbe
from lastref.impl.state import ProcessLike
from lastref.impl.syscall_numbers import number
from lastref.impl.syscalls import LinuxSystem
from lastref.impl.system import Child

SHORTEST, LONGEST = 16, 96
"""How many operations a thread's program has."""

LAWS = ("linearizable", "no-wrong-process", "no-leak", "no-zombie", "no-hang")

_LOOK_EVERY = 0.2  # seconds between two looks at a thread that does not come back
_LOOKS = 25


@dataclass(frozen=True)
class Plan:
    """How to hammer: for how long, with how many threads, from which seed.

    ``rounds`` ends the run earlier; ``only`` runs one round's programs again and again;
    ``switch_interval`` is how soon the interpreter lets another thread go on, in seconds.
    """

    seconds: float
    threads: int = 4
    seed: int = 0
    rounds: int | None = None
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


class _RecyclingSystem(LinuxSystem):
    """A system that hands the number of the handle to the bystander as soon as it is closed."""

    def __init__(self, stage: Stage, watched: int) -> None:
        super().__init__(stage.guard)
        self._bystander = stage.bystander.pidfd
        self._watched = watched
        self.closings = 0
        self.handed_out = False

    def close(self, fd: int) -> None:
        """Close, and open again for someone else; somebody may have been faster."""
        import fcntl  # absent on Windows, where this module is imported too

        super().close(fd)
        if fd != self._watched:
            return
        self.closings += 1
        given = fcntl.fcntl(self._bystander, fcntl.F_DUPFD_CLOEXEC, fd)
        if given == fd:
            self.handed_out = True
        else:
            os.close(given)


class _Round:
    """One child, one handle, one program for every thread."""

    def __init__(self, subject: Subject, stage: Stage, programs: list[list[str]]) -> None:
        self.events: list[Event] = []
        self.programs = programs
        self.stage = stage
        self.child: StageProcess = stage.new_process()
        self.pid = self.child.pid
        self.handle = os.dup(self.child.pidfd)
        self.system = _RecyclingSystem(stage, self.handle)
        probe = PidfdProbe(stage.system)
        pidfd = self.handle if subject.handle else None
        process = subject.adopt(Child(self.pid, pidfd), Parts(self.system, probe))
        elsewhere = Parts(stage.system, probe)
        self._calls: dict[str, Callable[[], object]] = {
            "wait": lambda: _reaped(process, self.pid),
            "signal": lambda: process.signal(0),
            "kill": process.kill,
            "release": process.release,
            "find": lambda: _find(subject.find, self.pid, elsewhere),
            "exit": self.child.end,
        }

    def run(self, thread: int) -> None:
        """Run one thread's program, and note when each call begins and returns."""
        events = self.events
        for operation in self.programs[thread]:
            events.append(Event(thread, operation))
            outcome = _outcome(self._calls[operation])
            events.append(Event(thread, operation, outcome))


def _outcome(call: Callable[[], object]) -> str:
    try:
        result = call()
    except (ProcessError, Panic) as error:
        return error.kind
    except Refusal as refusal:
        return f"refused: {refusal}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nil" if result is None else str(result)


def _reaped(process: ProcessLike, pid: int) -> str:
    state = process.wait()
    return "ok" if state.pid == pid else f"ok: reaped {state.pid}, and the child is {pid}"


def _find(find: Callable[[int, Parts], ProcessLike], pid: int, parts: Parts) -> None:
    """Look the pid up and ask whether it is there; whoever has it by now is not touched."""
    found = find(pid, parts)
    try:
        found.signal(0)
    finally:
        found.release()


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


class _Threads:
    """The hammering threads; they live as long as the run, and wait for a round in between."""

    def __init__(self, count: int) -> None:
        self._round: _Round | None = None
        self._finished = threading.Semaphore(0)
        self._gates = [threading.Semaphore(0) for _ in range(count)]
        self._running: set[int] = set()
        self._threads = [
            threading.Thread(target=self._live, args=(index,), daemon=True)
            for index in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def _live(self, index: int) -> None:
        while True:
            self._gates[index].acquire()
            if self._round is None:
                return
            self._round.run(index)
            self._running.discard(index)
            self._finished.release()

    def run(self, a_round: _Round) -> str | None:
        """Run a round; the answer is the thread that waits for what will not come, if one does."""
        self._round = a_round
        self._running = set(range(len(self._threads)))
        for gate in self._gates:
            gate.release()
        hung = None
        for _ in self._threads:
            hung = self._await_one(a_round) or hung
        return hung

    def _await_one(self, a_round: _Round) -> str | None:
        seen: dict[int, str] = {}
        hung = None
        for _ in range(_LOOKS):
            if self._finished.acquire(timeout=_LOOK_EVERY):
                return hung
            now = self._waiting() if a_round.child.state != RUNNING else {}
            same = [index for index, call in now.items() if seen.get(index) == call]
            if same:
                hung = f"T{same[0] + 1} waits although the child has ended: {now[same[0]]}"
                # Whom it waits for can only be the bystander: let it come back.
                a_round.stage.bystander.end()
            seen = now
        raise Stuck(hung or "a thread did not come back, and is in no wait for a child")

    def _waiting(self) -> dict[int, str]:
        """Return the threads that are in a wait for a child, with the call's arguments."""
        waits = {str(number("waitid")), str(number("wait4"))}
        found = {}
        for index in tuple(self._running):
            with contextlib.suppress(OSError):
                tid = self._threads[index].native_id
                with open(f"/proc/self/task/{tid}/syscall", encoding="ascii") as call:
                    words = call.read().split()
                if words[0] in waits:
                    found[index] = " ".join(words[:4])
        return found

    def close(self) -> None:
        """End the threads that came back."""
        self._round = None
        for gate in self._gates:
            gate.release()
        for index, thread in enumerate(self._threads):
            if index not in self._running:
                thread.join()


class Stuck(Exception):
    """A thread that could not be freed: the run ends here."""


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
        # Before the threads: it forks.
        recycler = stack.enter_context(_recycler(stage))
        threads = _Threads(plan.threads)
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
    threads: _Threads,
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
        if tally.seconds >= plan.seconds or number_of_round == plan.rounds:
            return
        if progress is not None and time.perf_counter() - told > 0.5:
            told = time.perf_counter()
            progress(tally)
        which = number_of_round if plan.only is None else plan.only
        drawn = programs(plan, subject, which)
        a_round = _Round(subject, stage, drawn)
        broken = _play(a_round, threads, recycler, plan.threads, tally)
        broken = broken or _judge(a_round, subject, monitor, descriptors, tally)
        tally.rounds += 1
        tally.operations += len(a_round.events) // 2
        tally.outcomes.update(e.outcome for e in a_round.events if e.outcome is not None)
        if broken is not None:
            tally.failure = broken.failure(which, a_round)
            tally.seconds = time.perf_counter() - start
            return


class _Broken(NamedTuple):
    law: str
    text: str
    event: int | None = None

    def failure(self, which: int, a_round: _Round) -> Failure:
        return Failure(self.law, which, self.text, tuple(a_round.events), self.event)


def _play(
    a_round: _Round,
    threads: _Threads,
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
    a_round: _Round, subject: Subject, monitor: Monitor, descriptors: int, tally: Tally
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
    a_round.child.close()
    stage.process = None
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
