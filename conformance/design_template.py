"""A handle in one word: 31 bits that count its users, and a bit that says it is closing.

     31      30                                0
    +-------+---------------------------------+
    | closing |        users                  |      starts at 0: open, nobody uses it
    +-------+---------------------------------+

    use      load ─ closing? refuse ─ cas +1;  the use;  load ─ cas -1 ─ closing and the last? close
    close    load ─ closing? refuse ─ cas closing ─ nobody uses it? close

A thread does one atomic thing at a time; between two of them anybody else may act.  So a command is
one load, one compare-and-swap, one system call.  Copy this file, change it to what your word does,
and let lastref look for the schedule that breaks a law:

    lastref designs --template > mine.py
    lastref verify --design mine.py
    lastref explore mine.py --thread use --thread close
"""

from __future__ import annotations

from lastref.model.algebra import Expr, after, implies
from lastref.model.kernel import OURS, REOPEN, close_handle, handle, use_handle
from lastref.model.properties import NO_PANIC, PANICS, kernel_laws
from lastref.model.table import END, HOLDERS, PANICKED, Law, Table, command, local, shared

CLOSING, USERS = 1 << 31, (1 << 31) - 1

# What all threads share, and what each one remembers. A remembered value that nobody reads any more
# is set back to 0, or it would make states of its own.
word = shared("word", 32, "closing, and the number of users", initial=0)
old = local("old", 32, "the word as this thread loaded it")

closing: Expr = word & CLOSING != 0
nobody = word & USERS == 0
last = old & USERS == 1

NOT_USED = "panic: nobody uses it"

# command(name, what it does, where it stands, where it goes, when, what changes, what it returns)
USE = (
    command("use.load.closing", "load", "use.load", END, closing, None, "closed"),
    command("use.load", "load", "use.load", "use.cas", ~closing, {old: word}),
    command(
        "use.cas", "compare_exchange", "use.cas", "use.use", word == old, {word: old + 1, old: 0}
    ),
    command("use.cas.retry", "compare_exchange", "use.cas", "use.load", word != old, {old: 0}),
    *use_handle("use.use", "free.load"),
    command(
        "free.load.none",
        "load",
        "free.load",
        PANICKED,
        nobody,
        None,
        "panic: nobody uses it",
        PANICS,
    ),
    command("free.load", "load", "free.load", "free.cas", ~nobody, {old: word}),
    command(
        "free.cas",
        "compare_exchange",
        "free.cas",
        END,
        (word == old) & ~(last & (old & CLOSING != 0)),
        {word: old - 1, old: 0},
    ),
    command(
        "free.cas.last",
        "compare_exchange",
        "free.cas",
        "free.close",
        (word == old) & last & (old & CLOSING != 0),
        {word: old - 1, old: 0},
    ),
    command("free.cas.retry", "compare_exchange", "free.cas", "free.load", word != old, {old: 0}),
    *close_handle("free.close", END),
)
CLOSE = (
    command("close.load.again", "load", "close.load", END, closing, None, "closed"),
    command("close.load", "load", "close.load", "close.cas", ~closing, {old: word}),
    command(
        "close.cas",
        "compare_exchange",
        "close.cas",
        END,
        (word == old) & (old & USERS != 0),
        {word: old | CLOSING, old: 0},
        "nil",
    ),
    command(
        "close.cas.unused",
        "compare_exchange",
        "close.cas",
        "close.close",
        (word == old) & (old & USERS == 0),
        {word: old | CLOSING, old: 0},
        "nil",
    ),
    command(
        "close.cas.retry", "compare_exchange", "close.cas", "close.load", word != old, {old: 0}
    ),
    *close_handle("close.close", END),
)

# What must never happen, and beside it a sight that shows that it might have: a run in which two
# threads use the handle, one in which the last user closes it. Without sights a law may hold only
# because nothing ever happens.
LAWS = (
    *kernel_laws(reaps=False),  # no use after close, nobody else's handle, no second close
    Law(NO_PANIC, "must", "nothing panics"),  # what PANICS above refers to
    Law(
        "closing-set-once",
        "step",
        "closing is never taken back",
        implies(closing, after(word) & CLOSING != 0),
    ),
    Law(
        "closed-at-rest",
        "rest",
        "when all threads are done, the handle is closed exactly if somebody asked for it",
        closing == (handle != OURS),
    ),
    Law(
        "nobody-left-at-rest",
        "rest",
        "when all threads are done, nobody is counted",
        word & USERS == 0,
    ),
    Law("sometimes-two-users", "sometimes", "two threads use the handle", HOLDERS >= 2),
    Law(
        "sometimes-last-user-closes",
        "sometimes",
        "the thread that closes is not the one that called close",
        shown_by=frozenset({"free.close"}),
        beside="closed-at-rest",
    ),
)

TABLE = Table(
    id="mine",
    platform="any",
    title="a handle with a count of its users",
    source="the template of lastref",
    shared=(word, handle),
    local=(old,),
    methods={"use": "use.load", "close": "close.load"},
    commands=(*USE, *CLOSE),
    kernel=(REOPEN,),  # the adversary gives a closed handle's number to somebody else
    laws=LAWS,
    holding=frozenset({"use.use", "free.load", "free.cas"}),
)

# The threads to explore, a tuple for each mix; without THREADS, all pairs and threes of methods.
THREADS = (("use", "close"), ("use", "use", "close"), ("use;use", "close", "close"))
