"""go-2025-double: the word of go-2024 and a second reference count in the handle, for some days.

    acquire   the word's own, as in go-2024 · then refs + 1 of the handle; refs 0 -> panic
    release   the word's own, as in go-2024 · then refs - 1 of the handle; it was 1 -> close

Two counts of one thing are changed one after the other, so between the two they disagree:

    acquire: word + 1 · Release: word - 1 | RELEASED · Release: refs 1 -> 0, close ·
    acquire: refs are 0: panic "inconsistent reference counts" (go issue 71564)

A missing process is in PID mode and done, as in go-2025.

Source: the Go tree of February 2025, os/exec.go, between the introduction of processHandle and the
fix of go issue 71564.
"""

from __future__ import annotations

from typing import Self

from lastref.impl.atomic import AtomicWord
from lastref.impl.errors import Panic
from lastref.impl.history.go_2024_pid import PidProcess
from lastref.impl.history.go_2025 import Handle
from lastref.impl.parts import Parts
from lastref.impl.process import Process
from lastref.impl.word import DONE, OK, HandleWord

MISMATCH = "inconsistent reference counts"


class DoubleWord(HandleWord):
    """The protocol of go-2024 that also counts in the handle, which alone decides the close."""

    __slots__ = ("_handle",)

    def __init__(self, word: AtomicWord, handle: Handle) -> None:
        super().__init__(word, handle.release)
        self._handle = handle

    def transient_acquire(self) -> int:
        """Take a reference in the word, then one in the handle; Panic if that is closed."""
        status = super().transient_acquire()
        if status == OK and not self._handle.acquire():
            raise Panic(MISMATCH)
        return status

    def _drop(self, word: int, desired: int) -> bool:
        # Every reference dropped in the word is dropped in the handle, not just the last one.
        if not self._commit(word, desired):
            return False
        self._handle.release()
        return True


class DoubleProcess(Process):
    """A go-2024 process whose references are counted twice."""

    def _handle_word(self, parts: Parts, word: int) -> HandleWord:
        return DoubleWord(parts.word64(word), Handle(self._handle, parts))

    @classmethod
    def _missing(cls, pid: int, parts: Parts) -> Self | PidProcess:
        return PidProcess(pid, parts, status=DONE)
