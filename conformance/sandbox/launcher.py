"""The process between the suite and the sandbox, a program of its own (``python -m``).

It makes the namespace, starts process 1, and ends it when the suite closes the stop pipe or dies.
The suite's death is seen through its pidfd and not through PR_SET_PDEATHSIG, which would fire when
the *thread* ends that started us. It has ended process 1 only when that is reaped, and a process 1
is not done dying before everyone in its namespace is; so after it, nothing is left.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
from multiprocessing.connection import Connection

from lastref.conformance.sandbox import inside, namespace
from lastref.impl.errors import Errno
from lastref.impl.guard import Guard


def main(arguments: list[str]) -> int:
    """Run with the suite's pid and the numbers of the connection and of the stop pipe."""
    _reset_signals()
    suite, connection_fd, stop = map(int, arguments)
    try:
        suite_pidfd = os.pidfd_open(suite)
    except ProcessLookupError:
        return 0
    if os.getppid() != suite:  # it died before we opened its pidfd, which may be another's
        return 0
    connection = Connection(connection_fd)
    try:
        how = namespace.unshare_pids()
    except namespace.Refused as refused:
        connection.send(("refused", refused.fault, refused.reason, refused.remedy))
        return 3
    child = namespace.start_process_one(lambda: _process_one(connection, stop, suite_pidfd, how))
    connection.close()
    return _watch(child, stop, suite_pidfd)


def _reset_signals() -> None:
    """Let a signal do here what it does by default, whatever the suite was started with.

    What is ignored or blocked stays so in every process inside. A shell that starts a command in
    the background ignores SIGINT and SIGQUIT, and nohup SIGHUP: a victim would outlive being hit.
    """
    python = {signal.SIGPIPE, signal.SIGXFSZ}  # ignored by Python itself, which relies on it
    for number in signal.valid_signals() - python:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _process_one(connection: Connection, stop: int, suite_pidfd: int, how: str) -> int:
    os.close(stop)
    os.close(suite_pidfd)
    try:
        namespace.settle()
    except namespace.Refused as refused:
        connection.send(("refused", refused.fault, refused.reason, refused.remedy))
        return 3
    os.dup2(2, 1)  # what is printed inside must not mix with the results of the command outside
    connection.send(("ready", how))
    sys.path[:] = connection.recv()
    return inside.serve(connection)


def _watch(child: int, stop: int, suite_pidfd: int) -> int:
    pidfd = os.pidfd_open(child)
    poller = select.poll()
    for fd in (stop, suite_pidfd, pidfd):
        poller.register(fd, select.POLLIN)
    poller.poll()
    guard = Guard()
    guard.register(child)
    try:
        guard.kill(child, 9)
    except Errno as error:
        if error.errno != errno.ESRCH:
            raise
    _, status = os.waitpid(child, 0)
    return max(os.waitstatus_to_exitcode(status), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
