"""Which shards of a run the result files hold, and which are not there.

A result that was run with ``--shard I/N`` says so, in a field ``shard``; what it is a part of are
the command, the adapters, the patterns and the seed.  Of several files that are parts of one run
all N are wanted.  One alone is a result of its own, unless the whole is asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_SHARD = re.compile(r"([1-9]\d*)/([1-9]\d*)")


class Shards:
    """The shards seen so far, by the run that they are parts of; with ``whole`` one is too few."""

    def __init__(self, *, whole: bool = False) -> None:
        self._fewest = 1 if whole else 2
        self._seen: dict[tuple[str, int], list[int]] = {}

    def add(self, document: Mapping[str, Any]) -> None:
        """Take note of a result or a heading; a document without a shard says nothing."""
        shard = document.get("shard")
        match = _SHARD.fullmatch(shard) if isinstance(shard, str) else None
        if match is not None:
            self._seen.setdefault((_run(document), int(match[2])), []).append(int(match[1]))

    def missing(self) -> Iterator[str]:
        """Yield a sentence for each run of which some shards are there, and not all."""
        for (_, parts), seen in self._seen.items():
            absent = sorted(set(range(1, parts + 1)) - set(seen))
            if len(seen) >= self._fewest and absent:
                names = ", ".join(f"{part}/{parts}" for part in absent)
                yield f"of a run in {parts} shards not all are there: {names} is missing"


def _run(document: Mapping[str, Any]) -> str:
    """Return what tells a run from another: what was run, on what, and how chosen."""
    adapters = document.get("adapters")
    names = [document.get("adapter")]
    if isinstance(adapters, list):
        names = [each.get("name") for each in adapters if isinstance(each, Mapping)]
    parts = (document.get("command"), names, document.get("patterns"), document.get("seed"))
    return json.dumps(parts, default=str)
