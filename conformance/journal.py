"""The checks of a run as they come, one JSON object a line: a crash loses nothing.

    {"schema":"lastref-result-1","command":"check", ...}     what is run, and how many cases
    {"id":"c-pid/child/wait", ...}                           a check, as in the result
    ...

A run that is resumed reads what is there, and goes on with the cases that are missing.  The head
must be the same, or the two would not be one run.  Half a line at the end, of a run that was cut
off while it wrote, is dropped.  Only one run writes a file at a time, where the system can tell.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lastref.conformance.closing import Closing
from lastref.conformance.errors import UserError, writing
from lastref.conformance.results import SCHEMA


class Journal(Closing):
    """A file of checks being written.  ``done`` are the checks that it held before."""

    def __init__(self, path: Path, head: Mapping[str, Any], *, resume: bool) -> None:
        self._path = path
        self._head = {"schema": SCHEMA, **head}
        self.done: list[dict[str, Any]] = []
        with writing(self._path):
            # Appended to: nothing of it is lost before it is known to be ours.
            self._file = path.open("a+b", buffering=0)
        try:
            with writing(self._path):
                self._lock()
                if resume:
                    self.done = self._read()
                self._file.truncate(self._end if self.done else 0)
            if not self.done:
                self.write(self._head)
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        try:
            import fcntl  # absent on Windows
        except ModuleNotFoundError:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"'{self._path}' is being written",
                "another run has it open",
                "let that one end, or name another file",
            ) from None
        except OSError:
            pass  # a file system without locks

    def write(self, document: Mapping[str, Any]) -> None:
        """Append one line, and see that it is in the file; UserError where it cannot be."""
        line = json.dumps(document, ensure_ascii=False).encode() + b"\n"
        with writing(self._path):
            while line:
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())

    def _read(self) -> list[dict[str, Any]]:
        """Return the whole lines after the head, and remember where they end."""
        self._file.seek(0)
        data = self._file.read()
        self._end = data.rfind(b"\n") + 1
        try:
            documents = [json.loads(line) for line in data[: self._end].splitlines()]
        except ValueError as error:
            raise self._refusal("it is no journal of a run") from error
        if not documents:
            return []
        if documents[0] != self._head:
            raise self._refusal("it is of a run with other options or another adapter")
        return documents[1:]

    def _refusal(self, reason: str) -> UserError:
        return UserError(
            f"'{self._path}' cannot be resumed", reason, "repeat the options, or leave --resume out"
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()
