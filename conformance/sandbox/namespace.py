"""Make a PID namespace with its own /proc, and start process 1 of it.

As root the namespace is made directly. Otherwise, or as a root without the capability, inside a
user namespace in which the caller is root; whether that is allowed is the system's decision, and
its refusal becomes a `Refused` that says which step failed and what would help.

Only the child is in the new namespace: unshare(CLONE_NEWPID) moves the caller's future children,
not the caller. The mount namespace is the child's alone, too, so the caller keeps its /proc.

Source: unshare(2), pid_namespaces(7), user_namespaces(7) for the order in which the maps are
written, mount_namespaces(7).
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
from collections.abc import Callable

from lastref.impl import libc
from lastref.impl.errors import Errno

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
_MS_PRIVATE_RECURSIVE = (1 << 18) | (1 << 14)
_PR_SET_PDEATHSIG = 1

_AS_ROOT = "run as root"
_ALLOW = (
    "run as root, or allow user namespaces (sysctl user.max_user_namespaces above 0 and, where "
    "they exist, kernel.unprivileged_userns_clone=1 and "
    "kernel.apparmor_restrict_unprivileged_userns=0; containers: CAP_SYS_ADMIN)"
)


class Refused(Exception):
    """The system does not let us make the namespace: fault, reason, remedy."""

    def __init__(self, fault: str, reason: str, remedy: str) -> None:
        super().__init__(f"{fault}: {reason}; {remedy}")
        self.fault = fault
        self.reason = reason
        self.remedy = remedy


def unshare_pids() -> str:
    """Give our future children a PID namespace; return ``"root"`` or ``"user namespace"``.

    Raises :class:`Refused`.
    """
    if sys.platform != "linux":
        raise Refused("no PID namespace", f"they are Linux's, and this is {sys.platform}", _AS_ROOT)
    uid, gid = os.geteuid(), os.getegid()
    try:
        _unshare(_CLONE_NEWPID)
    except Errno as error:
        if error.errno != errno.EPERM:
            raise _refused("unshare(CLONE_NEWPID)", error) from None
    else:
        return "root"
    try:
        _unshare(_CLONE_NEWUSER | _CLONE_NEWPID)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {uid} 1")
        _write("/proc/self/gid_map", f"0 {gid} 1")
    except (Errno, OSError) as error:
        raise _refused("unshare(CLONE_NEWUSER | CLONE_NEWPID)", error) from None
    return "user namespace"


def start_process_one(action: Callable[[], int]) -> int:
    """Fork process 1 of the namespace that was just unshared; return its pid as seen from here.

    In it a session and a process group of its own, private mounts, a fresh /proc, and
    PR_SET_PDEATHSIG have been set up before ``action`` runs; its return value is the exit status.
    ``action`` must itself report a :class:`Refused` that `settle` raises.
    """
    alive_reader, alive_writer = os.pipe()
    child = os.fork()
    if child:
        os.close(alive_reader)
        return child  # alive_writer stays open on purpose: it closes when this process dies
    status = 1
    try:
        os.close(alive_writer)
        libc.checked(libc.library().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
        # The parent may have died before the prctl took effect; its end of the pipe tells.
        if not select.select([alive_reader], [], [], 0)[0]:
            status = action()
    finally:
        os._exit(status)


def settle() -> None:
    """Finish the set-up inside process 1; Refused where the mounts are not allowed."""
    os.setsid()  # kill(0, …) reaches our process group: it must have no member outside
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    library = libc.library()
    try:
        _unshare(_CLONE_NEWNS)
        libc.checked(library.mount(b"none", b"/", None, _MS_PRIVATE_RECURSIVE, None))
        libc.checked(library.mount(b"proc", b"/proc", b"proc", _MS_NOSUID_NODEV_NOEXEC, None))
    except Errno as error:
        raise _refused("mount(/proc)", error) from None


def _unshare(flags: int) -> None:
    libc.checked(libc.library().unshare(flags))


def _write(path: str, text: str) -> None:
    with open(path, "wb", buffering=0) as file:  # one write: the kernel takes a map only whole
        file.write(text.encode())


def _refused(call: str, error: Errno | OSError) -> Refused:
    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    return Refused("no private PID namespace", f"{call} ended with {name}", _ALLOW)
