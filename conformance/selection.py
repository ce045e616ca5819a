"""Which cases a run takes: a pattern, a shard, an order.

A shard ``I/N`` takes every N-th of the cases that the pattern leaves, from the I-th on: all shards
together take each case once.  What takes no case at all is a mistake and is refused.
"""

from __future__ import annotations

import fnmatch
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lastref.conformance.errors import UserError
from lastref.conformance.suite import ENDING, HANDSHAKE, Case


@dataclass(frozen=True)
class Selection:
    """A choice of cases.  ``seed`` 0 keeps their order; any other shuffles it, always alike."""

    patterns: tuple[str, ...] = ()
    shard: tuple[int, int] = (1, 1)
    seed: int = 0

    def of(self, cases: Sequence[Case]) -> tuple[Case, ...]:
        """Return the cases taken; UserError if there are none."""
        matching = [c for c in cases if not self.patterns or self._matches(c.id)]
        if not matching:
            raise UserError(
                f"no case matches {' or '.join(self.patterns)}",
                f"ids look like {HANDSHAKE} and overlap/signal.release/then-wait",
                "list them with 'lastref check ADAPTER --list'",
            )
        part, parts = self.shard
        taken = matching[part - 1 :: parts]
        if not taken:
            raise UserError(
                f"shard {part}/{parts} is empty",
                f"there are only {len(matching)} cases to share",
                "use fewer shards",
            )
        if self.seed:
            random.Random(self.seed).shuffle(taken)
            # The handshake explains what follows; the end has to be the end.
            taken.sort(key=lambda case: (case.id != HANDSHAKE, case.id == ENDING))
        return tuple(taken)

    def _matches(self, case: str) -> bool:
        return any(fnmatch.fnmatchcase(case, pattern) for pattern in self.patterns)

    def document(self) -> dict[str, object]:
        """Return the choice as results carry it."""
        return {
            "patterns": list(self.patterns),
            "shard": f"{self.shard[0]}/{self.shard[1]}",
            "seed": self.seed,
        }


def parse_shard(text: str) -> tuple[int, int]:
    """Return ``I/N`` as two numbers; UserError if it is none with 1 ≤ I ≤ N."""
    match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if match is None or int(match[1]) > int(match[2]):
        raise UserError(
            f"'{text}' is no shard", "it has the form I/N with I from 1 to N", "try 1/2"
        )
    return int(match[1]), int(match[2])
