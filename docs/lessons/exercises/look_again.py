"""Exercise 5: an attempt to mend go issue 67641 by looking twice.

Kill loads the handle, and just before it uses the number it looks whether the field still holds it.
The window is smaller.  Is it closed?  Mend it; a lock of readers and a writer is one way, and it
is what the word replaced.

    lastref verify --design docs/lessons/exercises/look_again.py
"""

from lastref.model.algebra import BOOL
from lastref.model.kernel import (
    CLOSED,
    EXIT,
    HANDLE_VARIABLES,
    NO_DOUBLE_CLOSE,
    NO_USE_AFTER_CLOSE,
    NO_WRONG_PROCESS,
    REOPEN,
    REUSED,
    close_handle,
    handle,
    send_signal,
)
from lastref.model.table import END, Law, Table, command, shared

field = shared(
    "field", 1, "whether the handle field holds the number", initial=1, labels=("unset", "set")
)
readers = shared("readers", 64, "users of the number that hold the lock for reading")
writer = shared("writer", BOOL, "a Release holds the lock for writing")

KILL = (
    command("kill.load", "load", "kill.load", "kill.again", field == 1),
    command("kill.load.unset", "load", "kill.load", END, field == 0, None, "EPD"),
    command("kill.again", "load", "kill.again", "kill.send", field == 1),
    command("kill.again.unset", "load", "kill.again", END, field == 0, None, "EPD"),
    *send_signal("kill.send", END, fatal=True),
)
RELEASE = (
    command("release.swap", "swap", "release.swap", "release.close", field == 1, {field: 0}, "nil"),
    command("release.swap.late", "swap", "release.swap", END, field == 0, None, "nil"),
    *close_handle("release.close", END),
)

TABLE = Table(
    id="exercise-look-again",
    platform="linux",
    title="swap then close, and a second look",
    source="after Go commit 750738b5d1 (2023)",
    shared=(field, readers, writer, *HANDLE_VARIABLES),
    local=(),
    methods={"kill": "kill.load", "release": "release.swap"},
    commands=(*KILL, *RELEASE),
    kernel=(EXIT, REOPEN),
    blocking=frozenset(),  # the locations at which a thread may have to wait
    laws=(
        Law(NO_USE_AFTER_CLOSE, "must", "no system call is given a closed handle"),
        Law(NO_WRONG_PROCESS, "must", "nobody is signalled whom the caller did not name"),
        Law(NO_DOUBLE_CLOSE, "must", "the handle is closed at most once"),
        Law("sometimes-closed", "sometimes", "the handle is closed", handle == CLOSED),
        Law("sometimes-recycled", "sometimes", "its number comes back", handle == REUSED),
        Law("sometimes-hit", "sometimes", "a kill arrives", shown_by=frozenset({"kill.send.hit"})),
    ),
)
THREADS = (("kill", "release"), ("kill", "kill", "release", "release"))
