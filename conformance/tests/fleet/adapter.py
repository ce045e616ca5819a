"""A fleet of adapters that are wrong on purpose, in one program: ``adapter.py VICE``.

Each vice is a small change to a correct adapter, and nothing else in it differs.  Run by the tests
only; it needs nothing but Python.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import Any

VICE = sys.argv[1]
WRITING = threading.Lock()
PROCESSES: dict[str, subprocess.Popen[bytes]] = {}
CAPABILITIES = ["start", "wait", "signal", "kill", "concurrent", "exit-status"]


def write(data: bytes) -> None:
    """Write bytes to the protocol's pipe, all of them."""
    with WRITING:
        while data:
            data = data[os.write(1, data) :]


def say(**message: Any) -> None:
    """Write one line."""
    write(json.dumps(message).encode() + b"\n")


def hang() -> None:
    """Do nothing for as long as the program runs."""
    while True:
        time.sleep(3600)


def start(argv: list[str]) -> subprocess.Popen[bytes]:
    """Start a child; the vices that are about children show here."""
    null = subprocess.DEVNULL
    if VICE == "leaks-pipes":
        return subprocess.Popen(argv, stdin=null, close_fds=False)  # its stdout is the protocol's
    if VICE == "leaves-children":
        subprocess.Popen(["sleep", "1000"], stdin=null, stdout=null, start_new_session=True)
    if VICE == "leaves-zombies":
        # Not a Popen: the next one would reap whatever its kind has left behind.
        actions = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        left = os.posix_spawnp("true", ["true"], os.environ, file_actions=actions)
        os.waitid(os.P_PID, left, os.WEXITED | os.WNOWAIT)
    return subprocess.Popen(argv, stdin=null, stdout=null)


def run(op: str, name: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Carry out one operation, correctly."""
    if op == "start":
        PROCESSES[name] = start(asked["argv"])
        pid = PROCESSES[name].pid
        return {"outcome": "nil", "pid": os.getpid() if VICE == "lies-about-the-pid" else pid}
    if op == "drop":
        PROCESSES.pop(name, None)
    elif op == "wait":
        code = PROCESSES[name].wait()
        if VICE == "lies-about-the-exit":
            code = 0
        return {"outcome": "ok"} | ({"exit_signal": -code} if code < 0 else {"exit_code": code})
    elif op in ("signal", "kill"):
        PROCESSES[name].send_signal(asked.get("signal", 9))
    elif VICE == "lies-about-capabilities":
        return {"outcome": "other", "native": f"there is no {op}"}
    return {"outcome": "nil"}


def serve(asked: dict[str, Any]) -> None:
    """Invoke, run, return; the vices that are about an operation show here."""
    number = asked["id"]
    if VICE == "hangs-before-invoke":
        hang()
    if VICE == "crashes-in-an-operation" and asked["op"] == "wait":
        os.kill(os.getpid(), signal.SIGSEGV)
    if VICE == "exits-in-an-operation" and asked["op"] == "wait":
        os._exit(17)
    if VICE == "returns-before-invoke":
        say(type="return", id=number, outcome="nil")
    say(type="invoke", id=number + 1000 if VICE == "wrong-id-invoked" else number)
    if VICE == "hangs-in-an-operation" and asked["op"] == "wait":
        hang()
    if VICE == "garbage":
        write(b"Segmentation fault (core dumped)\n")
    if VICE == "half-a-line":
        write(b'{"type":"return","id":')
        os._exit(0)
    if VICE == "endless-line":
        for _ in range(100):
            write(b"x" * (1 << 20))
    if VICE == "not-utf8":
        write(b'{"type":"return","native":"\xff\xfe"}\n')
    if VICE == "no-object":
        write(b"[1]\n")
    if VICE == "unknown-outcome":
        say(type="return", id=number, outcome="fine")
        return
    if VICE == "closes-its-output" and asked["op"] == "wait":
        os.close(1)
        hang()
    answer = run(asked["op"], asked["process"], asked)
    if VICE == "wrong-id":
        number += 1000
    say(type="return", id=number, **answer)
    if VICE == "returns-twice":
        say(type="return", id=number, **answer)


def greet() -> None:
    """Answer hello; the vices that are about the start show here."""
    if VICE == "hangs-at-start":
        hang()
    if VICE == "crashes-at-start":
        print("no such library", file=sys.stderr)
        os._exit(3)
    able = [] if VICE == "declares-nothing" else list(CAPABILITIES)
    version = 9 if VICE == "speaks-another-protocol" else 1
    if VICE == "lies-about-capabilities":
        able += ["find", "pidfd", "observable-word", "reaps-itself"]
    say(
        type="ready",
        protocol_min=version,
        protocol_max=version,
        implementation=f"fleet {VICE}",
        version="1",
        system="linux",
        pid=os.getpid(),
        capabilities=able,
    )
    if VICE == "forks-and-exits":
        parent = os.pidfd_open(os.getpid())
        if os.fork():
            os._exit(0)
        select.select([parent], [], [])  # only then there is somebody else who answers


def end() -> None:
    """End; the vices that are about the end show here."""
    if VICE == "ignores-sigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if VICE in ("ignores-sigterm", "ignores-bye"):
        hang()
    if VICE == "crashes-at-the-end":
        os.abort()
    os._exit(5 if VICE == "fails-at-the-end" else 0)


def main() -> None:
    """Speak the protocol."""
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "hello":
            greet()
        elif message["type"] != "op":
            break
        elif VICE == "lies-about-concurrency":
            serve(message)
        else:
            threading.Thread(target=serve, args=(message,), daemon=True).start()
    end()


main()
