"""The pytest plugin: ``pytest --lastref-adapter CMD`` is one test for each conformance case.

pytest loads this module wherever lastref is installed, so it holds the options, the names of the
fixtures and nothing else: without ``--lastref-adapter``, and without a test that asks for one of
the fixtures, no other module of lastref is imported and no test is added.

    --lastref-adapter CMD     plugin/cases.py      a test per case, beside the project's own
    lastref_check, lastref_race                    the cases, and the orders of one race, on a class
    lastref_replay            plugin/schedules.py  the model's interleavings on a class
    lastref_scene             plugin/scenes.py     a scenario of one's own, in a PID namespace

See docs/adopt.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lastref.conformance.plugin.handles import CheckHandle, RaceHandle
    from lastref.conformance.plugin.scenes import RunScene
    from lastref.conformance.plugin.schedules import ReplayHandle


_UNSET: dict[str, object] = {
    "lastref_case": [],
    "lastref_shard": "1/1",
    "lastref_expect": None,
    "lastref_deadline": None,
    "lastref_traces": None,
}
"""The options beside the adapter's, as they are where nobody gives them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; each has the meaning of the same one of ``lastref check``."""
    group = parser.getgroup("lastref", "conformance of a process handle (lastref)")
    group.addoption(
        "--lastref-adapter",
        metavar="CMD",
        help="Add a test for each conformance case, on the adapter of that name or command.",
    )
    group.addoption(
        "--lastref-case",
        metavar="GLOB",
        action="append",
        default=[],
        help="Only the matching cases, such as 'overlap/*'; may be repeated.",
    )
    group.addoption("--lastref-shard", metavar="I/N", default="1/1", help="The I-th of N parts.")
    group.addoption(
        "--lastref-expect",
        metavar="FILE",
        help="The list of known deviations, which are strict xfails; 'none' for none. "
        "Default: the adapter's own.",
    )
    group.addoption(
        "--lastref-deadline",
        metavar="SECONDS",
        type=float,
        help="For each message of the adapter.",
    )
    group.addoption(
        "--lastref-traces",
        metavar="FOLDER",
        help="Write each wrong order that the gate finds as a file for 'lastref replay'.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Set the cases up if an adapter is named; else do nothing at all.

    An option that would then say nothing is refused: a gate that is left open looks like a pass.
    """
    if config.option.lastref_adapter is not None:
        from lastref.conformance.plugin.cases import set_up

        set_up(config)
        return
    for name, unset in _UNSET.items():
        if getattr(config.option, name) != unset:
            option = f"--{name.replace('_', '-')}"
            raise pytest.UsageError(
                f"lastref: {option} says nothing by itself: no adapter is named; "
                "add --lastref-adapter CMD, or leave it out"
            )


@pytest.fixture
def lastref_check(request: pytest.FixtureRequest) -> CheckHandle:
    """Return a function that runs conformance cases on a class: ``lastref_check(Handle, GLOB…)``.

    The test fails at what deviates.  What it returns are the outcomes of the cases that ran.
    """
    from lastref.conformance.plugin.handles import check_for

    return check_for(request)


@pytest.fixture
def lastref_race(request: pytest.FixtureRequest) -> RaceHandle:
    """Return a function that tries every order of a race: ``lastref_race(Handle, SCENARIO)``.

    The class's system calls are held and let go one by one, and every pid and descriptor that
    comes free is given away.  The test fails if a process is hit that no call named.
    """
    from lastref.conformance.plugin.handles import race_for

    return race_for(request)


@pytest.fixture
def lastref_replay() -> ReplayHandle:
    """Return a function that replays the model's interleavings on a class written for the seam.

    ``lastref_replay(Handle, "kill", "release")``, where ``Handle.adopt(child, parts)`` is as in
    ``lastref.impl``.  The test fails at the first step that is not the model's.
    """
    from lastref.conformance.plugin.schedules import replay_handle

    return replay_handle


@pytest.fixture(scope="session")
def _lastref_sandbox() -> Iterator[RunScene]:
    from lastref.conformance.plugin.scenes import scenes

    with scenes() as run:
        yield run


@pytest.fixture
def lastref_scene(_lastref_sandbox: RunScene) -> RunScene:
    """Return a function that runs ``scenario(scene, …)`` in a PID namespace of its own.

    The scene has children to hold, and gives pids and descriptors away on demand.  The test fails
    if what they were given to is hit.
    """
    return _lastref_sandbox
