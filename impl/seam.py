"""The seam: a hook before and after every shared access of a design.

    design  ->  Observed...  ->  before("compare_exchange", (1, 2))
                             ->  the real operation
                             ->  after("compare_exchange", True)

A scheduler lives in `before`: it returns when this thread may take its next step, so that exactly
one shared access happens between two decisions of the scheduler. `after` hears the result, or the
exception, of every operation; no operation hides from it.

The names are those of the operations:

    words      load, compare_exchange          handle     load, swap
    pid        load_pid, store_pid             flag       load_flag, store_flag
    lock       rlock, runlock, lock, unlock    system     pidfd_open, pidfd_send_signal, waitid,
                                                          wait4, kill, close

`spawn` and `getpid` touch nothing shared and pass through. The probe asks the system it was made
with: give it the unobserved one, unless its calls are what you study. Every observed object keeps
the real one as `inner`, for a look that is no step.
"""

# ruff: noqa: D102 -- a method is described by the interface it implements

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar, overload

from lastref.impl.atomic import AtomicWord
from lastref.impl.cells import Flag, HandleCell, PidCell
from lastref.impl.parts import Parts
from lastref.impl.rwlock import RWLock
from lastref.impl.system import Child, ProcessSystem, Wait4Result, WaitidResult

Before = Callable[[str, tuple[Any, ...]], None]
"""Called with the operation's name and arguments; the operation happens when it returns."""

After = Callable[[str, Any], None]
"""Called with the operation's name and its result, or the exception that it raised."""

_T = TypeVar("_T")


def _silent(name: str, result: Any) -> None:
    """The hook of someone who only schedules."""


class Seam:
    """Runs one operation between the two hooks."""

    __slots__ = ("_after", "_before")

    def __init__(self, before: Before, after: After) -> None:
        self._before = before
        self._after = after

    def _step(self, name: str, operation: Callable[..., _T], *arguments: Any) -> _T:
        self._before(name, arguments)
        try:
            result = operation(*arguments)
        except BaseException as error:
            self._after(name, error)
            raise
        self._after(name, result)
        return result


class ObservedWord(Seam):
    """An `AtomicWord` behind the seam; a `prefix` tells one word's operations from another's.

    Most of all steps are one of these two, so where nobody hears the results there is no detour.
    """

    __slots__ = ("_exchange", "_load", "inner")

    def __init__(
        self, word: AtomicWord, before: Before, after: After = _silent, prefix: str = ""
    ) -> None:
        super().__init__(before, after)
        self.inner = word
        self._load, self._exchange = _word_names(prefix)

    def load(self) -> int:
        if self._after is not _silent:
            return self._step(self._load, self.inner.load)
        self._before(self._load, ())
        return self.inner.load()

    def compare_exchange(self, expected: int, desired: int) -> bool:
        if self._after is not _silent:
            return self._step(self._exchange, self.inner.compare_exchange, expected, desired)
        self._before(self._exchange, (expected, desired))
        return self.inner.compare_exchange(expected, desired)


@functools.cache
def _word_names(prefix: str) -> tuple[str, str]:
    return f"{prefix}load", f"{prefix}compare_exchange"


class ObservedHandle(Seam):
    """A `HandleCell` behind the seam."""

    __slots__ = ("inner",)

    def __init__(self, cell: HandleCell, before: Before, after: After) -> None:
        super().__init__(before, after)
        self.inner = cell

    def load(self) -> int:
        return self._step("load", self.inner.load)

    def swap(self, value: int) -> int:
        return self._step("swap", self.inner.swap, value)


class ObservedPid(Seam):
    """A `PidCell` behind the seam."""

    __slots__ = ("inner",)

    def __init__(self, cell: PidCell, before: Before, after: After) -> None:
        super().__init__(before, after)
        self.inner = cell

    def load_pid(self) -> int:
        return self._step("load_pid", self.inner.load_pid)

    def store_pid(self, pid: int) -> None:
        self._step("store_pid", self.inner.store_pid, pid)


