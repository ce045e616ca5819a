"""Probes that change the process they run in, each to be run in a short-lived process of its own.

A namespace cannot be left and a seccomp filter cannot be taken off, so the doctor starts

    python -m lastref.conformance.probes NAME

for each of them; the program prints one line, what it saw (exit 0) or why not (exit 3), and ends.
Every probe does the thing itself: it becomes process 1, it answers another thread's system call.

Source: user_namespaces(7), pid_namespaces(7), clone(2) for set_tid, proc_sys_kernel(5) for
ns_last_pid, seccomp_unotify(2), ptrace(2).
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lastref.impl import libc, syscall_numbers
from lastref.impl.errors import ProcessError, Refusal

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE3 = 435
_WANTED_PID = 4242
_UNABLE = 3
_ANSWER = 20240  # what the intercepted call returns; no file descriptor is that high here

# Only architectures with the generic ioctl encoding, which the two requests below are written in.
_SECCOMP: dict[syscall_numbers.Architecture, int] = {
    "386": 354,
    "amd64": 317,
    "arm": 383,
    "generic": 277,
    "s390x": 348,
}
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_NEW_LISTENER = 8
_SECCOMP_IOCTL_NOTIF_RECV = 0xC0502100
_SECCOMP_IOCTL_NOTIF_SEND = 0xC0182101
_PR_SET_NO_NEW_PRIVS = 38

_PTRACE_TRACEME, _PTRACE_CONT, _PTRACE_SYSCALL, _PTRACE_SETOPTIONS = 0, 7, 24, 0x4200
_PTRACE_O_TRACESYSGOOD, _PTRACE_O_EXITKILL = 1, 0x100000
_SYSCALL_STOP = 5 | 0x80  # SIGTRAP, which is not named where this module is only imported


class NotAsExpected(Exception):
    """A call succeeded and yet its effect did not show."""


_SEEN_AS_UNABLE = (OSError, NotAsExpected, ProcessError, Refusal)
"""What a probe may end with; anything else is a fault of the probe and stays a traceback."""


def user_namespace() -> str:
    """Become root in a user namespace of our own."""
    uid = os.geteuid()
    _unshare(_CLONE_NEWUSER)
    with open("/proc/self/uid_map", "w", encoding="ascii") as uid_map:
        uid_map.write(f"0 {uid} 1\n")
    _expect(os.geteuid() == 0, "the namespace gave no root")
    return f"uid {uid} is root inside"


def pid_namespace() -> str:
    """Become process 1 of a PID namespace of our own."""
    how = _unshare_pids()
    _in_child(lambda: _expect(os.getpid() == 1, "the child is not process 1"))
    return how


def clone3_set_tid() -> str:
    """Start a process under a pid of our choice, inside a PID namespace of our own."""
    how = _unshare_pids()
    _in_child(_choose_pid)
    return f"pid {_WANTED_PID} on demand, {how}"


def ns_last_pid() -> str:
    """Choose the next pid by writing the last one, inside a PID namespace of our own."""
    how = _unshare_pids()
    _in_child(_write_last_pid)
    return f"pid {_WANTED_PID} on demand, {how}"


def seccomp_notification() -> str:
    """Hold another thread's pidfd_open and answer it in the kernel's place."""
    import fcntl

    # One worker: the filter holds for the thread that installed it, so that same thread asks.
    with ThreadPoolExecutor(max_workers=1) as asker:
        listener = asker.submit(_install_listener).result()
        try:
            answer = asker.submit(libc.syscall, "pidfd_open", os.getpid(), 0)
            notification = bytearray(80)
            fcntl.ioctl(listener, _SECCOMP_IOCTL_NOTIF_RECV, notification)
            (request,) = struct.unpack_from("=Q", notification)
            response = struct.pack("=QqiI", request, _ANSWER, 0, 0)
            fcntl.ioctl(listener, _SECCOMP_IOCTL_NOTIF_SEND, response)
        finally:
            os.close(listener)  # an unanswered call then ends with ENOSYS
        got = answer.result()
    _expect(got == _ANSWER, f"the call returned {got}, not our answer")
    return "answered a pidfd_open in the kernel's place"


def ptrace() -> str:
    """Stop a child before a system call, let it go on, and see it exit."""
    child = os.fork()
    if child == 0:
        _trace(_PTRACE_TRACEME, 0, 0)
        signal.raise_signal(signal.SIGSTOP)
        os._exit(7)
    _expect_stop(child, signal.SIGSTOP)
    _trace(_PTRACE_SETOPTIONS, child, _PTRACE_O_TRACESYSGOOD | _PTRACE_O_EXITKILL)
    _trace(_PTRACE_SYSCALL, child, 0)
    _expect_stop(child, _SYSCALL_STOP)
    _trace(_PTRACE_CONT, child, 0)
    _, status = os.waitpid(child, 0)
    _expect(os.waitstatus_to_exitcode(status) == 7, "the child did not exit as it should")
    return "stopped a child before a system call"


PROBES: dict[str, Callable[[], str]] = {
    probe.__name__: probe
    for probe in (
        user_namespace,
        pid_namespace,
        clone3_set_tid,
        ns_last_pid,
        seccomp_notification,
        ptrace,
    )
}


def main(name: str) -> int:
    """Run one probe, print what it saw or why it failed, and return 0 or 3."""
    try:
        print(PROBES[name]())
    except _SEEN_AS_UNABLE as error:
        print(_said(error))
        return _UNABLE
    return 0


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _expect(seen: bool, otherwise: str) -> None:
    if not seen:
        raise NotAsExpected(otherwise)


def _unshare(flags: int) -> None:
    libc.checked(libc.library().unshare(flags))


def _unshare_pids() -> str:
    """Give our children a PID namespace; say whether that took a user namespace as well."""
    if os.geteuid() == 0:
        _unshare(_CLONE_NEWPID)
        return "as root"
    _unshare(_CLONE_NEWUSER | _CLONE_NEWPID)
    return "inside a user namespace"


def _in_child(action: Callable[[], None]) -> None:
    """Run ``action`` in a forked child; NotAsExpected with the child's words if it was unable."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            action()
        except _SEEN_AS_UNABLE as error:
            os.write(writer, _said(error).encode())
            os._exit(_UNABLE)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, _UNABLE):
        raise RuntimeError(f"the child of the probe ended with {code}")
    _expect(code == 0, said)


