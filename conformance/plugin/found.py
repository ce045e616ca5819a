"""A class or function that another program finds again by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from lastref.conformance.errors import UserError

T = TypeVar("T", bound=Callable[..., object])


def found(named: T) -> T:
    """Return ``named``; UserError if it has no name that a module knows it by."""
    if "<" in named.__qualname__:
        raise UserError(
            f"'{named.__qualname__}' cannot be tested",
            "it is run in a program of its own, which finds it by its name only",
            "define it at the top of a module",
        )
    return named
