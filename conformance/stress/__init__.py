"""Free-running stress: real threads hammer one handle while its numbers are recycled under them.

    stressed = stress(Plan(seconds=30), "go-2024")
    stressed.tally.failure          # None, or the broken law with the whole history

spec.py is what is allowed, monitor.py judges a history by it, hammer.py makes the histories.
"""

from __future__ import annotations

from lastref.conformance.stress.checks import checks, figures
from lastref.conformance.stress.hammer import LAWS, Failure, Plan, Tally, hammer
from lastref.conformance.stress.run import Stressed, hammer_inside, stress
from lastref.conformance.stress.subject import SUBJECTS, Subject

__all__ = [
    "LAWS",
    "SUBJECTS",
    "Failure",
    "Plan",
    "Stressed",
    "Subject",
    "Tally",
    "checks",
    "figures",
    "hammer",
    "hammer_inside",
    "stress",
]
