"""A table and a scenario as Promela, for Spin: the same states, one for one.

A thread is a process whose labels are the table's locations; a command is one ``d_step`` with its
guard, its obligations as assertions, and its updates; the kernel is a process with one place.  The
number of holders and of threads at rest are kept as ghosts: they are functions of the places, so
they make no states of their own.  Without its reductions Spin then stores exactly the states that
:mod:`~lastref.model.explore` counts.

Promela's integers have 32 bits, so a word of 64 or 32 bits is folded to eight: its two highest bits
and its six lowest.  That is faithful as long as the counts stay below 64, which a scenario's number
of threads sees to; a constant with other bits in between is refused.

    spin -a FILE && cc -O2 -DNOREDUCE -DSAFETY -o pan pan.c && ./pan -m1000000

Source: the Promela reference, https://spinroot.com/spin/Man/promela.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lastref.model.algebra import BOOL, OPERATORS, Expr, rewrite, variables
from lastref.model.system import Scenario, System, Thread
from lastref.model.table import HOLDERS, PANICKED, RESTING, Command, DesignError, Law, Table

FOLDED = 8
"""How many bits a wide word is folded to."""
LOW = 6
"""How many of them are its lowest."""
MOST_THREADS = 60


def promela(table: Table, scenario: Scenario) -> str:
    """Return ``table`` under ``scenario`` as a Promela model.

    Raises :class:`~lastref.model.table.DesignError` for what Promela cannot say: a constant that
    does not fold, an urgent kernel, more than 60 threads.
    """
    System(table, scenario)  # refuses unknown names
    if scenario.urgent:
        raise DesignError(
            "the scenario has urgent kernel commands",
            "Spin lets the kernel come late as well",
            "export a scenario without them",
        )
    if len(scenario.threads) > MOST_THREADS:
        raise DesignError(
            f"the scenario has {len(scenario.threads)} threads",
            f"a folded word counts {MOST_THREADS} at the most",
            "export fewer",
        )
    writer = _Writer(table, scenario)
    return "\n".join(writer.lines()) + "\n"


class _Writer:
    def __init__(self, table: Table, scenario: Scenario) -> None:
        self._table = table
        self._scenario = scenario
        laws = table.laws
        self._always = [law for law in laws if law.kind == "always"]
        self._steps = [law for law in laws if law.kind == "step"]
        self._rest = [law for law in laws if law.kind == "rest"]

    def lines(self) -> Iterator[str]:
        table, scenario = self._table, self._scenario
        yield f"/* {table.id} on {table.platform}: {table.title}. {table.source}. */"
        for v in table.shared:
            initial = _fold(int(scenario.initial.get(v.name, v.initial)), v.width, v.name)
            yield f"{_type(v.width)} {_name(v.name)} = {initial}; /* {v.doc} */"
        yield f"byte {_name(HOLDERS.name)} = 0; byte resting = 0; /* ghosts */"
        widest = max((len(c.update) for c in (*table.commands, *table.kernel)), default=0)
        for i in range(widest):
            yield f"hidden byte new{i};"
        for thread in scenario.threads:
            yield from self._thread(thread)
        yield from self._kernel()

    def _thread(self, thread: Thread) -> Iterator[str]:
        yield f"active proctype {thread.name}() {{"
        for v in self._table.local:
            yield f"  {_type(v.width)} {_name(v.name)} = 0;"
        yield f"  goto {_begin(thread, self._table, 0)};"
        for position, call in enumerate(thread.calls):
            if "|" in call:
                yield f"{_label('pick', position)}: if"
                for method in call.split("|"):
                    yield f"  :: goto {_label(self._table.methods[method], position)}"
                yield "  fi;"
            for at in dict.fromkeys(c.at for c in self._table.commands):
                assert at is not None
                yield f"{_label(at, position)}: if"
                for c in self._table.leaving[at]:
                    yield self._option(c, thread, position)
                yield "  fi;"
        yield f"end_{thread.name}: false"
        yield "}"

    def _option(self, c: Command, thread: Thread, position: int) -> str:
        assert c.at is not None
        assert c.to is not None
        last = position + 1 == len(thread.calls)
        if c.to not in RESTING:
            goes, rests = _label(c.to, position), False
        elif c.to == "end" and not last:
            goes, rests = _begin(thread, self._table, position + 1), False
        else:
            goes, rests = f"end_{thread.name}", True
        holding = self._table.holding
        held = int(c.to in holding) - int(c.at in holding)
        ghosts = {1: f" {_name(HOLDERS.name)}++;", -1: f" {_name(HOLDERS.name)}--;", 0: ""}[held]
        if rests:
            ghosts += " resting++;"
        return f"  :: d_step {{ {self._body(c, ghosts)} }}; goto {goes} /* {c.name} */"

    def _body(self, c: Command, ghosts: str) -> str:
        """Return the guard, the obligations, the laws about the step, the updates, the laws."""
        updates = dict(c.update)
        parts = [f"{_text(c.guard)} ->"]
        parts += [f"assert({_text(m.holds)});" for m in c.must]
        parts += [f"assert({_text(_primed(law, updates))});" for law in self._steps]
        ordered = _in_order(updates)
        if ordered is None:
            names = list(updates)
            parts += [f"new{i} = {_text(updates[n])};" for i, n in enumerate(names)]
            parts += [f"{_name(n)} = new{i};" for i, n in enumerate(names)]
        else:
            parts += [f"{_name(n)} = {_text(e)};" for n, e in ordered]
        parts.append(ghosts.strip())
        if c.to != PANICKED:
            parts += [f"assert({_text(law.holds)});" for law in self._always]
        return " ".join(p for p in parts if p).rstrip(";")

    def _kernel(self) -> Iterator[str]:
        allowed = self._scenario.adversary
        commands = [c for c in self._table.kernel if allowed is None or c.name in allowed]
        yield "active proctype kernel() {"
        yield "end:  do"
        for c in commands:
            yield f"  :: d_step {{ {self._body(c, '')} }} /* {c.name} */"
        rest = " ".join(f"assert({_text(law.holds)});" for law in self._rest)
        done = f"timeout && resting == {len(self._scenario.threads)}"
        yield f"  :: d_step {{ {done} -> {rest or 'skip'} }} /* at rest */".replace("; }", " }")
        yield "  od"
        yield "}"


def _begin(thread: Thread, table: Table, position: int) -> str:
    call = thread.calls[position]
    return _label("pick" if "|" in call else table.methods[call], position)


def _label(location: str, position: int) -> str:
    return f"L{position}_" + re.sub(r"\W", "_", location)


def _name(variable: str) -> str:
    """Return a variable's name in Promela, where ``pid`` and others are words of the language."""
    return "v_" + re.sub(r"\W", "_", variable)


