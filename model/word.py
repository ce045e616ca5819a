"""The 64-bit status/refcount word of a process handle.

      63        62      61                                                    0
    +----------+------+--------------------------------------------------------+
    | released | done |                      references                        |
    +----------+------+--------------------------------------------------------+

The process object holds one *persistent* reference, which Release or a successful Wait drops; the
same atomic step sets the status bit that says why, so no new user can come in afterwards.  Every
operation that gives the handle to the kernel holds one *transient* reference meanwhile.  Whoever
takes the count to zero closes the handle: the last user closes.

Source: Go commit beaf7f3282 ("os: overhaul handling of PID vs pidfd within Process", 2024), types
``processStatus`` and field ``Process.state``.

The functions below take a Python int or an :class:`~lastref.model.algebra.Expr` of 64 bits alike.
"""

from __future__ import annotations

from typing import TypeVar

from lastref.model.algebra import Expr

WIDTH = 64
DONE = 1 << 62
"""Status bit: the process was successfully waited for."""
RELEASED = 1 << 63
"""Status bit: the process object was released."""
STATUS_MASK = DONE | RELEASED
REFS_MASK = DONE - 1
"""The low 62 bits: the number of references."""
MAX_REFS = REFS_MASK

Word = TypeVar("Word", int, Expr)


def status(word: Word) -> Word:
    """Return the status bits of ``word``, in place: 0, ``DONE``, ``RELEASED``, or both at once."""
    return word & STATUS_MASK


def refs(word: Word) -> Word:
    """Return the number of references in ``word``."""
    return word & REFS_MASK


def encode(references: int, *, done: bool = False, released: bool = False) -> int:
    """Return the word for ``references`` (0 to 2**62 - 1) and the two status bits.

    Raises ``ValueError`` if the count does not fit: the word has no overflow guard of its own.
    """
    if not 0 <= references <= MAX_REFS:
        raise ValueError(
            f"{references} references do not fit the word: "
            f"62 bits hold 0 to {MAX_REFS}; encode a count in that range"
        )
    return references | (DONE if done else 0) | (RELEASED if released else 0)


def decode(word: int) -> tuple[int, bool, bool]:
    """Return ``(references, done, released)``; raise ``ValueError`` if ``word`` is not 64 bits."""
    if not 0 <= word < 1 << WIDTH:
        raise ValueError(f"{word:#x} is not a word: it needs more than 64 bits; mask it first")
    return word & REFS_MASK, bool(word & DONE), bool(word & RELEASED)


def is_legal(word: int) -> bool:
    """Return whether ``word`` can arise: both status bits together are reserved, and so is 0.

    Zero (status OK, no references) would be a live handle with nobody holding it.
    """
    return word != 0 and status(word) != STATUS_MASK


def show(word: int) -> str:
    """Return ``word`` for people: ``"ok refs=2"``, ``"released refs=1"``, ``"done refs=0"``."""
    references, done, released = decode(word)
    name = {
        (False, False): "ok",
        (True, False): "done",
        (False, True): "released",
        (True, True): "reserved",
    }[done, released]
    return f"{name} refs={references}"
