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
from mmap import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from lastref.model.explore import DEADLOCK
from lastref.model.local_steps import LocalKey, LocalSteps, Move
from lastref.model.packed import CountingSearch
from lastref.model.ranks import Cyclic, Ranks
from lastref.model.system import System
from lastref.model.table import END, DesignError, Law

States = npt.NDArray[np.int64]
BITS = 63
CHUNK = 1 << 15
"""How many states are expanded at once: few enough for the processor's cache."""
_ROOM = 1 << 18
"""How many states a bucket has room for at least."""
_UNKNOWN, _NONE, _STOPPED, _FIRST = 255, 0, 1, 2
_SMALL = 3
"""How many threads of a kind the instance has from which the fields' widths are learned."""


@dataclass(frozen=True)
class Swept:
    """What a sweep found: exact counts, the ids of the broken laws, the sights that are missing.

    ``largest`` is the number of states in the largest bucket; ``ranked`` says that no visited set
    was needed; ``bits`` is how many of a state's bits are used.
    """

    states: int
    transitions: int
    resting: int
    broken: frozenset[str]
    unseen: tuple[str, ...]
    largest: int
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


class _Group:
    """What the fields that are read alike share: a table of classes and one of addends.

    ``width`` bits of a state are part of the index: the number of a thread's local state.  A
    counter has none: that it is not zero says where a thread stands.
    """

    def __init__(self, width: int, shifts: tuple[int, ...], room: int) -> None:
        self.width, self.shifts = width, shifts
        self.locals: list[int] = []
        self.index: dict[int, int] = {}
        self.left = np.zeros(room << width, np.uint8)
        self.classes = [np.full(room << width, _UNKNOWN, np.uint8)]
        self.present: list[list[int]] = [[]]  # by slot, the kinds of move in it
        self.addends = [[np.zeros(room << width, np.int64)] for _ in shifts]

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
        self.classes = [
            np.concatenate([old, np.full_like(old, _NONE if i else _UNKNOWN)])
            for i, old in enumerate(self.classes)
        ]
        self.addends = [[np.concatenate([a, np.zeros_like(a)]) for a in s] for s in self.addends]


@dataclass
class _Field:
    """A field of a state: a thread, a counter, or (without bits of its own) the kernel."""

    group: _Group
    member: int
    shift: int
    mask: int
    local: int  # of a counter; -1 for a thread, -2 for the kernel


class _Bucket:
    """States that belong together: sorted and each once, and behind these what came since then.

    They lie in memory of their own that is mapped when needed and given back at once: what is
    pending at a time is a fifth of all states, and a heap that many arrays of all sizes come and go
    in would keep twice as much.
    """

    def __init__(self) -> None:
        self._states = np.empty(0, np.int64)
        self._size = self._kept = 0

    def add(self, states: States) -> None:
        """Add states, sorted or not."""
        if self._size + len(states) > len(self._states):
            self._sort()
            self._make_room(len(states))
        self._states[self._size : self._size + len(states)] = states
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
            larger = np.frombuffer(mmap(-1, 8 * max(wanted, _ROOM)), np.int64)
            larger[: self._kept] = self._states[: self._kept]
            self._states = larger


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


