"""Limits of this process: no descriptor more, no process more, and a storm of signals.

Source: getrlimit(2) for RLIMIT_NOFILE (EMFILE) and RLIMIT_NPROC (EAGAIN, not for a privileged
user), setitimer(2), signal(7) on EINTR, PR_SET_DUMPABLE in prctl(2).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

from lastref.impl import libc

_PR_SET_DUMPABLE = 4
_NOBODY = 65534
_EVERY = 0.001  # seconds between two signals of a storm


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """Let no descriptor be opened meanwhile: EMFILE."""
    import resource  # absent on Windows, where this module is imported too

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def no_processes() -> None:
    """Let no process be started from now on: EAGAIN.  PermissionError where root can't be left."""
    import resource

    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        # Or our own /proc entries would be root's and could not be counted.
        libc.checked(libc.library().prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


@contextlib.contextmanager
def storm(on_tick: Callable[[int], None]) -> Iterator[None]:
    """Interrupt every blocking call of this thread meanwhile; ``on_tick`` gets the count."""
    ticks = 0

    def tick(_number: int, _frame: object) -> None:
        nonlocal ticks
        ticks += 1
        on_tick(ticks)

    before = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, _EVERY, _EVERY)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
