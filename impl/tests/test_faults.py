"""Every fault of the fleet is what its name says, and differs from the sound process by that."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from lastref.impl.errors import Errno, outcome
from lastref.impl.faults import Fault, FaultyProcess, faulty
from lastref.impl.seam import observed_parts
from lastref.impl.word import DONE, PERSISTENT, RELEASED

if TYPE_CHECKING:
    from lastref.impl.tests.conftest import Machine


class Scene:
    """A process of a zombie, with what happened to it written down."""

    def __init__(self, machine: Machine, fault: Fault | None) -> None:
        self.steps: list[str] = []
        self.interfere: Callable[[str], None] = lambda name: None
        child = machine.zombie()
        made = faulty(*[fault] if fault else []).adopt(
            child, observed_parts(machine.parts, self._before, self._after)
        )
        assert isinstance(made, FaultyProcess)
        self.process = made
        self.fd = child.pidfd
        self.pid = child.pid

    def _before(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.interfere(name)

    def _after(self, name: str, result: Any) -> None:
        failed = isinstance(result, Exception)
        self.steps.append(f"{name} failed" if failed or result is False else name)

    @property
    def word(self) -> int:
        """The word, read past the seam."""
        inner: Any = self.process._word._word
        return int(inner.inner.load())

    def set_word(self, value: int) -> None:
        """Overwrite the word, past the seam."""
        inner: Any = self.process._word._word
        assert inner.inner.compare_exchange(self.word, value)

    def during(self, name: str, then: Callable[[], object], nth: int = 1) -> None:
        """Run `then` just before the n-th operation called `name`."""
        left = [nth]

        def interfere(called: str) -> None:
            if called == name:
                left[0] -= 1
                if left[0] == 0:
                    then()

        self.interfere = interfere

    def clean_up(self) -> None:
        """Close the pidfd if the fault left it open."""
        assert self.fd is not None
        with contextlib.suppress(OSError):
            os.close(self.fd)


# Each experiment returns what a suite could see. It must differ between sound and faulty.


def _signal_when(status: int) -> Callable[[Scene], object]:
    def run(scene: Scene) -> object:
        scene.set_word(status | 1)
        seen = outcome(lambda: scene.process.signal(0))
        scene.set_word(PERSISTENT)
        scene.process.release()
        return seen

    return run


def _signal_while_released(scene: Scene) -> object:
    scene.during("pidfd_send_signal", scene.process.release)
    return outcome(lambda: scene.process.signal(0))


def _acquire_against_release(scene: Scene) -> object:
    scene.during("compare_exchange", scene.process.release)
    return outcome(lambda: scene.process.signal(0)), scene.word, scene.steps


def _release(scene: Scene) -> object:
    scene.process.release()
    return scene.word, scene.steps


def _release_then_release(scene: Scene) -> object:
    scene.set_word(2)
    scene.process.release()
    scene.process.release()
    seen = scene.word
    scene.set_word(PERSISTENT)
    scene.process.release()
    return seen


def _release_then_signal(scene: Scene) -> object:
    scene.process.release()
    return outcome(lambda: scene.process.signal(0))


def _order_of_close(scene: Scene) -> object:
    scene.process.release()
    return scene.steps[-1]


def _word_while_reaping(scene: Scene) -> object:
    words: list[int] = []
    scene.during("waitid", lambda: words.append(scene.word))
    scene.process.wait()
    return words


def _references_after_failure(scene: Scene) -> object:
    def fail() -> None:
        raise Errno(errno.EPERM)

    scene.during("pidfd_send_signal", fail)
    seen = outcome(lambda: scene.process.signal(0)), scene.word
    scene.set_word(PERSISTENT)
    scene.process.release()
    return seen


def _interrupted_wait(scene: Scene) -> object:
    def fail() -> None:
        raise Errno(errno.EINTR)

    scene.during("waitid", fail)
    seen = outcome(scene.process.wait)
    scene.process.release()
    return seen


def _signal_after_foreign_reap(scene: Scene) -> object:
    os.waitpid(scene.pid, 0)
    seen = outcome(lambda: scene.process.signal(signal.SIGTERM))
    scene.process.release()
    return seen


EXPERIMENTS: dict[Fault, tuple[Callable[[Scene], object], object]] = {
    Fault.ACQUIRE_IGNORES_DONE: (_signal_when(DONE), "nil"),
    Fault.ACQUIRE_IGNORES_RELEASED: (_signal_when(RELEASED), "nil"),
    Fault.NO_ACQUIRE: (_signal_while_released, "EBADF"),
    Fault.CLOSE_AT_RELEASE: (_signal_while_released, "EBADF"),
    Fault.NO_RETRY: (_acquire_against_release, None),
    Fault.RELEASE_KEEPS_REFERENCE: (
        _release,
        (RELEASED | 1, ["load", "compare_exchange"]),
    ),
    Fault.RELEASE_IGNORES_STATUS: (_release_then_release, RELEASED),
    Fault.CLOSE_BEFORE_CAS: (_order_of_close, "compare_exchange"),
    Fault.WRONG_REASON: (_release_then_signal, "EPD"),
    Fault.DONE_BEFORE_REAP: (_word_while_reaping, [DONE | 1]),
    Fault.LEAK_ON_ERROR: (_references_after_failure, ("EPERM", 2)),
    Fault.NO_EINTR_LOOP: (_interrupted_wait, "waitid:EINTR"),
    Fault.ESRCH_AS_IS: (_signal_after_foreign_reap, "ESRCH"),
}


def seen_in(machine: Machine, fault: Fault, made_with: Fault | None) -> object:
    """Run the fault's experiment on a process with or without it."""
    scene = Scene(machine, made_with)
    try:
        return EXPERIMENTS[fault][0](scene)
    finally:
        scene.clean_up()


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_shows(machine: Machine, fault: Fault) -> None:
    """The same experiment ends otherwise with the fault than without it."""
    sound, wrong = seen_in(machine, fault, None), seen_in(machine, fault, fault)
    expected = EXPERIMENTS[fault][1]
    assert wrong != sound
    assert expected is None or wrong == expected


def test_no_fault_is_the_sound_process(machine: Machine) -> None:
    """The fleet's frame itself changes nothing."""
    scene = Scene(machine, None)
    scene.process.signal(0)
    scene.process.wait()
    acquire, release = ["load", "compare_exchange"], ["load", "compare_exchange"]
    assert scene.steps == [
        *acquire,
        "pidfd_send_signal",
        *release,
        *acquire,
        "waitid",
        *release,
        *release,
        "close",
    ]
    assert scene.word == DONE
