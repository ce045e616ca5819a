"""A handle that counts its own references: acquire, and release by the last user.

    acquire   refs.load ─ negative? panic ─ zero? closed already ─ refs.cas +1
    release   refs.load ─ zero or negative? panic ─ refs.cas -1 ─ it was 1 ─▶ close

The count is a signed 32-bit number that starts at 1, the reference of the process object.  Not a
design by itself: what go-2025 and go-2025-double have in common.

Source: Go 1.25, src/os/exec.go, ``processHandle``.
"""

from __future__ import annotations

from lastref.model.algebra import const
from lastref.model.kernel import Updates, close_handle
from lastref.model.properties import PANICS
from lastref.model.table import PANICKED, Command, command, local, shared

refs = shared("refs", 32, "the references of the handle, a signed number", initial=1)
seen = local("seen", 32, "the references as this thread loaded them")

SIGN = 1 << 31
NEGATIVE = "panic:internal error: negative process handle reference count"
TOO_MANY = "panic:internal error: too many releases of process handle"


def acquire_handle(name: str, then: str, closed: tuple[str, str | None]) -> tuple[Command, ...]:
    """Return the acquire: on to ``then``; where nobody holds the handle, as ``closed`` says.

    ``closed`` is where to go on and the outcome; a way to ``PANICKED`` is an obligation not to.
    """
    load, cas = f"{name}.refs", f"{name}.refs_cas"
    negative, (to, outcome) = refs & SIGN != 0, closed
    must = PANICS if to == PANICKED else ()
    op = "refs.load"
    return (
        command(f"{load}.negative", op, load, PANICKED, negative, None, NEGATIVE, PANICS),
        command(f"{load}.closed", op, load, to, refs == 0, None, outcome, must),
        command(load, op, load, cas, ~negative & (refs != 0), {seen: refs}),
        *swap_refs(cas, load, {cas: then}, 1),
    )


def release_handle(
    name: str, then: str, *, closing: str = "close", dropped: Updates | None = None
) -> tuple[Command, ...]:
    """Return the release: on to ``then``, after the close if it was the last reference.

    ``dropped`` is what the step that gives the reference back also changes (a ghost's value).
    """
    load, cas, close = f"{name}.refs", f"{name}.refs_cas", f"{name}.close"
    lost = (refs == 0) | (refs & SIGN != 0)
    op = "refs.load"
    return (
        command(f"{load}.lost", op, load, PANICKED, lost, None, TOO_MANY, PANICS),
        command(load, op, load, cas, ~lost, {seen: refs}),
        *swap_refs(cas, load, {cas: then, f"{cas}.last": close}, -1, dropped),
        *close_handle(close, then, op=closing),
    )


def swap_refs(
    cas: str, again: str, goes: dict[str, str], change: int, dropped: Updates | None = None
) -> tuple[Command, ...]:
    """Return the compare-and-swap of the count at ``cas``; a failed one goes to ``again``.

    ``goes`` maps a command to where it leads: one for any count, or a second one for the last.
    """
    op = "refs.compare_exchange"
    new = seen + 1 if change > 0 else seen - const(1, 32)
    swapped = refs == seen
    last = len(goes) > 1
    conditions = (swapped & (seen != 1), swapped & (seen == 1)) if last else (swapped,)
    return (
        *(
            command(name, op, cas, to, condition, {refs: new, seen: 0, **(dropped or {})})
            for (name, to), condition in zip(goes.items(), conditions, strict=True)
        ),
        command(f"{cas}.retry", op, cas, again, ~swapped, {seen: 0}),
    )
