"""The system calls of the designs that address a process by its pid.

    block_until_waitable   waitid(P_PID, pid, WEXITED|WNOWAIT): wait for the end, reap nothing
    wait4                  wait4(pid): reap
    kill                   kill(pid, sig)

The pid is read again from its field for every call, as Go does: that Release can overwrite it in
between is part of what these designs are.

Source: Go's os/exec_unix.go and wait_waitid.go from commit cea29c4a35 (2016) on.
"""

from __future__ import annotations

import errno

from lastref.impl.cells import PidCell
from lastref.impl.errors import Errno, SyscallError
from lastref.impl.state import convert_esrch
from lastref.impl.system import P_PID, WEXITED, WNOWAIT, ProcessSystem, Wait4Result


def block_until_waitable(system: ProcessSystem, pid: PidCell) -> bool:
    """Block until a wait4 will succeed at once and return True; False where waitid is missing.

    Again on EINTR; any other error is SyscallError("waitid").
    """
    while True:
        try:
            system.waitid(P_PID, pid.load_pid(), WEXITED | WNOWAIT)
        except Errno as error:
            if error.errno == errno.EINTR:
                continue
            if error.errno == errno.ENOSYS:
                return False
            raise SyscallError("waitid", error.errno) from None
        return True


def wait4(system: ProcessSystem, pid: PidCell, *, again: bool = True) -> Wait4Result:
    """Wait for the process, reap it, and return how it ended; SyscallError("wait") on failure.

    On EINTR once more, unless `again` is false: Go did not repeat it before 2023.
    """
    while True:
        try:
            return system.wait4(pid.load_pid(), 0)
        except Errno as error:
            if error.errno == errno.EINTR and again:
                continue
            raise SyscallError("wait", error.errno) from None


def kill(system: ProcessSystem, pid: PidCell, number: int) -> None:
    """Signal whoever has the pid now; ProcessDone if nobody has, else Errno."""
    try:
        system.kill(pid.load_pid(), number)
    except Errno as error:
        raise convert_esrch(error) from None
