"""A process beside the stress that takes every pid it can, the moment it is free.

    stress                              recycler, a process of its own
    watch(pid)              ──►         pidfd_open(pid)
                            ◄── ready
    threads run …                       poll: POLLHUP, the process was reaped
                                        clone3 with set_tid = pid: a stranger has the number
    end()                   ──►         end the stranger: was it touched?
                            ◄── nobody | untouched | killed by SIGKILL | reaped by another

It is a process because clone3 here goes on in a copy of the caller's memory, which is right only
where no other thread runs.  The strangers are its children and not ours, so that a wait on one is
ECHILD, as on any stranger.

Source: pidfd_open(2) on POLLHUP (since Linux 6.9; before, the number is tried once a millisecond).
"""

from __future__ import annotations

import os
import select
import signal
import socket

from lastref.conformance.sandbox import Recycler
from lastref.conformance.signals import signal_name
from lastref.impl import libc
from lastref.impl.guard import Guard

UNTOUCHED = "untouched"
NOBODY = "nobody"

_READY = "ready"
_TRY_EVERY = 1  # milliseconds, where the kernel has no POLLHUP for a reaped process
_PR_SET_PDEATHSIG = 1


class RecyclerLost(Exception):
    """The process that recycles pids is gone: somebody signalled it."""


class PidRecycler:
    """The handle on that process.  Start it before there are threads; only in a PID namespace."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self._socket.close()
            _live(theirs)
        theirs.close()

    def watch(self, pid: int) -> None:
        """Take `pid`, which must be in use now, as soon as it is free."""
        self._ask(str(pid))

    def end(self) -> str:
        """End whoever got the pid; NOBODY, UNTOUCHED, or what was done to the stranger."""
        return self._ask("end")

    def close(self) -> None:
        """End the process and reap it."""
        self._socket.close()
        os.waitpid(self.pid, 0)

    def _ask(self, question: str) -> str:
        try:
            self._socket.send(question.encode())
            answer = self._socket.recv(64).decode()
        except (BrokenPipeError, ConnectionResetError):
            answer = ""
        if not answer:
            raise RecyclerLost("the process that recycles pids was killed")
        return answer


def _live(requests: socket.socket) -> None:
    """Answer until the other end closes; never returns."""
    status = 1
    try:
        libc.checked(libc.library().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        guard = Guard()
        guard.enter_private_namespace()
        with Recycler(guard) as recycler:
            while question := requests.recv(64).decode():
                _round(requests, recycler, int(question))
        status = 0
    finally:
        os._exit(status)


def _round(requests: socket.socket, recycler: Recycler, pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    requests.send(_READY.encode())
    poll = select.poll()
    poll.register(pidfd, 0)  # POLLHUP is always reported
    poll.register(requests, select.POLLIN)
    victim = None
    while not any(fd == requests.fileno() for fd, _ in poll.poll(_TRY_EVERY)):
        victim = recycler.take(pid)
        if victim is not None:
            break
    os.close(pidfd)
    requests.recv(64)
    if victim is None:
        answer = NOBODY
    else:
        fate = recycler.retire(victim)
        if fate.untouched:
            answer = UNTOUCHED
        elif fate.signal is not None:
            answer = f"killed by {signal_name(fate.signal)}"
        else:
            answer = "reaped by another"
    requests.send(answer.encode())
