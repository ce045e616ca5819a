"""What the kernel model assumes of the kernel, each line asked of the real one.

The proofs and the explorer see the kernel through `model/kernel.py`.  So every promise of pidfds
that it is built on is a check here, on real processes, in the order of the calls: pidfd_open,
pidfd_send_signal, waitid(P_PIDFD), poll, and when a number is free again.

Each fact runs in a process of its own; those that recycle pids, inside a private PID namespace.  A
fact that this kernel is too old for is skipped, with the version that brought it.

Source: the kernel's tools/testing/selftests/pidfd; pidfd_open(2), pidfd_send_signal(2), waitid(2),
poll(2), proc_pid_fdinfo(5), proc_sys_kernel(5).
"""

from __future__ import annotations

import errno
import os
import select
import signal

from lastref.conformance.kernel_stage import (
    FACTS,
    NotSo,
    TooOld,
    a_child,
    end_and_reap,
    expect,
    fact,
    fails,
    forked,
    has_thread_flag,
    kernel_release,
    leave_a_thread,
    nonblocking,
    opened,
    other_thread,
    pid_shown,
    pidfd_open,
    polled,
    recycling,
    stopped_and_continued,
    task_state,
    wait_for,
)
from lastref.impl.guard import PID_LIMIT, Guard
from lastref.impl.system import P_PID, P_PIDFD, WEXITED, WNOHANG, WSTOPPED

__all__ = ["FACTS"]

_UNKNOWN_FLAG = 1
_NO_SIGNAL = 65
_EXIT_CODE = 3
_PID = 4242


# ---- pidfd_open -------------------------------------------------------------------------------


@fact("pidfd_open of a pid below 1 fails with EINVAL")
def open_negative_pid() -> str:
    """-1 and 0 are no processes."""
    return " and ".join(fails(errno.EINVAL, pidfd_open, pid) for pid in (-1, 0))


@fact("pidfd_open of a missing pid fails with ESRCH")
def open_missing_pid() -> str:
    """No kernel hands out a pid of PID_MAX_LIMIT or above."""
    return fails(errno.ESRCH, pidfd_open, PID_LIMIT + 1)


@fact("pidfd_open with an unknown flag fails with EINVAL")
def open_unknown_flag() -> str:
    """Flag 1 is not defined."""
    return fails(errno.EINVAL, pidfd_open, os.getpid(), _UNKNOWN_FLAG)


