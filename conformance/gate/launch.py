"""Start a program behind a seccomp filter, and get the filter's listener.

The child installs the filter on itself, hands the listener over by SCM_RIGHTS and becomes the
program. From the installation on its own calls are filtered as well; it makes none that is held.

All its threads run on one processor, and first come, first served: one that is let go runs until it
sleeps, and of two that are woken at once, or wait for one lock, the first is the first each time.
On two processors, or with time slices, that is a matter of the machine's load, and no order of the
calls decides it: in 100 runs of two Waits of CPython and a new child some twenty ended otherwise.

WAIT_KILLABLE_RECV keeps a call held when a signal comes that does not kill: without it Go's
preemption signals would cancel held calls all the time. A kernel before 5.19 does not have it; then
a cancelled call shows as ENOENT when it is answered, which the listener takes.

Source: seccomp(2), seccomp_unotify(2), sched(7), RLIMIT_RTTIME in getrlimit(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from lastref.conformance.errors import UserError
from lastref.conformance.gate.listener import Listener
from lastref.conformance.gate.numbers import machine
from lastref.impl import libc
from lastref.impl.errors import Errno

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER = 1
_NEW_LISTENER, _WAIT_KILLABLE_RECV = 8, 0x20
ALONE = 30.0
"""Seconds for which a program may run without once sleeping: a limit on what a mad one can do."""


@dataclass
class Launched:
    """A program behind the gate: its pid, its pidfd, both ends of its talk, and its listener."""

    pid: int
    pidfd: int
    input: int
    output: int
    listener: Listener

    def close(self) -> None:
        """Let go of everything; the process itself is the caller's to end and reap before."""
        for fd in (self.input, self.output, self.pidfd):
            os.close(fd)
        self.listener.close()


def launch(
    argv: Sequence[str], instructions: bytes, environment: Mapping[str, str] | None = None
) -> Launched:
    """Start ``argv`` behind the filter.

    Only for a single-threaded caller, since it forks. Raises UserError where the program can't be
    started or the filter is refused (exit code 3).
    """
    ours, theirs = socket.socketpair()
    input_reader, input_writer = os.pipe()
    output_reader, output_writer = os.pipe()
    processor = libc.checked(libc.library().sched_getcpu())
    pid = os.fork()
    if pid == 0:
        take_turns(processor)
        _become(argv, instructions, environment, theirs, input_reader, output_writer)
    theirs.close()
    os.close(input_reader)
    os.close(output_writer)
    with ours:
        message, fds, _, _ = socket.recv_fds(ours, 64, 1)
        failure = message[1:] or ours.recv(64)  # empty once exec has closed the other end
    if failure or not fds:
        os.waitpid(pid, 0)
        for fd in (*fds, input_writer, output_reader):
            os.close(fd)
        raise _failure(argv, failure.decode())
    pidfd = os.pidfd_open(pid)
    return Launched(pid, pidfd, input_writer, output_reader, Listener(fds[0]))


def take_turns(processor: int, alone: float = ALONE) -> None:
    """Let this process, and whatever it starts, run on one processor, first come, first served.

    Only root may ask for the latter; without it a race of the program's own can end either way.
    Nothing else gets a processor from who spins there, so after ``alone`` seconds it is killed.
    """
    import resource  # absent on Windows, where this module is imported too

    most = round(alone * 1_000_000)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {processor})
        resource.setrlimit(resource.RLIMIT_RTTIME, (most, most))
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def _become(
    argv: Sequence[str],
    instructions: bytes,
    environment: Mapping[str, str] | None,
    channel: socket.socket,
    standard_input: int,
    standard_output: int,
) -> NoReturn:
    """Turn this forked process into the program; never returns."""
    step = "its start"
    try:
        os.setsid()
        os.dup2(standard_input, 0)
        os.dup2(standard_output, 1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)  # what Python has changed is inherited otherwise
        step = "seccomp"
        listener = install(instructions)
        socket.send_fds(channel, [b"L"], [listener])
        os.set_inheritable(listener, False)
        step = "exec"
        os.execvpe(argv[0], list(argv), {**os.environ, **(environment or {})})
    except (OSError, Errno) as error:
        with contextlib.suppress(OSError):
            channel.send(f"{step} {error.errno}".encode())
    finally:
        os._exit(127)


def install(instructions: bytes) -> int:
    """Put the filter on this thread for good and return its listener, close-on-exec."""
    try:
        return _filter(instructions, _NEW_LISTENER | _WAIT_KILLABLE_RECV)
    except Errno as error:
        if error.errno != errno.EINVAL:
            raise
        return _filter(instructions, _NEW_LISTENER)


def refuse(instructions: bytes) -> None:
    """Put a filter that holds nothing on this thread and on what it becomes, for good."""
    _filter(instructions, 0)


def _filter(instructions: bytes, flags: int) -> int:
    code = ctypes.create_string_buffer(instructions, len(instructions))
    filter_program = struct.pack("@HP", len(instructions) // 8, ctypes.addressof(code))
    buffer = ctypes.create_string_buffer(filter_program, len(filter_program))
    library = libc.library()
    libc.checked(library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    address = ctypes.addressof(buffer)
    done: int = library.syscall(machine().seccomp, _SET_MODE_FILTER, flags, address, 0, 0, 0)
    return libc.checked(done)


def _failure(argv: Sequence[str], said: str) -> UserError:
    step, _, number = said.rpartition(" ")
    reason = os.strerror(int(number)) if number.isdecimal() else "it ended before it began"
    if step == "seccomp":
        return UserError(
            "the gate cannot hold system calls",
            f"seccomp user notification: {reason}",
            "use a kernel with CONFIG_SECCOMP_FILTER (5.5 or later); see 'lastref doctor'",
            3,
        )
    return UserError(
        f"'{argv[0]}' could not be started", reason, "check the command of the adapter", 3
    )
