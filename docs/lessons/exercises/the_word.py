"""Exercise 1: a Release that drops its reference and forgets to say why.

Go-2024 with one change: the compare-and-swap of Release takes a reference away and leaves the
status bits alone.  Which law breaks first, and after how many steps?  Mend it.

    lastref verify --design docs/lessons/exercises/the_word.py
"""

from dataclasses import replace

from lastref.model.designs.go_2024 import GO_2024, old, word
from lastref.model.table import END, command
from lastref.model.word import refs

FEWER = old - 1  # what Release makes of the word that it loaded

CHANGED = (
    command(
        "release.cas",
        "compare_exchange",
        "release.cas",
        END,
        (word == old) & (refs(old) != 1),
        {word: FEWER, old: 0},
        "nil",
    ),
    command(
        "release.cas.last",
        "compare_exchange",
        "release.cas",
        "release.close",
        (word == old) & (refs(old) == 1),
        {word: FEWER, old: 0},
        "nil",
    ),
)

_changed = {c.name: c for c in CHANGED}
TABLE = replace(
    GO_2024,
    id="exercise-the-word",
    title="Release forgets the status",
    commands=tuple(_changed.get(c.name, c) for c in GO_2024.commands),
)
THREADS = (("wait", "signal", "release"), ("wait", "kill", "release"))
