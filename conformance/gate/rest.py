"""Rest: the moment in which nothing moves, and nothing will until we do something.

No event says that a call was carried out, or that a thread has gone to sleep. So all threads of all
processes concerned are looked at twice. If every one sleeps the second time, and none has had the
processor since the first, then they all slept at one moment; and who sleeps can be woken only by
one that runs, by a timer, or by us.

    first    /proc/PID/task/TID/schedstat   how long it has run, how long it has waited, how often
    second   /proc/PID/task/TID/stat        its state, by one letter; and schedstat once more

The letter is needed beside the counters: a thread that has been woken on another processor is not
counted as running before it is put on that processor's queue, but its letter is R from the start;
and one that runs all the time is not counted until it stops.
(The call in /proc/PID/task/TID/syscall would still look asleep in that moment; with it alone 4 of
100 orders went wrong.) D is a vfork that waits for its child, and so is going to move; only for a
thread that is known to be held it is rest, since a held call sleeps like that, too.

A timer can still wake somebody. That matters for one kind of thread: Go's sysmon naps in nanosleep,
for at most 10 ms at a time, as long as there is something for it to do, such as to hand a ready
goroutine to another thread. While a thread naps like that, the others must keep still until it has
looked about three times (it takes two to hand a goroutine over), and for `NAP` if input waits (for
that it looks only every 10 ms); unless the caller is sure of everybody: each operation held,
returned, or asleep in its own call. The napper itself may have been awake between the two looks, as
it is every 20 µs. Its naps are counted by how often it gave the processor up, so that is right on a
busy machine. A thread that sleeps for longer than a nap would never be counted: `LONG` ends that.

One who has died shows it a moment before its parent is woken: `death_told` waits for that.

Source: proc_pid_stat(5), proc_pid_status(5), proc_pid_syscall(5), sysmon and retake in Go's
runtime/proc.go, Documentation/scheduler/sched-stats, get_task_state in fs/proc/array.c.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Sequence

from lastref.conformance.gate.epolls import input_waits

Key = tuple[int, str]
Picture = dict[Key, bytes]

LOOKS = 3
"""How often one that naps must have looked about."""

NAP = 0.025
"""How long the others must have kept still where input waits, in seconds."""

LONG = 0.5
"""A sleep of so many seconds is no nap: Go's are 50 times shorter."""

_LOOKS = 30  # before the first pause
_PAUSE = 0.0002  # between two looks at who runs; events cut it short


