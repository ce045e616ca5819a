"""Exercise 3: a Release that closes the handle itself, at once.

Go-2024 with one change: after Release has set its status it always goes on to close, whoever still
uses the handle.  That is what one writes first; see whom it hits.  Mend it.

    lastref verify --design docs/lessons/exercises/the_last_user_closes.py
"""

from dataclasses import replace

from lastref.model.designs.go_2024 import GO_2024, old, word
from lastref.model.table import command
from lastref.model.word import RELEASED, refs

AFTERWARDS = "release.close"  # where Release goes on while others hold a reference

CHANGED = (
    command(
        "release.cas",
        "compare_exchange",
        "release.cas",
        AFTERWARDS,
        (word == old) & (refs(old) != 1),
        {word: old - 1 | RELEASED, old: 0},
        "nil",
    ),
)

_changed = {c.name: c for c in CHANGED}
TABLE = replace(
    GO_2024,
    id="exercise-last-user",
    title="Release closes at once",
    commands=tuple(_changed.get(c.name, c) for c in GO_2024.commands),
)
THREADS = (("wait", "signal", "release"), ("wait", "kill", "release"))
