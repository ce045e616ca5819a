"""Lay a trace out as a space-time diagram: a column per thread and the kernel, time downwards.

        W1            S1            kernel │ word
        ○ load        │             │      │ ok 1
        │             ● cas         │      │ ok 2      ▯▯…▮▯
        │             ● send ──────▶│      │ ok 2

A dot is a step of its column; a bar beside it is the call that the thread is in; an arrow is a
system call.  Beside every step stand the word's 64 bits, the two status bits apart, and what else
changed.  (The diagram is Lamport's, 1978; Maelstrom draws its histories this way.)

Only positions are worked out here, in pixels; the template turns them into SVG.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ROW, HEAD, FOOT = 24, 34, 10
CHARACTER = 6.3  # of the 10.5 px monospaced face, a little generous
NUMBER, GAP = 30, 26
BIT, BITS_HEIGHT, STATUS_GAP = 2.6, 9, 4
_WORD = 64
BITS_WIDTH = _WORD * BIT + STATUS_GAP
DONE, RELEASED = 1 << 62, 1 << 63

_IN_MEMORY = frozenset(
    {"load", "compare_exchange", "swap", "store", "add", "type_check", "mode_check"}
    | {"rlock", "runlock", "lock", "unlock"}
)


@dataclass(frozen=True)
class Lane:
    """A column: its name, what it calls, and the x of its line."""

    name: str
    calls: str
    x: float


@dataclass(frozen=True)
class Bar:
    """A call from its first step to its return, beside its thread's line."""

    x: float
    top: float
    bottom: float
    returned: bool


@dataclass(frozen=True)
class Row:
    """A step: where its dot and label are, where its arrow goes, and the state after it."""

    number: int
    y: float
    x: float
    label: str
    outcome: str
    arrow: tuple[float, float] | None
    word: str
    bits: str
    fresh: bool
    changes: str
    breaks: str
    words: str


@dataclass(frozen=True)
class Diagram:
    """All that the template draws; lengths are in pixels."""

    width: float
    height: float
    lanes: tuple[Lane, ...]
    bars: tuple[Bar, ...]
    rows: tuple[Row, ...]
    state_x: float
    bits_x: float
    changes_x: float
    has_word: bool
    title: str


def is_system_call(op: str) -> bool:
    """Return whether an action goes to the kernel; the others stay in the process's memory."""
    return bool(op) and op not in _IN_MEMORY and not op.startswith(("load_", "store_"))


def broken_words(broken: str) -> str:
    """Return what a step broke, in words: a law by its id, or what was found.

    >>> broken_words("no-wrong-process"), broken_words("wrong process signalled")
    ('breaks no-wrong-process', 'wrong process signalled')
    """
    return f"breaks {broken}" if broken and " " not in broken else broken


def show_word(word: int) -> str:
    """Return the word for people: its status and its references.

    >>> show_word((1 << 63) + 2)
    'released 2'
    """
    name = {0: "ok", DONE: "done", RELEASED: "released"}.get(word & (DONE | RELEASED), "reserved")
    count = word & (DONE - 1)
    return f"{name} {count if count < 1 << 20 else hex(count)}"


def bits_path(word: int, x: float, y: float) -> str:
    """Return the SVG path of the bits that are set, bit 63 leftmost."""
    parts = []
    for bit in range(_WORD - 1, -1, -1):
        if word >> bit & 1:
            place = x + (_WORD - 1 - bit) * BIT + (STATUS_GAP if bit < 62 else 0)
            parts.append(f"M{place:.1f} {y:g}h{BIT - 0.4:.1f}v{BITS_HEIGHT}h-{BIT - 0.4:.1f}z")
    return "".join(parts)


