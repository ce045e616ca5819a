"""How a process object comes about, as initial values: started, found, or made by hand.

    start              our child                  literal             a value with only Pid set
    find               a live child of ours       literal-other       … of a process of others
    find-other         a live process of others   literal-minus-one   … with Pid -1
    find-missing       no process has that pid    zero-literal        … with nothing set
    find-minus-one     FindProcess(-1)

Every design offers those that it has; for a design that works on a plain pid all of them are the
same object with another pid behind it.
"""

from __future__ import annotations

from collections.abc import Mapping

from lastref.model.kernel import CLOSED, FOREIGN
from lastref.model.kernel_pid import FREE, MINUS_ONE, ZERO

Starts = Mapping[str, Mapping[str, int]]

GONE_PID: Mapping[str, int] = {"exited": 1, "reaped": 1, "pid_owner": FREE}
"""No process has the number."""
GONE_HANDLE: Mapping[str, int] = {"exited": 1, "reaped": 1, "handle": CLOSED}
"""The same for a design with a handle only, which was never opened."""
OTHERS: Mapping[str, int] = {"kin": FOREIGN}
"""The process is another's child."""

PID_STARTS: Starts = {
    "start": {},
    "find": {},
    "find-other": OTHERS,
    "find-missing": GONE_PID,
    "find-minus-one": {"pid": MINUS_ONE},
    "literal": {},
    "literal-other": OTHERS,
    "literal-minus-one": {"pid": MINUS_ONE},
    "zero-literal": {"pid": ZERO},
}
"""The starts of a design that works on a plain pid."""

LITERALS = ("literal", "literal-other", "literal-minus-one", "zero-literal", "find-minus-one")
"""The starts for which a design with two modes works on the plain pid."""