@fact("pidfd_open of the own pid works, and the descriptor closes on exec")
def open_own_pid() -> str:
    """A process can hold a pidfd of itself."""
    import fcntl  # absent on Windows, where this module is imported too

    with opened(os.getpid()) as pidfd:
        expect(bool(fcntl.fcntl(pidfd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC), "no close-on-exec")
    return "a descriptor with FD_CLOEXEC"


@fact("/proc/self/fdinfo of a pidfd shows 'Pid:'")
def fdinfo_shows_pid() -> str:
    """The guard resolves pidfds by it: the pid while there is a process, -1 once it is reaped."""
    with a_child() as (_, child):
        expect(pid_shown(child.pidfd) == child.pid, "another pid is shown")
        end_and_reap(child)
        shown = pid_shown(child.pidfd)
        expect(shown == -1, f"once reaped, Pid: {shown} is shown")
    return "the pid, and -1 once it is reaped"


@fact("pidfd_open of a thread that is no leader fails with ENOENT")
def open_thread() -> str:
    """Since 6.9; before, EINVAL."""
    with other_thread() as tid:
        try:
            return fails(errno.ENOENT, pidfd_open, tid)
        except NotSo as error:
            if "EINVAL" in str(error) and not has_thread_flag(tid):
                raise TooOld("a kernel before 6.9 says EINVAL") from None
            raise


@fact("pidfd_open of such a thread with PIDFD_THREAD works")
def open_thread_with_flag() -> str:
    """Since 6.9."""
    with other_thread() as tid:
        if not has_thread_flag(tid):
            raise TooOld("PIDFD_THREAD came with Linux 6.9")
    return "a descriptor"


@fact("PIDFD_NONBLOCK shows in F_GETFL")
def nonblock_shows() -> str:
    """Since 5.10."""
    import fcntl

    with nonblocking(os.getpid()) as pidfd:
        expect(bool(fcntl.fcntl(pidfd, fcntl.F_GETFL) & os.O_NONBLOCK), "no O_NONBLOCK")
    return "O_NONBLOCK is set"


# ---- pidfd_send_signal ------------------------------------------------------------------------


@fact("pidfd_send_signal to the own process is delivered")
def signal_to_self() -> str:
    """The handler runs."""
    seen: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    guard = Guard()
    guard.register(os.getpid())
    with opened(os.getpid()) as pidfd:
        guard.pidfd_send_signal(pidfd, signal.SIGUSR1)
    expect(seen == [signal.SIGUSR1], "the handler did not run")
    return "the handler ran"


@fact("signal 0 only asks: it succeeds on a running process and does nothing")
def signal_zero() -> str:
    """The process goes on."""
    with a_child() as (stage, child):
        stage.system.pidfd_send_signal(child.pidfd, 0)
        expect(child.state == "running", f"the process is {child.state}")
    return "succeeds"


@fact("pidfd_send_signal on a zombie succeeds")
def signal_zombie() -> str:
    """A zombie is still the process."""
    with a_child() as (stage, child):
        child.end()
        stage.system.pidfd_send_signal(child.pidfd, signal.SIGTERM)
        expect(child.state == "ended", f"the process is {child.state}")
    return "succeeds, and changes nothing"


@fact("pidfd_send_signal after reaping fails with ESRCH")
def signal_reaped() -> str:
    """For every signal, 0 too."""
    with a_child() as (stage, child):
        end_and_reap(child)
        for number in (0, signal.SIGTERM, _NO_SIGNAL):
            fails(errno.ESRCH, stage.system.pidfd_send_signal, child.pidfd, number)
    return "ESRCH, even for a signal there is not"


@fact("pidfd_send_signal of a signal there is not fails with EINVAL")
def signal_unknown() -> str:
    """65 is above SIGRTMAX."""
    with a_child() as (stage, child):
        return fails(errno.EINVAL, stage.system.pidfd_send_signal, child.pidfd, _NO_SIGNAL)


@fact("pidfd_send_signal works on a stopped process")
def signal_stopped() -> str:
    """SIGKILL ends it although it is stopped."""
    with a_child() as (stage, child):
        stage.system.pidfd_send_signal(child.pidfd, signal.SIGSTOP)
        wait_for(stage, child, WSTOPPED)
        stage.system.pidfd_send_signal(child.pidfd, signal.SIGKILL)
        ended = wait_for(stage, child, WEXITED)
        expect(ended.code == os.CLD_KILLED, f"code {ended.code}")
    return "killed while stopped"


@fact(
    "pidfd_send_signal after the pid went to a new process: still ESRCH, the new one untouched",
    namespace=True,
)
def signal_recycled() -> str:
    """The pidfd is of the process, not of its number."""
    with a_child() as (stage, child), recycling(stage) as recycler:
        end_and_reap(child)
        victim = recycler.take(child.pid)
        expect(victim is not None, "the pid was not free")
        assert victim is not None
        for number in (0, signal.SIGKILL):
            fails(errno.ESRCH, stage.system.pidfd_send_signal, child.pidfd, number)
        expect(recycler.retire(victim).untouched, "the new process was hit")
    return f"pid {child.pid} came back; ESRCH; untouched"


# ---- waitid(P_PIDFD) --------------------------------------------------------------------------


@fact("waitid(P_PIDFD) on another kind of descriptor fails with EBADF")
def wait_no_pidfd() -> str:
    """Neither a device nor a directory of /proc will do."""
    with a_child() as (stage, _):
        for path in (os.devnull, "/proc/self"):
            other = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fails(errno.EBADF, stage.system.waitid, P_PIDFD, other, WEXITED)
            finally:
                os.close(other)
    return "EBADF on /dev/null and on /proc/self"


@fact("waitid(P_PIDFD) of an exit tells CLD_EXITED, the pid and the status")
def wait_exit() -> str:
    """A child that exits with 3."""
    with forked(lambda: os._exit(_EXIT_CODE)) as (stage, child):
        ended = wait_for(stage, child, WEXITED)
        said = (ended.code, ended.pid, ended.status)
        expect(said == (os.CLD_EXITED, child.pid, _EXIT_CODE), f"{said}")
    return f"CLD_EXITED, status {_EXIT_CODE}"


@fact("waitid(P_PIDFD) of a stop tells CLD_STOPPED")
def wait_stop() -> str:
    """With WSTOPPED."""
    return stopped_and_continued()[0]


@fact("waitid(P_PIDFD) of a continue tells CLD_CONTINUED")
def wait_continue() -> str:
    """With WCONTINUED."""
    return stopped_and_continued()[1]


@fact("waitid(P_PIDFD) of a SIGKILL tells CLD_KILLED")
def wait_kill() -> str:
    """And the signal as the status."""
    with a_child() as (stage, child):
        stage.system.pidfd_send_signal(child.pidfd, signal.SIGKILL)
        ended = wait_for(stage, child, WEXITED)
        expect((ended.code, ended.status) == (os.CLD_KILLED, signal.SIGKILL), f"{ended}")
    return "CLD_KILLED, status 9"


@fact("waitid(P_PIDFD) on a process that is no child fails with ECHILD")
def wait_no_child() -> str:
    """On oneself: nobody is its own child; the same with a non-blocking descriptor."""
    with a_child() as (stage, _):
        for holding in (opened(os.getpid()), nonblocking(os.getpid())):
            with holding as pidfd:
                fails(errno.ECHILD, stage.system.waitid, P_PIDFD, pidfd, WEXITED)
    return "ECHILD"


@fact("non-blocking waitid(P_PIDFD) on a running child fails with EAGAIN")
def wait_nonblocking() -> str:
    """It does not wait."""
    with a_child() as (stage, child), nonblocking(child.pid) as pidfd:
        return fails(errno.EAGAIN, stage.system.waitid, P_PIDFD, pidfd, WEXITED)


@fact("waitid(P_PIDFD) with WNOHANG on a running child returns nothing, not an error")
def wait_nohang() -> str:
    """Blocking descriptor or not."""
    with a_child() as (stage, child), nonblocking(child.pid) as pidfd:
        for fd in (child.pidfd, pidfd):
            found = stage.system.waitid(P_PIDFD, fd, WEXITED | WNOHANG)
            expect(found.pid == 0, f"pid {found.pid} is told")
    return "pid 0"


@fact("waitid(P_PID) of a pid below 1 fails with EINVAL")
def wait_negative_pid() -> str:
    """Where wait4 would mean any child, or a group."""
    with a_child() as (stage, _):
        for pid in (-1, 0):
            fails(errno.EINVAL, stage.system.waitid, P_PID, pid, WEXITED)
    return "EINVAL"


# ---- poll -------------------------------------------------------------------------------------


@fact("SIGKILL gives exactly one event on the pidfd, POLLIN, before reaping")
def poll_kill() -> str:
    """Edge-triggered epoll counts the events."""
    with a_child() as (stage, child), select.epoll() as epoll:
        epoll.register(child.pidfd, select.EPOLLIN | select.EPOLLET)
        stage.system.pidfd_send_signal(child.pidfd, signal.SIGKILL)
        first = epoll.poll()
        child.await_exit()
        more = epoll.poll(0)
        expect(first == [(child.pidfd, select.EPOLLIN)], f"the first event is {first}")
        expect(more == [], f"there is another: {more}")
    return "one event, POLLIN"


@fact("the pidfd of a zombie polls POLLIN, without POLLHUP")
def poll_zombie() -> str:
    """There is something to reap."""
    with a_child() as (_, child):
        expect(polled(child.pidfd) == 0, "a running process has an event")
        child.end()
        expect(polled(child.pidfd) == select.POLLIN, f"events {polled(child.pidfd):#x}")
    return "POLLIN"


@fact("the pidfd of a reaped process polls POLLIN and POLLHUP")
def poll_reaped() -> str:
    """POLLHUP since 6.9."""
    with a_child() as (_, child):
        end_and_reap(child)
        seen = polled(child.pidfd)
        if seen == select.POLLIN and kernel_release() < (6, 9):
            raise TooOld("POLLHUP for a reaped process came with Linux 6.9")
        expect(seen == select.POLLIN | select.POLLHUP, f"events {seen:#x}")
    return "POLLIN | POLLHUP"


@fact("a leader that exits while threads live gives no event until the last thread is gone")
def poll_leader_gone() -> str:
    """The process is not over before."""
    reader, hold = os.pipe()
    with forked(lambda: leave_a_thread(reader, hold)) as (_, child):
        os.close(reader)
        while task_state(child.pid, child.pid) != "Z":
            os.sched_yield()
        expect(polled(child.pidfd) == 0, "an event while a thread lives")
        expect(child.state == "running", f"waitid says {child.state}")
        os.close(hold)
        expect(polled(child.pidfd, None) == select.POLLIN, "no POLLIN at the end")
    return "no event while a thread lives"


# ---- when a number is free again --------------------------------------------------------------


@fact("a pid is free only after its process is reaped", namespace=True)
def pid_free_after_reaping() -> str:
    """clone3 with set_tid: EEXIST while it runs, EEXIST while it is a zombie, then its own."""
    with a_child() as (stage, child), recycling(stage) as recycler:
        expect(recycler.take(child.pid) is None, "the pid of a running process was given away")
        child.end()
        expect(recycler.take(child.pid) is None, "the pid of a zombie was given away")
        os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED)
        victim = recycler.take(child.pid)
        expect(victim is not None, "the pid of a reaped process is not free")
        assert victim is not None
        expect(recycler.retire(victim).untouched, "the new process was hit")
    return "EEXIST, EEXIST, taken"


