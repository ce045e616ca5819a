"""Where a thread must have come from: so that a sweep makes each state once, and not once a thread.

A step is *quiet* if it leaves the shared values and the number of holders as they are.  Whoever may
only have come to L by a quiet step from P could have waited with it: without that step all the
others' steps are still possible.  So the state with this thread back at P is reachable, too.

    load ──quiet──▶ cas ──quiet──▶ load        a thread at *cas* has *load* as its parent;
                    cas ──────────▶ use        *use* has none, for its step changes the word

If P's step leads to L with the present shared values, then that state is a predecessor; call the
thread *late*.  A state with late threads is made from the predecessor by the first of these alone:
no other step needs to make it.  Nothing is lost: of the states that would be, take one of least
rank.  Its predecessors are of lower rank, so all of them are visited, the one by its first late
thread among them; and that one makes it.  (So there must be ranks, and every step must have been
seen: what was assumed of P and L is checked at each new step, and the sweep that finds it wrong
begins again without it.)

A round that goes from L to its children and back is deleted whole, so it is allowed.
Source: the deleted step is that of sleep sets: Godefroid, Partial-Order Methods for the
Verification of Concurrent Systems (1996); here no transition is left out of the count.
"""

from __future__ import annotations

from collections.abc import Callable


class Joined(Exception):
    """Two ways lead to a local state that was taken to have a parent; says which."""

    def __init__(self, local: int) -> None:
        super().__init__(local)
        self.local = local


class Parents:
    """The parents of local states, by number, as the steps between them come to be known.

    ``orphan`` says of a local state that it is to have none: threads start there, or it has
    been :class:`Joined`.
    """

    def __init__(self, orphan: Callable[[int], bool]) -> None:
        self._orphan = orphan
        self._parent: dict[int, int | None] = {}

    def is_child(self, before: int, after: int, *, quiet: bool) -> bool:
        """Take note of a step; return whether ``before`` is the parent of ``after``.

        Raises :class:`Joined` if ``after`` was taken to have a parent, and this step says no.
        """
        if after not in self._parent:
            self._parent[after] = before if quiet and not self._orphan(after) else None
        parent = self._parent[after]
        if parent is None or (quiet and parent == before):
            return parent is not None
        if not quiet or not self._descends(before, after):
            raise Joined(after)
        return False

    def _descends(self, local: int, ancestor: int) -> bool:
        at: int | None = local
        while at is not None and at != ancestor:
            at = self._parent.get(at)
        return at is not None