def _choose_pid() -> None:
    wanted = (ctypes.c_int * 1)(_WANTED_PID)
    # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
    # set_tid, set_tid_size; without CLONE_VM the child goes on here in a copy of our memory.
    arguments = (ctypes.c_uint64 * 10)(
        0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(wanted), 1
    )
    pid = _syscall(_CLONE3, ctypes.addressof(arguments), ctypes.sizeof(arguments))
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    _expect(pid == _WANTED_PID, f"the kernel gave {pid}")


def _write_last_pid() -> None:
    with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as last:
        last.write(str(_WANTED_PID - 1))
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    _expect(pid == _WANTED_PID, f"the kernel gave {pid}")


def _install_listener() -> int:
    """Put a filter on this thread that asks a listener about pidfd_open; return the listener."""
    architecture = syscall_numbers.architecture_of(platform.machine(), 8 * struct.calcsize("P"))
    if architecture not in _SECCOMP:
        raise NotAsExpected(f"the number of seccomp(2) on {architecture} is not in the table")
    # BPF: load the call's number; if it is pidfd_open's then USER_NOTIF else ALLOW.
    instructions = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (0x20, 0, 0, 0),
            (0x15, 0, 1, syscall_numbers.number("pidfd_open")),
            (0x06, 0, 0, 0x7FC00000),
            (0x06, 0, 0, 0x7FFF0000),
        )
    )
    code = ctypes.create_string_buffer(instructions, len(instructions))
    program = struct.pack("@HP", len(instructions) // 8, ctypes.addressof(code))
    buffer = ctypes.create_string_buffer(program, len(program))
    libc.checked(libc.library().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    return _syscall(
        _SECCOMP[architecture],
        _SECCOMP_SET_MODE_FILTER,
        _SECCOMP_FILTER_FLAG_NEW_LISTENER,
        ctypes.addressof(buffer),
    )


def _syscall(number: int, *arguments: int) -> int:
    padding = (0,) * (6 - len(arguments))
    return libc.checked(libc.library().syscall(number, *arguments, *padding))


def _trace(request: int, pid: int, data: int) -> None:
    call = libc.library().ptrace
    call.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    call.restype = ctypes.c_long
    libc.checked(call(request, pid, None, data))


def _expect_stop(child: int, by: int) -> None:
    _, status = os.waitpid(child, 0)
    stopped = os.WIFSTOPPED(status) and os.WSTOPSIG(status) == by
    _expect(stopped, f"the child did not stop as it should (status {status:#x})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
