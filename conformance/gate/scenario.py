"""A scenario: what is done beforehand, which operations run on which threads, what is held.

    start | wait , kill                        the race between Wait and Kill
    start ; exit ; wait | find.b@a ; wait.b , start.c   a wait on a process found missing
    start | wait , wait , start.b              two Waits, and a new child under the old pid

Before the bar the set-up, carried out with nothing held; after it the threads, separated by commas,
each with its operations, separated by semicolons. An operation is written `OP`, `OP.OBJECT` or
`OP.OBJECT@PID-OF`; the object is `a` unless it is said. `exit` in the set-up ends a child.

A thread is named by the capital of its first operation and a number: W1, K1. In a schedule a
thread's name means that it takes its next step: it invokes its next operation, or its held call is
let go. The others who can step are `exit(a)`, the child ending by itself, and a call that a thread
of the implementation's own makes: `wait4(a)`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from lastref.conformance.errors import UserError

MAKING = frozenset({"start", "find", "literal"})
"""The operations that make a process object."""

MOST_CHILDREN = 5
"""So many can be told apart: each ends by a signal of its own."""

STANDARD = {
    "wait-kill": "start|wait,kill",
    "wait-signal": "start|wait,signal",
    "kill-release": "start|kill,release",
    "kill-reap": "start|kill,reap",
    "two-waits": "start|wait,wait,start.b",
    "found-dead-wait": "start;exit;wait|find.b@a;wait.b,start.c",
}
"""The scenarios that are explored unless others are asked for, by their ids."""

_OPERATION = re.compile(r"(?P<op>[a-z]+)(?:\.(?P<process>[A-Za-z0-9]+))?(?:@(?P<of>[A-Za-z0-9]+))?")
_KNOWN = MAKING | {"wait", "signal", "kill", "release", "reap", "exit", "drop"}


@dataclass(frozen=True)
class Operation:
    """One operation on one process object; ``of`` names the object whose pid is looked up."""

    op: str
    process: str = "a"
    of: str | None = None

    @property
    def wanted(self) -> frozenset[str]:
        """The objects that must be there before."""
        if self.op in MAKING:
            return frozenset() if self.op == "start" else frozenset({self.of or "a"})
        return frozenset({self.process})

    @property
    def children(self) -> frozenset[str]:
        """Which of these must have been started: its pid is asked for, or its end."""
        return self.wanted if self.op in MAKING or self.op == "exit" else frozenset()

    def __str__(self) -> str:
        """Return it as it is written."""
        process = "" if self.process == "a" else f".{self.process}"
        return f"{self.op}{process}" + (f"@{self.of}" if self.of else "")


@dataclass(frozen=True)
class Thread:
    """A thread of the scenario and its operations, one after another."""

    name: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Scenario:
    """The set-up and the threads."""

    setup: tuple[Operation, ...]
    threads: tuple[Thread, ...]

    @classmethod
    def parse(cls, text: str) -> Scenario:
        """Read the written form; UserError if it is none."""
        before, bar, after = text.partition("|")
        if not bar:
            raise _unreadable(text, "there is no bar between the set-up and the threads")
        setup = tuple(_operations(before, text)) if before.strip() else ()
        counted: Counter[str] = Counter()
        threads = []
        for part in after.split(","):
            operations = tuple(_operations(part, text))
            if any(each.op == "exit" for each in operations):
                raise _unreadable(text, "only the set-up ends a child; later anyone's exit is free")
            letter = operations[0].op[0].upper()
            counted[letter] += 1
            threads.append(Thread(f"{letter}{counted[letter]}", operations))
        scenario = cls(setup, tuple(threads))
        if (fault := scenario._fault()) is not None:
            raise _unreadable(text, fault)
        return scenario

    def __str__(self) -> str:
        """Return the written form."""
        setup = ";".join(map(str, self.setup))
        threads = ",".join(";".join(map(str, thread.operations)) for thread in self.threads)
        return f"{setup}|{threads}"

    def _fault(self) -> str | None:
        """Return why it cannot be carried out, None if it can."""
        later = [operation for thread in self.threads for operation in thread.operations]
        making = [each for each in (*self.setup, *later) if each.op in MAKING]
        for each in making:
            if sum(other.process == each.process for other in making) > 1:
                return f"'{each.process}' is made more than once"
        starts = {each.process for each in making if each.op == "start"}
        if len(starts) > MOST_CHILDREN:
            return f"it starts more than {MOST_CHILDREN} children"
        there: set[str] = set()
        for place, each in enumerate((*self.setup, *later)):
            if place >= len(self.setup):  # the threads go on in any order
                there = {other.process for other in making}
            if missing := each.wanted - there:
                return f"'{each}' is about '{min(missing)}', which nothing makes before"
            if each.op in MAKING:
                there.add(each.process)
            if missing := each.children - starts:
                return f"'{each}' is about '{min(missing)}', which is no child"
        return None

    @property
    def makes_children_later(self) -> bool:
        """Whether a thread starts a child: then a freed pid can become the testee's own child's."""
        return any(each.op == "start" for thread in self.threads for each in thread.operations)

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities that an implementation must declare for it."""
        everything = [*self.setup, *(o for thread in self.threads for o in thread.operations)]
        ops = {each.op for each in everything} - {"exit", "drop"}
        # Another reaper goes behind the implementation's back: that needs no leave of its.
        busy = [t for t in self.threads if any(each.op != "reap" for each in t.operations)]
        return frozenset(ops | ({"concurrent"} if len(busy) > 1 else set()))


def _operations(text: str, whole: str) -> list[Operation]:
    found = []
    for part in text.split(";"):
        match = _OPERATION.fullmatch(part.strip())
        if match is None or match["op"] not in _KNOWN:
            raise _unreadable(whole, f"'{part.strip()}' is no operation")
        found.append(Operation(match["op"], match["process"] or "a", match["of"]))
    return found


def _unreadable(text: str, reason: str) -> UserError:
    return UserError(f"'{text}' is no scenario", reason, "write it like 'start|wait,kill'")
