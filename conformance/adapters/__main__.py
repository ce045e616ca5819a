"""``python -m lastref.conformance.adapters NAME``: build the adapter if needed, and become it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from lastref.conformance.adapters.registry import known
from lastref.conformance.errors import UserError


def main(arguments: Sequence[str]) -> int:
    """Start the adapter that is named; on failure say why on one line."""
    names = known()
    if len(arguments) != 1 or arguments[0] not in names:
        print(f"usage: python -m {__package__} NAME, one of {', '.join(names)}", file=sys.stderr)
        return 2
    adapter = names[arguments[0]]
    try:
        argv = adapter.prepare()
    except UserError as error:
        print(f"lastref: {error}", file=sys.stderr)
        return error.exit_code
    return os.execvpe(argv[0], argv, {**os.environ, **adapter.environment})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
