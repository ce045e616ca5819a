"""The named cases: a race or a fault that has a name, and the smallest scenario that shows it.

Each says which design, how the process object came about, which calls race, and which law breaks.
Every engine is asked about them: the explorer for the shortest run, the bounded search for one of
the same length, Spacer for any run, and the replay for what really happens.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lastref.model.designs import get
from lastref.model.explore import explore
from lastref.model.kernel import NO_UNOPENED, NO_USE_AFTER_CLOSE, NO_WRONG_PROCESS
from lastref.model.properties import FIND_KEEPS_PID, NO_PANIC
from lastref.model.system import Scenario, System, scenario
from lastref.model.table import DesignError, Table


@dataclass(frozen=True)
class Case:
    """A named case: ``calls`` on an object from ``start`` break ``law`` after ``steps`` steps.

    ``environment`` overrides initial values further; ``steps`` is the length of the shortest run.
    """

    id: str
    design: str
    platform: str
    start: str
    calls: tuple[str, ...]
    law: str
    steps: int
    text: str
    environment: Mapping[str, int] = field(default_factory=dict)

    @property
    def table(self) -> Table:
        """The table of the design."""
        return get(self.design, self.platform)

    @property
    def initial(self) -> dict[str, int]:
        """The initial values that differ from the table's own."""
        return {**self.table.starts[self.start], **self.environment}

    @property
    def scenario(self) -> Scenario:
        """The threads and the start, for a system of the table."""
        return scenario(*self.calls, initial=self.initial)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that are called, each once."""
        return tuple(dict.fromkeys(m for call in self.calls for m in call.split(";")))


CASES: tuple[Case, ...] = (
    Case(
        "go-13987",
        "pid-naive",
        "linux-pid",
        "start",
        ("wait", "kill"),
        NO_WRONG_PROCESS,
        9,
        "Wait reaps before it marks: a Kill in between reaches whoever has the number next",
    ),
    Case(
        "go-67641",
        "go-2023-pidfd",
        "linux",
        "start",
        ("kill", "release"),
        NO_WRONG_PROCESS,
        6,
        "Release closes a handle that Kill has loaded; the number comes back for another process",
    ),
    Case(
        "go-67641-closed",
        "go-2023-pidfd",
        "linux",
        "start",
        ("signal", "release"),
        NO_USE_AFTER_CLOSE,
        5,
        "the same without the recycled number: Signal uses a closed handle",
    ),
    Case(
        "go-67634",
        "go-2023-pidfd",
        "linux",
        "literal",
        ("signal",),
        NO_UNOPENED,
        3,
        "a Process made by hand has handle 0, which is taken for file descriptor 0",
    ),
    Case(
        "go-67640",
        "go-2023-reland",
        "linux",
        "find-missing",
        ("find",),
        FIND_KEEPS_PID,
        1,
        "FindProcess of a process that is gone returns a Process with Pid -2",
    ),
    Case(
        "go-67642",
        "go-2024",
        "linux-pid",
        "start",
        ("wait", "wait"),
        NO_WRONG_PROCESS,
        19,
        "two Waits pass their check; the second reaps another child that got the number",
    ),
    Case(
        "kill-minus-one",
        "go-2024",
        "linux-pid",
        "start",
        ("signal", "release"),
        NO_WRONG_PROCESS,
        6,
        "Release sets Pid to -1 between the check of a Signal and its kill(-1)",
    ),
    Case(
        "go-68496",
        "go-2024",
        "linux-pid",
        "literal-minus-one",
        ("signal",),
        NO_WRONG_PROCESS,
        5,
        "the check for Pid -1 was lost: a Signal is kill(-1), every process",
    ),
    Case(
        "wait4-minus-one",
        "go-2024",
        "linux-pid",
        "start",
        ("wait;release;wait",),
        NO_WRONG_PROCESS,
        15,
        "where the kernel has no waitid, Wait after Wait and Release is wait4(-1)",
        {"waitid_missing": 1},
    ),
    Case(
        "found-dead-wait",
        "go-2025",
        "linux-pid",
        "find-missing",
        ("wait",),
        NO_WRONG_PROCESS,
        10,
        "Wait on an object found dead reaps a child that got the number meanwhile",
    ),
    Case(
        "go-71564",
        "go-2025-double",
        "linux",
        "start",
        ("signal", "release"),
        NO_PANIC,
        7,
        "an acquire counts in the word, a release closes the handle, the acquire panics",
    ),
)
"""Every named case that a small scenario shows; the overflow has :mod:`~lastref.model.overflow`."""


def case(case_id: str) -> Case:
    """Return the case of that name; raise :class:`DesignError` if there is none."""
    for found in CASES:
        if found.id == case_id:
            return found
    raise DesignError(
        f"there is no case '{case_id}'",
        f"there are {', '.join(c.id for c in CASES)}",
        "name one of these",
    )


def smallest(table: Table) -> Case | None:
    """Return the shortest run of one or two calls that breaks an obligation, if there is one.

    It has no name of its own: the explorer found it.
    """
    runs = []
    for calls in _few(tuple(table.methods)):
        plan = scenario(*calls, initial=table.starts["start"])
        found = explore(System(table, plan), [law for law in table.laws if law.kind == "must"])
        runs += [(len(c.steps), c.law, calls) for c in found.counterexamples.values()]
    if not runs:
        return None
    steps, law, calls = min(runs)
    text = f"{' and '.join(calls)}: the shortest run that breaks {law}"
    return Case(
        f"{table.id}-{table.platform}", table.id, table.platform, "start", calls, law, steps, text
    )


def _few(methods: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield from ((m,) for m in methods)
    yield from itertools.combinations_with_replacement(methods, 2)