@fact("writing N-1 to ns_last_pid makes the next fork get pid N", namespace=True)
def pid_next() -> str:
    """Twice: the number comes back."""
    with a_child() as (stage, _), recycling(stage) as recycler:
        for _ in range(2):
            recycler.next_child(_PID)
            with forked(lambda: os._exit(0)) as (_, child):
                expect(child.pid == _PID, f"the kernel gave {child.pid}")
    return f"{_PID}, twice"


@fact("pids are handed out upwards from the last, and wrap around at pid_max", namespace=True)
def pid_wraps() -> str:
    """So a number comes back by itself, after a whole round."""
    with open("/proc/sys/kernel/pid_max", encoding="ascii") as limit:
        highest = int(limit.read()) - 1
    with a_child() as (stage, _), recycling(stage) as recycler:
        recycler.next_child(highest)
        given = []
        for _ in range(2):
            with forked(lambda: os._exit(0)) as (_, child):
                given.append(child.pid)
        expect(given[0] == highest, f"the kernel gave {given[0]}")
        expect(given[1] < highest, f"after the highest it gave {given[1]}")
    return f"{given[0]}, then {given[1]}"


@fact("a descriptor's number is free right after close, and the lowest free number comes first")
def fd_free_after_close() -> str:
    """Which is what makes the wrong process so easy to hit."""
    with a_child() as (_, child):
        first, second, third = (os.dup(child.pidfd) for _ in range(3))
        os.close(second)
        os.close(first)
        again = [pidfd_open(os.getpid()), pidfd_open(os.getpid())]
        for fd in (*again, third):
            os.close(fd)
        expect(again == [first, second], f"{first}, {second} were free; it gave {again}")
    return "the lower of two free numbers, then the other"
