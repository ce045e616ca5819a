"""A private PID namespace to replay in: nothing outlives it, and nothing outside can be hit.

    the suite ──pidfd──┐                                       ┌──────── PID namespace ────────┐
        │              ├─ launcher ── PR_SET_PDEATHSIG ── supervisor, pid 1 there ── testees … │
        └──stop pipe───┘                                       └───── own mounts, own /proc ───┘

The launcher ends when the suite closes the stop pipe or dies; the supervisor dies with the
launcher; and when process 1 of a PID namespace dies the kernel kills all others in it.

    with Sandbox() as sandbox:
        outcome = sandbox.call(function, argument)        # runs inside, as process 1
    outcome = run_in_namespace(function, argument)        # the same in one line
    with Recycler(guard) as recycler:                     # inside: pids on demand
        victim = recycler.take(pid)                       # None while the pid is not yet free

Source: pid_namespaces(7), user_namespaces(7), mount_namespaces(7), PR_SET_PDEATHSIG in prctl(2),
clone(2) for clone3 and set_tid.
"""

from __future__ import annotations

from lastref.conformance.sandbox.box import Sandbox, SandboxLost, run_in_namespace, unavailable
from lastref.conformance.sandbox.inside import emit
from lastref.conformance.sandbox.recycle import Fate, Recycler, Victim

__all__ = [
    "Fate",
    "Recycler",
    "Sandbox",
    "SandboxLost",
    "Victim",
    "emit",
    "run_in_namespace",
    "unavailable",
]
