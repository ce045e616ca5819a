"""Bring your own word: a table in a Python file of yours, verified like the ones that ship.

The file defines ``TABLE``, a :class:`~lastref.model.table.Table`, and if it likes ``THREADS``, the
mixes to explore, each a tuple of calls such as ``("wait", "kill;release")``.  Without them all
pairs and threes of its methods are.  ``lastref designs --template`` prints a file to begin with.
Running the file runs its code: verify what you trust.  What it prints goes to standard error.
"""

from __future__ import annotations

import inspect
import os
import re
import runpy
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stdout
from itertools import combinations_with_replacement
from pathlib import Path

from lastref.conformance import design_template
from lastref.conformance.errors import UserError, complaint_of
from lastref.model import designs
from lastref.model.system import System, scenario
from lastref.model.table import DesignError, Table
from lastref.model.wellformed import check_design

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
            "end it with TABLE = Table(id=…), as what 'lastref designs --template' prints",
        )
    try:
        check_design(table)
        given = names.get("THREADS")
        mixes = tuple(_mixes(table)) if given is None else _given(path, given)
        system = System(table, scenario(*mixes[0]))
        for mix in mixes[1:]:
            system.under(scenario(*mix))
    except DesignError as error:
        raise UserError(f"{path}: {error.fault}", error.reason, error.remedy) from error
    return table, mixes


def template(table: Table | None = None) -> str:
    """Return the text of a file to begin with: a small word, or the design that ``table`` is.

    Raises :class:`UserError` for a table that does not ship.
    """
    if table is None:
        return inspect.getsource(design_template)
    for name, module in sorted(sys.modules.items()):
        if name.startswith(f"{designs.__name__}."):
            source = inspect.getsource(module)
            for variable, value in vars(module).items():
                if value is table and re.search(rf"^{variable} = ", source, re.MULTILINE):
                    return f"{source}\n\nTABLE = {variable}\n"
    raise UserError(
        f"{table.id} is no design that ships", "only those have a file here", "copy your own file"
    )


def _run(path: Path) -> dict[str, object]:
    if path.is_dir():
        raise UserError(f"{path} cannot be read", "it is a directory", "name a Python file")
    try:
        with redirect_stdout(sys.stderr):
            return runpy.run_path(str(path))
    except OSError as error:
        if error.filename is None or Path(os.fsdecode(error.filename)) != path:
            raise _failed(path, error) from error
        raise UserError(
            f"{path} cannot be read", error.strerror or str(error), "name a Python file"
        ) from error
    except SyntaxError as error:
        if error.filename != str(path) and error.lineno is not None:
            raise _failed(path, error) from error
        at = "" if error.lineno is None else f"line {error.lineno}: "
        raise UserError(f"{path} is no Python", f"{at}{error.msg}", "mend it") from error
    except SystemExit as error:
        raise UserError(
            f"{path} ends the program",
            f"{_line(path, error)}it calls exit() where it is only to define a table",
            "take the call out",
        ) from error
    except Exception as error:
        complaint = complaint_of(error)
        if complaint is None:
            raise _failed(path, error) from error
        # a table that is not well formed says so itself
        fault = f"{path}, {_line(path, error)}{complaint.fault}"
        raise UserError(fault, complaint.reason, complaint.remedy) from error


def _failed(path: Path, error: Exception) -> UserError:
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return UserError(
        f"{path} fails when it is run",
        f"{_line(path, error)}{said}",
        "mend it; running it with python shows how it came there",
    )


def _line(path: Path, error: BaseException) -> str:
    """Return the last line of the file on the way to the error, as the start of a complaint."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f"line {frames[-1].lineno}: " if frames else ""


def _mixes(table: Table) -> Iterator[Mix]:
    for size in (2, 3):
        yield from combinations_with_replacement(table.methods, size)


def _given(path: Path, given: object) -> tuple[Mix, ...]:
    mixes = tuple(given) if isinstance(given, tuple | list) else ()
    if mixes and all(
        isinstance(mix, tuple | list) and mix and all(isinstance(call, str) for call in mix)
        for mix in mixes
    ):
        return tuple(tuple(mix) for mix in mixes)
    raise UserError(
        f"THREADS of {path} names nothing to explore",
        "it is to be some tuples of calls, one for each thread",
        'write THREADS = (("wait", "release"),), with a comma after each tuple',
    )
