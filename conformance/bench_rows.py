"""What `lastref bench` measures, row by row, and our side of each: run in a process of its own.

    python -m lastref.conformance.bench_rows same-one-6        one row, as a line of JSON

A row is a question about go-2024 (or one of its faulty forerunners) that two programs answer:

    same       Spin's very states: load and compare-and-swap apart, threads told apart, no reduction
    verdict    to the same verdict: Spin with its reductions; we count threads of the fused table
    counter    both count threads: Spin on a model written for it by hand, we on the table
    fault      until the counterexample of 2023 is found

Ours is timed in the process, from the table to the verdict, without the interpreter's start; so is
Spin's verifier without its generation and compilation, which are told apart.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass

from lastref.model.designs import get
from lastref.model.fuse import fuse
from lastref.model.packed import count_states
from lastref.model.promela import promela
from lastref.model.sweep import sweep
from lastref.model.system import Scenario, System, scenario
from lastref.model.table import Table

FINE, COUNTER, EXPORT = "handle_word_fine.pml", "handle_word_counter.pml", "export"
QUICK, USUAL, LONG = 0, 1, 2
PYTHON, IDENTITIES, COUNTING, UNTIL = "python", "identities", "counting", "until"
_MIXED = "signal|wait|release"
_AGAIN_BELOW = 0.5
_TIMES = 3


@dataclass(frozen=True)
class Row:
    """A question, how we answer it (``engine``) and what Spin is given (``peer``, or nothing).

    ``reduced`` lets Spin use its partial-order reduction; otherwise the states must be the same.
    ``size`` says from which length of run on the row is measured, and with the peer from
    ``peer_size`` on.
    """

    id: str
    group: str
    threads: int
    mixed: bool
    engine: str
    peer: str = ""
    reduced: bool = False
    size: int = USUAL
    peer_size: int = QUICK
    why_no_peer: str = ""


@dataclass(frozen=True)
class Answer:
    """What our side found: exact counts, the broken laws, and the processor time that it took."""

    states: int
    transitions: int
    complete: bool
    broken: tuple[str, ...]
    seconds: float


def _same(threads: int, size: int, *, mixed: bool = False) -> Row:
    kind = "mixed" if mixed else "one"
    return Row(f"same-{kind}-{threads}", "same", threads, mixed, IDENTITIES, FINE, size=size)


ROWS: tuple[Row, ...] = (
    _same(4, QUICK, mixed=True),
    _same(5, USUAL, mixed=True),
    _same(5, QUICK),
    _same(6, USUAL),
    _same(7, USUAL),
    Row(
        "same-one-8",
        "same",
        8,
        False,
        IDENTITIES,
        size=LONG,
        why_no_peer="Spin does not finish these 1.26e9 states in 24 GiB and 10 minutes",
    ),
    Row("verdict-4", "verdict", 4, True, PYTHON, FINE, True, QUICK),
    Row("verdict-5", "verdict", 5, True, PYTHON, FINE, True, USUAL),
    Row(
        "verdict-6",
        "verdict",
        6,
        True,
        PYTHON,
        FINE,
        True,
        QUICK,
        LONG,
        "Spin finds no end in 10 minutes; --long lets it try",
    ),
    Row("counter-mixed-8", "counter", 8, True, COUNTING, COUNTER, size=QUICK),
    Row("counter-mixed-16", "counter", 16, True, COUNTING, COUNTER),
    Row("counter-mixed-32", "counter", 32, True, COUNTING, COUNTER, size=LONG),
    Row("counter-one-64", "counter", 64, False, COUNTING, COUNTER),
    Row("counter-one-128", "counter", 128, False, COUNTING, COUNTER),
    Row("fault-2023", "fault", 2, False, UNTIL, EXPORT, True, QUICK),
)


def row(row_id: str) -> Row:
    """Return the row of that id; :class:`KeyError` if there is none."""
    return {r.id: r for r in ROWS}[row_id]


def question(asked: Row) -> tuple[Table, Scenario]:
    """Return the table and the scenario that a row is about."""
    if asked.engine == UNTIL:
        return get("go-2023-pidfd"), scenario("signal", "release", initial={"exited": 1})
    one = ("wait", "release", *["signal"] * (asked.threads - 2))
    calls = (_MIXED,) * asked.threads if asked.mixed else one
    under = scenario(*calls, initial={"exited": 1}, adversary=["reopen"])
    return get("go-2024"), under


def exported(asked: Row) -> str:
    """Return the question as Promela, from the table itself."""
    return promela(*question(asked))


def answer(asked: Row) -> Answer:
    """Answer a row; one that takes no time is asked again, and the best time counts."""
    best = _once(asked)
    for _ in range(_TIMES - 1):
        if best.seconds >= _AGAIN_BELOW:
            break
        best = min(best, _once(asked), key=lambda a: a.seconds)
    return best


def _once(asked: Row) -> Answer:
    table, under = question(asked)
    start = time.process_time()
    if asked.engine in (PYTHON, UNTIL):
        level = table if asked.engine == UNTIL else fuse(table).fused
        law = "no-use-after-close" if asked.engine == UNTIL else None
        found = count_states(System(level, under), stop_at=law)
        return Answer(
            found.states,
            found.transitions,
            found.complete,
            tuple(sorted(found.counterexamples)),
            time.process_time() - start,
        )
    counting = asked.engine == COUNTING
    swept = sweep(System(fuse(table).fused if counting else table, under), counting=counting)
    seconds = time.process_time() - start
    return Answer(swept.states, swept.transitions, True, tuple(sorted(swept.broken)), seconds)


if __name__ == "__main__":
    print(json.dumps(asdict(answer(row(sys.argv[1])))))
