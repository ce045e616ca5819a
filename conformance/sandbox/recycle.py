"""Give a chosen pid to a new process at once, and know exactly when it is free.

clone3 with ``set_tid`` starts a process under a pid of our choice, or says EEXIST: as long as the
old owner runs, and as long as it is a zombie. So the attempt itself is the exact test of "it has
been reaped", with no gap between the question and the taking.

    owner runs      EEXIST
    owner zombie    EEXIST
    owner reaped    the pid is the victim's

For a child that the testee will start, its fork is held, ``pid - 1`` is written to ns_last_pid, and
the fork let go: the kernel hands out the next free pid above that number.

A victim is a process nobody has a reason to touch. It waits for its pipe to close and exits with
the status `UNTOUCHED`. A fatal signal that was sent to it before is delivered first, however late
its death would have been noticed: so whether it was hit is known for certain, with no waiting time.

The new process goes on in a copy of the caller's memory, as after fork, but without what Python
does around a fork. So it calls nothing but C functions that keep the GIL (`ctypes.PyDLL`), and a
Recycler must be used in a process that has no other Python threads.

Source: clone(2), clone3 and set_tid; proc_sys_kernel(5), ns_last_pid. CLONE_CLEAR_SIGHAND gives the
victim the default action of every signal.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import signal
import threading
from dataclasses import dataclass

from lastref.conformance.closing import Closing
from lastref.impl.errors import Errno, PlatformUnsupported
from lastref.impl.guard import Guard

# Since 5.0 all architectures count alike, but for MIPS, which adds a base.
_CLONE3 = 435
_CLONE_PIDFD, _CLONE_PARENT, _CLONE_CLEAR_SIGHAND = 0x1000, 0x8000, 0x100000000
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_LAST_PID = "/proc/sys/kernel/ns_last_pid"

UNTOUCHED = 0
"""The exit status of a victim that nobody signalled."""


@dataclass(frozen=True)
class Fate:
    """What became of a victim: the signal that killed it, if any, and who reaped it."""

    signal: int | None
    reaped_by_us: bool

    @property
    def untouched(self) -> bool:
        """Whether nobody signalled or reaped it."""
        return self.signal is None and self.reaped_by_us


class Victim:
    """A bystander under a chosen pid. ``pid`` and ``pidfd`` are the caller's to look at."""

    def __init__(self, pid: int, pidfd: int, hold: int, guard: Guard) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self._hold = hold
        self._guard = guard
        guard.register(pid)

    def retire(self) -> Fate:
        """End the victim and tell whether it was hit. Its pid is free afterwards."""
        os.close(self._hold)
        try:
            # Until it is dead, whatever stopped it on the way.
            self._guard.pidfd_send_signal(self.pidfd, signal.SIGCONT)
            info = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        except (ChildProcessError, Errno):
            fate = Fate(None, reaped_by_us=False)
        else:
            assert info is not None
            killed = info.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
            fate = Fate(info.si_status if killed else None, reaped_by_us=True)
        self._guard.forget(self.pid)
        os.close(self.pidfd)
        return fate

    def hand_over(self) -> tuple[int, int]:
        """Return the pidfd and the end of the pipe that holds the victim: the caller's from now."""
        return self.pidfd, self._hold


class Recycler(Closing):
    """Starts victims under pids of the caller's choice, in a PID namespace of our own.

    Use it as a context manager: it ends the victims that were not retired.
    """

    def __init__(self, guard: Guard) -> None:
        if platform.machine().startswith("mips"):
            raise PlatformUnsupported(
                "recycling a pid on MIPS", "its numbers of clone3 are not in here", "add them"
            )
        self._guard = guard
        self._library = _library_that_keeps_the_gil()
        self._victims: dict[int, Victim] = {}

    def take(self, pid: int, *, stranger: bool = False) -> Victim | None:
        """Start a victim under ``pid``, or return None while the pid is in use.

        A ``stranger`` is a child of our parent: we may signal it, and to wait for it is ECHILD.
        Errno for any other failure (EPERM: the namespace is not ours).
        """
        if threading.active_count() > 1:
            raise RuntimeError("a Recycler must not be used in a process with other threads")
        hold_reader, hold = os.pipe()
        pidfd = ctypes.c_int(-1)
        wanted = (ctypes.c_int * 1)(pid)
        # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size,
        # tls, set_tid, set_tid_size; without CLONE_VM the child goes on in a copy of our memory.
        arguments = (ctypes.c_uint64 * 10)(
            _CLONE_PIDFD | _CLONE_CLEAR_SIGHAND | (_CLONE_PARENT if stranger else 0),
            ctypes.addressof(pidfd),
            0,
            0,
            0 if stranger else signal.SIGCHLD,  # with CLONE_PARENT it is our own exit signal
            0,
            0,
            0,
            ctypes.addressof(wanted),
            1,
        )
        result = self._library.syscall(_CLONE3, ctypes.addressof(arguments), 80)
        if result == 0:
            _live_as_victim(self._library, hold_reader)
        error = ctypes.get_errno()
        os.close(hold_reader)
        if result < 0:
            os.close(hold)
            if error == errno.EEXIST:
                return None
            raise Errno(error)
        victim = Victim(pid, pidfd.value, hold, self._guard)
        if not stranger:
            self._victims[pid] = victim
        return victim

    def hand_over(self, victim: Victim) -> tuple[int, int]:
        """Let the caller see to the end of ``victim``; return its pidfd and its hold."""
        del self._victims[victim.pid]
        return victim.hand_over()

    def retire(self, victim: Victim) -> Fate:
        """End one victim and tell whether it was hit."""
        self._victims.pop(victim.pid, None)
        return victim.retire()

    def next_child(self, pid: int) -> None:
        """Let the next process that anyone in the namespace starts get ``pid``, if it is free."""
        with open(_LAST_PID, "w", encoding="ascii") as last:
            last.write(str(pid - 1))

    def close(self) -> None:
        """Retire every victim that is left."""
        for victim in tuple(self._victims.values()):
            self.retire(victim)


@functools.cache
def _library_that_keeps_the_gil() -> ctypes.PyDLL:
    library = ctypes.PyDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    library.syscall.argtypes = [ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t]
    library.read.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    library.prctl.argtypes = [ctypes.c_int, ctypes.c_void_p]
    return library


def _live_as_victim(library: ctypes.PyDLL, hold: int) -> None:
    """Wait for the end of the pipe, then exit; runs in the new process and never returns."""
    buffer = ctypes.create_string_buffer(1)
    library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    library.prctl(_PR_SET_NAME, b"victim")
    # Only the pipe stays open: a copy of the testee's pipes here would hide that they ended.
    library.dup2(hold, 0)
    library.close_range(1, 0xFFFFFFFF, 0)
    library.read(0, buffer, 1)
    library._exit(UNTOUCHED)