def _type(width: int) -> str:
    return "bit" if width <= 1 else "byte"


def _fold(value: int, width: int, where: str) -> int:
    """Return the two highest and six lowest bits of ``value``, if those in between agree."""
    if width <= FOLDED:
        return value
    between = value >> LOW & (1 << width - FOLDED) - 1
    if between not in (0, (1 << width - FOLDED) - 1):
        raise DesignError(
            f"'{where}' has the constant {value:#x}",
            f"a word of {width} bits is folded to its two highest and its {LOW} lowest",
            "export a design whose fields are there",
        )
    return value >> width - 2 << LOW | value & (1 << LOW) - 1


def _mask(width: int) -> int:
    return (1 << min(width, FOLDED)) - 1


def _text(expr: Expr) -> str:
    """Return an expression in Promela."""
    if expr.op == "const":
        return str(expr.value if expr.width == BOOL else _fold(expr.value, expr.width, "a guard"))
    if expr.op == "var":
        return _name(expr.name)
    parts = [_text(a) for a in expr.args]
    mask = _mask(expr.args[0].width)
    match expr.op:
        case "add" | "sub":
            return f"(({parts[0]} {OPERATORS[expr.op].infix} {parts[1]}) & {mask})"
        case "inv":
            return f"({parts[0]} ^ {mask})"
        case "not":
            return f"(!{parts[0]})"
        case "ite":
            return f"({parts[0]} -> {parts[1]} : {parts[2]})"
    return f"({parts[0]} {OPERATORS[expr.op].infix} {parts[1]})"


def _primed(law: Law, updates: Mapping[str, Expr]) -> Expr:
    """Return a law about a step, with the values after the step put in."""

    def after(node: Expr) -> Expr | None:
        if node.op != "var" or not node.name.endswith("'"):
            return None
        name = node.name[:-1]
        return updates.get(name, Expr("var", (), node.width, name=name))

    return rewrite(law.holds, after)


def _in_order(updates: Mapping[str, Expr]) -> list[tuple[str, Expr]] | None:
    """Return the updates in an order in which none reads what another wrote, or ``None``."""
    left = dict(updates)
    ordered: list[tuple[str, Expr]] = []
    while left:
        free = next(
            (n for n in left if not any(n in variables(e) for m, e in left.items() if m != n)),
            None,
        )
        if free is None:
            return None
        ordered.append((free, left.pop(free)))
    return ordered
