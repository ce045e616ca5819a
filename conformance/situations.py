"""How each situation begins: what the adapter is asked for, and the specification that judges.

    situation       the object comes from                       its pid is
    child, overlap  start                                       the child's
    zombie          start, of a child that has ended            the child's
    found           find, beside the object that started it     the child's
    literal         made by hand, beside it                     the child's
    missing         find                                        nobody's
    other           find                                        a process of the suite
    literal-other   made by hand                                a process of the suite
    zero            made by hand                                0

What the object is then, and whether there is one at all, the model says: see ``way_in`` of
:mod:`lastref.model.designs`.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from lastref.conformance.errors import UserError
from lastref.conformance.specification import Specification
from lastref.impl.guard import PID_LIMIT
from lastref.model import designs
from lastref.model.table import DesignError, Table

MISSING_PID = PID_LIMIT + 1
"""A pid that no process has and none will ever be given."""

_STARTS = {
    "child": "start",
    "overlap": "start",
    "zombie": "start",
    "found": "find",
    "literal": "literal",
    "missing": "find-missing",
    "other": "find-other",
    "literal-other": "literal-other",
    "zero": "zero-literal",
}


class Beginning(NamedTuple):
    """What the specification says of a situation.

    ``outcome`` is what making the object gives; ``specification`` is None where that is no object,
    or where the design has no such situation at all (then ``outcome`` is empty).
    """

    outcome: str
    specification: Specification | None


@functools.cache
def beginning(name: str, situation: str) -> Beginning:
    """Return how ``situation`` begins for the specification ``DESIGN/PLATFORM``."""
    table = _table(name)
    try:
        way = designs.way_in(table, _start(table, situation))
    except DesignError:
        return Beginning("", None)
    if way.table is None:
        return Beginning(way.outcome, None)
    initial = {**way.initial, **({"exited": 1} if situation == "zombie" else {})}
    return Beginning(way.outcome, Specification(way.table, initial))


def _start(table: Table, situation: str) -> str:
    """Return the start that a situation is; without pidfds a find cannot know who is missing."""
    start = _STARTS[situation]
    by_pid = f"{start}-by-pid"
    return by_pid if table.platform.endswith("-pid") and by_pid in table.starts else start


def _table(name: str) -> Table:
    design, _, platform = name.partition("/")
    try:
        return designs.get(design, platform)
    except DesignError as error:
        raise UserError(error.fault, error.reason, error.remedy) from error
