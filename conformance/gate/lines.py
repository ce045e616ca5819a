"""Python's own code, held before chosen lines: ``python -m lastref.conformance.gate.lines``.

Some calls of CPython keep the GIL (os.kill does): while one is held no other Python code runs, so
between it and its neighbours there are orders that holding system calls alone cannot show. Here the
gate stands before the lines of chosen functions of the standard library instead:

    python -m lastref.conformance.gate.lines subprocess:Popen.send_signal -- -m ADAPTER
    python -m lastref.conformance.gate.lines subprocess:Popen.wait,subprocess:Popen.poll -- FILE

Before each line of such a function the thread closes a descriptor number that stands for the line,
and that no descriptor has. The filter holds that close like any other call, and closing gives up
the GIL. The program is not changed and does not notice.

    number = LINE + function's place in the list * 4096 + line within the function

From Python 3.12 on sys.monitoring reports the lines, before it sys.settrace does.
"""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import runpy
import sys
import threading
from collections.abc import Sequence
from types import CodeType, FrameType
from typing import Any

from lastref.conformance.errors import UserError
from lastref.conformance.gate.filter import LINE

PER_FUNCTION = 4096
_MODULE = "lastref.conformance.gate.lines"


def wrapped(argv: Sequence[str], functions: Sequence[str]) -> tuple[str, ...]:
    """Return the command ``argv``, of a Python program, with a gate before the functions' lines.

    UserError if it is no Python program, or if a function is not there.
    """
    find(functions)
    options, rest = _parts(argv)
    if not has_lines(argv):
        raise UserError(
            f"'{argv[0]}' has no lines to stop at",
            "lines are those of Python programs started as a file or a module",
            "leave the lines out; the gate holds its system calls all the same",
        )
    return (argv[0], *options, "-m", _MODULE, ",".join(functions), "--", *rest)


def has_lines(argv: Sequence[str]) -> bool:
    """Return whether ``argv`` is a Python program that is started as a file or a module."""
    return "python" in os.path.basename(argv[0]) and _parts(argv)[1][:1] != ["-c"]


def _parts(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the options of the interpreter, and what follows them."""
    options = [argument for argument in argv[1:] if argument in ("-P", "-E", "-S", "-I")]
    return options, [*argv[1 + len(options) :]]


def label(mark: int) -> str:
    """Return how a schedule shows a line: the function's place in the list, and the line in it."""
    return "line({}+{})".format(*divmod(mark, PER_FUNCTION))


def find(functions: Sequence[str]) -> dict[CodeType, int]:
    """Return the code of each function with its place in the list; UserError if one has none."""
    found: dict[CodeType, int] = {}
    for place, name in enumerate(functions):
        try:
            code = pkgutil.resolve_name(name).__code__
        except (ImportError, AttributeError, ValueError) as error:
            raise UserError(
                f"there is no Python function '{name}'",
                str(error),
                "write it like subprocess:Popen.send_signal",
            ) from None
        found[code] = place
    return found


class Marks:
    """Closes the number that stands for a line."""

    def __init__(self, functions: dict[CodeType, int]) -> None:
        self.functions = functions

    def stop(self, code: CodeType, line: int) -> None:
        """Stand before ``line`` of ``code`` until somebody lets us go."""
        offset = min(max(line - code.co_firstlineno, 0), PER_FUNCTION - 1)
        try:
            os.close(LINE + self.functions[code] * PER_FUNCTION + offset)
        except OSError:
            pass  # EBADF, always: no descriptor has such a number
        else:
            raise AssertionError("a descriptor with the number of a line")

    def install(self) -> None:
        """Stop before the lines from now on, in this thread and in new ones."""
        if sys.version_info >= (3, 12):
            self._monitor()
        else:
            threading.settrace(self._trace)
            sys.settrace(self._trace)

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if frame.f_code not in self.functions:
            return None
        if event == "line":
            self.stop(frame.f_code, frame.f_lineno)
        return self._trace

    def _monitor(self) -> None:
        monitoring: Any = getattr(sys, "monitoring")  # noqa: B009 -- 3.11 does not have it
        tool = monitoring.DEBUGGER_ID
        monitoring.use_tool_id(tool, "lastref")
        monitoring.register_callback(tool, monitoring.events.LINE, self.stop)
        for code in self.functions:
            monitoring.set_local_events(tool, code, monitoring.events.LINE)


def main(arguments: Sequence[str]) -> None:
    """Run the program in ``arguments`` with its functions' lines gated."""
    functions, dashes, *program = arguments
    if dashes != "--" or not program:
        raise SystemExit("usage: lines FUNCTION,... -- (-m MODULE | FILE) ARGUMENT...")
    Marks(find(functions.split(","))).install()
    if program[0] == "-m":
        spec = importlib.util.find_spec(program[1])
        if spec is None or spec.origin is None:
            raise SystemExit(f"there is no module {program[1]}")
        program = [spec.origin, *program[2:]]
    sys.argv = list(program)
    runpy.run_path(program[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
