"""A complete adapter, for subprocess.Popen: needs nothing but Python.  Copy it and change it."""

import json
import os
import subprocess
import sys
import threading
from typing import Any

WRITING = threading.Lock()
PROCESSES: dict[str, subprocess.Popen[bytes]] = {}


def say(**message: Any) -> None:
    """Write one line; two threads must not mix theirs."""
    with WRITING:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def run(op: str, name: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Carry out one operation and return the fields of its answer."""
    if op == "start":
        # DEVNULL: a child that held the protocol's pipes would keep them open.
        null = subprocess.DEVNULL
        PROCESSES[name] = subprocess.Popen(asked["argv"], stdin=null, stdout=null)
        return {"outcome": "nil", "pid": PROCESSES[name].pid}
    if op == "drop":
        PROCESSES.pop(name, None)
    elif op == "wait":
        code = PROCESSES[name].wait()
        return {"outcome": "ok"} | ({"exit_signal": -code} if code < 0 else {"exit_code": code})
    elif op in ("signal", "kill"):
        PROCESSES[name].send_signal(asked.get("signal", 9))
    return {"outcome": "nil"}


def serve(asked: dict[str, Any]) -> None:
    """Announce the operation, carry it out, and tell how it ended."""
    say(type="invoke", id=asked["id"])
    try:
        answer = run(asked["op"], asked["process"], asked)
    except Exception as error:
        answer = {"outcome": "other", "native": repr(error)}
    say(type="return", id=asked["id"], **answer)


if __name__ == "__main__":
    about = {"implementation": "subprocess.Popen", "version": sys.version.split()[0]}
    able = ["start", "wait", "signal", "kill", "concurrent", "exit-status"]
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "hello":
            say(type="ready", protocol_min=1, protocol_max=1, **about, system=sys.platform,
                pid=os.getpid(), capabilities=able)  # fmt: skip
        elif message["type"] == "op":
            threading.Thread(target=serve, args=(message,), daemon=True).start()
        else:
            break
