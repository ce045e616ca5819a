"""Hypothesis profiles: ``dev`` (quick), ``ci`` (more, repeatable) and ``thorough`` (much more).

Choose one with ``HYPOTHESIS_PROFILE``; where ``CI`` is set the default is ``ci``.  No profile has a
deadline: a slow machine is no failure.
"""

import os

from hypothesis import HealthCheck, settings

COMMON = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": (HealthCheck.too_slow, HealthCheck.filter_too_much),
}
settings.register_profile("dev", max_examples=30, stateful_step_count=40, **COMMON)
settings.register_profile(
    "ci", max_examples=100, stateful_step_count=50, derandomize=True, **COMMON
)
settings.register_profile("thorough", max_examples=3000, stateful_step_count=80, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))