class _Sweep:
    """One attempt, with fields of given widths."""

    def __init__(self, system: System, laws: tuple[Law, ...], ranked: bool) -> None:
        self.steps = LocalSteps(system, laws)
        self.ranks = Ranks(system, self.steps)
        self.threads = len(system.scenario.threads)
        self.ranked = ranked
        self.broken: set[str] = set(self.steps.state_laws[self.steps.initial_shared])
        self.room = 64
        self.fields: list[_Field] = []
        self.groups: list[_Group] = []
        self.kinds: list[tuple[int, int, int]] = []  # rank gained, rounds done, mask that is full
        self.used = 0
        self.start = 0
        self._stuck = False
        self.counts = {"states": 0, "transitions": 0, "resting": 0, "largest": 0}

    # --- layout ---

    def tell_apart(self, widths: dict[tuple[str, ...], int]) -> None:
        """Lay out a field per thread, as wide as ``widths`` says for its calls."""
        shifts: dict[tuple[str, ...], list[int]] = {}
        places = []
        for thread in self.steps.system.scenario.threads:
            places.append(self.used)
            shifts.setdefault(thread.calls, []).append(self.used)
            self.used += widths[thread.calls]
        groups = {c: _Group(widths[c], tuple(s), self.room) for c, s in shifts.items()}
        for i, thread in enumerate(self.steps.system.scenario.threads):
            group = groups[thread.calls]
            mask = (1 << group.width) - 1
            self.fields.append(_Field(group, group.shifts.index(places[i]), places[i], mask, -1))
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
        kernel = _Group(0, (0,), self.room)
        self.groups.append(kernel)
        self.fields.append(_Field(kernel, 0, 0, 0, -2))
        self.start += self.steps.initial_shared << self.used
        if self.used > BITS - 1:
            raise _Narrow("shared")

    def _index(self, group: _Group, local: int) -> int:
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
        if not any(f.local == local for f in self.fields):
            group = _Group(0, (shift,), self.room)
            self.groups.append(group)
            self.fields.insert(0, _Field(group, 0, shift, mask, local))
        return 1 << shift

    # --- tables ---

    def _resolve(self, field: _Field, keys: Iterable[int]) -> None:
        """Fill in the entries ``keys`` of the tables of ``field``."""
        group = field.group
        for key in keys:
            shared = key >> group.width
            if field.local == -2:
                local, moves = -2, self.steps.kernel_moves(shared)
            else:
                local = field.local if field.local >= 0 else group.locals[key & field.mask]
                moves = self.steps.moves(shared, local)
                if self.ranked:
                    group.left[key] = self.ranks.left(shared, local)
                if not moves and not self.steps.done[local]:
                    self._stuck = True
            group.classes[0][key] = _NONE
            for number, move in enumerate(moves):
                group.slot(number)
                self._enter(group, number, key, (shared, local), move)
        if len(self.steps.shared) >> BITS - self.used:
            raise _Narrow("shared")
        while len(self.steps.shared) > self.room:
            self.room *= 2
            for group in self.groups:
                group.grow()

    def _enter(self, group: _Group, slot: int, key: int, at: tuple[int, int], move: Move) -> None:
        shared, local = at
        self.broken.update(move.laws)
        if not move.followed:
            group.classes[slot][key] = _STOPPED
            return
        self.broken.update(self.steps.state_laws[move.shared])
        change, full = move.shared - shared << self.used, 0
        if local == -2:
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
        kind = (*gained, full)
        if kind not in self.kinds:
            self.kinds.append(kind)
        number = self.kinds.index(kind)
        group.classes[slot][key] = _FIRST + number
        if number not in group.present[slot]:
            group.present[slot].append(number)

    # --- the sweep ---

    def _lookups(self, states: States) -> Iterator[tuple[_Field, States, States]]:
        """Yield each field with the states that have a thread there, and their table indices."""
        shared = states >> self.used
        widened: dict[int, States] = {}
        for field in tuple(self.fields):
            if field.local >= 0:
                here = (states & field.mask).nonzero()[0]
                if len(here):
                    yield field, states[here], shared[here]
            elif field.local == -1:
                width = field.group.width
                if width not in widened:
                    widened[width] = shared << width
                keys = states >> field.shift
                keys &= field.mask
                keys |= widened[width]
                yield field, states, keys
            else:
                yield field, states, shared

    def _classes(self, field: _Field, keys: States) -> npt.NDArray[np.uint8]:
        found = field.group.classes[0].take(keys)
        if found.max() == _UNKNOWN:
            self._resolve(field, np.unique(keys[found == _UNKNOWN]).tolist())
            found = field.group.classes[0].take(keys)
        return found

    def _expand(self, states: States) -> Iterator[tuple[int, int, States]]:
        """Yield the successors of ``states`` by the rank gained and the rounds done."""
        for field, those, keys in self._lookups(states):
            found = self._classes(field, keys)
            for slot in range(len(field.group.classes)):
                if slot:
                    found = field.group.classes[slot].take(keys)
                addends = field.group.addends[field.member][slot]
                self.counts["transitions"] += int(np.count_nonzero(found))
                for number in field.group.present[slot]:
                    rank, rounds, full = self.kinds[number]
                    here = (found == _FIRST + number).nonzero()[0]
                    if len(here):
                        before = those[here]
                        if full and bool(((before & full) == full).any()):
                            raise _Narrow(full)
                        yield rank, rounds, before + addends.take(keys[here])

    def _left(self, states: States) -> npt.NDArray[np.uint16]:
        """Return how many rounds are left in each state."""
        left = np.zeros(len(states), np.uint16)
        for start in range(0, len(states), CHUNK):
            self._add_left(states[start : start + CHUNK], left[start : start + CHUNK])
        return left

    def _add_left(self, states: States, left: npt.NDArray[np.uint16]) -> None:
        for field, _, keys in self._lookups(states):
            if field.local == -1:
                self._classes(field, keys)
                left += field.group.left.take(keys)
            elif field.local >= 0:
                here = (states & field.mask).nonzero()[0]
                self._classes(field, keys)
                many = (states[here] & field.mask) >> field.shift
                left[here] += (many * field.group.left.take(keys)).astype(np.uint16)

    def _judge(self, states: States) -> None:
        """Count the states at rest and check them; find those in which nothing can happen."""
        done = np.ones(len(states), np.bool_)
        moved = np.zeros(len(states), np.bool_)
        for field, _, keys in self._lookups(states):
            found = self._classes(field, keys) != _NONE
            if field.local >= 0:
                here = (states & field.mask).nonzero()[0]
                moved[here] |= found
                if not self.steps.done[field.local]:
                    done[here] = False
            else:
                moved |= found
                if field.local == -1:
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

    def _visit(self, states: States, judge: bool) -> Iterator[tuple[int, int, States]]:
        self.counts["states"] += len(states)
        self.counts["largest"] = max(self.counts["largest"], len(states))
        for start in range(0, len(states), CHUNK):
            chunk = states[start : start + CHUNK]
            yield from self._expand(chunk)
            if judge or self._stuck:
                self._judge(chunk)

    def by_rank(self) -> None:
        """Sweep rank by rank, with no visited set."""
        first = self.ranks.of_initial()
        pending = {first: _Bucket()}
        pending[first].add(np.array([self.start], np.int64))
        order = [first]
        while order:
            rank = heapq.heappop(order)
            judge = rank >= self.ranks.at_rest
            for gain, states in self._by_rounds(pending.pop(rank).take(), judge):
                if rank + gain not in pending:
                    pending[rank + gain] = _Bucket()
                    heapq.heappush(order, rank + gain)
                pending[rank + gain].add(states)

    def _by_rounds(self, states: States, judge: bool) -> Iterator[tuple[int, States]]:
        """Visit a rank, the most rounds left first; yield what is beyond it by the rank gained."""
        left = self._left(states) if self.ranks.rounds else np.zeros(len(states), np.uint16)
        ahead: dict[int, _Bucket] = {}
        for many in range(int(left.max()), -1, -1):
            bucket = ahead.pop(many, None)
            these = states[left == many] if self.ranks.rounds else states
            if bucket is not None:
                bucket.add(these)
                these = bucket.take()
            for gain, rounds, behind in self._visit(these, judge):
                if gain:
                    yield gain, behind
                else:
                    ahead.setdefault(many - rounds, _Bucket()).add(behind)

    def by_breadth(self) -> None:
        """Sweep level by level and keep every state: for a design that goes in circles."""
        level = visited = np.array([self.start], np.int64)
        while len(level):
            behind = _Bucket()
            for _, _, states in self._visit(level, True):
                behind.add(states)
            level = np.setdiff1d(behind.take(), visited, assume_unique=True)
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
    while True:
        attempt = _Sweep(system, chosen, ranked)
        try:
            if counting:
                attempt.count(widths)
            else:
                attempt.tell_apart(widths)
            (attempt.by_rank if ranked else attempt.by_breadth)()
        except Cyclic:
            ranked = False
        except _Narrow as narrow:
            _widen(attempt, widths, narrow.field, full)
        else:
            counts = attempt.counts
            return Swept(
                **{name: counts[name] for name in ("states", "transitions", "resting", "largest")},
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
