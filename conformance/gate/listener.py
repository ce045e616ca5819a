"""The supervisor's end of a seccomp filter: held calls come out of it, answers go in.

    let_go   the kernel carries the call out as if nothing had been
    answer   the call returns what we say, and the kernel does nothing
    inject   a file descriptor of ours appears in the caller, under a number of our choice

A caller that dies while held takes its notification with it: then RECV or SEND say ENOENT, and that
is no error here.

Source: seccomp_unotify(2); the ioctl numbers are those of the generic encoding.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import NamedTuple

_RECV, _SEND, _ID_VALID, _ADDFD, _SET_FLAGS = (
    0xC0502100,
    0xC0182101,
    0x40082102,
    0x40182103,
    0x40082104,
)
_CONTINUE = 1
_ADDFD_SETFD = 1
_SYNC_WAKE_UP = 1
_REQUEST, _RESPONSE, _INJECTION = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI"), "=QIIII"
_CLOEXEC = 0o2000000  # O_CLOEXEC, which is not named where this module is only imported


def _ioctl(fd: int, request: int, argument: int | bytes | bytearray) -> object:
    import fcntl  # absent on Windows, where this module is imported too

    return fcntl.ioctl(fd, request, argument)


class Notification(NamedTuple):
    """A held call: the kernel's id of it, the thread, the call's number, its six arguments.

    Arguments are raw 64-bit registers; `signed` reads one as the C int that most of them are.
    """

    id: int
    tid: int
    number: int
    arguments: tuple[int, ...]

    def signed(self, index: int) -> int:
        """Return an argument as a C int: the kernel looks at 32 bits of it only."""
        low = self.arguments[index] & 0xFFFFFFFF
        return low - (1 << 32) if low >> 31 else low


class Listener:
    """The notifications of one filter; ``fd`` is readable when there is one."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        # Wake-ups on the same CPU are cheaper here; a kernel before 6.6 does without.
        try:
            _ioctl(fd, _SET_FLAGS, _SYNC_WAKE_UP)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTTY):
                raise

    def receive(self) -> Notification | None:
        """Take the next notification; None if its caller has died since."""
        buffer = bytearray(_REQUEST.size)  # the kernel insists that it is zeroed
        try:
            _ioctl(self.fd, _RECV, buffer)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        number, tid, _, call, _, _, *arguments = _REQUEST.unpack(buffer)
        return Notification(number, tid, call, tuple(arguments))

    def let_go(self, held: Notification) -> bool:
        """Let the kernel carry the call out; False if its caller has died."""
        return self._send(_RESPONSE.pack(held.id, 0, 0, _CONTINUE))

    def answer(self, held: Notification, value: int) -> bool:
        """Let the call return ``value``, a negated errno for failure; False if the caller died."""
        if value < 0:
            return self._send(_RESPONSE.pack(held.id, 0, value, 0))
        return self._send(_RESPONSE.pack(held.id, value, 0, 0))

    def valid(self, held: Notification) -> bool:
        """Return whether the caller still waits in this call."""
        try:
            _ioctl(self.fd, _ID_VALID, struct.pack("=Q", held.id))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return False
            raise
        return True

    def inject(self, held: Notification, fd: int, number: int) -> bool:
        """Open our ``fd`` in the caller under ``number``, replacing what is there.

        False if the caller has died.
        """
        request = struct.pack(_INJECTION, held.id, _ADDFD_SETFD, fd, number, _CLOEXEC)
        try:
            _ioctl(self.fd, _ADDFD, request)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return False
            raise
        return True

    def close(self) -> None:
        """Let go of the listener; calls that are still held end with ENOSYS."""
        os.close(self.fd)

    def _send(self, response: bytes) -> bool:
        try:
            _ioctl(self.fd, _SEND, response)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return False
            raise
        return True
