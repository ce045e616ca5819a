"""An adapter behind the gate: its messages and its held calls, as one stream of events.

The program is any that speaks the adapter protocol. It knows nothing of the gate, and is not built
for it. Everything it says or tries comes through `pump`, which sorts:

    a call of a process that is not the testee      let go at once
    a new thread of the testee                      let go at once
    a signal of the testee to itself                let go at once
    a call while nothing is to be held              let go at once
    any other call                                  held: it joins `held`
    a message                                       given to the conversation

A signal to itself is a language's own business: Go's scheduler preempts its threads like that.

A child between vfork and exec shares the testee's filter, and its parent sleeps until it is done;
so it must not be held. It shows by its thread not being one of the testee's.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lastref.conformance.closing import Closing
from lastref.conformance.errors import UserError
from lastref.conformance.gate.filter import CLONE_THREAD, LINE, Refusal, program
from lastref.conformance.gate.launch import Launched, launch
from lastref.conformance.gate.lines import wrapped
from lastref.conformance.gate.listener import Notification
from lastref.conformance.gate.numbers import machine
from lastref.conformance.gate.rest import Watch, until_rest
from lastref.conformance.protocol.conversation import Conversation, Ready
from lastref.conformance.protocol.messages import Message, ProtocolError
from lastref.conformance.signals import signal_name
from lastref.impl.guard import Guard

SECONDS = 60.0
"""How long anything may take before the testee is given up; no result depends on it."""

DYING = 5.0
"""How long one may take to end that has closed its pipes; who takes longer is said to run on."""

HELD = frozenset({"kill", "tgkill", "wait4", "waitid", "pidfd_send_signal", "pidfd_open"})
"""The calls that are always held."""

MAKING_PROCESSES = frozenset({"clone", "clone3", "fork", "vfork"})
"""The calls that are held where the testee's own children matter."""

CALM = {
    "GODEBUG": "asyncpreemptoff=1",
    "GOGC": "off",
    "GOMAXPROCS": "8",
    "LASTREF_SWITCH_INTERVAL": "5",
}
"""The testee's environment beside the program's own.

Go makes some calls without telling its scheduler (kill and fork among them): one that is held keeps
a processor of GOMAXPROCS, and stops the garbage collector and all who wait for it. A preemption
signal would end a blocked wait with EINTR, and the repetition is held once more: a step that comes
and goes with the machine's load.

In CPython who has waited for the GIL for 5 ms asks for it, and the holder gives it up at its next
chance; so where a held call keeps the GIL the time decides who goes on. An adapter in Python waits
for so many seconds instead if it passes the last one to sys.setswitchinterval, as `serve` does.
"""


@dataclass(frozen=True)
class Program:
    """What is driven: the command, what of it is refused, and which handle's close is held.

    ``handle`` is a file descriptor number in the testee. ``processes`` also holds the calls that
    make a process. ``lines`` are functions of a Python program, held before each of their lines.
    """

    argv: tuple[str, ...]
    refused: tuple[Refusal, ...] = ()
    handle: int | None = None
    processes: bool = False
    lines: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


class Lost(Exception):
    """The testee ended, hung or broke the protocol; the text says which.

    ``signal`` is what ended it, None if nothing did or if it exited.
    """

    def __init__(self, said: str, signal_number: int | None = None) -> None:
        super().__init__(said)
        self.signal = signal_number


_VALUES = {
    "close": (0,),
    "kill": (0, 1),
    "pidfd_open": (0, 1),
    "pidfd_send_signal": (0, 1, 3),
    "tgkill": (0, 1, 2),
    "wait4": (0, 2),
    "waitid": (0, 1, 3),
}
"""Which arguments are values; the others are addresses, which say nothing about what is asked."""


