"""What the specification makes of a history: the word after each event, and the commands taken.

An implementation behind an adapter shows its calls and their returns, and nothing between them.
Its specification's table, run with the same calls, has a state in between:

    wait?      signal?    signal → nil   exit          wait → ok
    ok 2       ok 2       ok 2           done 0        done 0

The state shown with an event is the one in which every call that has begun, and the kernel, have
come as far as they can; the suite lets them.  Where the order in which they do so leaves several
states, or none that fits what was returned, there is no word.  A command counts as taken if every
run that explains the whole history takes it.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lastref.conformance.situations import beginning
from lastref.conformance.specification import HAPPENS, Specification
from lastref.conformance.suite import FOREIGN
from lastref.model.system import KERNEL, Scenario, State, System, Thread
from lastref.model.table import END, PANICKED, Table

RETURNS, INVOKES, EXIT = " → ", "?", "exit"
LIMIT = 20_000
"""So many explanations of one history are followed; with more it stays unexplained."""
_KILL = ("kill", "nil")
_DECOYS = 2
"""The events that end the history of an overlap: the suite waits for another child."""


class _Run(NamedTuple):
    """One way to explain a history so far: the state, and what of each thread's call is known.

    ``told`` has a thread's outcome while its call is under way, None before and after.
    """

    state: State
    told: tuple[str | None, ...]


@dataclass(frozen=True)
class Explained:
    """The word at the start and after each event (None: not known, or the design has none).

    ``commands`` are those that were taken for sure.
    """

    words: tuple[int | None, ...]
    commands: frozenset[str]


def explain(specification: str, case: str, events: Sequence[str]) -> Explained | None:
    """Return what ``DESIGN/PLATFORM`` makes of the history of a case, or None if nothing fits it.

    ``case`` is the id of one of :mod:`~lastref.conformance.suite`; its first part is the situation.
    """
    situation = case.partition("/")[0]
    try:
        begins = beginning(specification, situation)
    except KeyError:  # a situation without an object of the specification: the gate's, say
        return None
    if begins.specification is None:
        return None
    decoys = _DECOYS if situation == "overlap" else 0
    own = _as_called(case, events[: len(events) - decoys])
    found = _follow(begins.specification, tuple(own))
    if found is None:
        return None
    return Explained((*found.words, *found.words[-1:] * decoys), found.commands)


def _as_called(case: str, events: Sequence[str]) -> Iterator[str]:
    """Yield the events with the calls as the case names them: a foreign signal is a signal, too."""
    sent = iter(call for call in case.split("/")[1].split(".") if call in ("signal", FOREIGN))
    name = "signal"
    for event in events:
        if not event.startswith("signal"):
            yield event
            continue
        if event.endswith(INVOKES):
            name = next(sent, "signal")
        yield name + event.removeprefix("signal")


@functools.lru_cache(maxsize=4096)
def _follow(specification: Specification, events: tuple[str, ...]) -> Explained | None:
    methods = specification.table.methods
    calls = [e.removesuffix(INVOKES) for e in events if e.removesuffix(INVOKES) in methods]
    if not calls:
        return None
    system = _system(specification, max(Counter(calls).values()))
    threads = [t.calls[0] for t in system.scenario.threads]
    start = _Run(system.initial, (None,) * len(threads))
    runs: dict[_Run, frozenset[str]] = {start: frozenset()}
    begun = Counter[str]()
    words = [_word(system.table, runs)]
    exits = False
    for event in events:
        call, returned, outcome = event.partition(RETURNS)
        method = call.removesuffix(INVOKES)
        if method not in methods and event != EXIT:  # a look at the word, say
            words.append(words[-1])
            continue
        if returned:
            runs = dict(_returned(system, runs, threads, method, outcome))
        elif event.endswith(INVOKES):
            number = [i for i, m in enumerate(threads) if m == method][begun[method]]
            begun[method] += 1
            runs = {r._replace(told=_with(r.told, number, "")): c for r, c in runs.items()}
        exits |= event == EXIT or (call, outcome) == _KILL
        runs = _settled(system, runs, exits=exits)
        if not runs:
            return None
        words.append(_word(system.table, runs))
    return Explained(tuple(words), frozenset.intersection(*runs.values()))


@functools.lru_cache(maxsize=256)
def _system(specification: Specification, times: int) -> System:
    """Return the specification's table with as many threads as calls of one method may begin."""
    methods = [m for m in specification.table.methods for _ in range(times)]
    threads = tuple(Thread(f"{m}{n}", (m,)) for n, m in enumerate(methods))
    happens = HAPPENS & {command.name for command in specification.table.kernel}
    return System(specification.table, Scenario(threads, specification.initial, adversary=happens))


def _with(told: tuple[str | None, ...], number: int, value: str | None) -> tuple[str | None, ...]:
    return (*told[:number], value, *told[number + 1 :])


def _settled(
    system: System, runs: Mapping[_Run, frozenset[str]], *, exits: bool
) -> dict[_Run, frozenset[str]]:
    """Return the runs in which nothing more can happen; none if there are too many on the way."""
    taken = dict(runs)
    going = list(runs)
    quiet: set[_Run] = set()
    while going:
        run = going.pop()
        quiet.add(run)
        for after, command in _steps(system, run, exits=exits):
            quiet.discard(run)
            commands = taken[run] | {command}
            known = taken.get(after)
            if known is None or not known <= commands:
                taken[after] = commands if known is None else known & commands
                going.append(after)
        if len(taken) > LIMIT:
            return {}
    return {run: taken[run] for run in quiet}


def _steps(system: System, run: _Run, *, exits: bool) -> Iterator[tuple[_Run, str]]:
    """Yield where a run can go on to: calls under way take steps, and the kernel if it may."""
    for number, told in enumerate(run.told):
        if told is None:
            continue
        for step in system.thread_steps(run.state, number):
            assert step.command is not None, "each thread has one method"
            outcome = step.command.outcome or told
            yield _Run(step.state, _with(run.told, number, outcome)), step.command.name
    if exits:
        for step in system.kernel_steps(run.state):
            assert step.actor == KERNEL
            yield _Run(step.state, run.told), step.name


def _returned(
    system: System,
    runs: Mapping[_Run, frozenset[str]],
    threads: Sequence[str],
    method: str,
    outcome: str,
) -> Iterable[tuple[_Run, frozenset[str]]]:
    """Yield the runs in which a call of ``method`` is over with ``outcome``, that call put away."""
    for run, commands in runs.items():
        for number, told in enumerate(run.told):
            place = system.location(run.state[1][number][0])
            if (threads[number], told) == (method, outcome) and place in (END, PANICKED):
                yield run._replace(told=_with(run.told, number, None)), commands


def _word(table: Table, runs: Iterable[_Run]) -> int | None:
    """Return the word of ``runs`` if they all have the same."""
    place = next((i for i, v in enumerate(table.shared) if v.name == "word"), None)
    if place is None:
        return None
    words = {run.state[0][place] for run in runs}
    return words.pop() if len(words) == 1 else None
