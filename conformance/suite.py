"""The cases: situations that a process can be in, and what is then called on its object.

    child     a child that runs until the suite ends it, as soon as a Wait has begun
    zombie    a child that has ended and is not reaped
    found     a child that was started by one object and found again, by its pid, as another
    literal   the same, but the second object is made by hand from the pid
    missing   a pid that no process has, found
    other     a process that is not the implementation's child, found or made by hand
    zero      an object made by hand with pid 0
    overlap   a child with a Wait blocked on it while other calls are made; beside it a decoy, a
              zombie of the same parent, which a wait for the wrong process would reap
    gate      a named race, explored at the system call boundary (see ``gated``)
    adapter   the adapter itself: what it declares, its pipes, its end

An id is the situation and the calls, ``child/wait.signal``; for an overlap the calls during the
Wait and the call after it, ``overlap/signal.release/then-wait``.  Ids are stable: a list of known
deviations names them.  Cases of at most three calls are enough: every entry of the published
outcome tables has at most three, and a longer one would have to break a law that no shorter does.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from lastref.conformance.gate.scenario import Scenario

METHODS = ("wait", "signal", "kill", "release")
FOREIGN = "foreign"
HARMLESS = ("wait", "signal", "release")
LENGTHS = {
    "child": 3,
    "zombie": 3,
    "found": 2,
    "literal": 2,
    "missing": 2,
    "other": 2,
    "literal-other": 2,
    "zero": 2,
}
"""The longest sequence of calls in each situation."""

CAPABILITIES = {
    "wait": "wait",
    "signal": "signal",
    "kill": "kill",
    "release": "release",
    FOREIGN: "foreign-signal",
}
"""What an implementation must declare for a method to be called."""

SITUATIONS = {
    "child": ("start",),
    "zombie": ("start",),
    "found": ("start", "find"),
    "literal": ("start", "literal"),
    "missing": ("find",),
    "other": ("find",),
    "literal-other": ("literal",),
    "zero": ("literal",),
    "overlap": ("start", "wait", "concurrent"),
}
"""What an implementation must declare for a situation to be set up."""

RACES = {
    "go-13987": "start|wait,kill",
    "go-16028": "start|wait,signal",
    "go-67641": "start|kill,release",
    "go-67642": "start|wait,wait,start.b",
    "reaped-elsewhere": "start|kill,reap",
    "found-dead-wait": "start;exit;wait|find.b@a;wait.b,start.c",
}
"""The races that can be held at a system call, by their published ids, as the gate's scenarios."""

JUDGED_RACES = ("go-13987", "go-16028", "go-67641", "go-67642")
"""The races whose histories the sequential specification has something to say of."""

DECLARED = (
    *("start", "find", "literal", "reaps-itself"),
    *("pidfd", "concurrent", "observable-word"),
)
"""The capabilities whose declaration is looked at by a case of its own."""
NO_PIDFD = ("pidfd_open=ENOSYS",)

EXIT_CODE = 3
"""What a child of the suite exits with; not 0 and not 1, which a mistake could give as well."""

DECOY_CODE = 7
"""What the decoy exits with: another child, which no call of the case names."""

HANDSHAKE, PIPES, ENDING = "adapter/handshake", "adapter/pipes", "adapter/ending"


@dataclass(frozen=True)
class Case:
    """What is done in one case.

    ``calls`` are made one after another; before an overlap's the suite begins a Wait, and lets the
    child end after them; ``then`` is called when all of that has returned.  At the gate the
    ``scenario`` says it all, with the system calls that are ``refused``; there it is asked who was
    hit, or with ``history`` whether some order of the calls explains what they returned.
    """

    id: str
    situation: str
    calls: tuple[str, ...]
    then: str | None = None
    scenario: str = ""
    refused: tuple[str, ...] = ()
    history: bool = False

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities without which the case cannot be run."""
        if self.situation == "gate":
            pidfd = {"pidfd"} if self.refused else set()
            return Scenario.parse(self.scenario).needs | pidfd
        if self.situation == "adapter":
            needed = {"adapter/pipes": ("start",)}.get(self.id, self.calls)
            return frozenset(needed)
        called = (*self.calls, *((self.then,) if self.then else ()))
        return frozenset({*SITUATIONS[self.situation], *(CAPABILITIES[c] for c in called)})

    @property
    def excludes(self) -> frozenset[str]:
        """The capabilities with which the case shows nothing.

        Who reaps every child of its own accord reaps the other child of such a scenario as well,
        and rightly: no Wait of the caller's is behind it.
        """
        if self.situation != "gate" or self.history:
            return frozenset()
        another = Scenario.parse(self.scenario).makes_children_later
        return frozenset({"reaps-itself"} if another else ())

    def unsupported(self, capabilities: AbstractSet[str]) -> str | None:
        """Return why it is not run on an implementation that declares these; None if it is."""
        if missing := sorted(self.needs - capabilities):
            return f"the adapter does not declare {', '.join(missing)}"
        if excluded := sorted(self.excludes & capabilities):
            return f"it shows nothing of an implementation that declares {', '.join(excluded)}"
        return None


def _sequences(methods: tuple[str, ...], longest: int) -> Iterator[tuple[str, ...]]:
    for length in range(1, longest + 1):
        yield from itertools.product(methods, repeat=length)


def _cases() -> Iterator[Case]:
    yield Case(HANDSHAKE, "adapter", ())
    yield Case(PIPES, "adapter", ())
    for capability in DECLARED:
        needs = {"find": ("start",), "concurrent": ("start", "wait"), "pidfd": ("start",)}
        needed = (capability, *needs.get(capability, ()))
        if capability in ("observable-word", "literal", "reaps-itself"):
            needed = (capability, "start")
        yield Case(f"adapter/declares-{capability}", "adapter", needed)
    for situation, longest in LENGTHS.items():
        # A process that is not the implementation's is not to be killed, by nobody's mistake.
        methods = METHODS if situation not in ("other", "literal-other") else HARMLESS
        for calls in _sequences(methods, longest):
            yield Case(f"{situation}/{'.'.join(calls)}", situation, calls)
        for calls in ((FOREIGN,), ("wait", FOREIGN), ("release", FOREIGN), (FOREIGN, "signal")):
            yield Case(f"{situation}/{'.'.join(calls)}", situation, calls)
    for calls in ((), *_sequences(METHODS, 2)):
        for then in (None, *METHODS):
            during = ".".join(calls) or "nothing"
            after = f"/then-{then}" if then else ""
            yield Case(f"overlap/{during}{after}", "overlap", calls, then)
    for race, scenario in RACES.items():
        for name, refused in ((f"gate/{race}", ()), (f"gate/{race}/no-pidfd", NO_PIDFD)):
            yield Case(name, "gate", (), scenario=scenario, refused=refused)
            if race in JUDGED_RACES:
                name = f"{name}/history"
                yield Case(name, "gate", (), scenario=scenario, refused=refused, history=True)
    yield Case(ENDING, "adapter", ())


@functools.cache
def all_cases() -> tuple[Case, ...]:
    """Return every case, in its order; no two have one id."""
    return tuple(_cases())