class HeldCall:
    """A held call: the notification, the call's name, and the role of what it is about."""

    def __init__(self, notification: Notification, call: str) -> None:
        self.notification = notification
        self.call = call

    @property
    def tid(self) -> int:
        """The thread that makes the call."""
        return self.notification.tid

    @property
    def asked(self) -> tuple[object, ...]:
        """Who makes which call with which values: the same twice asks for the same twice.

        An address is none of it: a loop of Python's finds its stack elsewhere once it is warm.
        """
        values = _VALUES.get(self.call, ())
        return (self.tid, self.call, *(self.notification.arguments[i] for i in values))

    @property
    def line(self) -> int | None:
        """The line of Python that it stands for, None if it is a real call."""
        if self.call != "close" or self.notification.arguments[0] < LINE:
            return None
        return (self.notification.arguments[0] & 0xFFFFFFFF) - LINE

    @property
    def pid(self) -> int | None:
        """The pid that the call names, None if it names a handle or nobody."""
        if self.call in ("kill", "tgkill", "wait4", "pidfd_open"):
            return self.notification.signed(0)
        if self.call == "waitid" and self.notification.signed(0) == os.P_PID:
            return self.notification.signed(1)
        return None

    @property
    def handle(self) -> int | None:
        """The handle's number that the call uses, None if it uses a pid."""
        if self.call == "pidfd_send_signal" or (self.call == "close" and self.line is None):
            return self.notification.signed(0)
        if self.call == "waitid" and self.notification.signed(0) == os.P_PIDFD:
            return self.notification.signed(1)
        return None


