"""The kernel's facts as checks of a result: each in a process of its own, counted before and after.

    plain fact        suite ── contained child
    recycling fact    suite ── sandbox ── worker ── contained child

A check that leaves a descriptor or a process behind does not pass.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from lastref.conformance.contained import Died, contained
from lastref.conformance.kernel_facts import FACTS
from lastref.conformance.kernel_stage import NotSo, TooOld
from lastref.conformance.namespace import in_worker
from lastref.conformance.real import Found, RealTask
from lastref.conformance.results import Verdict
from lastref.conformance.sandbox import Sandbox, unavailable

KIND = "kernel"


def kernel_tasks() -> Iterator[RealTask]:
    """Yield every fact as a task for `lastref verify`."""
    for fact in FACTS.values():
        work = functools.partial(_examine, fact.id)
        yield RealTask(f"kernel/{fact.id}", KIND, None, "linux", work)


def _examine(name: str) -> Found:
    fact = FACTS[name]
    if fact.namespace:
        reason = unavailable()
        if reason is not None:
            return Found(Verdict.SKIPPED, 0, reason, {"law": fact.law})
        with Sandbox() as sandbox:
            verdict, said = sandbox.call(inside, name)
    else:
        verdict, said = _contained(name)
    extra = {"law": fact.law, "seen": said}
    if verdict is Verdict.PASS:
        return Found(verdict, 1, "", extra)
    return Found(verdict, int(verdict is Verdict.BROKEN), said, extra)


def inside(name: str) -> tuple[Verdict, str]:
    """Check one fact inside the sandbox."""
    return in_worker(_contained, name)


def _contained(name: str) -> tuple[Verdict, str]:
    try:
        done = contained(lambda: _checked(FACTS[name].check))
    except Died as error:
        return Verdict.INCOMPLETE, f"the check itself failed: {str(error).splitlines()[-1]}"
    verdict, said = done.result
    if verdict is Verdict.PASS and (done.descriptors or done.children):
        left = f"{done.descriptors} descriptors and {done.children} children"
        return Verdict.BROKEN, f"the check left {left} behind"
    return verdict, said


def _checked(check: Callable[[], str]) -> tuple[Verdict, str]:
    try:
        return Verdict.PASS, check()
    except NotSo as error:
        return Verdict.BROKEN, str(error)
    except TooOld as error:
        return Verdict.SKIPPED, str(error)
