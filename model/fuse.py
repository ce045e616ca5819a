"""The fused table: a load and the compare-and-swap that follows it become one atomic command.

    fine     at a: load, old := word ──▶ at b: cas, word = old ──▶ at c
                ▲                            │ word ≠ old
                └────────────────────────────┘
    fused    at a: (guard of the load) and (guard of the cas, with word for old) ──▶ at c

A round that fails leaves no trace, and a guard asks for the word's value, not for its history; so
the fine table refines the fused one.  That is not taken on trust: :mod:`~lastref.model.refine`
proves it, command by command, and compares the reachable states of small systems.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from lastref.model.algebra import (
    FALSE,
    TRUE,
    Expr,
    conjunction,
    rewrite,
    same,
    variables,
)
from lastref.model.table import Command, DesignError, Law, Must, Table

EXCHANGE = "compare_exchange"
"""The ``op`` of the second half of a round, after the name of the word where there are several."""


@dataclass(frozen=True, eq=False)
class Round:
    """One way through a load and the exchange after it.

    ``fused`` is the atomic command that replaces both, or ``None`` for the way on which the
    exchange fails, which then is no step at all.
    """

    load: Command
    exchange: Command
    fused: Command | None


@dataclass(frozen=True, eq=False)
class Fusion:
    """A table, its fused form, and how the one became the other.

    ``home`` maps each location that was fused away to the one at which its round began;
    ``forgotten`` are the local variables that only carried a loaded value.
    """

    fine: Table
    fused: Table
    rounds: tuple[Round, ...]
    home: Mapping[str, str]
    forgotten: frozenset[str]


def fuse(table: Table) -> Fusion:
    """Fuse every load with the exchange that it leads to; a table without any stays as it is."""
    middles = [at for at, cs in table.leaving.items() if cs and _is_middle(table, at)]
    rounds = tuple(
        _round(load, exchange)
        for at in middles
        for load in table.commands
        if load.to == at
        for exchange in table.leaving[at]
    )
    home = {r.exchange.at: r.load.at for r in rounds}
    gone = {c.name for r in rounds for c in (r.load, r.exchange)}
    made = {r.load.name: [x.fused for x in rounds if x.load is r.load] for r in rounds}
    commands: list[Command] = []
    for c in table.commands:
        if c.name in made:
            commands += [f for f in made[c.name] if f is not None]
        elif c.name not in gone:
            commands.append(c)
    forgotten = _unread(table, commands)
    kept = tuple(_without(c, forgotten) for c in commands)
    fused = replace(
        table,
        commands=kept,
        local=tuple(v for v in table.local if v.name not in forgotten),
        laws=tuple(_restated(law, (*kept, *table.kernel)) for law in table.laws),
        holding=table.holding - home.keys(),
        blocking=table.blocking - home.keys(),
    )
    named = {c.name: c for c in kept}
    rounds = tuple(
        replace(r, fused=named[r.fused.name] if r.fused is not None else None) for r in rounds
    )
    return Fusion(table, fused, rounds, {b: a for b, a in home.items() if a and b}, forgotten)


def only(table: Table, methods: Iterable[str]) -> Table:
    """Return ``table`` with no methods but these, and the commands that they can come to.

    Raises :class:`~lastref.model.table.DesignError` if the table has no such method.
    """
    chosen = tuple(methods)
    unknown = sorted(set(chosen) - table.methods.keys())
    if unknown:
        raise DesignError(
            f"{table.id} ({table.platform}) has no method '{unknown[0]}'",
            f"it has {', '.join(sorted(table.methods))}",
            "use one of these",
        )
    reached = [table.methods[m] for m in chosen]
    for at in reached:
        reached += [
            c.to for c in table.leaving.get(at, ()) if c.to is not None and c.to not in reached
        ]
    commands = tuple(c for c in table.commands if c.at in reached)
    return replace(
        table,
        methods={m: table.methods[m] for m in chosen},
        commands=commands,
        laws=tuple(_restated(law, (*commands, *table.kernel)) for law in table.laws),
        holding=table.holding & set(reached),
        blocking=table.blocking & set(reached),
    )


def is_exchange(c: Command) -> bool:
    """Return whether the command is a compare-and-swap, of whatever word."""
    return c.op.rpartition(".")[2] == EXCHANGE


def _is_middle(table: Table, at: str) -> bool:
    """Return whether a round passes here: exchanges of a value loaded at one place, just before."""
    leaving = table.leaving[at]
    entering = [c for c in table.commands if c.to == at]
    local = {v.name for v in table.local}
    loaded = frozenset().union(*(c.reads for c in leaving)) & local
    return (
        all(is_exchange(c) for c in leaving)
        and bool(loaded)
        and bool(entering)
        and len({c.at for c in entering}) == 1
        and all(loaded <= c.writes <= local for c in entering)
        and at not in table.methods.values()
        and all((at in table.holding) == (c.at in table.holding) for c in entering)
    )


def _round(load: Command, exchange: Command) -> Round:
    """Return the round of ``load`` and ``exchange`` with nobody in between."""
    loaded = dict(load.update)

    def put(expr: Expr) -> Expr:
        return simplify(substitute(expr, loaded))

    guard = simplify(conjunction(load.guard, put(exchange.guard)))
    if same(guard, FALSE) or _goes_round(load, exchange):
        return Round(load, exchange, None)
    update = {**loaded, **{name: put(value) for name, value in exchange.update}}
    must = (*load.must, *(Must(m.law, put(m.holds)) for m in exchange.must))
    fused = replace(
        exchange,
        at=load.at,
        guard=guard,
        update=tuple(update.items()),
        outcome=exchange.outcome if exchange.outcome is not None else load.outcome,
        must=must,
    )
    return Round(load, exchange, fused)


def _goes_round(load: Command, exchange: Command) -> bool:
    """Return whether the exchange is one that fails: it goes back and changes only locals."""
    return exchange.to == load.at and exchange.writes <= load.writes


def _unread(table: Table, commands: list[Command]) -> frozenset[str]:
    read = frozenset().union(*(c.reads for c in commands))
    return frozenset(v.name for v in table.local) - read


def _without(c: Command, forgotten: frozenset[str]) -> Command:
    kept = tuple(u for u in c.update if u[0] not in forgotten)
    return c if len(kept) == len(c.update) else replace(c, update=kept)


def _restated(law: Law, commands: tuple[Command, ...]) -> Law:
    names = {c.name for c in commands}
    return replace(law, shown_by=law.shown_by & names) if law.shown_by else law


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """Return ``expr`` with the variables in ``values`` replaced."""
    if not variables(expr) & values.keys():
        return expr
    return rewrite(expr, lambda e: values.get(e.name) if e.op == "var" else None)


def simplify(expr: Expr) -> Expr:
    """Return ``expr`` with ``x == x``, constant conditions and double negations resolved."""
    return rewrite(expr, _simpler)


def _simpler(e: Expr) -> Expr | None:
    if e.op in ("eq", "ne") and same(e.args[0], e.args[1]):
        return TRUE if e.op == "eq" else FALSE
    if e.op == "not":
        return _negated(e.args[0])
    if e.op in ("all", "any"):
        neutral, absorbing = (TRUE, FALSE) if e.op == "all" else (FALSE, TRUE)
        if any(same(a, absorbing) for a in e.args):
            return absorbing
        rest = [a for a in e.args if not same(a, neutral)]
        return neutral if not rest else rest[0] if len(rest) == 1 else None
    if e.op == "ite" and e.args[0].op == "const":
        return e.args[1] if e.args[0].value else e.args[2]
    return None


def _negated(e: Expr) -> Expr | None:
    if e.op == "const":
        return FALSE if e.value else TRUE
    return e.args[0] if e.op == "not" else None
