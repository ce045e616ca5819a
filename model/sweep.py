"""A vectorised sweep: every state one integer of 63 bits, a whole rank of states at a time.

    identities   | shared | thread 1 | thread 2 | …      what Spin stores, one for one
    counting     | shared | n₀ | n₁ | n₂ | …             up to the interchange of threads

A step changes the shared values and one thread, so its successor is the state plus a number that
depends on ``(shared, local)`` alone.  These numbers stand in a table that numpy indexes for a whole
array of states; an entry is computed by :class:`~lastref.model.local_steps.LocalSteps`, with every
law decided, the first time that a state asks for it.

No visited set is needed where every step makes progress.  The *rank* of a state sums how far along
the table its threads are (and how much the kernel has left to do).  A bucket of one rank is
complete when it is reached: sorted, made unique, expanded and dropped.  Load and compare-and-swap
go round, at one rank; but at one rank nothing shared changes, so a round ends:

    stale cas (2 left) ─ retry ▶ load (1 left) ─ load ▶ fresh cas (0 left)

and a rank is swept in the order of the rounds that are left.  That every step obeys this is checked
as its entry is made; a design with a step that does not is swept breadth first, with a visited set.

A state with six predecessors would be made six times.  Most are made once, from the predecessor
that :mod:`~lastref.model.parents` names; the other steps are counted, and not followed.

Fields are as narrow as a small instance suggests; an addition that would not fit stops the sweep,
which starts again with a wider field.  Nothing is hashed and nothing is lost.  For counterexamples
there are :mod:`~lastref.model.packed` and :mod:`~lastref.model.explore`: a sweep says which laws
are broken, and not how.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lastref.model.bucket import CHUNK, Bucket, Memory, States
from lastref.model.explore import DEADLOCK
from lastref.model.local_steps import LocalKey, LocalSteps, Move
from lastref.model.packed import CountingSearch
from lastref.model.parents import Joined, Parents
from lastref.model.ranks import Cyclic, Ranks
from lastref.model.step_tables import (
    ALWAYS,
    ALWAYS_LATE,
    EARLIER,
    FIRST,
    KERNEL,
    LATE,
    NOBODY,
    NONE,
    OTHER,
    UNKNOWN,
    UNMADE,
    Field,
    Group,
    Kind,
    Late,
    Look,
)
from lastref.model.system import PICK, System
from lastref.model.table import END, DesignError, Law

_Join = tuple[tuple[str, ...], tuple[object, ...]]
BITS = 63
_SMALL = 3
"""How many threads of a kind the instance has from which the fields' widths are learned."""


@dataclass(frozen=True)
class Swept:
    """What a sweep found: exact counts, the ids of the broken laws, the sights that are missing.

    ``ranked`` says that no visited set was needed; ``bits`` is how many of a state's bits are used.
    """

    states: int
    transitions: int
    resting: int
    broken: frozenset[str]
    unseen: tuple[str, ...]
    ranked: bool
    bits: int

    @property
    def holds(self) -> bool:
        """Whether no law is broken; a sweep is always complete."""
        return not self.broken


class _Narrow(Exception):
    """A field is too narrow for what comes to stand in it."""

    def __init__(self, field: Any) -> None:
        super().__init__(field)
        self.field = field


