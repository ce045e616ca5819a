"""When two orders are alike so far: each thread has done the same, and the same can be seen.

Steps of different threads that have nothing to do with each other may come in either order, and
then all goes on in the same way. So of the orders that lead to one state only one is followed
further. A state is

    of each thread       the calls it was held at and what it returned, one after another, and what
                         there was for each of them to meet: who had the pid then, alive or dead
    of each child        whether it ended by itself, is gone, is reaped
    of the adversary     what was given away, and whether who got it was touched
    of the history       which returns and exits of an object came before which invocations and
                         exits of the same

The last is all that linearizability asks of a history. Threads with the same operations may stand
for each other: with W1 and W2 exchanged a state is the same.

What cannot be seen is the program's memory. Two threads that did the same in both orders, and
between two calls wrote one variable, may have left different values in it; such orders count as
alike here, and as two where every order is asked for (`Budget.every`).

Source: P. Godefroid, Partial-Order Methods for the Verification of Concurrent Systems (1996);
C. N. Ip and D. Dill, Better Verification Through Symmetry (1996); M. Herlihy and J. Wing,
Linearizability (TOPLAS 1990), for one object at a time.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from lastref.conformance.gate.scenario import Thread
from lastref.conformance.protocol.conversation import Event


class Trail:
    """What each thread of a run has done so far. ``began`` and `gap` are told as it comes."""

    def __init__(self, threads: Sequence[Thread]) -> None:
        self._kinds = {thread.name: str(thread.operations) for thread in threads}
        self._paths: defaultdict[str, list[str]] = defaultdict(list)
        self._places: dict[str, str] = {}
        self._worlds: dict[str, str] = {}
        self._waiting: list[str] = []
        self._calls: dict[int, tuple[str, int]] = {}
        self._begun: Counter[str] = Counter()

    def began(self, number: int, thread: str) -> None:
        """Operation ``number`` of the conversation is the next one of ``thread``."""
        self._calls[number] = thread, self._begun[thread]
        self._begun[thread] += 1

    def gap(
        self,
        stepped: str,
        places: Mapping[str, str],
        worlds: Mapping[str, str],
        waiting: AbstractSet[str],
        events: Sequence[Event],
        spins: Mapping[str, int],
        rest: object,
    ) -> str:
        """Note a gap and return its state: equal texts for states that are alike.

        ``places`` says where each thread is, ``worlds`` what there is for its operation to meet,
        ``waiting`` who sleeps in a call, ``stepped`` who took the step before the gap (nobody
        before the first one, which has to be told as well), and ``rest`` whatever else can be seen
        and depends on nobody's name.
        """
        for name, place in places.items():
            if name == stepped or self._places.get(name) != place:
                self._paths[name] += [self._worlds.get(name, ""), place, worlds[name]]
        self._places, self._worlds = dict(places), dict(worlds)
        # The kernel wakes those who wait for one child in the order in which they came.
        self._waiting = [name for name in self._waiting if name in waiting]
        self._waiting += sorted(waiting - set(self._waiting), key=self._path)
        names = self._renamed()
        told = (
            sorted((names.get(name, name), tuple(path)) for name, path in self._paths.items()),
            sorted((names.get(name, name), count) for name, count in spins.items() if count),
            [names[name] for name in self._waiting],
            self._precedence(events, names),
            rest,
        )
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def _path(self, name: str) -> tuple[str, list[str], int]:
        """Return what tells a thread from others of its kind, to be compared."""
        place = self._waiting.index(name) if name in self._waiting else -1
        return self._kinds[name], self._paths[name], place

    def _renamed(self) -> dict[str, str]:
        """Name threads of one kind by what they have done: who did the same is the same."""
        names = sorted(self._kinds, key=self._path)
        return {name: f"{place} {self._kinds[name]}" for place, name in enumerate(names)}

    def _precedence(self, events: Sequence[Event], names: Mapping[str, str]) -> list[str]:
        """Return for each call and exit what was over before it, of the same object.

        An object is linearizable by itself: what comes before it of another is no matter.
        """
        over: defaultdict[str, list[str]] = defaultdict(list)
        begun: defaultdict[str, list[str]] = defaultdict(list)
        found = []
        for event in events:
            thread, index = self._calls.get(event.id, ("", 0))
            call = f"{names.get(thread, '')} {index} {event.op} {event.process}"
            if event.kind == "return":
                over[event.process].append(f"{call} {event.outcome}")
                continue
            before = f"{sorted(over[event.process])}"
            if event.kind == "invoke":
                begun[event.process].append(call)
            else:
                before += f" {sorted(begun[event.process])}"
                over[event.process].append(call)
            found.append(f"{call} after {before}")
        return [*sorted(found), *(str(sorted(calls)) for _, calls in sorted(over.items()))]
