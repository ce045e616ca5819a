"""What a sweep looks up: tables of a step's class and addend, and which threads came late.

    state   | shared 3 | … | thread 2: local 7 | …
                 │               │
                 └───── key ─────┴──▶ classes[key]  what kind of step, if any
                                      addends[key]  what makes of the state its successor
                                      left[key]     the steps to the end of its round
                                      late[key]     whether it has a parent there

numpy takes from a table for a whole array of states at once.  The entries are filled in by
:mod:`~lastref.model.sweep`; what a parent is, :mod:`~lastref.model.parents` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lastref.model.bucket import States

UNKNOWN, NONE, UNMADE, FIRST = 255, 0, 1, 2
"""The classes of a step: not looked up yet, no step, one whose successor is not made, the kinds."""
KERNEL = -2
"""What stands for a local state where it is the kernel that moves."""
LATE, ALWAYS = 1, 2
"""Bits of a local state at some shared values: it is late there; it is so at any."""
NOBODY, EARLIER, OTHER, ALWAYS_LATE = range(4)
"""Which late threads make a successor instead of a step, if there are any in the state.

A parent's step is left to those in earlier fields, another quiet one to any other, and one that
changes the shared values to those that are late at any.
"""


class Group:
    """What the fields that are read alike share: a table of classes and one of addends.

    ``width`` bits of a state are part of the index: the number of a thread's local state.  A
    counter has none: that it is not zero says where a thread stands.
    """

    def __init__(
        self, width: int, shifts: tuple[int, ...], room: int, calls: tuple[str, ...] = ()
    ) -> None:
        self.width, self.shifts, self.calls = width, shifts, calls
        self.locals: list[int] = []
        self.index: dict[int, int] = {}
        self.left = np.zeros(room << width, np.uint8)
        self.classes = [np.full(room << width, UNKNOWN, np.uint8)]
        self.present: list[list[int]] = [[]]  # by slot, the kinds of move in it
        self.addends = [[np.zeros(room << width, np.int64)] for _ in shifts]
        self.late = np.zeros(room << width, np.uint8)
        self.some_late = self.some_always = False

    def slot(self, number: int) -> None:
        """Make room for one more move out of one place, where a thread may choose."""
        while number >= len(self.classes):
            self.classes.append(np.zeros_like(self.classes[0]))
            self.present.append([])
            for addends in self.addends:
                addends.append(np.zeros_like(addends[0]))

    def grow(self) -> None:
        """Double the number of shared values that the tables have room for."""
        self.left = np.concatenate([self.left, np.zeros_like(self.left)])
        self.late = np.concatenate([self.late, np.zeros_like(self.late)])
        self.classes = [
            np.concatenate([old, np.full_like(old, NONE if i else UNKNOWN)])
            for i, old in enumerate(self.classes)
        ]
        self.addends = [[np.concatenate([a, np.zeros_like(a)]) for a in s] for s in self.addends]


@dataclass
class Field:
    """A field of a state: a thread, a counter, or (without bits of its own) the kernel."""

    group: Group
    member: int
    shift: int
    mask: int
    local: int  # of a counter; -1 for a thread, -2 for the kernel


class Kind(NamedTuple):
    """What many steps have in common.

    ``full`` is the mask of a counter that must not be full.  ``unless`` says which late threads
    make the successors; the earlier ones are in fields before ``target`` (-1: before the own one).
    """

    gained: int
    rounds: int
    full: int
    unless: int
    target: int


class Look(NamedTuple):
    """A field in some states: where it is not empty (None: everywhere), and the table's keys."""

    place: int
    field: Field
    here: States | None
    states: States
    keys: States


class Late:
    """Which threads are late: a bit for each field (of which there are 63 at most)."""

    def __init__(self, looks: Iterable[Look], states: int, fields: int) -> None:
        self._all = (1 << fields) - 1
        self._now: Any = None
        self._always: Any = None
        for look in looks:
            group = look.field.group
            if not group.some_late:
                continue
            if self._now is None:
                self._now = np.zeros(states, np.min_scalar_type(self._all))
                self._always = np.zeros_like(self._now)
            late = group.late.take(look.keys)
            self._add(self._now, late & LATE, look)
            if group.some_always:
                self._add(self._always, late >> 1, look)

    @staticmethod
    def _add(bits: Any, late: npt.NDArray[Any], look: Look) -> None:
        shifted = np.left_shift(late, look.place, dtype=bits.dtype)
        if look.here is None:
            bits |= shifted
        else:
            bits[look.here] |= shifted

    def free(self, look: Look, kind: Kind) -> npt.NDArray[np.bool_] | None:
        """Return from which of the states a step of this kind is to be taken; None: from all."""
        bits = self._always if kind.unless == ALWAYS_LATE else self._now
        if bits is None or kind.unless == NOBODY:
            return None
        mask = self._all ^ 1 << look.place
        if kind.unless == EARLIER:
            mask &= (1 << (look.place if kind.target < 0 else kind.target)) - 1
        bits = bits if look.here is None else bits[look.here]
        free: npt.NDArray[np.bool_] = (bits & bits.dtype.type(mask)) == 0
        return free
