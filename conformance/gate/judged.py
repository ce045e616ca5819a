"""The history of an order, judged by the model: is there an order of its calls that fits?

Who was hit is one question, and the victims answer it. What the calls returned is another: it must
be what the specification that the implementation declares allows for some order of them, each call
taking effect between its invocation and its return.

Only histories of one started child are judged. Where the object is found, or several children are
about, the sequential specification has nothing to say.
"""

from __future__ import annotations

from collections.abc import Sequence

from lastref.conformance.gate.scenario import Operation, Scenario
from lastref.conformance.linearize import Judge
from lastref.conformance.protocol.conversation import Event
from lastref.conformance.situations import beginning

_JUDGED = frozenset({"wait", "signal", "kill", "release"})
_ENDS = frozenset({"signal", "kill"})


def can_be_judged(scenario: Scenario) -> bool:
    """Return whether the sequential specification says something of the scenario."""
    calls = [each for thread in scenario.threads for each in thread.operations]
    return scenario.setup == (Operation("start"),) and all(
        each.op in _JUDGED and each.process == "a" for each in calls
    )


def deviation(specification: str, history: Sequence[Event]) -> str | None:
    """Return what no order of the calls explains, in words; None if one explains it all."""
    begins = beginning(specification, "child")
    if begins.specification is None:
        return None
    judge = Judge(begins.specification)
    for event in history:
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
