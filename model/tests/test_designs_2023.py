"""The swap-then-close designs of 2023: what go issue 67641 looks like, step by step."""

from __future__ import annotations

import pytest

from lastref.model.designs.go_2023_pidfd import GO_2023_PIDFD
from lastref.model.explore import explore
from lastref.model.kernel import NO_USE_AFTER_CLOSE, NO_WRONG_PROCESS
from lastref.model.system import System, scenario


def names(calls: tuple[str, ...], law: str) -> list[str]:
    """Return the shortest counterexample to ``law`` as ``actor:command`` strings."""
    found = explore(System(GO_2023_PIDFD, scenario(*calls)), stop_at=law)
    return [f"{actor}:{name}" for actor, name in found.counterexamples[law].schedule]


def test_release_between_load_and_send_lets_a_kill_hit_the_wrong_process() -> None:
    """Go issue 67641: kill and release, six steps with the recycled number."""
    assert names(("kill", "release"), NO_WRONG_PROCESS) == [
        "K1:kill.check",
        "K1:kill.load",
        "R1:release.swap",
        "R1:release.close",
        "kernel:reopen",
        "K1:kill.send.wrong",
    ]


def test_without_recycling_the_same_race_is_a_use_after_close() -> None:
    """Where nobody takes the number the signal gets EBADF: one step fewer."""
    assert names(("kill", "release"), NO_USE_AFTER_CLOSE)[-1] == "K1:kill.send.closed"


def test_a_successful_wait_closes_under_a_signal_too() -> None:
    """Go issue 67641: Wait swaps and closes exactly as Release does."""
    steps = names(("wait", "kill"), NO_WRONG_PROCESS)
    assert len(steps) == 11
    assert steps[-3:] == ["W1:wait.close", "kernel:reopen", "K1:kill.send.wrong"]


@pytest.mark.parametrize("calls", [("kill",), ("wait",), ("wait;kill;release",)])
def test_one_thread_alone_breaks_no_law(calls: tuple[str, ...]) -> None:
    """The race needs two threads."""
    found = explore(System(GO_2023_PIDFD, scenario(*calls)))
    assert found.complete
    assert found.counterexamples == {}
