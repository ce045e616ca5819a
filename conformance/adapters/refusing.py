"""Starts an adapter where the kernel refuses some calls: ``refusing pidfd_open=ENOSYS -- PROGRAM``.

A seccomp filter answers for the kernel, in this process and in what it becomes. So a language that
falls back to plain pids where there are no pidfds can be tested as it is there, on a kernel that
has them; and unlike ``lastref gate --refuse`` in every case.

Source: seccomp(2); the filter is that of the gate, which may stand behind this one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from lastref.conformance.gate.filter import Refusal, program
from lastref.conformance.gate.launch import refuse
from lastref.conformance.gate.numbers import machine


def main(arguments: Sequence[str]) -> None:
    """Install the filter and become the program."""
    dashes = arguments.index("--") if "--" in arguments else 0
    refused, argv = arguments[:dashes], arguments[dashes + 1 :]
    if not refused or not argv:
        raise SystemExit("usage: refusing CALL=ERRNO... -- PROGRAM ARGUMENT...")
    refuse(program(machine(), (), [Refusal.parse(each) for each in refused], listened=False))
    os.execv(argv[0], list(argv))


if __name__ == "__main__":
    main(sys.argv[1:])
