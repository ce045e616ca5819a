"""The named cases: each breaks its law, and the explorer's shortest run has the length it says."""

import pytest

from lastref.model.cases import CASES, Case, case
from lastref.model.explore import explore
from lastref.model.system import System
from lastref.model.table import DesignError


@pytest.mark.parametrize("named", CASES, ids=lambda c: c.id)
def test_a_named_case_breaks_its_law_in_the_steps_it_says(named: Case) -> None:
    """The smallest scenario of the case, searched breadth first."""
    found = explore(System(named.table, named.scenario), stop_at=named.law)
    assert len(found.counterexamples[named.law].steps) == named.steps


def test_a_case_is_found_by_its_name() -> None:
    """An unknown name is refused with the names that there are."""
    assert case("go-67641").design == "go-2023-pidfd"
    assert len({c.id for c in CASES}) == len(CASES)
    with pytest.raises(DesignError, match="go-67641"):
        case("go-1")
