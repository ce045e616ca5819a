"""An adapter as a running program: started, spoken to with deadlines, and seen off.

What can go wrong is told apart, because each means something else:

    crash            the program ended (or could not be started); the raw wait status is kept
    timeout          the program runs, and said nothing in time
    protocol error   the program said what it may not

An adapter that has gone wrong once is of no further use: the checker ends it and starts another.
All of it runs in the caller's one thread; nothing here waits without a deadline.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from lastref.conformance.closing import Closing
from lastref.conformance.errors import UserError
from lastref.conformance.gate import rest
from lastref.conformance.gate.numbers import napping_calls, waiting_calls
from lastref.conformance.protocol.conversation import Conversation, Ready
from lastref.conformance.protocol.messages import Message, ProtocolError
from lastref.conformance.signals import signal_name

CRASH, TIMEOUT, PROTOCOL_ERROR = "crash", "timeout", "protocol error"
DEADLINE = 10.0
"""Seconds that an adapter has for each message, unless the caller says otherwise."""

LONGEST = 86_400.0
"""No message is waited for longer than a day."""

LATE = 30.0
"""Seconds that an adapter gets beside as long as it runs: it is not hung, the machine is busy."""

_LOOK = 0.05  # between two looks at one that is late
_LOOKS = 3  # at one that seems to hang
_CHUNK = 1 << 16
_LOG = 1 << 14  # of the adapter's stderr, its end is kept
_KEEPER = "lastref.conformance.protocol.keeper"


def deadline_of(seconds: float) -> float:
    """Return the seconds that a message is given; UserError if it cannot be given so many."""
    if not 0 < seconds <= LONGEST:  # which not-a-number is not, either
        raise UserError(
            f"{seconds:g} seconds are no deadline",
            f"a message gets more than 0 and at most {LONGEST:,.0f}",
            f"leave it out for {DEADLINE:g}",
        )
    return seconds


class Fault(Exception):
    """The adapter failed: ``status`` is crash, timeout or protocol error; the text says how."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Left:
    """A process that was still there when the adapter had ended; ``state`` as in /proc."""

    pid: int
    name: str
    state: str

    def __str__(self) -> str:
        """Return the process as a report shows it."""
        return f"{self.name} ({'zombie' if self.state == 'Z' else 'running'})"


@dataclass(frozen=True)
class Ending:
    """How an adapter ended.

    ``wait_status`` is the raw status that the kernel gave, None if it never started.  ``by`` is
    ``"itself"``, ``"SIGTERM"`` or ``"SIGKILL"``: what it took after it was told to end.
    """

    wait_status: int | None
    by: str
    left: tuple[Left, ...]
    log: str


def describe(wait_status: int) -> str:
    """Return a raw wait status in words."""
    if os.WIFSIGNALED(wait_status):
        return f"was killed by {signal_name(os.WTERMSIG(wait_status))}"
    return f"exited with {os.WEXITSTATUS(wait_status)}"


@dataclass
class _Kept:
    """What the keeper has reported so far."""

    started: int | None = None
    failed: int | None = None
    ended: int | None = None
    left: tuple[Left, ...] | None = None
    buffer: bytes = b""

    def feed(self, data: bytes) -> None:
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            for key, value in json.loads(line).items():
                told = tuple(Left(**each) for each in value) if key == "left" else value
                setattr(self, key, told)


