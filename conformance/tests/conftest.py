"""What the tests need of the machine, by the doctor's names; where it is missing, they are skipped.

A test or a module that needs more than Python says so with ``@pytest.mark.needs("pidfd-open")``, or
stands in ``NEEDS`` if all of it drives real processes in Linux' way.  The reason of a skip is what
the doctor's own probe saw.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from lastref.conformance.doctor import PROBES, Capability
from lastref.conformance.stage_windows import WindowsStage

NEEDS: dict[str, tuple[str, ...]] = {
    "test_adoption.py": ("pidfd-open",),
    "test_bench.py::test_a_program_that_fails_is_quoted": ("pidfd-open",),
    "test_bench.py::test_a_proof_is_measured_and_has_no_peer": ("pidfd-open",),
    "test_bench.py::test_a_run_that_takes_too_long_is_ended": ("pidfd-open",),
    "test_bench.py::test_our_side_runs_in_a_process_of_its_own": ("pidfd-open",),
    "test_bench.py::test_the_command_writes_its_result_and_its_plot": ("pidfd-open",),
    "test_bench.py::test_without_spin_a_row_is_unable_and_says_why": ("pidfd-open",),
    "test_bench_replay.py": ("pidfd-open",),
    "test_check.py": ("pidfd-open",),
    "test_cli_gate.py": ("seccomp-notification",),
    "test_faults.py": ("pidfd-open",),
    "test_fleet.py": ("pidfd-open",),
    "test_gate_explore.py": ("seccomp-notification",),
    "test_gate_options.py": ("seccomp-notification",),
    "test_gate_pitfalls.py": ("seccomp-notification",),
    "test_gate_programs.py": ("seccomp-notification",),
    "test_gate_turns.py": ("seccomp-notification",),
    "test_house.py": ("git",),
    "test_kernel_facts.py": ("pidfd-open",),
    "test_mutants.py::test_a_mutant_that_breaks_a_law_is_killed_by_every_engine": ("pidfd-open",),
    "test_mutants.py::test_a_wrong_outcome_is_for_those_who_look_at_histories": ("pidfd-open",),
    "test_mutants.py::test_another_design_is_convicted_from_outside": ("pidfd-open",),
    "test_mutants.py::test_every_fault_is_noticed_by_the_replay_and_from_outside": ("pidfd-open",),
    "test_mutants.py::test_no_mutant_of_go_2024_survives_unexplained": ("pidfd-open",),
    "test_mutants.py::test_the_sound_implementation_shows_a_history_of_the_design": ("pidfd-open",),
    "test_plugin_cases.py": ("pidfd-open",),
    "test_plugin_fixtures.py": ("pidfd-open",),
    "test_protocol.py::test_the_complete_adapter_works": ("pidfd-open",),
    "test_replay.py": ("pidfd-open",),
    "test_report_command.py::test_a_check_of_an_implementation_writes_its_page": ("pidfd-open",),
    "test_resume.py": ("pidfd-open",),
    "test_settled.py": ("seccomp-notification",),
    "test_stress.py": ("pidfd-open",),
    "test_tiny.py": ("pidfd-open",),
    "test_verify.py::test_a_broken_guard_is_noticed_by_proof_exploration_and_replay": (
        "pidfd-open",
    ),
    "test_verify.py::test_an_implementation_with_a_fault_is_noticed": ("pidfd-open",),
    "test_verify.py::test_replay_of_the_old_race_says_which_law_it_breaks": ("pidfd-open",),
    "test_verify.py::test_verify_writes_one_result_of_the_published_schema": (
        "pidfd-open|win32-processes",
    ),
    "test_verify.py::test_without_a_sandbox_only_what_is_safe_is_replayed": ("pidfd-open",),
}
"""What every test of a file needs, or one test of it; ``a|b`` is one of the two."""


@cache
def capability(name: str) -> Capability:
    """Return what the doctor says of one capability; KeyError if it has no such probe."""
    return {probe.id: probe for probe in PROBES}[name].run()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "needs(*capabilities): skip where the doctor misses one")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose machine lacks what it needs."""
    marked = [name for mark in item.iter_markers("needs") for name in mark.args]
    file, test = item.path.name, item.name.partition("[")[0]
    for name in (*NEEDS.get(file, ()), *NEEDS.get(f"{file}::{test}", ()), *marked):
        found = [capability(either) for either in name.split("|")]
        if not any(each.available for each in found):
            pytest.skip(f"{name}: {found[0].detail}; {found[0].remedy}")


@pytest.fixture(scope="module")
def windows_stage() -> Iterator[WindowsStage]:
    """Return a stage on Windows; skip where the doctor's probe finds none."""
    found = capability("win32-processes")
    if not found.available:
        pytest.skip(f"{found.detail}; {found.remedy}")
    with WindowsStage() as stage:
        yield stage


@pytest.fixture(scope="session")
def bash() -> str:
    """Return the path of a bash of 4.4 or later, which macOS' own is not.

    Where it is another system's beside this one, its paths mean nothing to our programs.
    """
    found = shutil.which("bash") if os.name == "posix" else None
    new = "((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404))"
    if found is None or subprocess.run([found, "--norc", "-c", new], check=False).returncode != 0:
        pytest.skip("no bash of 4.4 or later of this system on PATH: install the package bash")
    return found


@pytest.fixture(scope="session")
def sarif_schema() -> Draft7Validator:
    """Return the validator of OASIS's schema, itself held to its own."""
    file = Path(__file__).parent / "data" / "sarif-schema-2.1.0.json"
    schema = json.loads(file.read_text(encoding="utf-8"))
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)
