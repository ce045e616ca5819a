"""Adapter for CPython's asyncio subprocesses.

The event loop's child watcher reaps, and wakes everybody who awaits; so a second ``wait`` is served
from the return code.  A signal to a process that is known to have ended raises ProcessLookupError.

Source: https://docs.python.org/3/library/asyncio-subprocess.html
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from lastref.conformance.adapters.serve import About, Wire, failed, returned


class Subject:
    """An asyncio subprocess."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    async def start(cls, argv: Sequence[str]) -> Subject:
        """Start a process."""
        return cls(await asyncio.create_subprocess_exec(*argv))

    async def wait(self) -> dict[str, Any]:
        """Wait."""
        return returned(await self._process.wait())

    async def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    async def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()


ABOUT = About(
    "cpython asyncio subprocess",
    platform.python_version(),
    ("start", "wait", "signal", "kill", "reaps-itself", "exit-status", "concurrent"),
)


async def perform(processes: dict[str, Subject], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out one operation."""
    op, name = asked["op"], asked["process"]
    if op == "start":
        processes[name] = await Subject.start(asked["argv"])
        return {"outcome": "nil", "pid": processes[name].pid}
    if op == "drop":
        processes.pop(name, None)
        return {"outcome": "nil"}
    method = getattr(processes[name], op)
    answer = await (method(asked["signal"]) if op == "signal" else method())
    return {"outcome": "nil"} if answer is None else dict(answer)


async def main() -> None:
    """Serve every operation as a task of the one loop."""
    wire = Wire.take()
    processes: dict[str, Subject] = {}
    tasks = set()

    async def run(asked: Mapping[str, Any]) -> None:
        wire.say({"type": "invoke", "id": asked["id"]})
        try:
            answer = await perform(processes, asked)
        except Exception as error:
            answer = failed(error, asked["op"])
        wire.say({"type": "return", "id": asked["id"], **answer})

    while line := await asyncio.to_thread(wire.incoming.readline):
        message = json.loads(line)
        if message["type"] == "hello":
            wire.say(ABOUT.ready())
        elif message["type"] == "op":
            task = asyncio.ensure_future(run(message))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        else:
            break
    os._exit(0)  # tasks may be blocked on children for ever


if __name__ == "__main__":
    asyncio.run(main())