class ObservedFlag(Seam):
    """A `Flag` behind the seam."""

    __slots__ = ("inner",)

    def __init__(self, flag: Flag, before: Before, after: After) -> None:
        super().__init__(before, after)
        self.inner = flag

    def load_flag(self) -> bool:
        return self._step("load_flag", self.inner.load_flag)

    def store_flag(self) -> None:
        self._step("store_flag", self.inner.store_flag)


class ObservedLock(Seam):
    """An `RWLock` behind the seam."""

    __slots__ = ("inner",)

    def __init__(self, rwlock: RWLock, before: Before, after: After) -> None:
        super().__init__(before, after)
        self.inner = rwlock

    def rlock(self) -> None:
        self._step("rlock", self.inner.rlock)

    def runlock(self) -> None:
        self._step("runlock", self.inner.runlock)

    def lock(self) -> None:
        self._step("lock", self.inner.lock)

    def unlock(self) -> None:
        self._step("unlock", self.inner.unlock)


class ObservedSystem(Seam):
    """A `ProcessSystem` behind the seam."""

    __slots__ = ("inner",)

    def __init__(self, system: ProcessSystem, before: Before, after: After) -> None:
        super().__init__(before, after)
        self.inner = system

    def spawn(self, argv: Sequence[str], *, pidfd: bool) -> Child:
        return self.inner.spawn(argv, pidfd=pidfd)

    def getpid(self) -> int:
        return self.inner.getpid()

    def pidfd_open(self, pid: int, flags: int = 0) -> int:
        return self._step("pidfd_open", self.inner.pidfd_open, pid, flags)

    def pidfd_send_signal(self, pidfd: int, sig: int) -> None:
        self._step("pidfd_send_signal", self.inner.pidfd_send_signal, pidfd, sig)

    def kill(self, pid: int, sig: int) -> None:
        self._step("kill", self.inner.kill, pid, sig)

    def waitid(self, idtype: int, ident: int, options: int) -> WaitidResult:
        return self._step("waitid", self.inner.waitid, idtype, ident, options)

    def wait4(self, pid: int, options: int) -> Wait4Result:
        return self._step("wait4", self.inner.wait4, pid, options)

    def close(self, fd: int) -> None:
        self._step("close", self.inner.close, fd)


@overload
def observed(target: AtomicWord, before: Before, after: After = ...) -> ObservedWord: ...
@overload
def observed(target: ProcessSystem, before: Before, after: After = ...) -> ObservedSystem: ...
@overload
def observed(target: HandleCell, before: Before, after: After = ...) -> ObservedHandle: ...
@overload
def observed(target: PidCell, before: Before, after: After = ...) -> ObservedPid: ...
@overload
def observed(target: Flag, before: Before, after: After = ...) -> ObservedFlag: ...
@overload
def observed(target: RWLock, before: Before, after: After = ...) -> ObservedLock: ...
def observed(target: Any, before: Before, after: After = _silent) -> Any:
    """Return `target` behind the seam; TypeError if it is nothing that threads share."""
    for operation, wrapper in _WRAPPERS.items():
        if hasattr(target, operation):
            return wrapper(target, before, after)
    raise TypeError(f"{target!r} is no word, handle, pid, flag, lock or system")


# Told apart by the one operation that no other kind has.
_WRAPPERS: dict[str, Callable[[Any, Before, After], Seam]] = {
    "compare_exchange": ObservedWord,
    "swap": ObservedHandle,
    "load_pid": ObservedPid,
    "load_flag": ObservedFlag,
    "rlock": ObservedLock,
    "waitid": ObservedSystem,
}


def observed_parts(parts: Parts, before: Before, after: After = _silent) -> Parts:
    """Return `parts` with everything that threads share behind one seam (the probe stays as is)."""
    return replace(
        parts,
        system=observed(parts.system, before, after),
        word64=lambda value: observed(parts.word64(value), before, after),
        word32=lambda value: observed(parts.word32(value), before, after),
        pid=lambda pid: observed(parts.pid(pid), before, after),
        flag=lambda: observed(parts.flag(), before, after),
        handle=lambda value: observed(parts.handle(value), before, after),
        lock=lambda: observed(parts.lock(), before, after),
    )
