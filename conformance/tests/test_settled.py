"""Settled: what came of an event is all there before the next, however busy the machine is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lastref.conformance.adapters import minimal, refusing
from lastref.conformance.adapters.registry import known
from lastref.conformance.child import Nursery
from lastref.conformance.gate import rest
from lastref.conformance.gate.bench import RACES, measure_adapter
from lastref.conformance.gate.epolls import input_waits
from lastref.conformance.gate.outcome import WRONG_SIGNAL
from lastref.conformance.protocol.adapter import Adapter
from lastref.conformance.sandbox import unavailable

_REASON = unavailable()
_ADAPTER = (sys.executable, "-S", str(Path(minimal.__file__)))
_SECONDS = 30.0


def test_a_settled_adapter_has_said_all_that_it_has_to_say() -> None:
    """A Wait is blocked; when the child has ended its return is there, unasked for."""
    with Nursery() as nursery, Adapter.start(_ADAPTER, deadline=_SECONDS) as adapter:
        adapter.handshake()
        for number in range(10):
            child = nursery.new()
            pid = adapter.call("start", f"p{number}", argv=child.argv)["pid"]
            child.started(pid, _SECONDS)
            wait = adapter.begin("wait", f"p{number}")
            adapter.settle()
            assert adapter.conversation.answer(wait) is None
            child.end()
            assert child.await_end(_SECONDS)
            adapter.settle()
            answer = adapter.conversation.answer(wait)
            assert answer is not None
            assert answer["outcome"] == "ok"


def test_one_that_runs_is_told_from_one_that_sleeps() -> None:
    """By the state of its threads, whether it has the processor or waits for it."""
    busy = "print(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        with subprocess.Popen(["sleep", "infinity"]) as sleeping:
            assert rest.runs(running.pid)
            while rest.runs(sleeping.pid):
                pass  # it is still starting; one that never sleeps is a hang, not a wrong answer
            assert rest.family(os.getpid()) >= {os.getpid(), running.pid, sleeping.pid}
            sleeping.kill()
        running.kill()
    assert not rest.runs(running.pid)
    assert rest.family(running.pid) == {running.pid}


_CALLS = """
import errno, os
for call in (lambda: os.pidfd_open(os.getpid()), lambda: os.waitpid(-1, 0)):
    try:
        print(call() > 0)
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


def test_a_refused_call_fails_in_the_program_that_is_started_and_no_other_does() -> None:
    """What is refused is refused by its errno; every other call is the kernel's."""
    launcher = (sys.executable, "-P", "-m", refusing.__name__)
    for refused, said in (("pidfd_open=ENOSYS", "ENOSYS"), ("pidfd_send_signal=EPERM", "True")):
        command = (*launcher, refused, "--", sys.executable, "-c", _CALLS)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [said, "ECHILD"]


@pytest.mark.skipif(_REASON is not None, reason=str(_REASON))
def test_what_is_measured_is_the_gate_at_work() -> None:
    """Both rates are of orders that end in the same way each time."""
    assert set(RACES) <= set(known())
    told = measure_adapter("cpython-popen", 10)
    assert told.verdicts == (WRONG_SIGNAL,)
    assert told.reused.per_second > 0
    assert told.fresh.per_second > 0


_EPOLL = """
import select, signal
instance = select.epoll()
instance.register(0, select.EPOLLIN)
print("ready", flush=True)
signal.pause()
"""


def test_input_that_nobody_has_looked_at_is_seen_from_outside() -> None:
    """An epoll instance of another process tells whether it has an event to give."""
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", _EPOLL], stdin=reader, stdout=subprocess.PIPE
    ) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == b"ready\n"
        os.set_blocking(reader, False)
        assert input_waits(one.pid) is False
        os.write(writer, b"x")
        assert input_waits(one.pid) is True
        assert os.read(reader, 2) == b"x"
        assert input_waits(one.pid) is False
        os.close(writer)
        one.kill()
    os.close(reader)
    assert input_waits(one.pid) is None