class Testee(Closing):
    """A running adapter behind the gate. Use it as a context manager inside a sandbox."""

    __test__ = False  # the name is the field's, and pytest collects what begins with it

    def __init__(self, wanted: Program, guard: Guard) -> None:
        self.program = wanted
        self.guard = guard
        self.conversation = Conversation(validate=False)
        self.held: list[HeldCall] = []
        self.holding = False
        self.counts: dict[str, int] = {}
        calls = HELD | (MAKING_PROCESSES if wanted.processes else frozenset())
        instructions = program(machine(), calls, wanted.refused, wanted.handle)
        argv = wrapped(wanted.argv, wanted.lines) if wanted.lines else wanted.argv
        self._launched: Launched = launch(argv, instructions, {**CALM, **wanted.environment})
        self.pid = self._launched.pid
        self.watch = Watch(machine().naps, self.pid)
        self.watch.processes = {self.pid}
        guard.register(self.pid)
        os.set_blocking(self._launched.output, False)
        self._poll = select.poll()
        self._listener = self._launched.listener
        self._poll.register(self._listener.fd, select.POLLIN)
        self._poll.register(self._launched.output, select.POLLIN)
        self._poll.register(self._launched.pidfd, select.POLLIN)  # a child may keep its output open

    @property
    def listener(self) -> Any:
        """The listener of its filter."""
        return self._listener

    def handshake(self) -> Ready:
        """Say hello and return what the adapter says about itself."""
        self._write(self.conversation.hello())
        self.until(lambda: self.conversation.ready is not None, "its first message")
        assert self.conversation.ready is not None
        return self.conversation.ready

    def invoke(self, op: str, process: str, **arguments: Any) -> int:
        """Ask for an operation and return its number; it has not begun yet."""
        number, line = self.conversation.op(op, process, **arguments)
        self._write(line)
        return number

    def call(self, op: str, process: str, **arguments: Any) -> Message:
        """Carry an operation out with nothing held, and return its answer."""
        number = self.invoke(op, process, **arguments)
        self.until(lambda: self.conversation.answer(number) is not None, f"the return of '{op}'")
        answer = self.conversation.answer(number)
        assert answer is not None
        return answer

    def let_go(self, call: HeldCall) -> None:
        """Let a held call be carried out."""
        self.forget(call)
        self._listener.let_go(call.notification)

    def forget(self, call: HeldCall) -> None:
        """Take a call off the held ones: somebody else answers it."""
        self.held.remove(call)
        self.watch.held.discard(call.tid)

    def let_all_go(self) -> None:
        """From now on hold nothing, and let go what is held."""
        self.holding = False
        for call in tuple(self.held):
            self.let_go(call)

    def rest(self, sure: Callable[[], bool] = lambda: False) -> None:
        """Take events until nothing moves any more; `Lost` if that does not come about.

        ``sure`` tells whether naps need not be waited for, see `rest`.
        """
        if not until_rest(self.watch, self.pump, SECONDS, sure):
            raise Lost(f"its threads did not come to rest within {SECONDS:g} s")

    def until(self, reached: Any, what: str) -> None:
        """Take events until ``reached()``; `Lost` if that does not come about."""
        end = time.monotonic() + SECONDS
        while not reached():
            if time.monotonic() > end:
                raise Lost(f"it did not send {what} within {SECONDS:g} s")
            self.pump(1)

    def sleeps_in_a_gated_call(self, tid: int) -> bool:
        """Return whether a thread has gone into a call of the gate's and waits there."""
        return self.watch.call_of(tid) in machine().calls.values()

    def pump(self, seconds: float) -> bool:
        """Take what has come, waiting some seconds at most; return whether anything had."""
        if seconds and seconds < 0.001:
            launched = self._launched
            wanted = [self._listener.fd, launched.output, launched.pidfd]
            ready = select.select(wanted, [], [], seconds)[0]
        else:
            ready = [fd for fd, _ in self._poll.poll(seconds * 1000)]
        for fd in ready:
            if fd == self._listener.fd:
                self._take_call()
            elif fd == self._launched.output:
                self._take_output()
        if self._launched.pidfd in ready:
            while self._take_output():
                pass  # what it said before it ended
            raise self._ended("output")
        return bool(ready)

    def handle_is_open(self, number: int) -> bool:
        """Return whether a file descriptor of the testee is open."""
        return os.path.lexists(f"/proc/{self.pid}/fd/{number}")

    def pidfds(self) -> set[int]:
        """Return the numbers of the testee's descriptors that refer to processes."""
        folder = f"/proc/{self.pid}/fd"
        found = set()
        for number in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                if "pidfd" in os.readlink(f"{folder}/{number}"):
                    found.add(int(number))
        return found

    def close(self) -> None:
        """End the testee and reap it."""
        if self.pid:
            self.guard.pidfd_send_signal(self._launched.pidfd, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.guard.forget(self.pid)
            self._launched.close()
            self.watch.close()
            self.pid = 0

    def _write(self, line: bytes) -> None:
        try:
            os.write(self._launched.input, line)  # at most PIPE_BUF, and the pipe is never full
        except BrokenPipeError:
            raise self._ended("input") from None

    def _take_call(self) -> None:
        notification = self._listener.receive()
        if notification is None:
            return
        name = machine().name_of(notification.number)
        self.counts[name] = self.counts.get(name, 0) + 1
        if self.holding and self._is_ours(notification, name):
            self.held.append(HeldCall(notification, name))
            self.watch.held.add(notification.tid)
        else:
            self._listener.let_go(notification)

    def _is_ours(self, notification: Notification, name: str) -> bool:
        if not os.path.exists(f"/proc/{self.pid}/task/{notification.tid}"):
            return False
        if name in ("kill", "tgkill") and notification.signed(0) == self.pid:
            return False
        return not (name == "clone3" and self._makes_a_thread(notification))

    def _makes_a_thread(self, notification: Notification) -> bool:
        """Return whether a held clone3 is for a thread; its flags are in the caller's memory."""
        with open(f"/proc/{notification.tid}/mem", "rb", buffering=0) as memory:
            memory.seek(notification.arguments[0])
            (flags,) = struct.unpack("=Q", memory.read(8))
        return bool(flags & CLONE_THREAD)

    def _take_output(self) -> bool:
        """Take what it has said; return whether there was anything."""
        try:
            data = os.read(self._launched.output, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            raise self._ended("output")
        try:
            self.conversation.receive(data)
        except ProtocolError as error:
            raise Lost(f"it broke the protocol: {error}") from None
        return True

    def _ended(self, closed: str) -> Lost:
        """Return how the program was lost that has closed a pipe: most often by its own end."""
        pidfd = self._launched.pidfd
        if not select.select([pidfd], [], [], DYING)[0]:
            return Lost(f"it has closed its {closed}, and still runs")
        info = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
        assert info is not None, "it has ended, and we are its parent"
        if info.si_code == os.CLD_EXITED:
            return Lost(f"it exited with {info.si_status}")
        return Lost(f"it was killed by {signal_name(info.si_status)}", info.si_status)


def idle_argv() -> Sequence[str]:
    """Return the command of a child that waits for ever; UserError where there is none."""
    path = shutil.which("sleep")
    if path is None:
        raise UserError("'sleep' was not found", "the testee's children run it", "install it", 3)
    return [path, "infinity"]
