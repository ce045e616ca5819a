"""A wide word folded to the bits that tell its values apart, for tools whose integers are short.

Where no constant of a design tells two neighbouring bits apart, they are the middle of a counter.
Of such a run its lowest five bits are kept, of all others every one:

    Go's word      63 | 62 | 61 … 6 | 5 … 1 | 0          8 bits of 64
    Go's fdMutex   63 | 62 … 49 | 48 … 44 | 43 | …       25 bits of 64: three counters, three flags
                        dropped

Folding keeps sums, differences, masks and the order of words, as long as every counter stays within
the bits that it keeps: it starts at 0 or within one of its ends and moves by one for each thread.
So a scenario of at most 60 threads has the same states, folded or not; spilled borrows and carries
run through a folded counter as through the whole one, for all its bits are alike then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lastref.model.algebra import Expr, walk
from lastref.model.table import DesignError

KEPT = 5
"""How many bits of a run are kept."""
MOST_THREADS = 60
WIDEST = 30
"""How many bits a folded word may have: Promela's int has 32, one for the sign, one for a carry."""


class Fold:
    """Which bits of the words of one width are kept, their positions from the lowest."""

    def __init__(self, width: int, constants: Iterable[int]) -> None:
        known = set(constants)
        runs = [[0]]
        for bit in range(1, width):
            if any((value >> bit ^ value >> bit - 1) & 1 for value in known):
                runs.append([])
            runs[-1].append(bit)
        self.kept = tuple(bit for run in runs for bit in run[:KEPT])
        self.width = len(self.kept)
        self.mask = (1 << self.width) - 1
        if self.width > WIDEST:
            raise DesignError(
                f"the design tells {len(runs)} fields of a word of {width} bits apart",
                f"folded it still has {self.width} bits, and {WIDEST} is the most",
                "export it to TLA+, which takes words as they are",
            )

    @property
    def most(self) -> int:
        """How many threads a folded word can count."""
        first = next((i for i, bit in enumerate(self.kept) if i != bit), None)
        return MOST_THREADS if first is None else min(MOST_THREADS, (1 << first) - 4)

    def of(self, value: int) -> int:
        """Return a word, folded."""
        return sum((value >> bit & 1) << place for place, bit in enumerate(self.kept))


def folds(expressions: Sequence[Expr], values: Iterable[tuple[int, int]]) -> dict[int, Fold]:
    """Return the fold for each width of the expressions and of the ``(value, width)`` pairs."""
    constants: dict[int, set[int]] = {}
    for expr in (node for whole in expressions for node in walk(whole)):
        found = constants.setdefault(expr.width, set())
        if expr.op == "const":
            found.add(expr.value)
    for value, width in values:
        constants.setdefault(width, set()).add(value)
    return {width: Fold(width, found) for width, found in constants.items() if width}
