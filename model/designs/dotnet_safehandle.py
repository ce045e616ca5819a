"""dotnet-safehandle: .NET's SafeHandle, a count and two status bits in 32 bits.

     31                                      2      1          0
    +-----------------------------------------+----------+--------+
    |               references                | disposed | closed |
    +-----------------------------------------+----------+--------+      starts at 4: one reference

    use          AddRef: load ─ closed? refuse ─ cas +4;  the use;  Release(false)
    dispose      Release(true): load ─ disposed already? done ─ cas -4, disposed
    Release      refs 0? refuse ─ decide: fire = refs was 1 and not closed ─
                 cas (closed if refs was 1) ─ fire ─▶ ReleaseHandle
    invalidate   SetHandleAsInvalid: or closed; later releases count down and never fire

Two things differ from Go's word.  AddRef looks at *closed* only, so it still succeeds after Dispose
while others hold on.  And *closed* is set by the last reference, not by the first Dispose.

Source: dotnet/runtime, src/libraries/System.Private.CoreLib/.../SafeHandle.cs.
"""

from __future__ import annotations

from lastref.model.algebra import BOOL, FALSE, Expr, after, conjunction, const, implies, ite
from lastref.model.kernel import OURS, REOPEN, close_handle, handle, use_handle
from lastref.model.properties import kernel_laws
from lastref.model.table import END, HOLDERS, Command, Law, Table, command, local, shared

CLOSED_BIT, DISPOSED_BIT, ONE = 1, 2, 4
REFS_MASK = (1 << 32) - ONE
DISPOSED = "ObjectDisposedException"
COMPARED = 9
"""How many numbers of holders the law about the count tells apart."""

state = shared("state", 32, "closed, disposed, and the references in steps of 4", initial=ONE)
invalid = shared("invalid", BOOL, "a ghost: SetHandleAsInvalid was called")
old = local("old", 32, "the state as this thread loaded it")

SWAP = "compare_exchange"


def add_ref(name: str, then: str) -> tuple[Command, ...]:
    """Return DangerousAddRef: refused once the handle is closed, whoever has disposed of it."""
    load, cas = f"{name}.load", f"{name}.cas"
    return (
        command(f"{load}.closed", "load", load, END, state & CLOSED_BIT != 0, None, DISPOSED),
        command(load, "load", load, cas, state & CLOSED_BIT == 0, {old: state}),
        command(cas, SWAP, cas, then, state == old, {state: old + ONE, old: 0}),
        command(f"{cas}.retry", SWAP, cas, load, state != old, {old: 0}),
    )


def release(name: str, *, dispose: bool, outcome: str | None = None) -> tuple[Command, ...]:
    """Return Release: whether to fire is decided on the loaded state, before the swap."""
    load, cas, close = f"{name}.load", f"{name}.cas", f"{name}.close"
    none, twice = state & REFS_MASK == 0, state & DISPOSED_BIT != 0
    refused = none & ~twice if dispose else none
    go_on = ~none & ~twice if dispose else ~none
    last = old & REFS_MASK == ONE
    fire = last & (old & CLOSED_BIT == 0)
    bits = DISPOSED_BIT if dispose else 0
    less = old - ONE | bits
    new: Expr = ite(last, less | CLOSED_BIT, less)
    swapped = state == old
    silent = command(f"{load}.twice", "load", load, END, twice, None, outcome)
    return (
        *((silent,) if dispose else ()),
        command(f"{load}.refused", "load", load, END, refused, None, DISPOSED),
        command(load, "load", load, cas, go_on, {old: state}),
        command(cas, SWAP, cas, END, swapped & ~fire, {state: new, old: 0}, outcome),
        command(f"{cas}.fire", SWAP, cas, close, swapped & fire, {state: new, old: 0}, outcome),
        command(f"{cas}.retry", SWAP, cas, load, ~swapped, {old: 0}),
        *close_handle(close, END, op="ReleaseHandle"),
    )


def laws() -> tuple[Law, ...]:
    """Return the laws of the state word."""
    own = ite(state & DISPOSED_BIT == 0, const(1, 64), 0)
    # The count has 30 bits and the ghost has 64: they are compared number by number.
    same = conjunction(
        *((state & REFS_MASK == ONE * n) == (HOLDERS + own == n) for n in range(COMPARED))
    )
    live = state & CLOSED_BIT == 0
    return (
        Law(
            "refs-are-holders",
            "always",
            f"references = the creator's + users, where either is below {COMPARED}",
            same,
        ),
        Law(
            "open-while-counted",
            "always",
            "the handle is open while it has references",
            implies(state & REFS_MASK != 0, handle == OURS),
        ),
        Law(
            "closed-set-once",
            "step",
            "closed and disposed are never taken back",
            state & ~after(state) & (CLOSED_BIT | DISPOSED_BIT) == 0,
        ),
        Law(
            "closed-at-rest",
            "rest",
            "at rest the handle is closed exactly if nobody holds it, unless declared invalid",
            invalid | ((state & REFS_MASK == 0) == (handle != OURS)),
        ),
        Law(
            "sometimes-two-holders",
            "sometimes",
            "two threads use the handle at once",
            HOLDERS >= 2,
            beside="refs-are-holders",
        ),
        Law(
            "sometimes-added-after-dispose",
            "sometimes",
            "a thread uses the handle after it was disposed of",
            (state & DISPOSED_BIT != 0) & live & (HOLDERS >= 1),
            beside="open-while-counted",
        ),
        Law(
            "sometimes-last-user-closes",
            "sometimes",
            "the thread that closes is not the one that disposed",
            FALSE,
            frozenset({"free.close"}),
            beside="closed-at-rest",
        ),
    )


DOTNET_SAFEHANDLE = Table(
    id="dotnet-safehandle",
    platform="any",
    title=".NET SafeHandle's 32-bit state",
    source="dotnet/runtime SafeHandle.cs",
    shared=(state, invalid, handle),
    local=(old,),
    methods={"use": "use.load", "dispose": "dispose.load", "invalidate": "invalidate.or"},
    commands=(
        *add_ref("use", "use.use"),
        *use_handle("use.use", "free.load"),
        *release("free", dispose=False),
        *release("dispose", dispose=True, outcome="nil"),
        command(
            "invalidate.or",
            "or",
            "invalidate.or",
            END,
            update={state: state | CLOSED_BIT, invalid: 1},
            outcome="nil",
        ),
    ),
    kernel=(REOPEN,),
    laws=(*kernel_laws(reaps=False), *laws()),
    holding=frozenset({"use.use", "free.load", "free.cas"}),
    starts={"start": {}},
)
