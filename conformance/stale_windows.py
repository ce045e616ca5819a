"""Whether Windows hands handle values out again, and whom a late Kill then ends: an experiment.

The author of go-2024 was unsure whether Windows ever reuses handles.  So, without any model::

    Kill      loads the value ... stands before DuplicateHandle ............... goes on
    Release                       is called, and returns
    somebody                                               opens handles to a bystander

and it is counted how often the value came up for the bystander, and whom the Kill ended.  Without a
reference count Release closes the handle; with one the Kill holds a reference, so the value stays
open and cannot come up.

Source: the message of Go commit beaf7f3282.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from lastref.conformance.lanes_windows import WindowsLanes
from lastref.conformance.replays import Advance
from lastref.conformance.results import Verdict
from lastref.conformance.stage_windows import WindowsStage
from lastref.conformance.subjects_windows import Design, hand_out
from lastref.conformance.verify import Finding, Task
from lastref.impl import windows_api
from lastref.impl.errors import Win32Error
from lastref.impl.history.windows_go_2025 import WindowsSplitProcess
from lastref.impl.history.windows_swap import WindowsSwapProcess
from lastref.impl.windows import WindowsProcess
from lastref.impl.windows_parts import WindowsParts, observed_windows
from lastref.model.invariants import SOUND

DESIGNS: Mapping[str, Design] = {
    "go-2016": WindowsSwapProcess,
    "go-2024": WindowsProcess,
    "go-2025": WindowsSplitProcess,
}
ROUNDS = 100
LIMIT = 1_000
"""So many handles somebody opens, at most, while the Kill stands still."""


@dataclass
class Stale:
    """In how many rounds the value was handed out again, and in how many who was ended."""

    rounds: int = 0
    handed_out: int = 0
    wrong_process: int = 0
    our_process: int = 0

    def __str__(self) -> str:
        return (
            f"of {self.rounds} values in use by a Kill, {self.handed_out} were handed out again "
            f"after Release; {self.wrong_process} Kills ended a wrong process"
        )


def late_kills(stage: WindowsStage, design: str, rounds: int = ROUNDS) -> Stale:
    """Let a Kill be late ``rounds`` times, and count."""
    seen = Stale()
    for _ in range(rounds):
        _late_kill(stage, DESIGNS[design], seen)
    return seen


def _late_kill(stage: WindowsStage, design: Design, seen: Stale) -> None:
    child, bystander = stage.new_process(), stage.bystander
    value = stage.system.open_process(child.pid)
    targets: list[int] = []

    def before(call: str, arguments: tuple[object, ...]) -> None:
        if call == "DuplicateHandle":
            process.release()
            seen.handed_out += hand_out(value, bystander.handle, LIMIT)
        elif call == "TerminateProcess":
            (copy, *_) = arguments
            assert isinstance(copy, int)
            targets.append(windows_api.get_process_id(copy))

    parts = observed_windows(WindowsParts(stage.system), before)
    process = design.adopt(child.pid, value, parts)
    # Without a reference the value means nothing, if it did not come up: then Kill fails.
    with contextlib.suppress(Win32Error):
        process.kill()
    for target in targets:
        ended = child if target == child.pid else bystander
        ended.await_exit()
        seen.our_process += ended is child
        seen.wrong_process += ended is not child
    _close(value, child.pid, bystander.pid)
    stage.reset()
    seen.rounds += 1


def _close(value: int, *pids: int) -> None:
    """Close the value, if it still means one of our processes."""
    with contextlib.suppress(Win32Error):
        if windows_api.get_process_id(value) in pids:
            windows_api.close_handle(value)


def stale_tasks(lanes: WindowsLanes) -> list[Task]:
    """Return a check for each kind of design."""
    return [_task(design, lanes) for design in DESIGNS]


def late_kills_here(design: str) -> Stale:
    """Let a Kill be late ``ROUNDS`` times, on a stage of its own."""
    with WindowsStage() as stage:
        return late_kills(stage, design)


def _task(design: str, lanes: WindowsLanes) -> Task:
    def do(advance: Advance) -> Finding:
        seen = lanes.call(late_kills_here, design)
        advance(1)
        return judge(design, seen)

    return Task("late-kill", "handle-reuse", design, "windows", do, 1)


def judge(design: str, seen: Stale) -> Finding:
    """Return what the counts say: no wrong process with a reference count; without one, some."""
    extra = asdict(seen)
    if (design, "windows") in SOUND:
        sound = seen.wrong_process == 0 and seen.our_process == seen.rounds
        return Finding(Verdict.PASS if sound else Verdict.BROKEN, seen.rounds, str(seen), extra)
    if not seen.handed_out:
        return Finding(Verdict.INCOMPLETE, seen.rounds, f"{seen}: nothing is shown", extra)
    as_known = seen.wrong_process == seen.handed_out
    return Finding(Verdict.PASS if as_known else Verdict.BROKEN, seen.rounds, str(seen), extra)
