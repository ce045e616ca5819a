"""Rest: the moment in which nothing moves, and nothing will until we do something.

No event says that a call was carried out, or that a thread has gone to sleep. So all threads of all
processes concerned are looked at twice. If every one sleeps in the same place as before, and none
has had the processor in between, then they all slept at one moment; and who sleeps can be woken
only by one that runs, by a timer, or by us.

    /proc/PID/task/TID/stat        its state, by one letter
    /proc/PID/task/TID/schedstat   how long it has run, how long it has waited, how often

The letter is needed beside the counters: a thread that has been woken on another processor is not
counted as running before it is put on that processor's queue, but its letter is R from the start.
(The call in /proc/PID/task/TID/syscall would still look asleep in that moment; with it alone 4 of
100 orders went wrong.) D is a vfork that waits for its child, and so is going to move; only for a
thread that is known to be held it is rest, since a held call sleeps like that, too.

A timer can still wake somebody. That matters for one kind of thread: Go's sysmon naps in nanosleep,
for at most 10 ms at a time, as long as there is something for it to do, such as to hand a ready
goroutine to another thread. While a thread naps like that, the others must keep still until it has
looked about three times (it takes two to hand a goroutine over) and for `NAP` (it looks for input
only every 10 ms), unless the caller is sure of everybody: each operation held, returned, or asleep
in its own call. Counting the looks beside the time makes that right on a busy machine. A thread
that sleeps for longer than a nap would never be counted: `LONG` ends that.

Source: proc_pid_stat(5), proc_pid_syscall(5), sysmon in Go's runtime/proc.go,
Documentation/scheduler/sched-stats, get_task_state in fs/proc/array.c.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

Key = tuple[int, str]
Picture = dict[Key, bytes]

LOOKS = 3
"""How often one that naps must have looked about."""

NAP = 0.025
"""How long the others must have kept still at least, in seconds."""

LONG = 0.5
"""A sleep of so many seconds is no nap: Go's are 50 times shorter."""


class _Thread:
    """The files of one thread, kept open."""

    def __init__(self, folder: str) -> None:
        self._files: list[int] = []
        try:
            for name in ("stat", "schedstat", "syscall"):
                self._files.append(os.open(f"{folder}/{name}", os.O_RDONLY))
        except OSError:
            self.close()
            raise

    def look(self, is_held: bool) -> bytes | None:
        """Return its state and how long it has run, or None if it moves."""
        stat = os.pread(self._files[0], 128, 0)
        letter = stat.rpartition(b")")[2][1:2]  # the name before it may hold anything
        if letter == b"R" or (letter == b"D" and not is_held):
            return None
        return letter + os.pread(self._files[1], 128, 0)

    def call(self) -> bytes:
        """Return the number of the call that it sleeps in, as text."""
        return os.pread(self._files[2], 256, 0).partition(b" ")[0]

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.pop())


class Watch:
    """Looks at all threads of some processes.

    ``processes`` and ``held``, the threads whose calls are held, may change between two looks.
    ``napping`` are the numbers of the calls that are naps, and ``napper`` the process they count
    in: a child that sleeps for ever is at rest. With ``everybody`` set all processes count but our
    own: a child that is being made is nobody's acquaintance yet.
    """

    def __init__(self, napping: Iterable[int] = (), napper: int = 0) -> None:
        self.processes: set[int] = set()
        self.everybody = False
        self.held: set[int] = set()
        self._napping = {b"%d" % number for number in napping}
        self._napper = napper
        self._threads: dict[Key, _Thread] = {}
        self._quiet: Picture = {}
        self._naps_before: dict[Key, int] = {}
        self._since = 0.0

    def look(self) -> Picture | None:
        """Return a picture of all threads, or None if one of them is running."""
        picture: Picture = {}
        for process in sorted(_all() if self.everybody else self.processes):
            for tid in _names(process):
                key = process, tid
                try:
                    shown = self._thread(key).look(int(tid) in self.held)
                except (FileNotFoundError, ProcessLookupError):
                    # It has ended; its number may be another's by now, whose files are others.
                    self._forget(each for each in (key,) if each in self._threads)
                    shown = None
                if shown is None:
                    return None
                picture[key] = shown
        self._forget(key for key in tuple(self._threads) if key not in picture)
        return picture

    def at_rest(self, sure: Callable[[], bool]) -> bool:
        """Return whether two looks in a row show the same picture, in which all sleep."""
        first = self.look()
        if first is None or first != self.look():
            return False
        calls = {key: self._call(key) for key in first if key[0] == self._napper}
        if b"running" in calls.values():
            return False  # a nap has just ended
        awake = {key: shown for key, shown in first.items() if calls.get(key) not in self._napping}
        if len(awake) == len(first) or sure():
            return True
        naps = {key: _slices(first[key]) for key in first if key not in awake}
        if awake != self._quiet or naps.keys() != self._naps_before.keys():
            self._quiet, self._since, self._naps_before = awake, time.monotonic(), naps
        quiet = time.monotonic() - self._since
        looked = all(naps[key] - self._naps_before[key] >= LOOKS for key in naps)
        return (looked and quiet >= NAP) or quiet >= LONG

    def call_of(self, tid: int) -> int | None:
        """Return the number of the call in which a thread of the napper's process sleeps."""
        shown = self._call((self._napper, str(tid)))
        return int(shown) if shown.isdigit() else None

    def disturb(self) -> None:
        """Forget how long it has been quiet: something has just been done to the processes."""
        self._quiet = {}

    def _call(self, key: Key) -> bytes:
        """Return the number of the call that a thread sleeps in, or "running"."""
        thread = self._threads.get(key)
        try:
            return b"running" if thread is None else thread.call().strip()
        except (FileNotFoundError, ProcessLookupError):
            return b"running"  # it has just ended: look again

    def close(self) -> None:
        """Close the files."""
        self._forget(tuple(self._threads))

    def _thread(self, key: Key) -> _Thread:
        thread = self._threads.get(key)
        if thread is None:
            thread = self._threads[key] = _Thread("/proc/{}/task/{}".format(*key))
        return thread

    def _forget(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._threads.pop(key).close()


def _slices(shown: bytes) -> int:
    """Return how often a thread has been given the processor, from its part of a picture."""
    return int(shown[1:].split()[2])


def _all() -> set[int]:
    own = os.getpid()
    return {int(name) for name in os.listdir("/proc") if name.isdigit()} - {own}


def _names(process: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{process}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []
