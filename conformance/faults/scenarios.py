"""What is done under a fault: short programs that return the outcomes of their calls.

Each runs in a process that is thrown away.  Its children read from a pipe whose other end is the
`Scene`'s, so that they end when it says so.  What a program returns is one line of words, such as

    handle nil ok EPD EPD nil       how the process is held, then the outcome of each call

"Held" is seen from outside: by a handle if there is one descriptor more, else by its pid.
"""

from __future__ import annotations

import os
import platform
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from lastref.conformance.contained import children, descriptors
from lastref.conformance.faults import limits, seccomp
from lastref.impl import spawn, syscall_numbers
from lastref.impl.errors import ProcessError, StartError, outcome
from lastref.impl.guard import Guard
from lastref.impl.parts import Parts
from lastref.impl.probe import PidfdProbe
from lastref.impl.state import ProcessLike
from lastref.impl.syscalls import LinuxSystem
from lastref.impl.system import Child

PROGRAM = ("cat",)
MISSING = "/proc/self/no-such-program"  # by its path: PATH may lead to where we may not look
_TICKS = 20


class Design(Protocol):
    """A class of `impl/` as a scenario uses it."""

    def start(self, argv: tuple[str, ...], parts: Parts) -> ProcessLike:
        """Start a program."""
        ...

    def adopt(self, child: Child, parts: Parts) -> ProcessLike:
        """Own a child."""
        ...

    def find(self, pid: int, parts: Parts) -> ProcessLike:
        """Look a pid up."""
        ...


class Unable(Exception):
    """This machine has no way to make the fault; the text says why."""


@dataclass
class Scene:
    """One throw-away process: the design's parts, and the pipe that its children wait on."""

    design: Design
    refusals: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Make standard input a pipe of our own, and let no child complain of its limits."""
        reader, self._hold = os.pipe()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for fd, standard in ((reader, 0), (nowhere, 2)):
            os.dup2(fd, standard)
            os.close(fd)
        self._ended = False
        self.system = LinuxSystem(Guard())
        self.parts = Parts(self.system, PidfdProbe(self.system))

    def refuse(self) -> None:
        """Install the filter of this row, if it has one."""
        if self.refusals:
            seccomp.refuse(*self.refusals)

    def start(self) -> tuple[ProcessLike, str]:
        """Start a child; return it and how it is held."""
        before = descriptors()
        process = self.design.start(PROGRAM, self.parts)
        return process, "handle" if descriptors() > before else "pid"

    def child(self) -> int:
        """Start a child that no design knows of; return its pid."""
        return self.system.spawn(PROGRAM, pidfd=False).pid

    def end(self) -> None:
        """Let every child end by itself."""
        if not self._ended:
            os.close(self._hold)
            self._ended = True

    def close(self) -> None:
        """End and reap what a failed Wait has left, and give the pipe back."""
        self.end()
        while True:
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                break


def life(scene: Scene) -> str:
    """Signal, wait, then everything again: fault from before the first call."""
    scene.refuse()
    process, held = scene.start()
    return _words(held, outcome(lambda: process.signal(0)), *_ending(scene, process))


def late(scene: Scene) -> str:
    """As `life`, but the fault begins when the process is already running."""
    process, held = scene.start()
    scene.refuse()
    return _words(held, outcome(lambda: process.signal(0)), *_ending(scene, process))


def _ending(scene: Scene, process: ProcessLike) -> list[str]:
    scene.end()
    return [
        outcome(process.wait),
        outcome(process.wait),
        outcome(lambda: process.signal(0)),
        outcome(process.release),
    ]


def found(scene: Scene) -> str:
    """Look a living child up under the fault: how it is held, signal, wait, release."""
    pid = scene.child()
    _ = scene.parts.probe.works
    scene.refuse()
    return _found(scene, pid)


def found_without_descriptors(scene: Scene) -> str:
    """The same where no descriptor can be opened."""
    pid = scene.child()
    _ = scene.parts.probe.works
    before = descriptors()
    with limits.no_descriptors():
        process = scene.design.find(pid, scene.parts)
    return _found(scene, pid, process, before)


def _found(
    scene: Scene, pid: int, process: ProcessLike | None = None, before: int | None = None
) -> str:
    before = descriptors() if before is None else before
    looked_up = scene.design.find(pid, scene.parts) if process is None else process
    held = "handle" if descriptors() > before else "pid"
    signalled = outcome(lambda: looked_up.signal(0))
    scene.end()
    return _words(held, signalled, outcome(looked_up.wait), outcome(looked_up.release))


def probe_without_descriptors(scene: Scene) -> str:
    """The first question finds no descriptor free; it is not asked again."""
    with limits.no_descriptors():
        _ = scene.parts.probe.works
    process, held = scene.start()
    return _words(held, outcome(lambda: process.signal(0)), *_ending(scene, process))


def start(scene: Scene) -> str:
    """Only start, under the fault; then release."""
    _ = scene.parts.probe.works
    scene.refuse()
    return _start(scene)


def start_without_descriptors(scene: Scene) -> str:
    """Start where no descriptor can be opened."""
    _ = scene.parts.probe.works
    try:
        with limits.no_descriptors():
            process = scene.design.start(PROGRAM, scene.parts)
    except StartError as error:
        return _failed(error)
    scene.end()
    return _words("started", outcome(process.wait), outcome(process.release))


def start_without_processes(scene: Scene) -> str:
    """Start where no process can be."""
    _ = scene.parts.probe.works
    try:
        limits.no_processes()
    except PermissionError as error:
        raise Unable(f"root cannot be left here: {error.strerror}") from None
    return _start(scene)


def _start(scene: Scene) -> str:
    try:
        process, _held = scene.start()
    except StartError as error:
        return _failed(error)
    scene.end()
    return _words("started", outcome(process.wait), outcome(process.release))


def _failed(error: StartError) -> str:
    left = children()
    return error.kind if not left else f"{error.kind} and left {left} children"


def start_missing(scene: Scene) -> str:
    """Ten starts of a program that is not there."""
    kinds = set()
    for _ in range(10):
        try:
            scene.design.start((MISSING,), scene.parts)
        except StartError as error:
            kinds.add(_failed(error))
    return _words(*sorted(kinds))


def interrupted(scene: Scene) -> str:
    """Wait in a storm of signals; the process ends after twenty of them."""
    process, _ = scene.start()

    def tick(count: int) -> None:
        if count == _TICKS:
            scene.end()

    with limits.storm(tick):
        waited = outcome(process.wait)
    return _words(waited, outcome(process.release))


def ignored(scene: Scene) -> str:
    """SIGCHLD ignored: the kernel reaps; the handle stays open until Release."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    before = descriptors()
    process, _ = scene.start()
    scene.end()
    waited = outcome(process.wait)
    signalled = outcome(lambda: process.signal(0))
    open_now = descriptors() - before + 1  # the pipe's end was closed meanwhile
    return _words(waited, signalled, f"{open_now} open", outcome(process.release))


def foreign_reaper(scene: Scene) -> str:
    """Somebody else in the program waits for any child, and gets ours."""
    process, _ = scene.start()
    scene.end()
    os.waitpid(-1, 0)
    return _words(
        outcome(process.wait), outcome(lambda: process.signal(0)), outcome(process.release)
    )


def stopped(scene: Scene) -> str:
    """Stop it, begin to wait, continue it from another thread, let it end."""
    process, _ = scene.start()
    words = [outcome(lambda: process.signal(signal.SIGSTOP))]
    pid = process.pid
    info = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
    words.append("stopped" if info is not None and info.si_code == os.CLD_STOPPED else "running")
    waiter = threading.get_native_id()

    def go_on() -> None:
        _await_blocked(waiter)
        words.append(outcome(lambda: process.signal(signal.SIGCONT)))
        scene.end()

    thread = threading.Thread(target=go_on)
    thread.start()
    waited = outcome(process.wait)
    thread.join()
    return _words(*words, waited, outcome(process.release))


def _await_blocked(thread: int) -> None:
    """Return when the thread is in a wait for a child."""
    waits = {str(syscall_numbers.number("waitid")), str(syscall_numbers.number("wait4"))}
    path = f"/proc/self/task/{thread}/syscall"
    while True:
        with open(path, encoding="ascii") as call:
            if call.read().split()[0] in waits:
                return
        os.sched_yield()


def forked(scene: Scene) -> str:
    """A child of ours has a copy of the object: it may signal, not wait; ours is unharmed."""
    process, _ = scene.start()
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            scene.end()
            said = _words(
                outcome(process.wait), outcome(lambda: process.signal(0)), outcome(process.release)
            )
            os.write(writer, said.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="ascii") as pipe:
        copy = pipe.read()
    signalled = outcome(lambda: process.signal(0))
    scene.end()
    return _words(copy, "/", signalled, outcome(process.wait), outcome(process.release))


def released(scene: Scene) -> str:
    """Wait, release, wait again beside another child, where waitid is missing.

    The answer is whether the second Wait took the other child.
    """
    scene.refuse()
    process, _ = scene.start()
    scene.child()
    scene.end()
    words = [outcome(process.wait), outcome(process.release)]
    try:
        again = process.wait()
    except ProcessError as error:
        words.append(error.kind)
    else:
        words.append(f"took {'another' if again.pid > 0 else 'nobody'}")
    return _words(*words)


def no_pidfd_given(scene: Scene) -> str:
    """A kernel before 5.2 ignores CLONE_PIDFD and leaves -1 where the descriptor should be."""
    process = scene.design.adopt(Child(scene.child(), -1), scene.parts)
    signalled = outcome(lambda: process.signal(0))
    scene.end()
    return _words(signalled, outcome(process.wait), outcome(process.release))


def by_pidfd_spawn(scene: Scene) -> str:
    """Start with pidfd_spawn, where the C library has it."""
    if not spawn.pidfd_spawn_available():
        library = " ".join(platform.libc_ver()).strip() or "this C library"
        raise Unable(f"{library} has no pidfd_spawn, which came with glibc 2.39")
    process, held = scene.start()
    return _words(held, *_ending(scene, process))


def by_posix_spawn(scene: Scene) -> str:
    """Start with posix_spawn and pidfd_open on the pid, even where pidfd_spawn would do it."""
    setattr(spawn, "pidfd_spawn_available", lambda: False)  # noqa: B010 -- mypy forbids the other
    process, held = scene.start()
    return _words(held, *_ending(scene, process))


def zombie_keeps_its_pid(scene: Scene) -> str:
    """Why that is safe: a child that has ended at once is a zombie, and pidfd_open finds it."""
    pid = scene.child()
    scene.end()
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    pidfd = scene.system.pidfd_open(pid)
    process = scene.design.adopt(Child(pid, pidfd), scene.parts)
    return _words(
        outcome(lambda: process.signal(0)), outcome(process.wait), outcome(process.release)
    )


def _words(*words: str) -> str:
    return " ".join(words)


SCENARIOS: Mapping[str, Callable[[Scene], str]] = {
    function.__name__: function
    for function in (
        life,
        late,
        found,
        found_without_descriptors,
        probe_without_descriptors,
        start,
        start_without_descriptors,
        start_without_processes,
        start_missing,
        interrupted,
        ignored,
        foreign_reaper,
        stopped,
        forked,
        released,
        no_pidfd_given,
        by_pidfd_spawn,
        by_posix_spawn,
        zombie_keeps_its_pid,
    )
}
