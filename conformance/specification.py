"""The sequential specification of a design, taken from its table: what calls do one at a time.

A call takes effect at once, except where it has to wait: there it is split in two, a reservation
and what follows when the wait is over (the usual way to make blocking calls linearizable).  So Wait
is two atomic pieces, and whether the process has ended decides when the second can be taken:

    wait     [ load · cas ] ─ waitid ─ [ reap · persistent release · transient release ]
    signal   [ load · cas · pidfd_send_signal · load · cas ]
    release  [ load · cas · close ]

Nothing is written down twice: a piece is a run of one thread alone through the table's commands,
from where it stands to a location of ``Table.blocking``, or to its end.

What is one step of a table is two of the kernel where a call sleeps: waitid looks its descriptor up
when it begins, and goes by what it found then, even if the number is closed while it sleeps. So a
thread that stands before it takes one piece more, the look-up:

    wait     [ load ] ─ [ look the handle up ] ─ [ waitid with what was found · ... ]
    release              [ swap · close ] may come between the two, and does the waitid no harm

Source: W. Scherer and M. Scott, Nonblocking concurrent data structures with condition
synchronization (DISC 2004), for the reservation and its follow-up; kernel_waitid_prepare() in the
kernel's exit.c, for the look-up.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from lastref.model.kernel import handle
from lastref.model.system import Scenario, System, Thread, Values
from lastref.model.table import BLOCKED, END, PANICKED, Table

HAPPENS = frozenset({"exit", "autoreap"})
"""What the kernel does of itself; the adversary's commands are none of a specification's."""


class Piece(NamedTuple):
    """Where one atomic piece of a call leads: the shared values, and where the call stands.

    ``thread`` is None when the call has returned; then ``outcome`` is what it returned.
    """

    shared: Values
    thread: Values | None
    outcome: str


@dataclass(frozen=True, eq=False)
class Specification:
    """A table as an object whose methods are taken one piece at a time.

    ``initial`` overrides initial values: it is how a process that has ended, is missing, or is
    somebody else's child begins.
    """

    table: Table
    initial: Mapping[str, int] = field(default_factory=dict)

    @property
    def start(self) -> Values:
        """The shared values at the beginning."""
        return next(iter(self._systems.values())).initial[0]

    def enter(self, method: str) -> Values:
        """Return where a call of ``method`` stands before its first piece."""
        return self._systems[method].initial[1][0]

    def value(self, shared: Values, name: str) -> int | None:
        """Return a shared variable by name; None if the table has no such variable."""
        return next(
            (v for d, v in zip(self.table.shared, shared, strict=True) if d.name == name), None
        )

    def kernel(self, shared: Values) -> tuple[Values, ...]:
        """Return the shared values after each thing that may happen to a process told to end.

        It ends; and if it is not the caller's child, whoever's it is reaps it.
        """
        system = next(iter(self._systems.values()))
        return tuple(step.state[0] for step in system.kernel_steps((shared, system.initial[1])))

    def pieces(self, method: str, shared: Values, thread: Values) -> tuple[Piece, ...]:
        """Return every way in which the next piece of a call of ``method`` can go.

        None at all means that it has to wait.
        """
        key = (method, shared, thread)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = tuple(set(self._run(method, shared, thread)))
        return found

    def _run(self, method: str, shared: Values, thread: Values) -> Iterator[Piece]:
        system = self._systems[method]
        plain, found = self._looked_up(system, thread)
        if found is None and system.location(plain[0]) in self._look_ups:
            yield Piece(shared, (*plain, shared[self._handle]), "")
            return
        going = [(shared, plain, "")]
        while going:
            shared, thread, outcome = going.pop()
            seen = shared
            if found is not None:
                seen = self._with_handle(shared, found)
            for step in system.thread_steps((seen, (thread,)), 0):
                assert step.command is not None, "a specification's threads have one method"
                after, (moved,) = step.state
                if found is not None:
                    after = self._with_handle(after, shared[self._handle])
                told = step.command.outcome or outcome
                where = system.location(moved[0])
                if where in (END, PANICKED):
                    yield Piece(after, None, told)
                elif where == BLOCKED or where in self.table.blocking:
                    yield Piece(after, moved, told)
                else:
                    going.append((after, moved, told))
            found = None  # it was for the one call

    def _looked_up(self, system: System, thread: Values) -> tuple[Values, int | None]:
        """Return a thread's values, and what its sleeping call has found its handle to be."""
        length = len(system.initial[1][0])
        return thread[:length], thread[length] if len(thread) > length else None

    def _with_handle(self, shared: Values, value: int) -> Values:
        return (*shared[: self._handle], value, *shared[self._handle + 1 :])

    @functools.cached_property
    def _handle(self) -> int:
        """The handle's place among the shared values."""
        return next(i for i, v in enumerate(self.table.shared) if v.name == handle.name)

    @functools.cached_property
    def _look_ups(self) -> frozenset[str]:
        """The locations of calls that sleep and look the handle up when they begin."""
        return frozenset(
            c.at
            for c in self.table.commands
            if c.at in self.table.blocking and c.op == "waitid" and handle.name in c.reads
        )

    @functools.cached_property
    def _systems(self) -> Mapping[str, System]:
        happens = HAPPENS & {command.name for command in self.table.kernel}
        return {
            method: System(
                self.table,
                Scenario((Thread("T1", (method,)),), self.initial, adversary=happens),
            )
            for method in self.table.methods
        }

    @functools.cached_property
    def _known(self) -> dict[tuple[str, Values, Values], tuple[Piece, ...]]:
        return {}
