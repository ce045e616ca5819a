"""Tables in Markdown, made from result files: what the programs that make them have in common.

python -m lastref.conformance.bench_table RESULT.json…     of `lastref bench`
python -m lastref.conformance.proof_table RESULT.json…     of `lastref prove all`
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonschema import ValidationError

from lastref.conformance.ending import ended
from lastref.conformance.errors import UserError
from lastref.conformance.results import validate

Check = Mapping[str, Any]
"""A check as a result file has it."""

_REMEDY = "name files that a lastref command wrote with --json"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a table whose first column is text and whose others are figures."""
    cells = list(head)
    return [_line(cells), _line(["---", *["---:"] * (len(cells) - 1)]), *map(_line, rows)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def program(lines: Callable[[Sequence[Check]], Iterable[str]]) -> int:
    """Print the lines made of the checks of all files that are named; return the exit code."""

    def run() -> int:
        if not sys.argv[1:]:
            raise UserError("there is nothing to make a table of", "no file is named", _REMEDY)
        print("\n".join(lines([check for name in sys.argv[1:] for check in _checks(name)])))
        sys.stdout.flush()
        return 0

    return ended(run)


def _checks(name: str) -> Sequence[Check]:
    """Return the checks of a result file; UserError if it is none."""
    try:
        document = json.loads(Path(name).read_text(encoding="utf-8"))
        validate(document)
    except (OSError, ValueError, ValidationError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
        raise UserError(f"'{name}' is no result", reason, _REMEDY) from error
    checks: Sequence[Check] = document["checks"]
    return checks
