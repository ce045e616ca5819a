"""A bucket of states: what is to be visited together, sorted and each once.

    add ──▶ │ sorted, each once │ what came since │      full: sort, drop what is doubled, or grow

States are integers of 63 bits.
"""

from __future__ import annotations

import mmap

import numpy as np
import numpy.typing as npt

States = npt.NDArray[np.int64]
CHUNK = 1 << 15
"""How many states are worked on at once: few enough for the processor's cache."""
_ROOM = 1 << 18
"""How many states a bucket has room for at least."""
_PRIVATE = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}
)


class Bucket:
    """States that belong together: sorted and each once, and behind these what came since then.

    They lie in memory of their own that is mapped when needed and given back at once: what is
    pending at a time is a fifth of all states, and a heap that many arrays of all sizes come and go
    in would keep twice as much.
    """

    def __init__(self) -> None:
        self._states = np.empty(0, np.int64)
        self._size = self._kept = 0

    def add(self, states: States, change: States | int = 0) -> None:
        """Add ``states`` plus ``change``, sorted or not."""
        if self._size + len(states) > len(self._states):
            self._sort()
            self._make_room(len(states))
        np.add(states, change, out=self._states[self._size : self._size + len(states)])
        self._size += len(states)

    def take(self) -> States:
        """Return the states, sorted and each once."""
        self._sort()
        return self._states[: self._size]

    def _sort(self) -> None:
        if self._size > self._kept:
            self._size = self._kept = _sort_unique(self._states[: self._size])

    def _make_room(self, more: int) -> None:
        wanted = max(self._kept + more, self._kept * 2)
        if wanted > len(self._states):
            larger = _mapped(max(wanted, _ROOM))
            larger[: self._kept] = self._states[: self._kept]
            self._states = larger


def _mapped(size: int) -> States:
    """Return room for ``size`` states: private, and if it is much in large pages, to map fewer."""
    room = mmap.mmap(-1, 8 * size, **_PRIVATE)
    if size > _ROOM and hasattr(mmap, "MADV_HUGEPAGE"):  # Linux has them
        room.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(room, np.int64)


def _sort_unique(states: States) -> int:
    """Sort ``states`` in place, each once at the beginning, and return how many these are."""
    states.sort()
    end = 0
    for start in range(0, len(states), CHUNK):
        chunk = states[start : start + CHUNK]
        keep = np.empty(len(chunk), np.bool_)
        keep[0] = end == 0 or bool(chunk[0] != states[end - 1])
        np.not_equal(chunk[1:], chunk[:-1], out=keep[1:])
        kept = chunk[keep]
        states[end : end + len(kept)] = kept
        end += len(kept)
    return end
