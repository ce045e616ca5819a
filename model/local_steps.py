"""What one thread can do, memoised: the part of a table that faster searches share.

A step reads and writes the shared variables and one thread.  So whatever the number of threads,
there are few different steps, and each is computed once by :class:`~lastref.model.system.System`:

    (shared 3, local 7) ──free.cas.last──▶ (shared 5, local 8)      and the laws that it breaks

*Shared* stands for the values of the shared variables together with the number of holders.  That
number is a function of where the threads are, so it makes no states of its own; with it at hand,
every law about states and steps is decided here, once, and not again in every state.

*Local* stands for what a thread may still do: the calls that are left, where it stands, and its
local variables.  Two threads with the same of these are interchangeable from there on, whatever
they called before: a bisimulation, and for threads with equal calls plain symmetry.

Numbers are given in the order of discovery, and only to what a search really came to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lastref.model.system import PICK, State, System, Values
from lastref.model.table import Law

LocalKey = tuple[tuple[str, ...], str, str, Values]
"""The calls left after this one, what is to be picked, the location, and the local values."""


class Move(NamedTuple):
    """A step by its numbers: the command, what it leads to, and the laws that it breaks.

    A move with ``followed`` false breaks an obligation: ``shared`` and ``local`` are -1.  ``local``
    is -1 for the kernel, too.
    """

    name: str
    shared: int
    local: int
    laws: tuple[str, ...]
    followed: bool


class LocalSteps:
    """The steps of ``system``, each computed when first asked for.

    Every number given out belongs to a state that the search reached, provided that the search asks
    only for the moves of states that it reached; so ``covered`` and ``pending`` (the sights not yet
    seen) are exact.
    """

    def __init__(self, system: System, laws: Iterable[Law] | None = None) -> None:
        self.system = system
        chosen = tuple(system.table.laws if laws is None else laws)
        self._must = frozenset(law.id for law in chosen if law.kind == "must")
        self._always, self._step, self._rest = system.checkers(chosen)
        sights = [law for law in chosen if law.kind == "sometimes"]
        self._by_command = {law.id: law.shown_by for law in sights if law.shown_by}
        self._pending = {law.id: system.law_checker([law]) for law in sights if not law.shown_by}
        self.covered: set[str] = set()
        self._shared: dict[tuple[Values, int], int] = {}
        self._local: dict[LocalKey, int] = {}
        self.shared: list[tuple[Values, int]] = []
        self.locals: list[tuple[int, Values]] = []
        self.keys: list[LocalKey] = []
        self.done: list[bool] = []
        self.state_laws: list[tuple[str, ...]] = []
        self._urgent: dict[int, tuple[Move, ...]] = {}
        holding = system.table.holding
        self._holder = tuple((i,) for i, name in enumerate(system.locations) if name in holding)[:1]
        shared, threads = system.initial
        self.initial_locals = tuple(self._number(i, values) for i, values in enumerate(threads))
        self.initial_shared = self._number_shared(shared, system.holders(system.initial))

    @property
    def unseen(self) -> tuple[str, ...]:
        """The ``sometimes`` laws that nothing found so far has shown."""
        unseen = [law for law, names in self._by_command.items() if not names & self.covered]
        return tuple(sorted([*unseen, *self._pending]))

    def key(self, index: int, values: Values) -> LocalKey:
        """Return what the thread at ``index`` may still do from ``values``."""
        position, here = divmod(values[0], len(self.system.locations))
        calls = self.system.scenario.threads[index].calls
        location = self.system.locations[here]
        choice = calls[position] if location == PICK else ""
        return calls[position + 1 :], choice, location, values[1:]

    def number(self, index: int, values: Values) -> int:
        """Return the number of the local state of the thread at ``index``."""
        return self._local[self.key(index, values)]

    def moves(self, shared: int, local: int) -> tuple[Move, ...]:
        """Return the moves of a thread; none where an urgent command of the kernel is due."""
        if self._due(shared):
            return ()
        values, holders = self.shared[shared]
        index, own = self.locals[local]
        held = self._holds(own)
        others = ((),) * index
        found = []
        for step in self.system.thread_steps((values, (*others, own)), index):
            after, threads = step.state
            self.covered.add(step.name)
            if step.broken in self._must:
                found.append(Move(step.name, -1, -1, (step.broken,), False))
                continue
            goes = threads[index]
            broken = self._step(self._posed(values, holders), (after, ()))
            to = self._number_shared(after, holders - held + self._holds(goes))
            found.append(Move(step.name, to, self._number(index, goes), broken, True))
        return tuple(found)

    def kernel_moves(self, shared: int) -> tuple[Move, ...]:
        """Return the kernel's moves; an urgent one alone, if one is due."""
        return self._due(shared) or self._kernel(shared, urgent=False)

    def rest_laws(self, shared: int) -> tuple[str, ...]:
        """Return the laws that a state with these shared values breaks if all threads are done."""
        state = self._posed(*self.shared[shared])
        return self._rest(state, state)

    def _due(self, shared: int) -> tuple[Move, ...]:
        if not self.system.scenario.urgent:
            return ()
        if shared not in self._urgent:
            self._urgent[shared] = self._kernel(shared, urgent=True)
        return self._urgent[shared]

    def _kernel(self, shared: int, *, urgent: bool) -> tuple[Move, ...]:
        values, holders = self.shared[shared]
        found = []
        for step in self.system.kernel_steps((values, ()), urgent=urgent)[: 1 if urgent else None]:
            self.covered.add(step.name)
            if step.broken in self._must:
                found.append(Move(step.name, -1, -1, (step.broken,), False))
                continue
            broken = self._step(self._posed(values, holders), (step.state[0], ()))
            to = self._number_shared(step.state[0], holders)
            found.append(Move(step.name, to, -1, broken, True))
        return tuple(found)

    def _posed(self, values: Values, holders: int) -> State:
        """Return a state with these shared values and so many holders, for a law to look at."""
        return values, self._holder * holders

    def _holds(self, own: Values) -> int:
        return self.system.holders(((), (own,)))

    def _number(self, index: int, values: Values) -> int:
        key = self.key(index, values)
        if key not in self._local:
            self._local[key] = len(self.locals)
            self.locals.append((index, values))
            self.keys.append(key)
            self.done.append(self.system.is_done(values, index))
        return self._local[key]

    def _number_shared(self, values: Values, holders: int) -> int:
        key = values, holders
        if key not in self._shared:
            self._shared[key] = len(self.shared)
            self.shared.append(key)
            state = self._posed(values, holders)
            self.state_laws.append(self._always(state, state))
            for sight in [s for s, differs in self._pending.items() if not differs(state, state)]:
                del self._pending[sight]
        return self._shared[key]
