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
    "test_bench_replay.py": ("pidfd-open",),
    "test_faults.py": ("pidfd-open",),
    "test_fleet.py": ("pidfd-open",),
    "test_kernel_facts.py": ("pidfd-open",),
    "test_replay.py": ("pidfd-open",),
    "test_stress.py": ("pidfd-open",),
    "test_tiny.py": ("pidfd-open",),
}
"""What every test of a file needs."""


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
    for name in (*NEEDS.get(item.path.name, ()), *marked):
        found = capability(name)
        if not found.available:
            pytest.skip(f"{name}: {found.detail}; {found.remedy}")
