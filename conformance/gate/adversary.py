"""The adversary: in every gap it gives away what has become free.

    a pid that was reaped            becomes a victim's, by clone3 with set_tid
                                     or, where the testee makes children, its next child's
    a handle number that was closed  becomes a victim's pidfd, while a call that uses it is held

It does what a kernel may do at that moment, no more: a pid is taken only when it is free (EEXIST
says so), a number only when it is closed. So whoever is hit then was hit by the testee's fault.
"""

from __future__ import annotations

import select
from collections.abc import Iterable

from lastref.conformance.gate.testee import HeldCall, Testee
from lastref.conformance.gate.victims import Victim, Victims, read_file
from lastref.conformance.sandbox import Fate


class Adversary:
    """The victims of one run.

    ``taken`` tells what was given away, in order; ``numbers`` how many handle numbers of it, which
    stay open in the testee.
    """

    def __init__(self, victims: Victims) -> None:
        self._source = victims
        self._by_pid: dict[int, Victim] = {}
        self._by_number: dict[int, Victim] = {}
        self.taken: list[str] = []
        self.numbers = 0

    def take_pid(self, pid: int, name: str) -> bool:
        """Give the pid to a victim, if it is free; return whether it was."""
        if pid in self._by_pid:
            return False
        victim = self._source.take(pid)
        if victim is None:
            return False
        self._by_pid[pid] = victim
        self.taken.append(f"pid({name})")
        return True

    def take_numbers(self, testee: Testee, held: Iterable[HeldCall]) -> None:
        """Give each closed number that a held call uses to a victim's pidfd."""
        for call in held:
            number = call.handle
            if number is None or number < 0 or call.call == "close":
                continue
            if number in self._by_number or testee.handle_is_open(number):
                continue
            victim = self._spare()
            if testee.listener.inject(call.notification, victim.pidfd, number):
                self._by_number[number] = victim
                self.taken.append("number(handle)")
                self.numbers += 1

    def give_to_next_child(self, pid: int) -> None:
        """Let the child that is about to be made get ``pid``."""
        self._source.next_child(pid)

    def on(self, pid: int) -> bool | None:
        """Return whether the victim under a pid is untouched so far, None if there is none."""
        victim = self._by_pid.get(pid)
        return None if victim is None else victim.untouched

    def on_numbers(self) -> list[bool]:
        """Return which of the victims behind handle numbers are untouched so far."""
        return [victim.untouched for victim in self._by_number.values()]

    def retire(self) -> list[Fate]:
        """End all victims and return what became of them, in the order in which they came."""
        victims = [*self._by_pid.values(), *self._by_number.values()]
        self._by_pid.clear()
        self._by_number.clear()
        return [self._source.retire(victim) for victim in victims]

    def _spare(self) -> Victim:
        """Start a victim under a pid of no meaning."""
        with open("/proc/sys/kernel/pid_max", encoding="ascii") as limit:
            pid = int(limit.read()) - 1
        while (victim := self._source.take(pid)) is None:
            pid -= 1
        return victim


def reaped(pidfd: int) -> bool:
    """Return whether the process behind a pidfd has been reaped."""
    return b"\nPid:\t-1\n" in read_file(f"/proc/self/fdinfo/{pidfd}")


def dead(pidfd: int) -> bool:
    """Return whether the process behind a pidfd has ended, reaped or not."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))
