"""Exercise 2: an acquire that writes what it computed, whatever happened meanwhile.

Go-2024 with one change: Signal loads the word and then *stores* the loaded value plus one.  Nobody
asks whether the word is still what it was.  Find the two threads that lose a reference.  Mend it.

    lastref verify --design docs/lessons/exercises/acquire_and_release.py
"""

from dataclasses import replace

from lastref.model.algebra import FALSE, TRUE
from lastref.model.designs.go_2024 import GO_2024, old, word
from lastref.model.table import command

UNCHANGED = TRUE  # whether the word is still what this thread loaded
CHANGED_MEANWHILE = FALSE

CHANGED = (
    command("signal.cas", "store", "signal.cas", "signal.send", UNCHANGED, {word: old + 1, old: 0}),
    command("signal.cas.retry", "store", "signal.cas", "signal.load", CHANGED_MEANWHILE, {old: 0}),
)

_changed = {c.name: c for c in CHANGED}
TABLE = replace(
    GO_2024,
    id="exercise-acquire",
    title="acquire without a compare",
    commands=tuple(_changed.get(c.name, c) for c in GO_2024.commands),
)
THREADS = (("wait", "signal", "release"), ("signal", "signal", "wait", "release"))
