"""The memory accesses of a design: what each way through a method loads, swaps, uses and closes.

For the axioms of :mod:`~lastref.model.memory_order` a thread is a row of *events*, one for each
access, in the order of its program.  The rows are the paths of the table's commands, with the
table's own guards on the values that are read:

    signal    load(word)  cas(word)  use(handle)  load(word)  cas(word)  [close(handle)]

A failed round has no effect, and is left out; system calls are taken while the handle is open.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import z3

from lastref.model.kernel import NO_DOUBLE_CLOSE, NO_USE_AFTER_CLOSE, OURS, handle
from lastref.model.smt import Term, Terms, constant, declare, number, translate
from lastref.model.table import BLOCKED, PANICKED, Command, Table

START, READ, UPDATE, USE, CLOSE = "start", "read", "update", "use", "close"
WIDE = 32
"""A shared variable of so many bits or more is an atomic word."""
Path = tuple[Command, ...]
"""A way through a method."""


@dataclass(frozen=True, eq=False)
class Event:
    """One access: by whom, of what kind, at which location, of which word.

    ``seen`` and ``written`` are the values, ``None`` for an access that does not read or write.
    """

    thread: str
    kind: str
    at: str
    word: str
    seen: Term | None = None
    written: Term | None = None

    def __str__(self) -> str:
        """Return ``S1 signal.cas``."""
        return f"{self.thread} {self.at}" if self.kind != START else f"the start of {self.word}"


class Program:
    """The accesses that the methods of a table make, path by path."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.words = {v.name: v for v in table.shared if v.width >= WIDE}
        written = {name for c in (*table.commands, *table.kernel) for name in c.writes}
        self.fixed = tuple(v for v in table.shared if v.name not in written)
        self._any = declare((*table.shared, *table.local))

    def paths(self, method: str) -> tuple[Path, ...]:
        """Return every way through ``method`` on which no exchange fails."""
        return tuple(self._from(self.table.methods[method], ()))

    def _from(self, at: str, taken: Path) -> Iterator[Path]:
        if not self.table.leaving.get(at):
            yield taken
            return
        been = {at, BLOCKED, *(c.at for c in taken)}
        for c in self._possible(at):
            if c.to is not None and c.to not in been:
                yield from self._from(c.to, (*taken, c))

    def _possible(self, at: str) -> Iterator[Command]:
        """Yield the commands at a location; of a system call one for each way on."""
        seen: set[str | None] = set()
        for c in self.table.leaving[at]:
            if self.word_of(c):
                yield c
            elif c.to not in seen and self._on_our_handle(c):
                seen.add(c.to)
                yield c

    def _on_our_handle(self, c: Command) -> bool:
        """Return whether the command can be taken while the handle is open and ours.

        What no command writes is as it was at the start.
        """
        solver = z3.SimpleSolver()
        solver.add(translate(c.guard, self._any))
        for v in self.fixed:
            solver.add(self._any[v.name] == number(v.initial, v.width))
        if handle.name in self._any:
            solver.add(self._any[handle.name] == OURS)
        return bool(solver.check() == z3.sat)

    def word_of(self, c: Command) -> str:
        """Return the word that the command loads or exchanges; the empty string if it does not."""
        touched = (c.reads | c.writes) & self.words.keys()
        return next(iter(touched)) if len(touched) == 1 else ""

    def accesses(self, methods: Iterable[str]) -> dict[str, bool]:
        """Return the locations of the atomic accesses of ``methods``, and which of them update."""
        found: dict[str, bool] = {}
        for path in itertools.chain(*(self.paths(m) for m in methods)):
            for c in path:
                if self.word_of(c) and c.at is not None:
                    found[c.at] = found.get(c.at, False) or bool(c.writes & self.words.keys())
        return found

    def combinations(self, methods: Sequence[str]) -> Iterator[tuple[Path, ...]]:
        """Yield a path for every method; threads that call the same are not told apart.

        Without a close or a panic in it nothing can go wrong, and it is left out.
        """
        groups = [list(g) for _, g in itertools.groupby(methods)]
        choices = (
            itertools.combinations_with_replacement(self.paths(g[0]), len(g)) for g in groups
        )
        for chosen in itertools.product(*choices):
            paths = tuple(itertools.chain(*chosen))
            if any(kind_of(c) == CLOSE or c.to == PANICKED for path in paths for c in path):
                yield paths

    def start(self) -> list[Event]:
        """Return the events that give every word its initial value."""
        return [
            Event("init", START, name, name, written=number(v.initial, v.width))
            for name, v in self.words.items()
        ]

    def row(self, name: str, path: Path) -> tuple[list[Event], list[Term]]:
        """Return the events of a thread that goes ``path``, and what the values read satisfy."""
        env: Terms = {v.name: number(v.initial, v.width) for v in self.table.shared}
        env |= {v.name: number(0, v.width) for v in self.table.local}
        local = {v.name for v in self.table.local}
        events: list[Event] = []
        guards: list[Term] = []
        for c in path:
            at, word = c.at or "", self.word_of(c)
            if not word:
                if kind_of(c):
                    events.append(Event(name, kind_of(c), at, ""))
                continue
            seen = constant(f"{name}.{at}", self.words[word].width)
            names = {**env, word: seen}
            guards.append(translate(c.guard, names))
            new = {n: translate(e, names) for n, e in c.update}
            written = new.get(word)
            env |= {n: t for n, t in new.items() if n in local}
            kind = READ if written is None else UPDATE
            events.append(Event(name, kind, at, word, seen, written))
        return events, guards


def kind_of(c: Command) -> str:
    """Return ``USE`` or ``CLOSE`` for a command on the handle, the empty string for any other."""
    musts = {m.law for m in c.must}
    return CLOSE if NO_DOUBLE_CLOSE in musts else USE if NO_USE_AFTER_CLOSE in musts else ""


@cache
def program(table: Table) -> Program:
    """Return the accesses of ``table``."""
    return Program(table)
