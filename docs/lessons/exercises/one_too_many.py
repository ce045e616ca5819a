"""Exercise 6: the premise of the proof, broken: one reference short of what 62 bits hold.

Go-2024, unchanged, in a process where almost 2^62 references are held by others.  The proof for any
number of threads has a premise about exactly this.  Break it with two signals; then mend the
design, so that the premise is not needed: an acquire may fail.

    lastref verify --design docs/lessons/exercises/one_too_many.py
"""

from dataclasses import replace

from lastref.model.algebra import implies
from lastref.model.designs.go_2024 import GO_2024, word
from lastref.model.kernel import reaped
from lastref.model.properties import NO_PANIC
from lastref.model.table import Command, Law, shared
from lastref.model.word import DONE, MAX_REFS, STATUS_MASK

CROWDED = shared("word", 64, "the status/refcount word", initial=MAX_REFS - 1)
MUSTS = tuple(law for law in GO_2024.laws if law.kind == "must" and law.id != NO_PANIC)

CHANGED: tuple[Command, ...] = ()  # what an acquire does instead

_changed = {c.name: c for c in CHANGED}
_kept = tuple(_changed.pop(c.name, c) for c in GO_2024.commands)
TABLE = replace(
    GO_2024,
    id="exercise-one-too-many",
    title="one reference short of overflow",
    shared=tuple(CROWDED if v.name == "word" else v for v in GO_2024.shared),
    commands=(*_kept, *_changed.values()),
    laws=(
        *MUSTS,
        Law(NO_PANIC, "must", "no method panics"),
        Law(
            "done-implies-reaped",
            "always",
            "the word says done only when our process was reaped",
            implies(word & DONE != 0, reaped),
        ),
        Law(
            "never-both",
            "always",
            "done and released are never both set",
            word & STATUS_MASK != STATUS_MASK,
        ),
        Law(
            "sometimes-hit",
            "sometimes",
            "a signal arrives",
            shown_by=frozenset({"signal.send.hit"}),
        ),
    ),
    starts={},
)
THREADS = (("signal", "signal"), ("signal", "kill", "wait"), ("signal", "signal", "release"))
