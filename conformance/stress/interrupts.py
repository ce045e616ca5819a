"""A signal that does nothing but interrupt: a call that is under way fails with EINTR.

A thread of the stress sends it to the others, so that a wait which is blocked comes back now and
then.  The signal's handler says nothing to the interpreter beyond that it was there; calls are not
restarted, because CPython installs every handler without SA_RESTART.

Source: signal(7), "Interruption of system calls and library functions by signal handlers".
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator

from lastref.impl.errors import Errno
from lastref.impl.guard import Guard


@contextlib.contextmanager
def interruptions(guard: Guard) -> Iterator[None]:
    """Let this process be interrupted, and ``guard`` admit it; only in the main thread."""
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    guard.register(os.getpid())
    try:
        yield
    finally:
        guard.forget(os.getpid())
        signal.signal(signal.SIGUSR1, before)


def interrupt(guard: Guard, threads: Iterable[int]) -> None:
    """Interrupt the threads of this process that have these ids."""
    for thread in threads:
        with contextlib.suppress(Errno):  # it may have ended
            guard.tgkill(os.getpid(), thread, signal.SIGUSR1)