class _Sweep:
    """One attempt, with fields of given widths."""

    def __init__(
        self, system: System, laws: tuple[Law, ...], ranked: bool, joined: set[_Join]
    ) -> None:
        self.steps = LocalSteps(system, laws)
        self.ranks = Ranks(system, self.steps)
        self.threads = len(system.scenario.threads)
        self.ranked = ranked
        self.broken: set[str] = set(self.steps.state_laws[self.steps.initial_shared])
        self.room = 64
        self.fields: list[Field] = []
        self.groups: list[Group] = []
        self.kinds: list[Kind] = []
        self.parents: dict[tuple[str, ...], Parents] = {}
        self.joined = joined
        self._opened: dict[int, int] = {}  # the place of a counter's field by its local state
        self.memory = Memory()
        self.used = 0
        self.start = 0
        self._stuck = False
        self.counts = {"states": 0, "transitions": 0, "resting": 0}

    # --- layout ---

    def tell_apart(self, widths: dict[tuple[str, ...], int]) -> None:
        """Lay out a field per thread, as wide as ``widths`` says for its calls."""
        shifts: dict[tuple[str, ...], list[int]] = {}
        places = []
        for thread in self.steps.system.scenario.threads:
            places.append(self.used)
            shifts.setdefault(thread.calls, []).append(self.used)
            self.used += widths[thread.calls]
        groups = {c: Group(widths[c], tuple(s), self.room, c) for c, s in shifts.items()}
        for i, thread in enumerate(self.steps.system.scenario.threads):
            group = groups[thread.calls]
            mask = (1 << group.width) - 1
            self.fields.append(Field(group, group.shifts.index(places[i]), places[i], mask, -1))
            self.start += self._index(group, self.steps.initial_locals[i]) << places[i]
        self.groups += groups.values()
        self._finish()

    def count(self, widths: dict[LocalKey, int]) -> None:
        """Lay out a counter per local state; whoever has returned for good is not counted."""
        self._counter: dict[LocalKey, tuple[int, int]] = {}
        for key, width in widths.items():
            self._counter[key] = self.used, (1 << width) - 1 << self.used
            self.used += width
        for local, many in Counter(self.steps.initial_locals).items():
            self.start += self._place(local) * many
        self._finish()

    def _finish(self) -> None:
        kernel = Group(0, (0,), self.room)
        self.groups.append(kernel)
        self.fields.append(Field(kernel, 0, 0, 0, KERNEL))
        self.start += self.steps.initial_shared << self.used
        if self.used > BITS - 1:
            raise _Narrow("shared")

    def _index(self, group: Group, local: int) -> int:
        if local not in group.index:
            if len(group.locals) >> group.width:
                calls = self.steps.system.scenario.threads[self.steps.locals[local][0]].calls
                raise _Narrow(calls)
            group.index[local] = len(group.locals)
            group.locals.append(local)
        return group.index[local]

    def _place(self, local: int) -> int:
        """Return what one thread at ``local`` adds to a state that counts; open a new counter."""
        key = self.steps.keys[local]
        if _returned(key):
            return 0
        if key not in self._counter:
            raise _Narrow(key)
        shift, mask = self._counter[key]
        if local not in self._opened:
            group = Group(0, (shift,), self.room)
            self.groups.append(group)
            self._opened[local] = len(self.fields)
            self.fields.append(Field(group, 0, shift, mask, local))
        return 1 << shift

    # --- tables ---

    def _resolve(self, field: Field, keys: Iterable[int]) -> None:
        """Fill in the entries ``keys`` of the tables of ``field``."""
        group = field.group
        for key in keys:
            shared = key >> group.width
            if field.local == KERNEL:
                local, moves = KERNEL, self.steps.kernel_moves(shared)
            else:
                local = field.local if field.local >= 0 else group.locals[key & field.mask]
                moves = self.steps.moves(shared, local)
                if self.ranked:
                    group.left[key] = self.ranks.left(shared, local)
                if not moves and not self.steps.done[local]:
                    self._stuck = True
            group.classes[0][key] = NONE
            for number, move in enumerate(moves):
                group.slot(number)
                self._enter(group, number, key, (shared, local), move)
        if len(self.steps.shared) >> BITS - self.used:
            raise _Narrow("shared")
        while len(self.steps.shared) > self.room:
            self.room *= 2
            for group in self.groups:
                group.grow()

    def _enter(self, group: Group, slot: int, key: int, at: tuple[int, int], move: Move) -> None:
        shared, local = at
        self.broken.update(move.laws)
        if not move.followed:
            group.classes[slot][key] = UNMADE
            return
        self.broken.update(self.steps.state_laws[move.shared])
        change, full, target = move.shared - shared << self.used, 0, -1
        if local == KERNEL:
            gained = self.ranks.kernel_gain(shared, move.shared) if self.ranked else (0, 0)
            group.addends[0][slot][key] = change
        else:
            gained = self.ranks.gain(at, (move.shared, move.local)) if self.ranked else (0, 0)
            if group.width:
                behind = self._index(group, move.local) - self._index(group, local)
                for addends, shift in zip(group.addends, group.shifts, strict=True):
                    addends[slot][key] = change + (behind << shift)
            else:
                there = self._place(move.local)
                group.addends[0][slot][key] = change + there - self._place(local)
                if there and move.local != local:
                    full = self._counter[self.steps.keys[move.local]][1]
                    target = self._opened[move.local]
        unless = self._unless(group, at, move) if self.ranked else NOBODY
        if unless is None:
            group.classes[slot][key] = UNMADE
            return
        kind = Kind(*gained, full, unless, target if unless == EARLIER else -1)
        if kind not in self.kinds:
            self.kinds.append(kind)
        number = self.kinds.index(kind)
        group.classes[slot][key] = FIRST + number
        if number not in group.present[slot]:
            group.present[slot].append(number)

    def _unless(self, group: Group, at: tuple[int, int], move: Move) -> int | None:
        """Return which late threads make the successor instead; None: the one that moves does."""
        shared, local = at
        if local == KERNEL:
            return ALWAYS_LATE
        quiet = move.shared == shared
        try:
            child = self._parents(group).is_child(local, move.local, quiet=quiet)
        except Joined:
            self.joined.add((group.calls, self.steps.keys[move.local][:3]))
            raise
        if not quiet:
            return ALWAYS_LATE
        if group.width:
            there, key = group, shared << group.width | self._index(group, move.local)
        elif move.local in self._opened:
            there, key = self.fields[self._opened[move.local]].group, shared
        else:  # returned for good, and not counted
            return OTHER
        if child:
            picked = self.steps.keys[local][2] == PICK and not self.steps.system.scenario.urgent
            there.late[key] = LATE | (ALWAYS if picked else 0)
            there.some_late = True
            there.some_always |= picked
            return EARLIER
        return None if there.late[key] else OTHER

    def _parents(self, group: Group) -> Parents:
        def orphan(local: int) -> bool:
            joined = (group.calls, self.steps.keys[local][:3]) in self.joined
            return joined or self.steps.done[local] or local in self.steps.initial_locals

        return self.parents.setdefault(group.calls, Parents(orphan))

    # --- the sweep ---

    def _looks(self, states: States) -> Iterator[Look]:
        """Yield what to look up of each field."""
        shared = states >> self.used
        widened: dict[int, States] = {}
        for place, field in enumerate(tuple(self.fields)):
            if field.local >= 0:
                here = (states & field.mask).nonzero()[0]
                if len(here):
                    yield Look(place, field, here, states[here], shared[here])
            elif field.local == KERNEL:
                yield Look(place, field, None, states, shared)
            else:
                width = field.group.width
                if width not in widened:
                    widened[width] = shared << width
                keys = states >> field.shift
                keys &= field.mask
                keys |= widened[width]
                yield Look(place, field, None, states, keys)

    def _classes(self, field: Field, keys: States) -> npt.NDArray[np.uint8]:
        found = field.group.classes[0].take(keys)
        if found.max() == UNKNOWN:
            self._resolve(field, np.unique(keys[found == UNKNOWN]).tolist())
            found = field.group.classes[0].take(keys)
        return found

    def _expand(self, states: States) -> Iterator[tuple[int, int, States, States]]:
        """Yield states and what to add for their successors, by rank gained and rounds done."""
        looks = tuple(self._looks(states))
        classes = [self._classes(look.field, look.keys) for look in looks]
        late = Late(looks, len(states), len(self.fields))
        for look, found in zip(looks, classes, strict=True):
            group = look.field.group
            for slot in range(len(group.classes)):
                if slot:
                    found = group.classes[slot].take(look.keys)
                self.counts["transitions"] += int(np.count_nonzero(found))
                for number in group.present[slot]:
                    kind = self.kinds[number]
                    chosen = found == FIRST + number
                    free = late.free(look, kind)
                    if free is not None:
                        chosen &= free
                    here = chosen.nonzero()[0]
                    if len(here):
                        before = look.states[here]
                        if kind.full and bool(((before & kind.full) == kind.full).any()):
                            raise _Narrow(kind.full)
                        change = group.addends[look.field.member][slot].take(look.keys[here])
                        yield kind.gained, kind.rounds, before, change

    def _left(self, states: States) -> npt.NDArray[np.uint16]:
        """Return how many rounds are left in each state."""
        left = np.zeros(len(states), np.uint16)
        for look in self._looks(states):
            field = look.field
            if field.local == KERNEL:
                continue
            self._classes(field, look.keys)
            rounds = field.group.left.take(look.keys)
            if look.here is None:
                left += rounds
            else:
                many = (look.states & field.mask) >> field.shift
                left[look.here] += (many * rounds).astype(np.uint16)
        return left

    def _judge(self, states: States) -> None:
        """Count the states at rest and check them; find those in which nothing can happen."""
        done = np.ones(len(states), np.bool_)
        moved = np.zeros(len(states), np.bool_)
        for look in self._looks(states):
            field = look.field
            found = self._classes(field, look.keys) != NONE
            if look.here is not None:
                moved[look.here] |= found
                if not self.steps.done[field.local]:
                    done[look.here] = False
            else:
                moved |= found
                if field.local != KERNEL:
                    over = np.zeros(1 << field.group.width, np.bool_)
                    over[: len(field.group.locals)] = [
                        self.steps.done[local] for local in field.group.locals
                    ]
                    done &= over.take((states >> field.shift) & field.mask)
        self.counts["resting"] += int(done.sum())
        for shared in np.unique(states[done] >> self.used).tolist():
            self.broken.update(self.steps.rest_laws(shared))
        if not bool((done | moved).all()):
            self.broken.add(DEADLOCK)

    def _visit(self, states: States, judge: bool) -> Iterator[tuple[int, int, States, States]]:
        self.counts["states"] += len(states)
        yield from self._expand(states)
        if judge or self._stuck:
            self._judge(states)

    def by_rank(self) -> None:
        """Sweep rank by rank, with no visited set."""
        first = self.ranks.of_initial()
        pending = {first: Bucket(self.memory)}
        pending[first].add(np.array([self.start], np.int64))
        order = [first]
        while order:
            rank = heapq.heappop(order)
            judge = rank >= self.ranks.at_rest
            for gain, states, change in self._by_rounds(pending.pop(rank), judge):
                if rank + gain not in pending:
                    pending[rank + gain] = Bucket(self.memory)
                    heapq.heappush(order, rank + gain)
                pending[rank + gain].add(states, change)

    def _by_rounds(self, bucket: Bucket, judge: bool) -> Iterator[tuple[int, States, States]]:
        """Visit a rank, the most rounds left first; yield what is beyond it by the rank gained."""
        ahead = self._apart(bucket) if self.ranks.rounds else {0: bucket}
        while ahead:
            many = max(ahead)
            for states in ahead.pop(many).take():
                for gain, rounds, before, change in self._visit(states, judge):
                    if gain:
                        yield gain, before, change
                    else:
                        if many - rounds not in ahead:
                            ahead[many - rounds] = Bucket(self.memory)
                        ahead[many - rounds].add(before, change)

    def _apart(self, bucket: Bucket) -> dict[int, Bucket]:
        """Return the states of a bucket by how many rounds are left in them; empty it."""
        found: dict[int, Bucket] = {}
        for states in bucket.take():
            left = self._left(states)
            for many in np.unique(left).tolist():
                if many not in found:
                    found[many] = Bucket(self.memory)
                found[many].append(states[left == many])
        return found

    def by_breadth(self) -> None:
        """Sweep level by level and keep every state: for a design that goes in circles."""
        level = visited = np.array([self.start], np.int64)
        while len(level):
            behind = Bucket(self.memory)
            for start in range(0, len(level), CHUNK):
                for _, _, before, change in self._visit(level[start : start + CHUNK], True):
                    behind.add(before, change)
            found = np.concatenate([level[:0], *behind.take()])
            level = np.setdiff1d(found, visited, assume_unique=True)
            visited = np.sort(np.concatenate([visited, level]))


