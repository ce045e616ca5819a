"""sigMu as a real pthread_rwlock: many signallers, or one Wait that lets them finish.

The designs that address a process by its pid let Signal hold the read lock around its check and its
kill, and let Wait take and drop the write lock between "marked done" and "reaped". After that no
Signal can still be on its way with a pid that is about to be free.

Writers are preferred, as in Go's sync.RWMutex: a Wait must not starve behind a stream of signals.
(glibc prefers readers unless asked; another libc keeps its own default, which changes who waits but
not who excludes whom.)

A scheduler that runs its tasks on one thread must not let one of them block here; `try_lock` and
`try_rlock` tell it beforehand.

Source: pthread_rwlock_wrlock(3p), pthread_rwlockattr_setkind_np(3).
"""

# ruff: noqa: D102 -- a method is described by the interface it implements

from __future__ import annotations

import ctypes
import errno
import functools
from typing import Protocol

from lastref.impl import libc
from lastref.impl.errors import Errno

# Opaque to us and filled by libc; larger than any libc's (glibc: 56 and 8 bytes).
_LOCK_SIZE = 256
_ATTRIBUTES_SIZE = 64
_PREFER_WRITER_NONRECURSIVE = 2


class RWLock(Protocol):
    """A read-write lock. It belongs to threads: who locked must unlock."""

    def rlock(self) -> None:
        """Wait until no writer has it and hold it with any other readers."""
        ...

    def runlock(self) -> None:
        """Stop reading."""
        ...

    def lock(self) -> None:
        """Wait until nobody has it and hold it alone."""
        ...

    def unlock(self) -> None:
        """Stop writing."""
        ...


class PthreadRWLock:
    """The C library's read-write lock; a call that waits releases the GIL."""

    __slots__ = ("_library", "_lock")

    def __init__(self) -> None:
        self._library = libc.library()
        self._lock = ctypes.create_string_buffer(_LOCK_SIZE)
        _checked(self._library.pthread_rwlock_init(self._lock, _attributes()))
        # Not destroyed: on Linux the lock owns nothing beyond these bytes.

    def rlock(self) -> None:
        _checked(self._library.pthread_rwlock_rdlock(self._lock))

    def runlock(self) -> None:
        _checked(self._library.pthread_rwlock_unlock(self._lock))

    def lock(self) -> None:
        _checked(self._library.pthread_rwlock_wrlock(self._lock))

    def unlock(self) -> None:
        _checked(self._library.pthread_rwlock_unlock(self._lock))

    def try_rlock(self) -> bool:
        """Read-lock if that needs no waiting; return whether it is held."""
        return _tried(self._library.pthread_rwlock_tryrdlock(self._lock))

    def try_lock(self) -> bool:
        """Write-lock if that needs no waiting; return whether it is held."""
        return _tried(self._library.pthread_rwlock_trywrlock(self._lock))


@functools.cache
def _attributes() -> ctypes.Array[ctypes.c_char]:
    """Return the attributes of every lock; to initialize one only reads them."""
    library = libc.library()
    attributes = ctypes.create_string_buffer(_ATTRIBUTES_SIZE)
    _checked(library.pthread_rwlockattr_init(attributes))
    if hasattr(library, "pthread_rwlockattr_setkind_np"):
        prefer = ctypes.c_int(_PREFER_WRITER_NONRECURSIVE)
        _checked(library.pthread_rwlockattr_setkind_np(attributes, prefer))
    return attributes


def _checked(error: int) -> None:
    # pthread functions return their errno instead of setting it.
    if error:
        raise Errno(error)


def _tried(error: int) -> bool:
    if error == errno.EBUSY:
        return False
    _checked(error)
    return True
