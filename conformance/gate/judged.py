"""The history of an order, judged by the model: is there an order of its calls that fits?

Who was hit is one question, and the victims answer it. What the calls returned is another: it must
be what the specification that the implementation declares allows for some order of them, each call
taking effect between its invocation and its return.

Judged is one started child, ``a``, and every call on it. What becomes of another child that a
thread starts meanwhile is no matter: an object is linearizable by itself. Where the object is found
or somebody reaps behind its back, the sequential specification has nothing to say.

Source: M. Herlihy and J. Wing, Linearizability (TOPLAS 1990), for the locality.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lastref.conformance.gate.filter import Refusal
from lastref.conformance.gate.scenario import Operation, Scenario
from lastref.conformance.linearize import Judge
from lastref.conformance.protocol.conversation import Event
from lastref.conformance.situations import beginning
from lastref.model import designs

_JUDGED = frozenset({"wait", "signal", "kill", "release"})
_ENDS = frozenset({"signal", "kill"})
_OBJECT = "a"


def can_be_judged(scenario: Scenario) -> bool:
    """Return whether the sequential specification says something of the scenario."""
    calls = [each for thread in scenario.threads for each in thread.operations]
    return scenario.setup == (Operation("start"),) and all(
        each.op in _JUDGED if each.process == _OBJECT else each.op == "start" for each in calls
    )


def specification_of(declared: str, refused: Iterable[Refusal]) -> str:
    """Return ``DESIGN/PLATFORM`` for a program whose calls are refused.

    One that cannot open a pidfd is what its design is without them.
    """
    design, _, platform = declared.partition("/")
    without = any(each.call == "pidfd_open" and each.argument is None for each in refused)
    known = {(table.id, table.platform) for table in designs.all_tables()}
    if without and (design, f"{platform}-pid") in known:
        return f"{declared}-pid"
    return declared


def deviation(specification: str, history: Sequence[Event]) -> str | None:
    """Return what no order of the calls explains, in words; None if one explains it all."""
    begins = beginning(specification, "child")
    if begins.specification is None:
        return None
    judge = Judge(begins.specification)
    for event in history:
        if event.process != _OBJECT:
            continue
        if event.kind == "invoke":
            judge.invoke(event.id, event.op)
            if event.op in _ENDS:
                judge.exit()  # what is sent here ends the child, sooner or later
        elif event.kind == "exit":
            judge.exit()
        else:
            refused = judge.returns(event.id, event.outcome)
            if refused is not None:
                return str(refused)
    return None