@dataclass
class Adapter(Closing):
    """A running adapter.  Use it as a context manager, or call :meth:`close`.

    ``deadline`` is in seconds, for each message.  ``conversation`` has the history.
    """

    conversation: Conversation
    deadline: float
    _keeper: subprocess.Popen[bytes]
    _input: int
    _output: int
    _errors: int
    _control: int
    _report: int
    _kept: _Kept = field(default_factory=_Kept)
    _log: bytearray = field(default_factory=bytearray)
    _eof: bool = False
    _closing: bool = False
    _ending: Ending | None = None
    _poll: select.poll = field(default_factory=lambda: select.poll())  # none on Windows
    _watch: rest.Watch | None = None
    _restless: bool = False

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        deadline: float = DEADLINE,
        validate: bool = True,
        environment: Mapping[str, str] | None = None,
        log: Callable[[str, Message], None] | None = None,
    ) -> Self:
        """Start the program ``argv``; a program that cannot be started shows in the handshake."""
        pipes = [os.pipe() for _ in range(5)]
        (in_r, in_w), (out_r, out_w), (err_r, err_w), (control_r, control_w), (said_r, said_w) = (
            pipes
        )
        keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", _KEEPER, str(control_r), str(said_w), "--", *argv],
            stdin=in_r,
            stdout=out_w,
            stderr=err_w,
            pass_fds=(control_r, said_w),
            env=None if environment is None else {**os.environ, **environment},
        )
        for fd in (in_r, out_w, err_w, control_r, said_w):
            os.close(fd)
        for fd in (in_w, out_r, err_r):
            os.set_blocking(fd, False)
        conversation = Conversation(validate=validate, log=log)
        self = cls(conversation, deadline, keeper, in_w, out_r, err_r, control_w, said_r)
        for fd in (out_r, err_r, said_r):
            self._poll.register(fd, select.POLLIN)
        return self

    def handshake(self) -> Ready:
        """Say hello and return what the adapter answers."""
        self._write(self.conversation.hello(), "hello")
        self._until(lambda: self.conversation.ready is not None, "'ready'")
        assert self.conversation.ready is not None
        return self.conversation.ready

    def begin(self, op: str, process: str, **arguments: Any) -> int:
        """Ask for an operation and return its id once the adapter has invoked it."""
        if self._died():
            self._pump_until(self._over, self.deadline)
            raise self._fault(f"it was sent '{op}'")
        number, line = self.conversation.op(op, process, **arguments)
        self._write(line, f"'{op}'")
        self._until(
            lambda: self.conversation.invoked(number) is not None, f"the invocation of '{op}'"
        )
        return number

    def result(self, number: int, what: str = "an operation") -> Message:
        """Return the answer of an operation that was begun."""
        self._until(lambda: self.conversation.answer(number) is not None, f"the return of {what}")
        answer = self.conversation.answer(number)
        assert answer is not None
        return answer

    def call(self, op: str, process: str, **arguments: Any) -> Message:
        """Ask for an operation and return its answer."""
        return self.result(self.begin(op, process, **arguments), f"'{op}'")

    def settle(self) -> None:
        """Return when nothing of the adapter moves any more, and nothing will before we do.

        What its calls and its own threads do after an event is then done, however busy the machine
        is.  A program that never rests is not waited for a second time.  Raises :class:`Fault` if
        it sends what the protocol does not allow.
        """
        if self._restless:
            return
        rest.death_told()
        if self._watch is None:
            self._pump_until(lambda: self._kept.started is not None or self._over(), self.deadline)
            if self._kept.started is None:
                return
            self._watch = rest.Watch(napping_calls(), self._kept.started)
            self._watch.processes = {self._kept.started}
        try:
            self._restless = not rest.until_rest(
                self._watch, self._pump, self.deadline, lambda: self._eof or self._blocked()
            )
        except ProtocolError as error:
            raise Fault(PROTOCOL_ERROR, f"it sent {error}") from None

    def _blocked(self) -> bool:
        """Return whether each operation under way is known to sleep in a call that waits."""
        assert self._watch is not None
        for number in self.conversation.under_way:
            tid = (self.conversation.invoked(number) or {}).get("tid")
            if tid is None or self._watch.call_of(tid) not in waiting_calls():
                return False
        return True

    @property
    def pid(self) -> int | None:
        """The adapter's process id as the suite sees it, None if it has not started."""
        return self._kept.started

    @property
    def pipes(self) -> frozenset[str]:
        """The protocol's two pipes, as a link in /proc/PID/fd names them."""
        return frozenset(f"pipe:[{os.fstat(fd).st_ino}]" for fd in (self._input, self._output))

    def close(self) -> Ending:
        """End the adapter, gently at first, and return how it ended; nothing of it is left."""
        if self._ending is None:
            self._closing = True
            by = self._see_off()
            self._letter(b"C")
            self._pump_until(lambda: self._kept.left is not None, None)
            self._keeper.wait()
            if self._watch is not None:
                self._watch.close()
            kept = self._kept
            log = bytes(self._log).decode("utf-8", "replace")
            self._ending = Ending(kept.ended, by, kept.left or (), log)
            for fd in (self._input, self._output, self._errors, self._control, self._report):
                os.close(fd)
        return self._ending

    def kill(self) -> None:
        """End the adapter at once; :meth:`close` then tells how."""
        if self._ending is None:
            self._closing = True
            self._letter(b"K")
            self._pump_until(self._over, None)

    def _see_off(self) -> str:
        """Tell the adapter to end, then make it; return what it took."""
        if self._over():
            return "itself"
        with contextlib.suppress(Fault):
            self._write(self.conversation.bye(), "bye")
        if self._pump_until(self._over, self.deadline):
            return "itself"
        for letter, name in ((b"T", "SIGTERM"), (b"K", "SIGKILL")):
            self._letter(letter)
            if self._pump_until(self._over, self.deadline if letter == b"T" else None):
                return name
        raise AssertionError("SIGKILL does not fail")

    def _died(self) -> bool:
        """Return whether the process that was started is no more, whoever answers in its place."""
        self._pump_until(lambda: self._kept.started is not None or self._over(), self.deadline)
        try:
            with open(f"/proc/{self._kept.started}/stat", "rb") as stat:
                return stat.read().rpartition(b")")[2][1:2] in (b"Z", b"X")
        except (FileNotFoundError, ProcessLookupError):
            return True

    def _over(self) -> bool:
        return self._kept.ended is not None or self._kept.failed is not None or self._gone()

    def _gone(self) -> bool:
        """Return whether the keeper itself has ended."""
        return self._keeper.poll() is not None

    def _letter(self, letter: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._control, letter)

    def _write(self, line: bytes, what: str) -> None:
        """Send a line, in pieces if the adapter does not read; a fault if it never does."""
        end = time.monotonic() + self.deadline
        while line:
            try:
                line = line[os.write(self._input, line) :]
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Fault(
                        TIMEOUT, f"it did not read {what} within {self.deadline:g} s"
                    ) from None
                self._pump(0.05)
            except BrokenPipeError:
                self._pump_until(self._over, self.deadline)
                raise self._fault(f"it was sent {what}") from None

    def _until(self, reached: Callable[[], bool], what: str) -> None:
        """Receive until ``reached``; a fault if the adapter ends, breaks the rules or is late."""
        try:
            if self._pump_until(lambda: reached() or self._eof or self._over(), self.deadline):
                if not reached():
                    self._drain()
                if reached():
                    return
                self._pump_until(self._over, self.deadline)
                self.conversation.finish()
                raise self._fault(f"it had sent {what}")
        except ProtocolError as error:
            raise Fault(PROTOCOL_ERROR, f"it sent {error}") from None
        raise Fault(TIMEOUT, f"it did not send {what} within {self.deadline:g} s")

    def _fault(self, before: str) -> Fault:
        """Return the fault of an adapter whose output has ended or that ended itself."""
        if self._kept.failed is not None:
            return Fault(CRASH, f"it could not be started: {os.strerror(self._kept.failed)}")
        if self._kept.ended is not None:
            return Fault(CRASH, f"it {describe(self._kept.ended)} before {before}")
        if self._gone():
            return Fault(CRASH, f"its keeper ended before {before}: {self.log}")
        return Fault(PROTOCOL_ERROR, f"it closed its output before {before}, and still runs")

    @property
    def log(self) -> str:
        """The end of what the adapter wrote to stderr."""
        return bytes(self._log).decode("utf-8", "replace")

    def _pump_until(self, reached: Callable[[], bool], seconds: float | None) -> bool:
        """Move bytes until ``reached``, or until the seconds have passed; return whether it was.

        Who is still running when the seconds have passed gets `LATE` more.  Without ``seconds`` it
        waits as long as the keeper lives: what is waited for is certain.
        """
        if seconds is None:
            while not reached():
                if self._gone() and not self._pump(0):
                    return reached()
                self._pump(1.0)
            return True
        end = time.monotonic() + seconds
        while not reached():
            left = end - time.monotonic()
            if left > 0:
                self._pump(min(left, 1.0))
            elif left < -LATE or self._hangs():
                return reached()
            else:
                self._pump(_LOOK)
        return True

    def _hangs(self) -> bool:
        """Return whether nothing has come and nobody moves, each time that one looks.

        What comes between a question and the next, and who is started then, shows the next time.
        """
        return not any(self._pump(0) or self._moves() for _ in range(_LOOKS)) and not self._pump(0)

    def _moves(self) -> bool:
        """Return whether the adapter, its keeper or a child runs, or waits for the processor.

        One that hangs sleeps; one that is only late on a busy machine does not.
        """
        return any(rest.runs(pid) for pid in rest.family(self._keeper.pid))

    def _drain(self) -> None:
        while self._pump(0):
            pass

    def _pump(self, seconds: float) -> bool:
        """Read whatever comes first; return whether anything did."""
        ready = self._poll.poll(seconds * 1000)
        for fd, _ in ready:
            data = os.read(fd, _CHUNK)
            if not data:
                self._poll.unregister(fd)
            if fd == self._output:
                self._take(data)
            elif fd == self._errors:
                self._log += data
                del self._log[:-_LOG]
            else:
                self._kept.feed(data)
        return bool(ready)

    def _take(self, data: bytes) -> None:
        """Give the conversation what came, unless the adapter is being seen off already."""
        if not data:
            self._eof = True
        elif not self._closing:
            self.conversation.receive(data)
