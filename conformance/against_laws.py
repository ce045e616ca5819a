"""Which design breaks which law: every table explored with all pairs of its calls, and a trio.

A sound design must break none.  A faulty one is kept for what it breaks: its check says which laws,
each by a shortest run, and passes if that run, taken again from its schedule alone, breaks the law.
What is not broken was not broken in a complete search of these threads; for any number of them
there are the proofs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement

from lastref.conformance.results import Verdict
from lastref.conformance.trace import parse, record
from lastref.conformance.verify import Advance, Finding, Task
from lastref.model import designs
from lastref.model.explore import explore
from lastref.model.invariants import SOUND
from lastref.model.system import System, scenario
from lastref.model.table import Table

TRIO = ("wait", "kill", "release")
"""Three calls that are explored together where a table has them."""


def law_tasks() -> Iterator[Task]:
    """Yield the check of every table against its laws."""
    for table in designs.all_tables():
        yield Task("laws", "laws", table.id, table.platform, _against(table))


def mixes(table: Table) -> Iterator[tuple[str, ...]]:
    """Yield the mixes of calls that a table is explored with."""
    yield from combinations_with_replacement(table.methods, 2)
    if set(TRIO) <= set(table.methods):
        yield TRIO


def _against(table: Table) -> Callable[[Advance], Finding]:
    def work(_: Advance) -> Finding:
        states, broken = 0, dict[str, str]()
        shortest = dict[str, int]()
        for mix in mixes(table):
            system = System(table, scenario(*mix))
            found = explore(system)
            states += found.states
            for law, run in found.counterexamples.items():
                if len(run.steps) < shortest.get(law, len(run.steps) + 1):
                    shortest[law] = len(run.steps)
                    broken[law] = record(system, run.steps).schedule
        return judge(table, states, broken)

    return work


def judge(table: Table, states: int, broken: dict[str, str]) -> Finding:
    """Return what the broken laws, each with its schedule, say of a table."""
    stated = [law.id for law in table.laws if law.kind != "sometimes"]
    extra = {
        "states": states,
        "kept_laws": [law for law in stated if law not in broken],
        "broken_laws": broken,
    }
    if broken and (table.id, table.platform) in SOUND:
        law, schedule = next(iter(broken.items()))
        reason = f"a sound design breaks {law}: lastref replay '{schedule}'"
        return Finding(Verdict.BROKEN, states, reason, extra)
    for law, schedule in broken.items():
        again = parse(schedule).broken
        if again != law:
            reason = f"{schedule} is said to break {law}, and breaks {again or 'nothing'}"
            return Finding(Verdict.BROKEN, states, reason, extra)
    said = ", ".join(f"{law} after {len(parse(s).steps)} steps" for law, s in broken.items())
    return Finding(Verdict.PASS, states, f"breaks {said}" if broken else "breaks none", extra)
