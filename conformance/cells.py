"""The cells of an implementation under test, kept aside so that they can be read unseen.

A design takes its shared variables from factories.  Those of a subject keep each cell they make,
oldest first, and hand the design the same cell behind the hook.  So a look at a variable passes no
seam and is no step.

A *reader* says how a variable of the design's table is read from the cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from lastref.conformance.driver import Hook
from lastref.conformance.trace import Shown
from lastref.impl.atomic import AtomicWord, WordFactory
from lastref.impl.cells import Flag, HandleCell, PidCell
from lastref.impl.rwlock import PthreadRWLock
from lastref.impl.seam import ObservedWord

T = TypeVar("T")


@dataclass
class Cells:
    """The cells that a process was made of, kept aside from the seam, oldest first."""

    words: list[AtomicWord] = field(default_factory=list)
    numbers: list[AtomicWord] = field(default_factory=list)
    handles: list[HandleCell] = field(default_factory=list)
    pids: list[PidCell] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)
    locks: list[PthreadRWLock] = field(default_factory=list)

    def clear(self) -> None:
        """Forget them all: another process is made of other ones."""
        for kind in (self.words, self.numbers, self.handles, self.pids, self.flags, self.locks):
            kind.clear()


Reader = Callable[[Cells], Shown]
"""Reads one variable of a table from the cells."""


def kept(cell: T, where: list[T]) -> T:
    """Return ``cell`` after noting it in ``where``."""
    where.append(cell)
    return cell


def labelled(
    width: str,
    make: WordFactory,
    where: list[AtomicWord],
    labels: Mapping[str, str],
    hook: Hook,
) -> WordFactory:
    """Return a factory of observed words that are noted in ``where``.

    ``labels`` name the words of a design that has several, by the width and in the order in which
    it makes them: the operations on a word that is named are ``NAME.load`` and so on.
    """

    def factory(value: int) -> AtomicWord:
        name = labels.get(f"{width}.{len(where)}")
        cell = kept(make(value), where)
        return ObservedWord(cell, hook, prefix=f"{name}." if name else "")

    return factory


class _Numbers(dict[int, str]):
    """Numbers as traces show them: a replay shows the same few again and again."""

    def __missing__(self, number: int) -> str:
        self[number] = shown = f"{number:#x}"
        return shown


_SHOWN = _Numbers()


def read_word(cells: Cells) -> Shown:
    """Read the 64-bit word."""
    return _SHOWN[cells.words[0].load()]


def read_field(unset: int) -> Reader:
    """Return what reads whether the handle field holds a number, or ``unset``."""
    return lambda cells: "unset" if cells.handles[0].load() == unset else "set"


def read_flag(cells: Cells) -> Shown:
    """Read the done flag."""
    return cells.flags[0].load_flag()


def read_number(index: int) -> Reader:
    """Return what reads a 32-bit word as a number."""
    return lambda cells: _SHOWN[cells.numbers[index].load()]


def read_state(index: int) -> Reader:
    """Return what reads a 32-bit word as a status."""
    return lambda cells: ("ok", "done", "released")[cells.numbers[index].load()]
