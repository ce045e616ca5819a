"""The protocol's side of an adapter in Python: reads operations, runs each on a thread, answers.

An implementation is a class whose objects are processes.  Class methods ``start(argv)``,
``find(pid)`` and ``literal(pid)`` make one, and ``wait()``, ``signal(number)``, ``kill()``,
``release()``, ``reap()``, ``observe()`` and ``drop()`` use it, as far as it has them.  ``pid`` is
the number that the object shows.  A call that fails raises; ``kind_of`` turns the exceptions of
Python itself into the protocol's kinds, and ``kind`` of an exception wins over that.

The protocol's own pipes are moved away from 0 and 1 first, and are not inheritable, so that no
child can get hold of them and nothing that prints can disturb the conversation.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import IO, Any

PROTOCOL = 1


class Failed(Exception):
    """A call that failed in a way with a kind of its own; the text is the native one."""

    def __init__(self, kind: str, native: str = "") -> None:
        super().__init__(native or kind)
        self.kind = kind


@dataclass(frozen=True)
class About:
    """What an adapter says about itself in the handshake."""

    implementation: str
    version: str
    capabilities: Sequence[str]
    specification: str | None = None

    def ready(self) -> dict[str, Any]:
        """Return the message."""
        message: dict[str, Any] = {
            "type": "ready",
            "protocol_min": PROTOCOL,
            "protocol_max": PROTOCOL,
            "implementation": self.implementation,
            "version": self.version,
            "system": sys.platform,
            "pid": os.getpid(),
            "capabilities": list(self.capabilities),
        }
        return message | ({"specification": self.specification} if self.specification else {})


@dataclass
class Wire:
    """The two pipes of the protocol, where no child can inherit them."""

    incoming: IO[str]
    outgoing: IO[str]
    _writing: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def take(cls) -> Wire:
        """Move the pipes away from 0 and 1, and put nothing and stderr there."""
        incoming = os.fdopen(os.dup(0), "r", encoding="utf-8")
        outgoing = os.fdopen(os.dup(1), "w", encoding="utf-8")
        nowhere = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nowhere, 0)
        os.close(nowhere)
        os.dup2(2, 1)
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)
        return cls(incoming, outgoing)

    def say(self, message: Mapping[str, Any]) -> None:
        """Write one line whole."""
        with self._writing:
            self.outgoing.write(json.dumps(message) + "\n")
            self.outgoing.flush()


def kind_of(error: Exception, call: str | None = None) -> str:
    """Return the protocol's kind of an exception.

    ``ProcessLookupError`` says that the process has ended.  Any other errno is named, with the
    system call in front where ``call`` is given.
    """
    if isinstance(error, ProcessLookupError):
        return "EPD"
    kind = getattr(error, "kind", None)
    if isinstance(kind, str):
        return kind
    if isinstance(error, OSError) and error.errno is not None:
        name = errno.errorcode.get(error.errno, "other")
        return f"{call}:{name}" if call and name != "other" else name
    return "other"


def ended(wait_status: int) -> dict[str, Any]:
    """Return the answer of a Wait from the raw wait status."""
    if os.WIFSIGNALED(wait_status):
        return {"outcome": "ok", "exit_signal": os.WTERMSIG(wait_status)}
    return {"outcome": "ok", "exit_code": os.WEXITSTATUS(wait_status)}


def returned(code: int) -> dict[str, Any]:
    """Return the answer of a Wait from a return code as ``subprocess`` has it."""
    return {"outcome": "ok"} | ({"exit_signal": -code} if code < 0 else {"exit_code": code})


def failed(error: Exception, op: str) -> dict[str, Any]:
    """Return the answer of a call that raised."""
    call = "wait" if op == "wait" else None
    native = f"{type(error).__name__}: {error}"
    return {"outcome": kind_of(error, call), "native": native}


def serve(implementation: Any, about: About) -> None:
    """Speak the protocol for ``implementation`` until the suite says bye or is gone."""
    interval = os.environ.get("LASTREF_SWITCH_INTERVAL")  # at the gate, see `testee.CALM`
    if interval:
        sys.setswitchinterval(float(interval))
    wire = Wire.take()
    processes: dict[str, Any] = {}

    def run(asked: Mapping[str, Any]) -> None:
        number = asked["id"]
        wire.say({"type": "invoke", "id": number, "tid": threading.get_native_id()})
        try:
            answer = perform(implementation, processes, asked)
        except Exception as error:
            answer = failed(error, asked["op"])
        wire.say({"type": "return", "id": number, **answer})

    for line in wire.incoming:
        message = json.loads(line)
        if message["type"] == "hello":
            wire.say(about.ready())
        elif message["type"] == "op":
            threading.Thread(target=run, args=(message,), daemon=True).start()
        else:
            break
    # Calls may be blocked in other threads; a regular exit would wait for some of them.
    with contextlib.suppress(OSError):
        wire.outgoing.flush()
    os._exit(0)


def perform(
    implementation: Any, processes: dict[str, Any], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """Carry out one operation; return the answer's fields, or raise what the call raised."""
    op, name = asked["op"], asked["process"]
    if op in ("start", "find", "literal"):
        make = getattr(implementation, op)
        process = processes[name] = make(asked["argv"] if op == "start" else asked["pid"])
        return {"outcome": "nil", "pid": process.pid}
    if op == "drop":
        drop = getattr(processes.pop(name, None), "drop", None)
        if drop is not None:
            drop()
        return {"outcome": "nil"}
    method = getattr(processes[name], op)
    answer = method(asked["signal"]) if op == "signal" else method()
    return {"outcome": "nil"} if answer is None else answer
