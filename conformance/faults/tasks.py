"""The rows as checks of a result: each design under each fault, in a process of its own.

A check passes if the outcomes are the row's and nothing is left: no descriptor, no child.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

from lastref.conformance.contained import Died, contained
from lastref.conformance.faults.rows import BY_PID, ROWS, Row
from lastref.conformance.faults.scenarios import SCENARIOS, Design, Scene, Unable
from lastref.conformance.real import Found, RealTask
from lastref.conformance.results import Verdict
from lastref.impl.errors import PlatformUnsupported
from lastref.impl.history.go_2016 import WaitidProcess
from lastref.impl.history.go_2023_find import FindProcess
from lastref.impl.history.go_2023_pidfd import SwapProcess
from lastref.impl.history.go_2023_reland import RelandProcess
from lastref.impl.history.go_2025 import SplitProcess
from lastref.impl.history.go_2025_double import DoubleProcess
from lastref.impl.history.pid_naive import NaiveProcess
from lastref.impl.process import Process

KIND = "fault"

DESIGNS: Mapping[str, Design] = {
    "go-2016": WaitidProcess,
    "go-2023-pidfd": SwapProcess,
    "go-2023-find": FindProcess,
    "go-2023-reland": RelandProcess,
    "go-2024": Process,
    "go-2025": SplitProcess,
    "go-2025-double": DoubleProcess,
    "pid-naive": NaiveProcess,
}

_UNABLE = "unable: "


def fault_tasks() -> Iterator[RealTask]:
    """Yield every row for every design it applies to, as a task for `lastref verify`."""
    for row in ROWS:
        for name in row.expected:
            platform = "linux-pid" if name in BY_PID else "linux"
            work = functools.partial(examine, row, name, DESIGNS[name])
            yield RealTask(f"fault/{row.id}", KIND, name, platform, work)


def examine(row: Row, name: str, design: Design) -> Found:
    """Run a row on a class that is to behave as the design of that name."""
    allowed = row.expected[name].split("|")
    extra = {"fault": row.id, "expected": row.expected[name]}
    try:
        done = contained(functools.partial(_play, row, design))
    except Died as error:
        return Found(Verdict.INCOMPLETE, 0, str(error).strip().splitlines()[-1], extra)
    if done.result.startswith(_UNABLE):
        return Found(Verdict.SKIPPED, 0, done.result.removeprefix(_UNABLE), extra)
    extra["seen"] = done.result
    if done.result not in allowed:
        reason = f"it gave '{done.result}', and the design says '{' or '.join(allowed)}'"
        return Found(Verdict.BROKEN, 1, reason, extra)
    if done.descriptors or done.children:
        left = f"{done.descriptors} descriptors and {done.children} children"
        return Found(Verdict.BROKEN, 1, f"it left {left} behind", extra)
    return Found(Verdict.PASS, 1, "", extra)


def _play(row: Row, design: Design) -> str:
    scene = Scene(design, row.refusals)
    try:
        return SCENARIOS[row.scenario](scene)
    except (Unable, PlatformUnsupported) as error:
        return f"{_UNABLE}{error}"
    finally:
        scene.close()
