"""Run a function in a process of its own, and count what it leaves behind.

What cannot be undone (a seccomp filter, a limit, an ignored signal, a changed uid) is done in a
forked child, which sends its result back through a pipe and ends; it dies with the process that
started it.  Before and after the function, the child counts its descriptors and its children.

    suite ──fork──► child: count · function() · count ──pickle──► suite

Source: fork(2), PR_SET_PDEATHSIG in prctl(2), waitid(2) with P_ALL and WNOWAIT.
"""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from lastref.impl import libc

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1


class Contained(NamedTuple, Generic[T]):
    """What the function returned, and what there was more afterwards than before."""

    result: T
    descriptors: int
    children: int


class Died(Exception):
    """The child ended without an answer, or its function raised; the text says how."""


def contained(function: Callable[[], T]) -> Contained[T]:
    """Run ``function`` in a forked child; Died if it gives no result.

    The result is pickled.  Use it where no other thread of the process holds a lock for long: the
    child goes on with a copy of this process, as after any fork.
    """
    reader, writer = os.pipe()
    suite = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _work(writer, suite, function)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if not answer:
        raise Died(f"the child ended with {os.waitstatus_to_exitcode(status)} and no answer")
    kind, value = pickle.loads(answer)
    if kind == "raised":
        raise Died(value)
    return Contained(*value)


def _work(writer: int, suite: int, function: Callable[[], object]) -> None:
    """Run the function and send what came of it; never returns."""
    try:
        libc.checked(libc.library().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
        if os.getppid() != suite:
            os._exit(1)
        before = descriptors()
        answer: tuple[str, object]
        try:
            result = function()
            more = descriptors() - before
            answer = "returned", (result, more, len(children()))
        except BaseException:
            answer = "raised", traceback.format_exc()
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(pickle.dumps(answer))
    finally:
        os._exit(0)


def descriptors() -> int:
    """Return how many descriptors are open; the one of the listing itself is always among them."""
    return len(os.listdir("/proc/self/fd"))


def children() -> set[int]:
    """Return the pids of all our children, living or not, whichever thread started them."""
    while True:
        found: set[int] = set()
        try:
            for thread in os.listdir("/proc/self/task"):
                with open(f"/proc/self/task/{thread}/children", encoding="ascii") as listed:
                    found.update(map(int, listed.read().split()))
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread has ended meanwhile, and its children are another's: once more
        return found