def sweep(
    system: System, laws: Iterable[Law] | None = None, *, counting: bool, ranked: bool = True
) -> Swept:
    """Find every state of ``system``: with threads told apart, or (``counting``) counted.

    ``ranked`` false takes the visited set from the start.  Raises
    :class:`~lastref.model.table.DesignError` if a state does not fit into 63 bits.
    """
    chosen = tuple(system.table.laws if laws is None else laws)
    widths = _counters(system) if counting else _threads(system)
    full = len(system.scenario.threads).bit_length()
    joined: set[_Join] = set()
    while True:
        attempt = _Sweep(system, chosen, ranked, joined)
        try:
            if counting:
                attempt.count(widths)
            else:
                attempt.tell_apart(widths)
            (attempt.by_rank if ranked else attempt.by_breadth)()
        except Joined:
            pass  # it has been added to ``joined``
        except Cyclic:
            ranked = False
        except _Narrow as narrow:
            _widen(attempt, widths, narrow.field, full)
        else:
            return Swept(
                **attempt.counts,
                broken=frozenset(attempt.broken),
                unseen=attempt.steps.unseen,
                ranked=ranked,
                bits=attempt.used + (len(attempt.steps.shared) - 1).bit_length(),
            )


def _widen(attempt: _Sweep, widths: dict[Any, int], field: Any, full: int) -> None:
    """Make ``field`` wider, or say that a state does not fit."""
    if isinstance(field, int):  # the mask of a counter
        field = next(key for key, (_, mask) in attempt._counter.items() if mask == field)
    if field == "shared":
        system = attempt.steps.system
        raise DesignError(
            f"{system.table.id} with {attempt.threads} threads does not fit into {BITS} bits",
            f"its threads alone take {attempt.used}",
            "take fewer threads, or count them on the fused table",
        )
    if not isinstance(field[0], str):  # a counter: one thread does not fit, or more than one
        widths[field] = full if field in widths else 1
    else:
        widths[field] += 1


def _threads(system: System) -> dict[Any, int]:
    threads = system.scenario.threads
    width = max(2, min(8, (BITS - 11) // len(threads)))
    return {thread.calls: width for thread in threads}


def _counters(system: System) -> dict[Any, int]:
    """Return a width for every counter: one bit where a small instance has one thread at most."""
    threads = system.scenario.threads
    some: Counter[tuple[str, ...]] = Counter()
    few = []
    for thread in threads:
        some[thread.calls] += 1
        if some[thread.calls] <= _SMALL:
            few.append(thread)
    small = CountingSearch(system.under(replace(system.scenario, threads=tuple(few))))
    small.run()
    full = len(threads).bit_length()
    return {
        key: full if most > 1 else 1 for key, most in small.most().items() if not _returned(key)
    }


def _returned(key: LocalKey) -> bool:
    return key[2] == END and not key[0]
