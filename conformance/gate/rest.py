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

Source: proc_pid_stat(5), Documentation/scheduler/sched-stats, get_task_state in fs/proc/array.c.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

Picture = tuple[bytes, ...]


class _Thread:
    """The two files of one thread, kept open."""

    def __init__(self, folder: str) -> None:
        self.stat = os.open(f"{folder}/stat", os.O_RDONLY)
        try:
            self.schedule = os.open(f"{folder}/schedstat", os.O_RDONLY)
        except OSError:
            os.close(self.stat)
            raise

    def look(self, is_held: bool) -> bytes | None:
        """Return its state and how long it has run, or None if it moves."""
        stat = os.pread(self.stat, 128, 0)
        letter = stat.rpartition(b")")[2][1:2]  # the name before it may hold anything
        if letter == b"R" or (letter == b"D" and not is_held):
            return None
        return letter + os.pread(self.schedule, 128, 0)

    def close(self) -> None:
        """Close both files."""
        os.close(self.stat)
        os.close(self.schedule)


class Watch:
    """Looks at all threads of some processes.

    ``processes`` and ``held``, the threads whose calls are held, may change between two looks.
    """

    def __init__(self) -> None:
        self.processes: set[int] = set()
        self.held: set[int] = set()
        self._threads: dict[tuple[int, str], _Thread] = {}

    def look(self) -> Picture | None:
        """Return a picture of all threads, or None if one of them is running."""
        seen = set()
        picture = []
        for process in sorted(self.processes):
            for tid in _names(process):
                key = process, tid
                seen.add(key)
                try:
                    shown = self._thread(key).look(int(tid) in self.held)
                except (FileNotFoundError, ProcessLookupError):
                    # It has ended; its number may be another's by now, whose files are others.
                    self._forget(each for each in (key,) if each in self._threads)
                    shown = None
                if shown is None:
                    return None
                picture.append(shown)
        self._forget(key for key in tuple(self._threads) if key not in seen)
        return tuple(picture)

    def at_rest(self) -> bool:
        """Return whether two looks in a row show the same picture, in which all sleep."""
        first = self.look()
        return first is not None and first == self.look()

    def close(self) -> None:
        """Close the files."""
        self._forget(tuple(self._threads))

    def _thread(self, key: tuple[int, str]) -> _Thread:
        thread = self._threads.get(key)
        if thread is None:
            thread = self._threads[key] = _Thread("/proc/{}/task/{}".format(*key))
        return thread

    def _forget(self, keys: Iterable[tuple[int, str]]) -> None:
        for key in keys:
            self._threads.pop(key).close()


def _names(process: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{process}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []
