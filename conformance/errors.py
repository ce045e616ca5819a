"""What went wrong, in words for the person at the terminal: fault, reason, remedy, on one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

INCOMPLETE = 2
"""The exit code of bad input: nothing was shown to hold, and no law was shown to be broken."""


class Complaint(NamedTuple):
    """The three parts of an error that a user can do something about."""

    fault: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        """Return the one line; line breaks inside the parts become spaces."""
        return " ".join(f"{self.fault}: {self.reason}; {self.remedy}".split())


class UserError(Exception):
    """Refuse what the user asked for, say why, and say what to do instead.

    ``exit_code`` is 2 for bad input and an incomplete run, 3 where the machine cannot.
    """

    def __init__(self, fault: str, reason: str, remedy: str, exit_code: int = INCOMPLETE) -> None:
        self.fault = fault
        self.reason = reason
        self.remedy = remedy
        self.exit_code = exit_code
        super().__init__(str(Complaint(fault, reason, remedy)))

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str, str, int]]:
        """Pickle by the four parts, so that it can come out of a sandbox."""
        return type(self), (self.fault, self.reason, self.remedy, self.exit_code)


@contextlib.contextmanager
def writing(path: Path, what: str = "file") -> Iterator[None]:
    """Turn an error of the operating system at ``path`` into a :class:`UserError`."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write '{path}'",
            error.strerror or str(error),
            f"name a {what} that can be written",
        ) from error


def complaint_of(error: BaseException) -> Complaint | None:
    """Return the complaint an exception carries, whichever layer it comes from, or None.

    ``model`` and ``impl`` may not import this module, so their refusals are known by their three
    attributes ``fault``, ``reason`` and ``remedy``, not by a common base class.
    """
    parts = [getattr(error, name, None) for name in Complaint._fields]
    if all(isinstance(part, str) and part for part in parts):
        return Complaint(*map(str, parts))
    return None
