"""Start a program and get both names of the new process: its pid and a pidfd.

Go asks the kernel for the pidfd in the same call that makes the child (clone with CLONE_PIDFD).
From Python there are two ways:

    glibc >= 2.39   pidfd_spawnp(3): the same, in one call; pidfd_getpid(3) then tells the pid
    else            posix_spawnp(3), then pidfd_open(2) on the pid

The second way is safe although it goes through the pid: the child is ours, and until we reap it a
dead child stays a zombie that keeps its pid from being given away. Two things take that away, and
both are the caller's doing: SIGCHLD ignored (the kernel then reaps at once) and another thread that
waits for any child. With those, only the first way is right; a pid found free is reported as ESRCH.

Nothing is left behind when a step fails: a child without a pidfd is killed and reaped, which is
safe for the same reason. A child starts with the signals that CPython ignores for itself set back.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import signal
from collections.abc import Sequence
from typing import Any

from lastref.impl import libc
from lastref.impl.errors import Errno, StartError
from lastref.impl.guard import Guard
from lastref.impl.system import Child

_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ", "SIGXFZ")
_SETSIGDEF = 0x04
# Opaque to us and filled by libc; larger than any libc's (glibc: 336 and 128 bytes).
_ATTRIBUTES_SIZE = 512
_SIGSET_SIZE = 256


def spawn(argv: Sequence[str], *, pidfd: bool, guard: Guard) -> Child:
    """Start `argv`, tell `guard` about it, and return it; StartError if any step fails."""
    if not argv:
        raise StartError("", errno.EINVAL)
    if pidfd and pidfd_spawn_available():
        fd = _call("pidfd_spawnp", argv)
        # Our own unreaped child, so its pid is there to be read.
        pid = libc.library().pidfd_getpid(fd)
        guard.register(pid)
        return Child(pid, fd)
    pid = _call("posix_spawnp", argv)
    guard.register(pid)
    if not pidfd:
        return Child(pid, None)
    try:
        return Child(pid, libc.syscall("pidfd_open", pid, 0))
    except Errno as error:
        _abandon(pid, guard)
        raise StartError(argv[0], error.errno) from None


def pidfd_spawn_available() -> bool:
    """Return whether this libc starts a process and gives its pidfd in one call."""
    library = libc.library()
    return hasattr(library, "pidfd_spawnp") and hasattr(library, "pidfd_getpid")


def _call(name: str, argv: Sequence[str]) -> int:
    """Start `argv` by either function and return the number it gives: a pid or a pidfd.

    Both have the same parameters, take PATH into account, and return the errno.
    """
    started = ctypes.c_int(-1)
    encoded = [os.fsencode(argument) for argument in argv]
    arguments = (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None)
    # libc's own environ, which os.environ keeps up to date: no copy per start.
    environment = ctypes.c_void_p.in_dll(libc.library(), "environ")
    error = _function(name)(
        ctypes.byref(started), encoded[0], None, _attributes(), arguments, environment
    )
    if error:
        raise StartError(argv[0], error)
    return started.value


@functools.cache
def _function(name: str) -> Any:
    function = libc.library()[name]
    function.argtypes = [ctypes.c_void_p, ctypes.c_char_p, *[ctypes.c_void_p] * 4]
    return function


@functools.cache
def _attributes() -> ctypes.Array[ctypes.c_char]:
    """Return posix_spawnattr_t saying: give these signals their default action."""
    library = libc.library()
    attributes = ctypes.create_string_buffer(_ATTRIBUTES_SIZE)
    signals = ctypes.create_string_buffer(_SIGSET_SIZE)
    library.sigemptyset(signals)
    for name in _IGNORED_BY_PYTHON:
        if hasattr(signal, name):
            library.sigaddset(signals, ctypes.c_int(getattr(signal, name)))
    library.posix_spawnattr_init(attributes)
    library.posix_spawnattr_setsigdefault(attributes, signals)
    library.posix_spawnattr_setflags(attributes, ctypes.c_short(_SETSIGDEF))
    return attributes


def _abandon(pid: int, guard: Guard) -> None:
    """Kill and reap a child that nobody will hear of."""
    try:
        guard.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (Errno, ChildProcessError):
        pass  # gone already: SIGCHLD is ignored, or someone else waits for any child
    guard.forget(pid)
