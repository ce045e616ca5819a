"""A bucket of states: what is to be visited together, sorted and each once.

    runs    │ 2 5 6 9 │ 1 5 7 8 │ 4 …      each a block of memory: filled, sorted, each once
    pieces    1 2 4 │ 5 6 │ 7 8 9          what all runs have between two values, sorted, each once

A run and a piece fit into the processor's cache; nothing larger is ever sorted or moved.
States are integers of 63 bits.

Source: splitters out of a sample, as in W. D. Frazer and A. C. McKellar, Samplesort: A sampling
approach to minimal storage tree sorting (1970).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

States = npt.NDArray[np.int64]
CHUNK = 1 << 15
"""How many states are worked on at once: few enough for the processor's cache."""
_BLOCK = 1 << 18
"""How many states a run has at most."""
_FULL = _BLOCK // 4 * 3
"""With how many states, each once, a block is not filled up again."""
_PIECE = CHUNK * 2
"""How many states of the runs make a piece, about; some of them more than once."""
_BLOCKS = 16
"""How many blocks are mapped at once."""
_SMALL = 4
"""How often that is in small pages: of many buckets each has the beginning of a block alone."""
_SAMPLE = 1 << 6
"""How far apart the states are in a run that a piece may end at."""
_PRIVATE = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}
)


class Memory:
    """Blocks for the buckets of a sweep, handed on from one to the next.

    They are mapped apart from the heap, which would keep twice as much where arrays of all sizes
    come and go.  None is given back in between: to map a page costs more than to fill it.
    """

    def __init__(self) -> None:
        self._free: list[States] = []
        self._mapped = 0
        np.empty(1 << 21, np.int64)  # once freed, glibc's malloc no longer trims the heap below

    @property
    def free(self) -> int:
        """How many blocks are free."""
        return len(self._free)

    def take(self) -> States:
        """Return a block, whatever stands in it."""
        if not self._free:
            room = mmap.mmap(-1, 8 * _BLOCK * _BLOCKS, **_PRIVATE)
            self._mapped += 1
            if self._mapped > _SMALL and hasattr(mmap, "MADV_HUGEPAGE"):  # Linux has them
                room.madvise(mmap.MADV_HUGEPAGE)  # fewer pages to map
            self._free = np.split(np.frombuffer(room, np.int64), _BLOCKS)
        return self._free.pop()

    def give_back(self, block: States) -> None:
        """Let another bucket have it."""
        self._free.append(block)


class Bucket:
    """States that belong together, each of them in one or more runs."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._blocks: list[States] = []
        self._sizes: list[int] = []
        self._kept = 0  # of the last block, sorted and each once

    def add(self, states: States, change: States | None = None) -> None:
        """Add ``states``, each plus its ``change``, sorted or not."""
        start = 0
        while start < len(states):
            room = self._room()[: len(states) - start]
            part = slice(start, start + len(room))
            if change is None:
                room[:] = states[part]
            else:
                np.add(states[part], change[part], out=room)
            self._sizes[-1] += len(room)
            start = part.stop

    def append(self, states: States) -> None:
        """Add ``states`` that are sorted, each once, and behind all that are in it."""
        start = 0
        while start < len(states):
            room = self._room()[: len(states) - start]
            room[:] = states[start : start + len(room)]
            if self._kept == self._sizes[-1]:
                self._kept += len(room)
            self._sizes[-1] += len(room)
            start += len(room)

    def take(self) -> Iterator[States]:
        """Yield the states piece by piece, all sorted and each once; then the bucket is empty."""
        self._sort()
        runs = [block[:size] for block, size in zip(self._blocks, self._sizes, strict=True)]
        if len(runs) < 2:
            for run in runs:
                yield from (run[i : i + CHUNK] for i in range(0, len(run), CHUNK))
        else:
            yield from _merged(runs)
        for block in self._blocks:
            self._memory.give_back(block)
        self._blocks, self._sizes, self._kept = [], [], 0

    def _room(self) -> States:
        """Return what is left of the last block, or a new one."""
        full = not self._blocks
        if not full and self._sizes[-1] == _BLOCK:
            self._sort()
            full = self._sizes[-1] > _FULL
        if full:
            self._blocks.append(self._memory.take())
            self._sizes.append(0)
            self._kept = 0
        return self._blocks[-1][self._sizes[-1] :]

    def _sort(self) -> None:
        """Sort the last run."""
        if self._blocks and self._sizes[-1] > self._kept:
            run = self._blocks[-1][: self._sizes[-1]]
            run.sort()
            kept = run[_first(run)]
            run[: len(kept)] = kept
            self._sizes[-1] = self._kept = len(kept)


def _merged(runs: list[States]) -> Iterator[States]:
    """Yield what the runs have together, sorted and each once, in pieces of about ``_PIECE``."""
    sample = np.concatenate([run[_SAMPLE // 2 :: _SAMPLE] for run in runs])
    sample.sort()
    ends = np.unique(sample[_PIECE // _SAMPLE :: _PIECE // _SAMPLE])
    begin = [0] * len(runs)
    for end in [*np.stack([run.searchsorted(ends) for run in runs], 1).tolist(), None]:
        end = end or list(map(len, runs))
        piece = np.concatenate([run[a:b] for run, a, b in zip(runs, begin, end, strict=True)])
        piece.sort()
        if len(piece):
            yield piece[_first(piece)]
        begin = end


def _first(states: States) -> npt.NDArray[np.bool_]:
    """Return which of the sorted states differ from the one before."""
    first = np.empty(len(states), np.bool_)
    first[:1] = True
    np.not_equal(states[1:], states[:-1], out=first[1:])
    return first
