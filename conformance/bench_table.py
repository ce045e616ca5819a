"""How fast the searches are, as tables for a document: made from results of `lastref bench`.

    python -m lastref.conformance.bench_table RESULT.json…

First the rows that Spin may answer too, then the proofs.  A Spin that was given up has no states,
and a ratio with ``>``: no less than that.  Seconds are of the processor, memory is in 2^20 bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from lastref.conformance.bench import readable
from lastref.conformance.markdown_tables import Check, program, table

_HEAD = ("row", "our states", "ours", "memory", "Spin's states", "Spin", "memory", "Spin / ours")
_PROOFS = ("row", "cases", "ours", "memory")


def tables(checks: Iterable[Check]) -> list[str]:
    """Return the lines of both tables in Markdown, with a row for every check that was measured."""
    measured = [c for c in checks if "ours_s" in c]
    proofs = [c for c in measured if c["group"] == "proof"]
    others = [c for c in measured if c["group"] != "proof"]
    return [
        *table(_HEAD, (compared(c) for c in others)),
        "",
        *table(_PROOFS, (proved(c) for c in proofs)),
    ]


def compared(check: Check) -> list[str]:
    """Return the cells of a row that Spin may answer too."""
    ours = [_number(check["ours_states"]), readable(check["ours_s"]), _memory(check["ours_bytes"])]
    if check["ratio"] is None:
        return [_name(check), *ours, *["–"] * 4]
    bound = "" if check["peer_finished"] else "> "
    states = _number(check["peer_states"]) if check["peer_finished"] else "–"
    theirs = [states, bound + readable(check["peer_s"]), _memory(check["peer_bytes"])]
    return [_name(check), *ours, *theirs, f"{bound}{check['ratio']:,.1f}"]


def proved(check: Check) -> list[str]:
    """Return the cells of a proof."""
    used = [readable(check["ours_s"]), _memory(check["ours_bytes"])]
    return [_name(check), _number(check["count"]), *used]


def _name(check: Check) -> str:
    return f"`{str(check['id']).removeprefix('bench/')}`"


def _number(number: int) -> str:
    return f"{number:,}"


def _memory(size: int) -> str:
    return f"{size / 2**20:,.0f} MB"


if __name__ == "__main__":
    sys.exit(program(tables))
