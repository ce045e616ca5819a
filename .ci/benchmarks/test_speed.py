"""How fast the model's engines are: run by .ci/benchmark, and once each, untimed, by the tests.

Every benchmark also asserts its answer, so that nothing is fast because it does nothing.
"""

from __future__ import annotations

from typing import Any

from lastref.conformance.coverage import every_view, runs_through
from lastref.conformance.tables_document import tables_document
from lastref.conformance.trace import parse, record
from lastref.model.designs import get
from lastref.model.explore import explore
from lastref.model.fuse import fuse
from lastref.model.packed import count_states
from lastref.model.prove import prove_table
from lastref.model.sweep import sweep
from lastref.model.system import Scenario, System, scenario
from lastref.model.tla import tla

MIXED = "signal|wait|release"


def mixed(threads: int) -> Scenario:
    """Return a scenario of threads that each pick a method, on a process that has ended."""
    return scenario(*[MIXED] * threads, initial={"exited": 1}, adversary=["reopen"])


def test_plain_search(benchmark: Any) -> None:
    """The reference search, every state of three threads."""
    system = System(get("go-2024"), scenario("wait", "kill", "release"))
    assert benchmark(explore, system).holds


def test_compiling_a_table(benchmark: Any) -> None:
    """A table and a scenario to a system that can take steps."""
    assert benchmark(System, get("go-2024"), mixed(3)).initial


def test_counting_search(benchmark: Any) -> None:
    """Threads counted instead of told apart, on the fused table: five that pick their method."""
    assert benchmark(lambda: count_states(System(fuse(get("go-2024")).fused, mixed(5)))).holds


def test_sweep(benchmark: Any) -> None:
    """The vectorised search of four threads that are told apart."""
    swept = benchmark(lambda: sweep(System(get("go-2024"), mixed(4)), counting=False))
    assert swept.states
    assert not swept.broken


def test_shortest_counterexample(benchmark: Any) -> None:
    """Go issue 67641, found from the table of 2023."""
    system = System(get("go-2023-pidfd"), scenario("kill", "release"))
    broken = benchmark(lambda: explore(system, stop_at="no-wrong-process").counterexamples)
    assert len(broken["no-wrong-process"].steps) == 6


def test_bit_level_proof(benchmark: Any) -> None:
    """Every obligation of every command of .NET's SafeHandle, by z3."""
    proofs = benchmark.pedantic(prove_table, (get("dotnet-safehandle", "any"),), rounds=3)
    assert all(proof.holds for proof in proofs)


def test_runs_through_every_view(benchmark: Any) -> None:
    """The schedules of a quick replay of three threads."""
    system = System(get("go-2024"), scenario("wait", "signal", "release"))
    assert list(benchmark(lambda: list(runs_through(system, every_view))))


def test_a_trace_and_back(benchmark: Any) -> None:
    """A run to its schedule string, and the string to a run."""
    system = System(get("go-2023-pidfd"), scenario("kill", "release"))
    steps = explore(system).counterexamples["no-wrong-process"].steps
    assert benchmark(lambda: parse(record(system, steps).schedule)).steps


def test_exports(benchmark: Any) -> None:
    """All tables as JSON, and one as TLA+."""

    def both() -> int:
        module = tla(get("go-2024"), scenario("wait", "kill", "release"))
        return len(tables_document()["tables"]) + len(module.text)

    assert benchmark(both)
