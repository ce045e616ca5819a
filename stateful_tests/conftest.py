"""Hypothesis profiles: ``dev`` (quick), ``ci`` (more, repeatable) and ``thorough`` (much more).

Choose one with ``HYPOTHESIS_PROFILE``; where ``CI`` is set the default is ``ci``.  No profile has a
deadline: a slow machine is no failure.

``LASTREF_EXAMPLES`` lets machines share what they find (see ``examples``).  What others have found
is tried first, so then no profile is repeatable by itself: ``ci`` draws anew as well.
"""

import os
from typing import Any

import pytest
from examples import VARIABLE, database
from hypothesis import HealthCheck, settings


def pytest_configure(config: pytest.Config) -> None:
    """Make the profiles, and load the one that is asked for."""
    common: dict[str, Any] = {
        "deadline": None,
        "print_blob": True,
        "suppress_health_check": (HealthCheck.too_slow, HealthCheck.filter_too_much),
    }
    repeatable: dict[str, Any] = {"derandomize": True}
    if where := os.environ.get(VARIABLE):
        common["database"] = database(where)
        repeatable = {}
    settings.register_profile("dev", max_examples=30, stateful_step_count=40, **common)
    settings.register_profile(
        "ci", max_examples=100, stateful_step_count=50, **repeatable, **common
    )
    settings.register_profile("thorough", max_examples=3000, stateful_step_count=80, **common)
    usual = "ci" if os.environ.get("CI") else "dev"
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", usual))
