"""An interrupt waits for the end of the stretch, and is not lost."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from lastref.conformance.deferred import interrupts_deferred


def test_an_interrupt_is_raised_at_the_end() -> None:
    """What stands after the interrupt is still done; then KeyboardInterrupt comes, once."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    done = []

    def stretch() -> None:
        with interrupts_deferred():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("after")

    try:
        with pytest.raises(KeyboardInterrupt):
            stretch()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["after"]


def test_without_an_interrupt_nothing_is_raised() -> None:
    """The handler is put back, and an error inside passes through."""
    before = signal.getsignal(signal.SIGINT)
    with interrupts_deferred():
        pass
    with pytest.raises(SystemExit), interrupts_deferred():
        sys.exit("inside")
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_leave_the_handler_alone() -> None:
    """A thread may not set one, and none is raised in it."""
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def stretch() -> None:
        with interrupts_deferred():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=stretch)
    thread.start()
    thread.join()
    assert seen == [before]