def lay_out(document: Mapping[str, Any]) -> Diagram:
    """Return the diagram of a trace; one without states has no word and nothing that changes."""
    steps: Sequence[Mapping[str, Any]] = document["steps"]
    calls = {t["name"]: "; ".join(t["calls"]) for t in document.get("threads", ())}
    actors = list(dict.fromkeys([*calls, *(s["actor"] for s in steps if s["actor"] != "kernel")]))
    actors.append("kernel")
    x, at = _columns(steps, actors, calls)
    lanes = tuple(Lane(n, calls.get(n, ""), x[n]) for n in actors)
    start = document.get("start", {})
    has_word = isinstance(start.get("word"), str)
    bits_x = at + 13 * CHARACTER
    changes_x = bits_x + BITS_WIDTH + 14 if has_word else at
    rows, before = [], start
    for number, step in enumerate(steps, 1):
        rows.append(_row(number, step, before, x, bits_x))
        before = step.get("state", before)
    widest = max((len(r.changes) + len(r.breaks) for r in rows), default=0)
    return Diagram(
        round(changes_x + widest * CHARACTER + 12),
        HEAD + len(rows) * ROW + FOOT,
        lanes,
        tuple(_bars(steps, x)),
        tuple(rows),
        at,
        bits_x,
        changes_x,
        has_word,
        f"{_where(document)}: {len(rows)} steps",
    )


def _where(document: Mapping[str, Any]) -> str:
    given = document.get("title")
    return str(given or f"{document.get('design', 'a run')} on {document.get('platform', 'any')}")


def _columns(
    steps: Sequence[Mapping[str, Any]], actors: Sequence[str], calls: Mapping[str, str]
) -> tuple[dict[str, float], float]:
    """Return the x of each actor's line, and where the last column ends."""
    widths = {name: len(name) + len(calls.get(name, "")) + 1 for name in actors}
    for step in steps:
        actor = step["actor"]
        widths[actor] = max(widths[actor], len(_label(step)) + len(_outcome(step)))
    x: dict[str, float] = {}
    at: float = NUMBER + 12
    for name in actors:
        x[name] = at
        at += 12 + widths[name] * CHARACTER + GAP
    return x, at


def _label(step: Mapping[str, Any]) -> str:
    return str(step.get("command") or step.get("call") or step.get("op", ""))


def _outcome(step: Mapping[str, Any]) -> str:
    return f" → {step['outcome']}" if "outcome" in step else ""


def _row(
    number: int,
    step: Mapping[str, Any],
    before: Mapping[str, Any],
    x: Mapping[str, float],
    bits_x: float,
) -> Row:
    y = HEAD + (number - 0.5) * ROW
    actor, label, outcome = step["actor"], _label(step), _outcome(step)
    state = step.get("state", before)
    start = x[actor] + 12 + (len(label) + len(outcome)) * CHARACTER
    goes = actor != "kernel" and is_system_call(step.get("op", ""))
    word = int(state["word"], 16) if isinstance(state.get("word"), str) else None
    changes = step.get("changes") or ", ".join(
        f"{k} {_shown(v)}" for k, v in state.items() if k != "word" and before.get(k) != v
    )
    shown = "" if word is None else show_word(word)
    breaks = broken_words(str(step.get("breaks", "")))
    told = [f"{number}. {actor} {label}{outcome}"]
    told += [shown] if word is not None and before.get("word") != state["word"] else []
    told += [changes] if changes else []
    told += [breaks] if breaks else []
    return Row(
        number,
        y,
        x[actor],
        label,
        outcome,
        (start + 4, x["kernel"] - 5) if goes else None,
        shown,
        "" if word is None else bits_path(word, bits_x, y - BITS_HEIGHT / 2),
        word is not None and before.get("word") != state["word"],
        changes,
        breaks,
        "; ".join(told),
    )


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _bars(steps: Sequence[Mapping[str, Any]], x: Mapping[str, float]) -> list[Bar]:
    """Return a bar for every call that has begun."""
    bars, opened = [], dict[str, float]()
    bottom = HEAD + len(steps) * ROW
    for number, step in enumerate(steps, 1):
        y, actor = HEAD + (number - 0.5) * ROW, step["actor"]
        if actor == "kernel":
            continue
        opened.setdefault(actor, y)
        if step.get("returns"):
            bars.append(Bar(x[actor], opened.pop(actor), y, True))
    bars += [Bar(x[actor], top, bottom, False) for actor, top in opened.items()]
    return bars
