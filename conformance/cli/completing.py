"""What a shell may complete: the names of designs, cases and adapters, each from where it is kept.

Click completes commands and options by itself, and asks a parameter for its values:

    @click.argument("case", shell_complete=cases)
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem, shell_complete

from lastref.conformance.adapters import registry
from lastref.conformance.named_cases import named_cases
from lastref.model.designs import all_tables

VARIABLE = "_LASTREF_COMPLETE"
"""The variable in which a shell asks, as click names it: ``bash_complete``, ``zsh_source``, …"""


def asked(program: click.Group) -> int | None:
    """Answer a shell that asks for completions; None if none does, else the exit code."""
    instruction = os.environ.get(VARIABLE)
    if not instruction:
        return None
    return shell_complete(program, {}, program.name or "", VARIABLE, instruction)


def designs(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the designs; once one is named, its platforms."""
    tables = all_tables()
    if "/" in incomplete:
        return _starting((f"{t.id}/{t.platform}" for t in tables), incomplete)
    return _starting((t.id for t in tables), incomplete)


def cases(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the named cases, with what each is about."""
    found = named_cases().values()
    return [CompletionItem(c.id, help=c.title) for c in found if c.id.startswith(incomplete)]


def adapters(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the known adapters, with what each is."""
    found = registry.known().values()
    return [CompletionItem(a.name, help=a.title) for a in found if a.name.startswith(incomplete)]


def _starting(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(n) for n in dict.fromkeys(names) if n.startswith(incomplete)]
