"""What the tests need of the machine, by the doctor's names; where it is missing, they are skipped.

A test or a module that needs more than Python says so with ``@pytest.mark.needs("pidfd-open")``, or
stands in ``NEEDS`` if all of it drives real processes in Linux' way.  The reason of a skip is what
the doctor's own probe saw.
"""

from __future__ import annotations

from functools import cache

import pytest

from lastref.conformance.doctor import PROBES, Capability

NEEDS: dict[str, tuple[str, ...]] = {
    "test_bench.py::test_a_program_that_fails_is_quoted": ("pidfd-open",),
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
    "test_gate_pitfalls.py": ("seccomp-notification",),
    "test_gate_programs.py": ("seccomp-notification",),
    "test_house.py": ("git",),
    "test_kernel_facts.py": ("pidfd-open",),
