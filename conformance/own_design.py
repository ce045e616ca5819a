"""Bring your own word: a table in a Python file of yours, verified like the ones that ship.

The file defines ``TABLE``, a :class:`~lastref.model.table.Table`, and if it likes ``THREADS``, the
mixes to explore, each a tuple of calls such as ``("wait", "kill;release")``.  Without them all
pairs and threes of its methods are.  Running the file runs its code: verify what you trust.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from itertools import combinations_with_replacement
from pathlib import Path

from lastref.conformance.errors import UserError, complaint_of
from lastref.model.table import Table

Mix = tuple[str, ...]


def load(path: Path) -> tuple[Table, tuple[Mix, ...]]:
    """Return the table in ``path`` and the mixes of threads to explore it with.

    Raises :class:`UserError` where the file cannot be read, fails, or has no such table.
    """
    names = _run(path)
    table = names.get("TABLE")
    if not isinstance(table, Table):
        found = "no name TABLE" if table is None else f"a TABLE that is a {type(table).__name__}"
        raise UserError(
            f"{path} has no design",
            f"it defines {found}",
            "end it with TABLE = Table(id=…), as model/designs/go_2024.py does",
        )
    given = names.get("THREADS")
    mixes = tuple(_mixes(table)) if given is None else _given(path, given)
    return table, mixes


def _run(path: Path) -> dict[str, object]:
    try:
        return runpy.run_path(str(path))
    except OSError as error:
        raise UserError(
            f"{path} cannot be read", error.strerror or str(error), "name a Python file"
        ) from error
    except SyntaxError as error:
        raise UserError(
            f"{path} is no Python", f"line {error.lineno}: {error.msg}", "mend it"
        ) from error
    except Exception as error:
        complaint = complaint_of(error)
        if complaint is not None:  # a table that is not well formed says so itself
            raise UserError(*complaint) from error
        raise UserError(
            f"{path} fails when it is run",
            f"{type(error).__name__}: {error}",
            "run it with python to see where",
        ) from error


def _mixes(table: Table) -> Iterator[Mix]:
    for size in (2, 3):
        yield from combinations_with_replacement(table.methods, size)


def _given(path: Path, given: object) -> tuple[Mix, ...]:
    try:
        mixes = tuple(tuple(map(str, mix)) for mix in given)  # type: ignore[attr-defined]
    except TypeError:
        mixes = ()
    if not mixes or not all(mixes) or isinstance(given, str):
        raise UserError(
            f"THREADS of {path} names nothing to explore",
            "it is to be some tuples of calls",
            'write THREADS = (("wait", "release"),)',
        )
    return mixes