class _Thread:
    """The files of one thread, kept open."""

    def __init__(self, folder: str) -> None:
        self._files: list[int] = []
        self._more: dict[str, int] = {}
        self._folder = folder
        try:
            for name in ("stat", "schedstat"):
                self._files.append(os.open(f"{folder}/{name}", os.O_RDONLY))
        except OSError:
            self.close()
            raise

    def count(self) -> bytes:
        """Return how long it has run, how long it has waited to, and how often it did."""
        return os.pread(self._files[1], 128, 0)

    def state(self) -> bytes:
        """Return the letter of its state."""
        stat = os.pread(self._files[0], 128, 0)
        return stat.rpartition(b")")[2][1:2]  # the name before it may hold anything

    def call(self) -> bytes:
        """Return the number of the call that it sleeps in, as text; "-" if we may not know.

        Only who may trace a process is told.
        """
        try:
            return self._read("syscall").partition(b" ")[0]
        except PermissionError:
            return b"-"

    def naps(self) -> int:
        """Return how often it has gone to sleep of its own accord."""
        return int(self._read("status").partition(b"\nvoluntary_ctxt_switches:")[2].split()[0])

    def _read(self, name: str) -> bytes:
        """Return what a file says that few threads are asked for."""
        if name not in self._more:
            self._more[name] = os.open(f"{self._folder}/{name}", os.O_RDONLY)
        return os.pread(self._more[name], 1 << 14, 0)

    def close(self) -> None:
        """Close the files."""
        for file in (*self._files, *self._more.values()):
            os.close(file)
        self._files.clear()
        self._more.clear()


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
        self._nappers: set[Key] = set()  # who was last seen in a nap
        self._dead: set[Key] = set()  # of whose death everybody has been told
        self._threads: dict[Key, _Thread] = {}
        self._known: dict[int, tuple[int, list[Key]]] = {}
        self._calls: dict[Key, tuple[bytes, bytes]] = {}
        self._last: Key | None = None
        self._quiet: Picture = {}
        self._naps_before: dict[Key, int] = {}
        self._since = 0.0

    def look(self) -> Picture | None:
        """Return a picture of all threads, or None if one of them is running."""
        if self._last is not None and self._sleeping(self._last) is False:
            return None  # who ran a moment ago most likely still does: one look instead of many
        picture: Picture = {}
        for process in sorted(_all() if self.everybody else self.processes):
            for key in self._keys(process):
                try:
                    picture[key] = self._thread(key).count()
                except (FileNotFoundError, ProcessLookupError):
                    self._ended(key)
                    return None
        self._forget(key for key in tuple(self._threads) if key not in picture)
        return picture

    def _same(self, picture: Picture) -> bool:
        """Return whether all threads of a picture sleep and none but a napper has run since.

        They need not be listed anew: one more or less would be the doing of one that ran.
        """
        for key, before in picture.items():
            try:
                if self._sleeping(key) and (
                    key in self._nappers or self._threads[key].count() == before
                ):
                    continue
            except (FileNotFoundError, ProcessLookupError):
                self._ended(key)
            self._last = key
            return False
        return True

    def _sleeping(self, key: Key) -> bool | None:
        """Return whether a thread sleeps, None if it is not there any more.

        One that waits for a child of its to be made does not sleep, and one whose death is news has
        only just woken somebody.
        """
        thread = self._threads.get(key)
        try:
            letter = b"" if thread is None else thread.state()
        except (FileNotFoundError, ProcessLookupError):
            self._ended(key)
            letter = b""
        if letter == b"Z" and key not in self._dead:
            self._dead.add(key)
            death_told()
            return False
        return (letter != b"R" and (letter != b"D" or int(key[1]) in self.held)) if letter else None

    def _ended(self, key: Key) -> None:
        """Forget a thread: its number may be another's by now, whose files are others."""
        self._forget(each for each in (key,) if each in self._threads)
        self._known.pop(key[0], None)

    def _keys(self, process: int) -> Sequence[Key]:
        """Return the threads of a process; they are listed when their number has changed.

        If one has ended and another begun meanwhile, the files of the first tell.
        """
        try:
            count = os.stat(f"/proc/{process}/task").st_nlink
            known = self._known.get(process)
            if known is None or known[0] != count:
                names = os.listdir(f"/proc/{process}/task")
                known = self._known[process] = count, [(process, name) for name in names]
        except (FileNotFoundError, ProcessLookupError):
            self._known.pop(process, None)
            return ()
        return known[1]

    def at_rest(self, sure: Callable[[], bool]) -> bool:
        """Return whether two looks in a row show the same picture, in which all sleep."""
        first = self.look()
        if first is None or not self._same(first):
            return False
        if sure():
            return True
        calls = {key: self._call_at(key, first[key]) for key in first if key[0] == self._napper}
        if b"running" in calls.values():
            return False  # a nap has just ended
        self._nappers = {key for key in calls if calls[key] in self._napping}
        if not self._nappers:
            return True
        awake = {key: count for key, count in first.items() if key not in self._nappers}
        try:
            naps = {key: self._threads[key].naps() for key in self._nappers}
        except (FileNotFoundError, ProcessLookupError):
            return False
        if awake != self._quiet or naps.keys() != self._naps_before.keys():
            self._quiet, self._since, self._naps_before = awake, time.monotonic(), naps
        quiet = time.monotonic() - self._since
        looked = all(naps[key] - self._naps_before[key] >= LOOKS for key in naps)
        return (looked and (quiet >= NAP or input_waits(self._napper) is False)) or quiet >= LONG

    def call_of(self, tid: int) -> int | None:
        """Return the number of the call in which a thread of the napper's process sleeps."""
        shown = self._call((self._napper, str(tid)))
        return int(shown) if shown.isdigit() else None

    def disturb(self) -> None:
        """Forget how long it has been quiet: something has just been done to the processes."""
        self._quiet = {}

    def _call_at(self, key: Key, count: bytes) -> bytes:
        """Return the call in which a thread sleeps; it is the same until the thread has run.

        A napper may have run since its ``count`` was taken.
        """
        known = self._calls.get(key)
        if known is None or known[0] != count or key in self._nappers:
            known = count, self._call(key)
            if known[1] != b"running":
                self._calls[key] = known
        return known[1]

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
            self._calls.pop(key, None)
            self._nappers.discard(key)
            self._dead.discard(key)


def until_rest(
    watch: Watch,
    pump: Callable[[float], bool],
    seconds: float,
    sure: Callable[[], bool] = lambda: False,
) -> bool:
    """Take events until nothing moves any more; return False if that takes longer than ``seconds``.

    ``pump`` takes what comes within so many seconds and tells whether anything did; ``sure`` tells
    whether naps need not be waited for.
    """
    end = time.monotonic() + seconds
    watch.disturb()
    looks = 0
    while True:
        while pump(0):
            looks = 0
        if watch.at_rest(sure):
            if not pump(0):
                return True
        elif time.monotonic() > end:
            return False
        elif (looks := looks + 1) < _LOOKS:
            os.sched_yield()  # most steps take less than the shortest pause
        else:
            pump(_PAUSE)


def death_told() -> None:
    """Return when whoever waits for a child that is seen to be dead has been woken.

    A pidfd becomes readable a moment before the parent is told; all of that happens under the lock
    of the process list, which a look for any child of ours takes as well.
    """
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)


def runs(process: int) -> bool:
    """Return whether a thread of a process runs, is to run, or waits for a disk or a new child."""
    for thread in _listed(f"/proc/{process}/task"):
        with (
            contextlib.suppress(OSError),
            open(f"/proc/{process}/task/{thread}/stat", "rb") as stat,
        ):
            if stat.read().rpartition(b")")[2][1:2] in (b"R", b"D"):
                return True
    return False


def family(process: int) -> set[int]:
    """Return a process, its children, theirs, and so on."""
    found, going = set(), [process]
    while going:
        parent = going.pop()
        found.add(parent)
        for thread in _listed(f"/proc/{parent}/task"):
            with (
                contextlib.suppress(OSError),
                open(f"/proc/{parent}/task/{thread}/children", encoding="ascii") as children,
            ):
                going += {int(child) for child in children.read().split()} - found
    return found


def _all() -> set[int]:
    own = os.getpid()
    return {int(name) for name in os.listdir("/proc") if name.isdigit()} - {own}


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
