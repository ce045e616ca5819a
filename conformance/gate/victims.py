"""Victims by the thousand: what `sandbox.Recycler` does, from a small process instead of a large.

    supervisor ── "4711" ──▶ zygote ── clone3, set_tid 4711 ──▶ victim, the supervisor's child
               ◀── "0" or the errno

A victim waits for ever. It is ended by a signal that nobody else sends, `RETIRED`, and only when
it sleeps: a signal that concerns it wakes it at once, so one that sleeps has none to come. (Sent
without looking, it would now and then win against a SIGQUIT on its way, since a signal that dumps
core is not settled when it is sent.) So the signal it died of tells for certain whether it was hit.

Source: signal(7); complete_signal() and do_coredump() in the kernel.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from lastref.conformance.closing import Closing
from lastref.conformance.sandbox import Fate
from lastref.impl.errors import Errno
from lastref.impl.guard import Guard

RETIRED = 64  # SIGRTMAX, which is not named where this module is only imported
"""The signal by which a victim is ended that nobody has hit."""

_EEXIST = 17
_LAST_PID = "/proc/sys/kernel/ns_last_pid"


class Victim:
    """A process under a chosen pid that nobody has a reason to touch."""

    def __init__(self, pid: int, guard: Guard) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self._guard = guard
        guard.register(pid)

    @property
    def untouched(self) -> bool:
        """Whether it sleeps, once it does: a signal on its way would have woken it."""
        while (letter := _state(self.pid)) == "R":
            os.sched_yield()
        return letter == "S"

    def retire(self) -> Fate:
        """End the victim and tell whether it was hit; its pid is free afterwards."""
        fate = Fate(None, reaped_by_us=False)
        try:
            self._end()
        except Errno as error:
            if error.kind != "ESRCH":
                raise
        try:
            info = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        except ChildProcessError:
            info = None
        if info is not None:
            hit = info.si_status != RETIRED
            fate = Fate(info.si_status if hit else None, reaped_by_us=True)
        self._guard.forget(self.pid)
        os.close(self.pidfd)
        return fate

    def _end(self) -> None:
        """Send `RETIRED` once nothing else is on its way."""
        while (letter := _state(self.pid)) not in ("Z", "X", ""):
            if letter == "S":
                self._guard.pidfd_send_signal(self.pidfd, RETIRED)
                return
            if letter == "T":
                self._guard.pidfd_send_signal(self.pidfd, signal.SIGCONT)
            os.sched_yield()


def _state(pid: int) -> str:
    """Return the letter of a process's state, nothing if there is no such process."""
    try:
        return read_file(f"/proc/{pid}/stat").rpartition(b")")[2][1:2].decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def read_file(path: str) -> bytes:
    """Return what a short file of /proc says, in few calls: it is asked for at every step."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 1 << 12)
    finally:
        os.close(file)


class Victims(Closing):
    """Starts victims; for process 1 of a sandbox, as a context manager."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._alive: dict[int, Victim] = {}
        self._zygote: subprocess.Popen[bytes] | None = None

    def take(self, pid: int) -> Victim | None:
        """Start a victim under ``pid``, or return None while the pid is in use.

        Errno for any other failure (EPERM: the namespace is not ours).
        """
        error = self._ask(pid)
        if error == _EEXIST:
            return None
        if error:
            raise Errno(error)
        victim = self._alive[pid] = Victim(pid, self._guard)
        return victim

    def retire(self, victim: Victim) -> Fate:
        """End one victim and tell whether it was hit."""
        self._alive.pop(victim.pid, None)
        return victim.retire()

    def next_child(self, pid: int) -> None:
        """Let the next process that anyone in the namespace starts get ``pid``, if it is free."""
        with open(_LAST_PID, "w", encoding="ascii") as last:
            last.write(str(pid - 1))

    def close(self) -> None:
        """End the victims that were not retired, and the zygote."""
        for victim in tuple(self._alive.values()):
            self.retire(victim)
        if self._zygote is not None:
            self._zygote.communicate()
            self._zygote = None

    def _ask(self, pid: int) -> int:
        """Let the zygote try; a testee's kill(-1) may have hit it, then another takes over."""
        for _ in range(2):
            zygote = self._running()
            assert zygote.stdin is not None
            assert zygote.stdout is not None
            try:
                zygote.stdin.write(b"%d\n" % pid)
                answer = zygote.stdout.readline()
            except BrokenPipeError:
                answer = b""
            if answer:
                return int(answer)
            zygote.wait()
            self._zygote = None
        raise RuntimeError("the process that victims are copied from does not live")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._zygote is None:
            program = Path(__file__).with_name("zygote.py")
            self._zygote = subprocess.Popen(
                [sys.executable, "-I", "-S", str(program), "0", "1"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            )
        return self._zygote
