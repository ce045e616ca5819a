"""One conversation with an adapter, without any input or output of its own.

Bytes to send come out of it, bytes received go into it; whoever moves them (the supervisor of an
ordinary run, the gate) is not its business.  It keeps the two sides to the rules:

    the first line is ``ready``, and there is no second one
    an operation is invoked once, then returns once, and both name an operation that was asked for
    a line ends, is UTF-8, is a JSON object and is not endless

The order of the adapter's lines is the history: an operation takes effect between its ``invoke``
and its ``return``, so if one's ``return`` comes before another's ``invoke`` it came first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from lastref.conformance.protocol.messages import (
    ADAPTER_MESSAGES,
    LINE_LIMIT,
    PROTOCOL,
    Message,
    ProtocolError,
    check,
    decode,
    encode,
    shorten,
)

DEFAULT_SPECIFICATION = "go-2024/linux"


@dataclass(frozen=True)
class Ready:
    """What the adapter said about itself; ``declared`` is whether it named its specification."""

    implementation: str
    version: str
    system: str
    pid: int
    capabilities: frozenset[str]
    specification: str = DEFAULT_SPECIFICATION
    declared: bool = False


@dataclass(frozen=True)
class Event:
    """One event of the history: ``kind`` is ``"invoke"``, ``"return"`` or ``"exit"``.

    ``op`` is the operation's name, ``process`` the object's.  ``exit`` stands for the suite ending
    the child, which comes into the history between the adapter's lines.
    """

    kind: str
    id: int
    op: str
    process: str
    outcome: str = ""

    def __str__(self) -> str:
        """Return the event as a report shows it."""
        told = {"invoke": "?", "exit": ""}.get(self.kind, f" → {self.outcome}")
        return f"{self.op}{told}"


@dataclass
class _Operation:
    op: str
    process: str
    invoke: Message | None = None
    answer: Message | None = None


@dataclass
class Conversation:
    """The state of one conversation.

    ``validate`` holds every message, ours as well, to its published schema; without it only what
    the suite relies on is checked.
    """

    validate: bool = True
    ready: Ready | None = None
    history: list[Event] = field(default_factory=list)
    log: Callable[[str, Message], None] | None = None
    _pending: bytearray = field(default_factory=bytearray)
    _operations: dict[int, _Operation] = field(default_factory=dict)
    _last: int = 0

    def hello(self) -> bytes:
        """Return the first line."""
        suite = f"lastref/{metadata.version('lastref')}"
        return self._sent(
            {"type": "hello", "protocol_min": PROTOCOL, "protocol_max": PROTOCOL, "suite": suite}
        )

    def op(self, op: str, process: str, **arguments: Any) -> tuple[int, bytes]:
        """Return a new operation's id, and its line."""
        self._last += 1
        self._operations[self._last] = _Operation(op, process)
        message = {"type": "op", "id": self._last, "op": op, "process": process, **arguments}
        return self._last, self._sent(message)

    def bye(self) -> bytes:
        """Return the last line."""
        return self._sent({"type": "bye"})

    def receive(self, data: bytes) -> list[Message]:
        """Take what came from the adapter; return the messages that are complete by now.

        Raises :class:`ProtocolError`, after which the conversation is of no further use.
        """
        self._pending += data
        messages = []
        while (end := self._pending.find(b"\n")) >= 0:
            self._limit(end)
            message = decode(bytes(self._pending[:end]))
            del self._pending[: end + 1]
            self._take(message)
            messages.append(message)
        self._limit(len(self._pending))
        return messages

    def finish(self) -> None:
        """Take note that the adapter's output has ended; half a line is a protocol error."""
        if self._pending:
            half = bytes(self._pending).decode("utf-8", "replace")
            raise ProtocolError(f"half a line at the end of its output: {shorten(half)}")

    def ended(self, process: str) -> None:
        """Write into the history that the suite ends the child behind ``process`` now."""
        self.history.append(Event("exit", 0, "exit", process))

    def invoked(self, number: int) -> Message | None:
        """Return the ``invoke`` of an operation, None while it has not come."""
        return self._operations[number].invoke

    def answer(self, number: int) -> Message | None:
        """Return the ``return`` of an operation, None while it has not come."""
        return self._operations[number].answer

    @property
    def under_way(self) -> tuple[int, ...]:
        """The operations that were asked for and have not returned."""
        return tuple(n for n, o in self._operations.items() if o.answer is None)

    def forget(self) -> None:
        """Drop the history and the operations that have returned: a new case begins."""
        self.history.clear()
        self._operations = {n: o for n, o in self._operations.items() if o.answer is None}

    def _limit(self, length: int) -> None:
        if length > LINE_LIMIT:
            raise ProtocolError(f"a line of more than {LINE_LIMIT} bytes")

    def _sent(self, message: Message) -> bytes:
        if self.validate:
            check(message)
        if self.log is not None:
            self.log("suite", message)
        return encode(message)

    def _take(self, message: Message) -> None:
        if self.log is not None:
            self.log("adapter", message)
        kind = message.get("type")
        if kind not in ADAPTER_MESSAGES:
            raise ProtocolError(
                f"a message of type {shorten(repr(kind))}, which is not its to send"
            )
        if self.validate:
            check(message)
        if kind == "ready":
            self._take_ready(message)
        elif self.ready is None:
            raise ProtocolError(f"'{kind}' before 'ready'")
        else:
            self._take_event(kind, message)

    def _take_ready(self, message: Message) -> None:
        if self.ready is not None:
            raise ProtocolError("a second 'ready'")
        try:
            oldest, newest = int(message["protocol_min"]), int(message["protocol_max"])
            self.ready = Ready(
                str(message["implementation"]),
                str(message["version"]),
                str(message["system"]),
                int(message["pid"]),
                frozenset(map(str, message["capabilities"])),
                str(message.get("specification", DEFAULT_SPECIFICATION)),
                "specification" in message,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"'ready' is not complete: {error!r}") from None
        if not oldest <= PROTOCOL <= newest:
            raise ProtocolError(
                f"it speaks protocol {oldest} to {newest}, and this suite {PROTOCOL}"
            )

    def _take_event(self, kind: str, message: Message) -> None:
        number = message.get("id")
        operation = self._operations.get(number) if isinstance(number, int) else None
        if operation is None:
            raise ProtocolError(f"'{kind}' of operation {shorten(repr(number))}, never asked for")
        assert isinstance(number, int)
        if kind == "invoke":
            if operation.invoke is not None:
                raise ProtocolError(f"operation {number} was invoked twice")
            operation.invoke = message
        else:
            if operation.invoke is None:
                raise ProtocolError(f"operation {number} returned before it was invoked")
            if operation.answer is not None:
                raise ProtocolError(f"operation {number} returned twice")
            if not isinstance(message.get("outcome"), str):
                raise ProtocolError(f"operation {number} returned without an outcome")
            operation.answer = message
        outcome = str(message.get("outcome", ""))
        self.history.append(Event(kind, number, operation.op, operation.process, outcome))
