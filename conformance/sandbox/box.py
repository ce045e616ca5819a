"""The sandbox as its user sees it: start it, call functions in it, close it.

    outside                                    inside, as process 1
    sandbox.call(f, 1, timeout=5)      ──►     f(1)
    its return value or exception      ◄──     … and every process left over is killed and reaped

A machine that does not allow a private PID namespace is told by `UserError` with exit code 3; a
test asks `unavailable()` and skips with the reason.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

from lastref.conformance.closing import Closing
from lastref.conformance.deferred import interrupts_deferred
from lastref.conformance.errors import UserError
from lastref.conformance.sandbox.inside import Stray, Target

P = ParamSpec("P")
R = TypeVar("R")

_LAUNCHER = "lastref.conformance.sandbox.launcher"
_UNABLE = 3


class SandboxLost(Exception):
    """Process 1 of the sandbox ended in the middle of a call."""


class Sandbox(Closing):
    """A private PID namespace whose process 1 runs functions for us.

    Use it as a context manager, from one thread at a time. ``launcher`` is the command that starts
    the launcher, for tests that take rights away from it. Raises :class:`UserError` with exit code
    3 where the system does not allow the namespace.

    Attributes: ``how``, ``"root"`` or ``"user namespace"``; ``strays``, the processes that the
    last call left behind (they are gone); ``pid``, the launcher's.
    """

    def __init__(self, launcher: Sequence[str] | None = None) -> None:
        if sys.platform != "linux":
            raise UserError(
                "there is no sandbox here",
                f"PID namespaces are Linux's, and this is {sys.platform}",
                "run it on Linux",
                _UNABLE,
            )
        self.strays: tuple[Stray, ...] = ()
        ours, theirs = socket.socketpair()
        stop_reader, self._stop = os.pipe()
        self._connection: Connection | None = Connection(ours.detach())
        self._process: subprocess.Popen[bytes] | None = None
        try:
            with interrupts_deferred():  # a launcher that we do not know of is not waited for
                try:
                    self._process = _launched(launcher, theirs.fileno(), stop_reader)
                finally:
                    theirs.close()
                    os.close(stop_reader)
            self.pid = self._process.pid
            self.how: str = self._started(self._connection)
        except BaseException:
            self.close()
            raise

    def _started(self, connection: Connection) -> str:
        try:
            kind, *words = connection.recv()
        except EOFError:
            raise SandboxLost("the launcher ended before the sandbox was ready") from None
        if kind == "refused":
            fault, reason, remedy = words
            raise UserError(fault, reason, remedy, _UNABLE)
        connection.send(sys.path)
        return str(words[0])

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``function`` as process 1 of the namespace and return what it returns.

        What it raises is raised here, with the traceback inside as a note. Function, arguments and
        result are pickled; the function must have a name that can be imported. See `watch` for
        events and a time limit.
        """
        return self.watch(function, None, None)(*args, **kwargs)

    def watch(
        self,
        function: Callable[P, R],
        on_event: Callable[[Any], None] | None,
        timeout: float | None,
    ) -> Callable[P, R]:
        """Return ``function`` as one that runs inside.

        ``on_event`` gets each value that the function passes to `sandbox.emit`. If nothing is
        heard for ``timeout`` seconds the sandbox is closed and TimeoutError raised.
        """

        def inside(*args: P.args, **kwargs: P.kwargs) -> R:
            connection = self._connection
            if connection is None:
                raise SandboxLost("the sandbox is closed")
            connection.send(("call", Target.of(function), args, kwargs))
            while True:
                kind, value = self._next(connection, timeout)
                if kind == "raised":
                    raise value
                if kind == "returned":
                    returned: R = value
                    return returned
                if on_event is not None:
                    on_event(value)

        return inside

    def _next(self, connection: Connection, timeout: float | None) -> tuple[str, Any]:
        if not connection.poll(timeout):
            self.close()
            raise TimeoutError(f"nothing came out of the sandbox for {timeout} seconds")
        try:
            message = connection.recv()
        except (EOFError, ConnectionResetError):
            self.close()
            assert self._process is not None, "there was a call, so it was started"
            raise SandboxLost(
                f"process 1 of the sandbox ended in a call (exit {self._process.returncode})"
            ) from None
        if len(message) == 3:
            self.strays = message[2]
        return message[0], message[1]

    def close(self) -> None:
        """End everything inside and return when nobody is left; harmless when repeated."""
        if self._connection is None:
            return
        with interrupts_deferred():  # or an interrupt would leave the launcher to itself
            self._connection.close()
            self._connection = None
            os.close(self._stop)
            if self._process is not None:
                self._process.wait()


def _launched(
    launcher: Sequence[str] | None, connection: int, stop: int
) -> subprocess.Popen[bytes]:
    """Start the launcher with its ends of the connection and of the stop pipe."""
    return subprocess.Popen(
        [
            *(launcher or [sys.executable, "-m", _LAUNCHER]),
            *map(str, (os.getpid(), connection, stop)),
        ],
        stdin=subprocess.DEVNULL,
        pass_fds=(connection, stop),
        # The launcher finds the package by this, whatever way the suite itself did.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C is for the suite, which then closes us in order
    )


def run_in_namespace(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``function`` as process 1 of a new private PID namespace, and return what it returns.

    >>> run_in_namespace(os.getpid)
    1
    """
    with Sandbox() as sandbox:
        return sandbox.call(function, *args, **kwargs)


@functools.cache
def unavailable() -> str | None:
    """Return why this machine allows no sandbox, in one line, or None if it does."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(Sandbox())
        except UserError as error:
            return str(error)
    return None
