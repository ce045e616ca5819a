"""What can be hammered: the designs of `impl/`, and what each promises by intention.

Where a design differs on purpose (what a second Wait says, whether Release after Wait counts), its
specification says so, and only the rest is a broken law.  Designs that know a process by its pid
are hammered without Release: it writes the pid that a Signal reads, which is documented as a data
race and ends in kill(-1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lastref.conformance.stress.spec import Specification
from lastref.impl.history.go_2016 import WaitidProcess
from lastref.impl.history.go_2023_find import FindProcess
from lastref.impl.history.go_2023_pidfd import SwapProcess
from lastref.impl.history.go_2023_reland import RelandProcess
from lastref.impl.history.go_2024_pid import PidProcess
from lastref.impl.history.go_2025 import SplitProcess
from lastref.impl.history.go_2025_double import DoubleProcess
from lastref.impl.history.pid_naive import NaiveProcess
from lastref.impl.parts import Parts
from lastref.impl.process import Process
from lastref.impl.state import ProcessLike
from lastref.impl.system import Child

WEIGHTS: Mapping[str, float] = {"signal": 12, "find": 3, "wait": 2, "kill": 1, "release": 1}
"""How often each operation is drawn, against the others."""

RARITIES: tuple[float, ...] = (1, 0.1, 0.01)
"""By what each operation that ends things is made rarer, drawn for each round: with all of them
often, every round would be over soon; so some rounds see long lives, and some no Release at all."""

INTERRUPT = "interrupt"
"""What a thread does to the others now and then; see interrupts.py."""

ENDINGS = ("wait", "kill", "release")

GO_2024 = Specification()
"""The overhaul's: the first of Wait and Release counts, for good."""


@dataclass(frozen=True)
class Subject:
    """A design to hammer: how to own a child, how to look one up, and what it promises."""

    adopt: Callable[[Child, Parts], ProcessLike]
    find: Callable[[int, Parts], ProcessLike]
    specification: Specification = GO_2024
    handle: bool = True
    restarts: bool = True
    """Whether Wait goes on after EINTR, as it does from 2023 on."""

    @property
    def weights(self) -> Mapping[str, float]:
        """The operations that threads mix."""
        left_out = () if self.handle else ("release",)
        mixed = {operation: n for operation, n in WEIGHTS.items() if operation not in left_out}
        return {**mixed, INTERRUPT: 1} if self.restarts else mixed


_SWAP = Specification(again=None, marks_first=True, release_overrides=True)
_BY_PID = Specification(again=None, marks_first=True)
_NAIVE = Specification(again=None, lost="wait:ECHILD")

SUBJECTS: Mapping[str, Subject] = {
    "go-2024": Subject(Process.adopt, Process.find),
    "go-2025": Subject(SplitProcess.adopt, SplitProcess.find, Specification(again="wait:ECHILD")),
    "go-2025-double": Subject(DoubleProcess.adopt, DoubleProcess.find),
    "go-2023-pidfd": Subject(SwapProcess.adopt, SwapProcess.find, _SWAP),
    "go-2023-find": Subject(FindProcess.adopt, FindProcess.find, _SWAP),
    "go-2023-reland": Subject(RelandProcess.adopt, RelandProcess.find, _SWAP),
    "go-2024-pid": Subject(PidProcess.adopt, PidProcess.find, _BY_PID, handle=False),
    "go-2016": Subject(
        WaitidProcess.adopt, WaitidProcess.find, _BY_PID, handle=False, restarts=False
    ),
    "pid-naive": Subject(
        NaiveProcess.adopt, NaiveProcess.find, _NAIVE, handle=False, restarts=False
    ),
}
"""Every design that has a real implementation; those by pid need a PID namespace of our own."""
