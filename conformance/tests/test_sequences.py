"""The outcome tables for real: each sequence of calls returns what the model says."""

import pytest

from lastref.conformance.sandbox import Sandbox, unavailable
from lastref.conformance.sequences import replay_sequences_inside
from lastref.conformance.subjects import SUBJECTS

ROWS = {
    ("go-2024", "linux"): {
        "W;W": "EPD",
        "W;S": "EPD",
        "W;K": "EPD",
        "R;W": "EINVAL",
        "R;S": "REL",
        "R;R": "nil",
        "W;R": "nil",
        "W;R;S": "EPD",
        "W;R;W": "EPD",
        "R;F": "UNSUP",
        "find-missing: W": "EPD",
        "find-missing: S": "EPD",
        "find-missing: R;R": "nil",
        "find-missing: R;W": "EPD",
        "find-missing: R;S": "EPD",
    },
    ("go-2024", "linux-pid"): {
        "W;W": "waitid:ECHILD",
        "W;S": "EPD",
        "W;K": "EPD",
        "R;W": "EINVAL",
        "R;S": "REL",
        "R;R": "nil",
        "W;R": "nil",
        "W;R;S": "EPD",
        "W;R;W": "waitid:EINVAL",
        "R;F": "UNSUP",
        "find-missing: W": "waitid:ECHILD",
        "find-missing: S": "EPD",
        "find-missing: R;W": "EINVAL",
        "find-missing: R;S": "REL",
        "zero-literal: S": "UNINIT",
        "zero-literal: W": "waitid:EINVAL",
        "literal-minus-one: S": "nil",  # kill(-1), for real: everybody in the namespace
    },
    ("go-2025", "linux-pid"): {
        "find-missing: R;W": "waitid:EINVAL",
        "find-missing: R;S": "REL",
        "literal-minus-one: S": "REL",
    },
    ("go-2025", "linux"): {
        "W;W": "wait:ECHILD",
        "W;S": "EPD",
        "W;K": "EPD",
        "R;W": "EINVAL",
        "R;S": "REL",
        "R;R": "nil",
        "W;R": "nil",
        "W;R;S": "EPD",
        "W;R;W": "wait:ECHILD",
        "R;F": "UNSUP",
    },
}
"""The columns that were run on a real Linux when the designs were written down."""


@pytest.mark.parametrize("name", list(SUBJECTS), ids="/".join)
def test_every_sequence_returns_on_the_real_kernel_what_it_does_in_the_model(
    name: tuple[str, str],
) -> None:
    """All sequences of up to three calls from each start, the known table's rows among them."""
    reason = unavailable()
    if reason is not None:
        pytest.skip(reason)
    with Sandbox() as sandbox:
        found = replay_sequences_inside(sandbox, *name, 3)
    assert found.first is None
    starts = len({row.partition(": ")[0] for row in found.rows if ": " in row}) + 1
    assert found.replayed + found.hung == (5 + 25 + 125) * starts
    assert found.hung == 0 or name == ("pid-naive", "linux-pid")
    for row, outcome in ROWS.get(name, {}).items():
        assert (row, found.rows[row]) == (row, outcome)
