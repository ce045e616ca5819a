"""Words read field by field say what their bits say, as long as every count stays in its field."""

import pytest
import z3

from lastref.model.algebra import var
from lastref.model.designs import all_tables, get
from lastref.model.fields import HANDLE_WORD, Layout, faithful, integers, plain
from lastref.model.spacer import LAYOUTS
from lastref.model.table import DesignError, Table, Variable, shared

WITH_LAYOUT = [t for t in all_tables() if t.id in LAYOUTS]


@pytest.mark.parametrize("table", WITH_LAYOUT, ids=lambda t: f"{t.id}-{t.platform}")
def test_every_guard_and_update_is_read_faithfully(table: Table) -> None:
    """z3: over all words, the fields of the result are the bits of the result."""
    variables: tuple[Variable, ...] = (*table.shared, *table.local)
    solver = z3.SimpleSolver()
    read = 0
    for c in (*table.commands, *table.kernel):
        for expr in (c.guard, *(e for _, e in c.update)):
            stays, claim, _ = faithful(expr, variables, LAYOUTS[table.id])
            solver.push()
            solver.add(*stays, z3.Not(claim))
            assert solver.check() == z3.unsat, c.name
            solver.pop()
            read += 1
    assert read > 10


def test_without_its_premise_the_reading_differs() -> None:
    """A count that runs over carries into a flag, and the reading does not see it."""
    word = get("go-2024").variables["word"]
    stays, claim, terms = faithful(word + 1, [word], {64: HANDLE_WORD})
    solver = z3.SimpleSolver()
    solver.add(z3.Not(claim))
    assert solver.check() == z3.sat
    assert solver.model()[terms["word"]].as_long() & ((1 << 62) - 1) == (1 << 62) - 1
    solver.add(*stays)
    assert solver.check() == z3.unsat


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda w: w & 6, "cuts through a count"),
        (lambda w: w ^ 1, "mixes fields"),
        (lambda w: w + (1 << 62), "adds to a flag"),
    ],
)
def test_what_cannot_be_read_by_fields_is_refused(build: object, reason: str) -> None:
    """A mask through the middle of a count, or a sum with a flag, has no reading."""
    word = shared("word", 64, "")
    with pytest.raises(DesignError, match=reason):
        faithful(build(word), [word], {64: HANDLE_WORD})  # type: ignore[operator]


def test_words_of_several_fields_are_not_ordered() -> None:
    """Less-than is for plain numbers only; a small variable is its bits."""
    word = shared("word", 64, "")
    with pytest.raises(DesignError, match="orders words"):
        faithful(word < 5, [word], {64: HANDLE_WORD})
    assert plain(2) == Layout(flags=(0, 1))
    number = var("n", 8)
    term = integers({}).condition(number < 5, {"n": integers({}).literal(4, 8)})
    assert z3.is_true(z3.simplify(term))
