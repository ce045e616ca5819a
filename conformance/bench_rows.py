"""What `lastref bench` measures, row by row, and our side of each: run in a process of its own.

    python -m lastref.conformance.bench_rows same-one-6        one row, as a line of JSON

A row is a question about go-2024 (or one of its faulty forerunners) that two programs answer, or
one of :mod:`~lastref.conformance.bench_proofs` that only we do:

    same       Spin's very states: load and compare-and-swap apart, threads told apart, no reduction
    verdict    to the same verdict: Spin with its reductions; we count threads of the fused table
    counter    both count threads: Spin on a model written for it by hand, we on the table
    fault      until the counterexample of 2023 is found
    proof      induction for each sound design, Spacer with eight seeds, `lastref verify`'s model

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
PROOF = "proof"
_MIXED = "signal|wait|release"
_AGAIN_BELOW = 0.5
PROVED = (
    ("go-2024", "linux"),
    ("go-2024", "linux-find"),
    ("go-2024", "windows"),
    ("go-2025", "linux"),
    ("go-2025", "windows"),
    ("dotnet-safehandle", "any"),
    ("go-fdmutex", "any"),
)
"""The sound designs: those with an invariant for all laws, said here without importing z3."""
SEEDS = 8
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
    about: tuple[str, ...] = ("go-2024", "linux")
    faulty: bool = False

    @property
    def design(self) -> str:
        """The design that the row is about; empty if it is about all."""
        return self.about[0] if self.about else ""

    @property
    def platform(self) -> str:
        """The platform that the row is about; empty if it is about all."""
        return self.about[1] if self.about else ""


@dataclass(frozen=True)
class Answer:
    """What our side found: exact counts, the broken laws, and the processor time that it took.

    ``states`` of a proof are the cases that it decided.
    """

    states: int
    transitions: int
    complete: bool
    broken: tuple[str, ...]
    seconds: float


def _same(threads: int, size: int, *, mixed: bool = False) -> Row:
    kind = "mixed" if mixed else "one"
    return Row(f"same-{kind}-{threads}", "same", threads, mixed, IDENTITIES, FINE, size=size)


def _proof(row_id: str, engine: str, *about: str, size: int = QUICK, faulty: bool = False) -> Row:
    why = "no other program answers this"
    return Row(
        row_id,
        PROOF,
        0,
        False,
        engine,
        size=size,
        why_no_peer=why,
        about=about,
        faulty=faulty,
    )


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
    Row(
        "fault-2023",
        "fault",
        2,
        False,
        UNTIL,
        EXPORT,
        True,
        QUICK,
        about=("go-2023-pidfd", "linux"),
        faulty=True,
    ),
    *(_proof(f"induction-{d}-{p}", "induction", d, p) for d, p in PROVED),
    *(_proof(f"spacer-{n}", "invariant", "go-2024", "linux", str(n)) for n in range(SEEDS)),
    _proof("spacer-2023", "counterexample", "go-2023-pidfd", "linux", "go-67641", faulty=True),
    _proof("verify-model", "verify", size=USUAL),
)


def row(row_id: str) -> Row:
    """Return the row of that id; :class:`KeyError` if there is none."""
    return {r.id: r for r in ROWS}[row_id]


def question(asked: Row) -> tuple[Table, Scenario]:
    """Return the table and the scenario that a row is about."""
    if asked.engine == UNTIL:
        return get(*asked.about), scenario("signal", "release", initial={"exited": 1})
    one = ("wait", "release", *["signal"] * (asked.threads - 2))
    calls = (_MIXED,) * asked.threads if asked.mixed else one
    under = scenario(*calls, initial={"exited": 1}, adversary=["reopen"])
    return get(*asked.about), under


def exported(asked: Row) -> str:
    """Return the question as Promela, from the table itself."""
    return promela(*question(asked))


def answer(asked: Row) -> Answer:
    """Answer a row; one that takes no time is asked again, and the best time counts.

    A proof is not: what the prover does depends on what it has been asked before.
    """
    if asked.group == PROOF:
        return _proved(asked)
    best = _once(asked)
    for _ in range(_TIMES - 1):
        if best.seconds >= _AGAIN_BELOW:
            break
        best = min(best, _once(asked), key=lambda a: a.seconds)
    return best


def _proved(asked: Row) -> Answer:
    from lastref.conformance import bench_proofs  # z3: the memory of the other rows is without it

    start = time.process_time()
    cases, broken, complete = bench_proofs.answer(asked.engine, asked.about)
    return Answer(cases, 0, complete, broken, time.process_time() - start)


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
