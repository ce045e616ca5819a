"""What a fixture is given, and what it says where it can do nothing with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

import pytest

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


_UNABLE = 3


def refused(error: UserError) -> NoReturn:
    """Skip the test where the machine cannot; fail it where what was asked is a mistake."""
    if error.exit_code == _UNABLE:
        pytest.skip(str(error))
    pytest.fail(f"lastref: {error}", pytrace=False)
