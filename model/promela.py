"""A table and a scenario as Promela, for Spin: the same states, one for one.

A thread is a process whose labels are the table's locations; a command is one ``d_step`` with its
guard, its obligations as assertions, and its updates; the kernel is a process with one place.  The
number of holders and of threads at rest are kept as ghosts: they are functions of the places, so
they make no states of their own.  Without its reductions Spin then stores exactly the states that
:mod:`~lastref.model.explore` counts.

Promela's integers have 32 bits, so wide words are folded to the bits that tell their values apart:
see :mod:`~lastref.model.fold`, which also says why at most 60 threads can be exported.

    spin -a FILE && cc -O2 -DNOREDUCE -DSAFETY -o pan pan.c && ./pan -m1000000

Source: the Promela reference, https://spinroot.com/spin/Man/promela.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lastref.model.algebra import OPERATORS, Expr, rewrite, variables
from lastref.model.fold import MOST_THREADS, folds
from lastref.model.names import Names
from lastref.model.system import PICK, Scenario, System, Thread
from lastref.model.table import HOLDERS, PANICKED, RESTING, Command, DesignError, Law, Table


def promela(table: Table, scenario: Scenario) -> str:
    """Return ``table`` under ``scenario`` as a Promela model.

    Raises :class:`~lastref.model.table.DesignError` for what Promela cannot say: a word with too
    many fields to be folded, an urgent kernel, more than 60 threads.
    """
    System(table, scenario)  # refuses unknown names
    if scenario.urgent:
        raise DesignError(
            "the scenario has urgent kernel commands",
            "Spin lets the kernel come late as well",
            "export a scenario without them",
        )
    writer = _Writer(table, scenario)
    most = min(fold.most for fold in writer.folds.values()) if writer.folds else MOST_THREADS
    if len(scenario.threads) > most:
        raise DesignError(
            f"the scenario has {len(scenario.threads)} threads",
            f"a folded word counts {most} at the most",
            "export fewer",
        )
    return "\n".join(writer.lines()) + "\n"


class _Writer:
    def __init__(self, table: Table, scenario: Scenario) -> None:
        self._table = table
        self._scenario = scenario
        laws = table.laws
        self._always = [law for law in laws if law.kind == "always"]
        self._steps = [law for law in laws if law.kind == "step"]
        self._rest = [law for law in laws if law.kind == "rest"]
        self._initial = {v.name: int(scenario.initial.get(v.name, v.initial)) for v in table.shared}
        commands = (*table.commands, *table.kernel)
        told = [e for c in commands for e in (c.guard, *(e for _, e in c.update))]
        told += [m.holds for c in commands for m in c.must]
        told += [law.holds for law in (*self._always, *self._steps, *self._rest)]
        words = [(self._initial[v.name], v.width) for v in table.shared]
        names = Names(("kernel", "resting"))
        self._names = {v.name: names.fresh(f"v_{v.name}") for v in (*table.shared, *table.local)}
        self._names.setdefault(HOLDERS.name, names.fresh(f"v_{HOLDERS.name}"))
        self._threads = {t.name: names.fresh(t.name) for t in scenario.threads}
        labels = Names()
        self._labels = {at: labels.fresh(at) for at in (*table.locations, PICK)}
        self.folds = folds(told, [*words, *((0, v.width) for v in table.local)])

    def lines(self) -> Iterator[str]:
        table, scenario = self._table, self._scenario
        title = f"{table.id} on {table.platform}: {table.title}. {table.source}."
        yield f"/* {_said(title)} */"
        for v in table.shared:
            initial = self._constant(self._initial[v.name], v.width)
            yield f"{self._type(v.width)} {self._names[v.name]} = {initial}; /* {_said(v.doc)} */"
        yield f"byte {self._names[HOLDERS.name]} = 0; byte resting = 0; /* ghosts */"
        widest = max((len(c.update) for c in (*table.commands, *table.kernel)), default=0)
        for i in range(widest):
            yield f"hidden int new{i};"
        for thread in scenario.threads:
            yield from self._thread(thread)
        yield from self._kernel()

    def _thread(self, thread: Thread) -> Iterator[str]:
        yield f"active proctype {self._threads[thread.name]}() {{"
        for v in self._table.local:
            yield f"  {self._type(v.width)} {self._names[v.name]} = 0;"
        yield f"  goto {self._begin(thread, 0)};"
        for position, call in enumerate(thread.calls):
            if "|" in call:
                yield f"{self._label(PICK, position)}: if"
                for method in call.split("|"):
                    yield f"  :: goto {self._label(self._table.methods[method], position)}"
                yield "  fi;"
            for at in dict.fromkeys(c.at for c in self._table.commands):
                assert at is not None
                yield f"{self._label(at, position)}: if"
                for c in self._table.leaving[at]:
                    yield self._option(c, thread, position)
                yield "  fi;"
        yield f"end_{self._threads[thread.name]}: false"
        yield "}"

    def _option(self, c: Command, thread: Thread, position: int) -> str:
        assert c.at is not None
        assert c.to is not None
        last = position + 1 == len(thread.calls)
        if c.to not in RESTING:
            goes, rests = self._label(c.to, position), False
        elif c.to == "end" and not last:
            goes, rests = self._begin(thread, position + 1), False
        else:
            goes, rests = f"end_{self._threads[thread.name]}", True
        holding = self._table.holding
        held = int(c.to in holding) - int(c.at in holding)
        ghosts = {
            1: f" {self._names[HOLDERS.name]}++;",
            -1: f" {self._names[HOLDERS.name]}--;",
            0: "",
        }[held]
        if rests:
            ghosts += " resting++;"
        return f"  :: d_step {{ {self._body(c, ghosts)} }}; goto {goes} /* {_said(c.name)} */"

    def _body(self, c: Command, ghosts: str) -> str:
        """Return the guard, the obligations, the laws about the step, the updates, the laws."""
        updates = dict(c.update)
        parts = [f"{self._text(c.guard)} ->"]
        parts += [f"assert({self._text(m.holds)});" for m in c.must]
        parts += [f"assert({self._text(_primed(law, updates))});" for law in self._steps]
        ordered = _in_order(updates)
        if ordered is None:
            names = list(updates)
            parts += [f"new{i} = {self._text(updates[n])};" for i, n in enumerate(names)]
            parts += [f"{self._names[n]} = new{i};" for i, n in enumerate(names)]
        else:
            parts += [f"{self._names[n]} = {self._text(e)};" for n, e in ordered]
        parts.append(ghosts.strip())
        if c.to != PANICKED:
            parts += [f"assert({self._text(law.holds)});" for law in self._always]
        return " ".join(p for p in parts if p).rstrip(";")

    def _kernel(self) -> Iterator[str]:
        allowed = self._scenario.adversary
        commands = [c for c in self._table.kernel if allowed is None or c.name in allowed]
        yield "active proctype kernel() {"
        yield "end:  do"
        for c in commands:
            yield f"  :: d_step {{ {self._body(c, '')} }} /* {_said(c.name)} */"
        rest = " ".join(f"assert({self._text(law.holds)});" for law in self._rest)
        done = f"timeout && resting == {len(self._scenario.threads)}"
        yield f"  :: d_step {{ {done} -> {rest or 'skip'} }} /* at rest */".replace("; }", " }")
        yield "  od"
        yield "}"

    def _begin(self, thread: Thread, position: int) -> str:
        call = thread.calls[position]
        return self._label(PICK if "|" in call else self._table.methods[call], position)

    def _label(self, location: str, position: int) -> str:
        return f"L{position}_{self._labels[location]}"

    def _type(self, width: int) -> str:
        bits = self.folds[width].width if width else 1
        return "bit" if bits == 1 else "byte" if bits <= 8 else "int"

    def _constant(self, value: int, width: int) -> int:
        return self.folds[width].of(value) if width else value

    def _text(self, expr: Expr) -> str:
        """Return an expression in Promela."""
        if expr.op == "const":
            return str(self._constant(expr.value, expr.width))
        if expr.op == "var":
            return self._names[expr.name]
        parts = [self._text(a) for a in expr.args]
        mask = self.folds[expr.args[0].width].mask if expr.args[0].width else 1
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


def _said(text: str) -> str:
    """Return a text as it may stand in a comment."""
    return " ".join(text.replace("*/", "* /").split())


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
