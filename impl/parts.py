"""What a design is built from: its system, its cells, its lock, and the pidfd probe.

A design never makes a shared variable itself. It takes it from `Parts`, so that a test can hand in
a hardware cell, a fault, or a cell with a scheduler before every access.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lastref.impl import atomic
from lastref.impl.atomic import Backend, WordFactory
from lastref.impl.cells import Flag, HandleCell, LockedHandle, PidCell, PlainFlag, PlainPid
from lastref.impl.guard import Guard
from lastref.impl.probe import PidfdProbe
from lastref.impl.rwlock import PthreadRWLock, RWLock
from lastref.impl.syscalls import LinuxSystem
from lastref.impl.system import ProcessSystem


@dataclass(frozen=True, slots=True)
class Parts:
    """A system and the factories of everything shared that a process holds."""

    system: ProcessSystem
    probe: PidfdProbe
    word64: WordFactory = field(default_factory=atomic.word_factory)
    word32: WordFactory = field(default_factory=lambda: atomic.word_factory(width=32))
    pid: Callable[[int], PidCell] = PlainPid
    flag: Callable[[], Flag] = PlainFlag
    handle: Callable[[int], HandleCell] = LockedHandle
    lock: Callable[[], RWLock] = PthreadRWLock

    @classmethod
    def linux(cls, guard: Guard | None = None, backend: Backend = "lock") -> Parts:
        """Return parts on the running Linux kernel: a strict guard unless one is given."""
        system = LinuxSystem(guard)
        return cls(
            system,
            PidfdProbe(system),
            word64=atomic.word_factory(backend, 64),
            word32=atomic.word_factory(backend, 32),
        )
