"""Identifiers for a language that has its own idea of them: one for each name, no two alike."""

from __future__ import annotations

import re
from collections.abc import Iterable


class Names:
    """The identifiers that are given out; ``taken`` are those that the language keeps for itself.

    >>> names = Names({"end"})
    >>> [names.fresh(wanted) for wanted in ("a.b", "a_b", "end", "7", "")]
    ['a_b', 'a_b_', 'end_', 'x_7', 'x_']
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def fresh(self, wanted: str) -> str:
        """Return ``wanted``, or something like it that is an identifier and nothing else's."""
        name = re.sub(r"\W", "_", wanted, flags=re.ASCII)
        if not re.match(r"[A-Za-z]", name) or re.match(r"[WS]F_", name):
            name = f"x_{name}"
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def capitals(self, wanted: str) -> str:
        """Return a name in capitals for ``wanted``: ``release.cas`` becomes ``ReleaseCas``."""
        words = re.split(r"[\W_]+", wanted)
        return self.fresh("".join(word[:1].upper() + word[1:] for word in words))
