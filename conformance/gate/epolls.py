"""Input that has come and that nobody has looked at: the epoll instances of another process.

An epoll instance can itself be polled, and is readable as long as it has an event to give. So a
duplicate of it, by pidfd_getfd, tells whether one who looks there will find anything. That takes no
event away from the process.

Source: pidfd_getfd(2), epoll(7).
"""

from __future__ import annotations

import os
import select

from lastref.conformance.gate.numbers import machine
from lastref.impl import libc
from lastref.impl.errors import Errno


def input_waits(pid: int) -> bool | None:
    """Return whether an epoll instance of a process has an event to give.

    None if we may not know: only who may trace a process is told.
    """
    folder = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(folder)
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        return any(_is_epoll(f"{folder}/{n}") and _is_readable(pidfd, int(n)) for n in numbers)
    except (OSError, Errno):
        return None  # or one was closed meanwhile: then something moves
    finally:
        os.close(pidfd)


def _is_epoll(link: str) -> bool:
    return os.readlink(link) == "anon_inode:[eventpoll]"


def _is_readable(pidfd: int, number: int) -> bool:
    library = libc.library()
    ours = libc.checked(library.syscall(machine().getfd, pidfd, number, 0, 0, 0, 0))
    try:
        return bool(select.select([ours], [], [], 0)[0])
    finally:
        os.close(ours)
