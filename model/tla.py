r"""A table and a scenario as a TLA+ module, for TLC: the same states, one for one.

A word is the *set of its bits that are 1*, at its full width: TLC's integers have 32 bits, TLA+'s
sets have no such end.  So ``word & mask`` is an intersection, ``|`` a union, ``^`` the symmetric
difference, and addition is the carry loop that every processor has in hardware:

    Add(a, b) == IF b = {} THEN a ELSE Add(a \ b \cup b \ a, {i + 1 : i \in a \cap b})

A command is one action.  Its obligations are part of its guard, as the explorer does not follow a
step that breaks one, and a law that is broken so is an invariant: where such a command could be
taken, its obligation holds.  So the distinct states are those of :mod:`~lastref.model.explore`, in
a faulty design too.  Laws about states and about rest are invariants, laws about steps are
properties ``[][…]_vars``; a ``sometimes`` becomes an operator ``Never…``, which TLC refutes with a
run that shows it.

    java -cp tla2tools.jar tlc2.TLC NAME.tla            stops at the first broken law
    java -cp tla2tools.jar tlc2.TLC -continue NAME.tla  counts all states of a faulty design

Sources: L. Lamport, Specifying Systems (2002), https://lamport.azurewebsites.net/tla/book.html;
the configuration file is described in its chapter 14.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lastref.model.algebra import BOOL, TRUE, Expr
from lastref.model.names import Names
from lastref.model.system import PICK, Scenario, System
from lastref.model.table import END, HOLDERS, RESTING, Command, DesignError, Law, Table, Variable

_OWN = (
    *("at", "turn", "self", "to", "vars", "holders", "Threads", "First", "Picks", "Holding"),
    *("Add", "Sub", "Xor", "Less", "Number", "Go", "Pick", "Init", "Next", "Spec", "Resting"),
    *("Finished", "AtRest", "TypeOK", "ThreadStep", "KernelStep", "a", "b", "i", "j", "n", "t"),
    *("width", "Nat", "Int", "Seq", "Len", "Append", "Head", "Tail", "SubSeq", "SelectSeq"),
    *("Cardinality", "IsFiniteSet", "Integers", "Naturals", "Sequences", "FiniteSets", "TLC"),
)
"""The names that every module has or extends: what the table calls so gets another name."""
_RESERVED = """
    ACTION ASSUME ASSUMPTION AXIOM BOOLEAN BY CASE CHOOSE CONSTANT CONSTANTS COROLLARY DEF DEFINE
    DEFS DOMAIN ELSE ENABLED EXCEPT EXTENDS FALSE HAVE HIDE IF IN INSTANCE LAMBDA LEMMA LET LOCAL
    MODULE NEW OBVIOUS OMITTED ONLY OTHER PICK PROOF PROPOSITION PROVE QED RECURSIVE STATE STRING
    SUBSET SUFFICES TAKE TEMPORAL THEN THEOREM TRUE UNCHANGED UNION USE VARIABLE VARIABLES WITH
    WITNESS
"""
_TAKEN = frozenset((*_OWN, *_RESERVED.split()))
_IDENTIFIER = re.compile(r"(?!WF_|SF_)\w*[A-Za-z]\w*", re.ASCII)


@dataclass(frozen=True)
class Module:
    """A TLA+ module and the configuration with which TLC checks it."""

    name: str
    text: str
    configuration: str


def tla(table: Table, scenario: Scenario, name: str | None = None) -> Module:
    """Return ``table`` under ``scenario`` as the module ``name``, by default the design's.

    Raises :class:`~lastref.model.table.DesignError` if the scenario names what the table does not
    have, or ``name`` is no name of a TLA+ module.
    """
    System(table, scenario)  # refuses unknown names
    name = re.sub(r"\W", "_", f"{table.id}_{table.platform}") if name is None else name
    if not _IDENTIFIER.fullmatch(name) or name in _TAKEN:
        raise DesignError(
            f"'{name}' is no name of a TLA+ module",
            "a module is named as its file, with letters, digits and underscores",
            "name the file otherwise, as in go_2024.tla",
        )
    writer = _Writer(table, scenario, name)
    text = "\n".join(writer.lines()) + "\n"
    return Module(name, text, "\n".join(writer.configuration()) + "\n")


class _Writer:
    def __init__(self, table: Table, scenario: Scenario, name: str) -> None:
        self._table, self._scenario, self._name = table, scenario, name
        names = Names((*_TAKEN, name))
        self._variables = {v.name: names.fresh(v.name) for v in (*table.shared, *table.local)}
        self._local = {v.name for v in table.local}
        self._threads = {t.name: _string(t.name) for t in scenario.threads}
        allowed = scenario.adversary
        self._kernel = [c for c in table.kernel if allowed is None or c.name in allowed]
        self._actions = {c.name: names.capitals(c.name) for c in table.commands}
        self._actions |= {c.name: names.capitals(f"Kernel {c.name}") for c in self._kernel}
        self._laws = {
            law.id: names.capitals(f"never {law.id}" if law.kind == "sometimes" else law.id)
            for law in table.laws
        }

    def lines(self) -> Iterator[str]:
        table = self._table
        yield f"---- MODULE {self._name} ----"
        yield from _comment(f"{table.id} on {table.platform}: {table.title}. {table.source}.")
        yield "EXTENDS Integers, Sequences, FiniteSets"
        yield ""
        yield from self._constants()
        yield from _ARITHMETIC
        yield from self._state()
        yield from self._moves()
        for c in table.commands:
            yield from self._action(c)
        for c in self._kernel:
            yield from self._action(c)
        yield from self._next()
        yield from self._judgements()
        yield "===="

    def configuration(self) -> Iterator[str]:
        """Yield what TLC is asked to check."""
        yield "SPECIFICATION Spec"
        yield "INVARIANT TypeOK"
        for law in self._checked("always", "rest", "must"):
            yield f"INVARIANT {self._laws[law.id]}"
        for law in self._checked("step"):
            yield f"PROPERTY {self._laws[law.id]}"

    def _checked(self, *kinds: str) -> list[Law]:
        return [law for law in self._table.laws if law.kind in kinds]

    def _constants(self) -> Iterator[str]:
        table = self._table
        yield f"Threads == {_set(self._threads.values())}"
        yield from _comment("Where each thread begins each of its calls, and what it may pick.")
        yield from self._by_thread("First", lambda call: _string(self._begin(call)))
        yield from self._by_thread("Picks", self._picks)
        yield f"Holding == {_set(_string(at) for at in sorted(table.holding))}"
        yield f"Resting == {_set(map(_string, RESTING))}"
        yield ""

    def _by_thread(self, name: str, told: Callable[[str], str]) -> Iterator[str]:
        yield f"{name} == [t \\in Threads |-> CASE"
        for i, thread in enumerate(self._scenario.threads):
            box = "  " if i == 0 else "[]"
            calls = ", ".join(told(call) for call in thread.calls)
            yield f"  {box} t = {self._threads[thread.name]} -> <<{calls}>>"
        yield "  ]"

    def _begin(self, call: str) -> str:
        return PICK if "|" in call else self._table.methods[call]

    def _picks(self, call: str) -> str:
        methods = call.split("|") if "|" in call else ()
        return _set(_string(self._table.methods[m]) for m in methods)

    def _state(self) -> Iterator[str]:
        table = self._table
        named = self._variables
        yield from _comment("Where each thread is, and in the how manieth of its calls.")
        yield "VARIABLES at, turn"
        for v in (*table.shared, *table.local):
            yield f"VARIABLE {named[v.name]} \\* {_line(v.doc)}"
        yield f"vars == <<{', '.join(self._all())}>>"
        yield "holders == Number(Cardinality({t \\in Threads : at[t] \\in Holding}))"
        yield "AtRest == \\A t \\in Threads : at[t] \\in Resting"
        places = _set(_string(at) for at in (*table.locations, PICK))
        yield "TypeOK =="
        yield f"  /\\ at \\in [Threads -> {places}]"
        yield "  /\\ \\A t \\in Threads : turn[t] \\in 1..Len(First[t])"
        for v in (*table.shared, *table.local):
            own = f"[Threads -> {_type(v)}]" if v.name in self._local else _type(v)
            yield f"  /\\ {named[v.name]} \\in {own}"
        yield ""

    def _all(self) -> list[str]:
        return ["at", "turn", *self._variables.values()]

    def _moves(self) -> Iterator[str]:
        table, given = self._table, self._scenario.initial
        yield "Init =="
        yield "  /\\ at = [t \\in Threads |-> First[t][1]]"
        yield "  /\\ turn = [t \\in Threads |-> 1]"
        for v in table.shared:
            value = _constant(int(given.get(v.name, v.initial)), v.width)
            yield f"  /\\ {self._variables[v.name]} = {value}"
        for v in table.local:
            yield f"  /\\ {self._variables[v.name]} = [t \\in Threads |-> {_constant(0, v.width)}]"
        yield ""
        yield from _comment("A thread whose call has returned begins its next one, if it has one.")
        yield "Go(self, to) =="
        yield f"  IF to = {_string(END)} /\\ turn[self] < Len(First[self])"
        yield "  THEN /\\ turn' = [turn EXCEPT ![self] = turn[self] + 1]"
        yield "       /\\ at' = [at EXCEPT ![self] = First[self][turn[self] + 1]]"
        yield "  ELSE /\\ turn' = turn"
        yield "       /\\ at' = [at EXCEPT ![self] = to]"
        yield "Pick(self) =="
        yield f"  /\\ at[self] = {_string(PICK)}"
        yield "  /\\ \\E to \\in Picks[self][turn[self]] : at' = [at EXCEPT ![self] = to]"
        yield f"  /\\ UNCHANGED <<{', '.join(n for n in self._all() if n != 'at')}>>"
        yield ""

    def _action(self, c: Command) -> Iterator[str]:
        by_thread = c.at is not None
        outcome = "" if c.outcome is None else f" \\* returns {_line(c.outcome)}"
        yield f"{self._actions[c.name]}{'(self)' if by_thread else ''} =={outcome}"
        if by_thread:
            yield f"  /\\ at[self] = {_string(str(c.at))}"
        if c.guard is not TRUE:
            yield f"  /\\ {self._text(c.guard)}"
        yield from (f"  /\\ {self._text(m.holds)} \\* {m.law}" for m in c.must)
        if by_thread:
            yield f"  /\\ Go(self, {_string(str(c.to))})"
        written = {"at", "turn"} if by_thread else set()
        for name, value in c.update:
            variable = self._variables[name]
            written.add(variable)
            if name in self._local:
                yield f"  /\\ {variable}' = [{variable} EXCEPT ![self] = {self._text(value)}]"
            else:
                yield f"  /\\ {variable}' = {self._text(value)}"
        kept = [n for n in self._all() if n not in written]
        if kept:
            yield f"  /\\ UNCHANGED <<{', '.join(kept)}>>"
        yield ""

    def _next(self) -> Iterator[str]:
        yield "ThreadStep == \\E self \\in Threads :"
        yield "  \\/ Pick(self)"
        yield from (f"  \\/ {self._actions[c.name]}(self)" for c in self._table.commands)
        yield "KernelStep =="
        yield from [f"  \\/ {self._actions[c.name]}" for c in self._kernel] or ["  FALSE"]
        yield from _comment("Nothing is left to do: TLC then reports no deadlock.")
        yield "Finished == AtRest /\\ UNCHANGED vars"
        yield "Next =="
        urgent = [c for c in self._kernel if c.name in self._scenario.urgent]
        for c in urgent:
            yield f"  IF {self._text(c.guard)} THEN {self._actions[c.name]} ELSE"
        yield "  (ThreadStep \\/ KernelStep \\/ Finished)"
        yield "Spec == Init /\\ [][Next]_vars"
        yield ""

    def _judgements(self) -> Iterator[str]:
        for law in self._table.laws:
            yield from _comment(f"{law.kind}: {law.text}")
            yield from self._law(law)

    def _law(self, law: Law) -> Iterator[str]:
        name = self._laws[law.id]
        if law.kind == "must":
            yield f"{name} =="
            yield from list(self._obligations(law)) or ["  TRUE"]
        elif law.kind == "sometimes" and law.shown_by:
            shown = ", ".join(self._actions.get(n, n) for n in sorted(law.shown_by))
            yield from _comment(f"It is shown by a step of {shown}: see TLC's -coverage.")
        elif law.kind == "sometimes":
            yield f"{name} == ~{self._text(law.holds)}"
        elif law.kind == "step":
            yield f"{name} == [][{self._text(law.holds)}]_vars"
        elif law.kind == "rest":
            yield f"{name} == AtRest => {self._text(law.holds)}"
        else:
            yield f"{name} == {self._text(law.holds)}"

    def _obligations(self, law: Law) -> Iterator[str]:
        """Yield what the law asks of each command: where it could be taken, it holds."""
        for c in (*self._table.commands, *self._kernel):
            for m in (m for m in c.must if m.law == law.id):
                taken = f"{self._text(c.guard)} => {self._text(m.holds)}"
                if c.at is None:
                    yield f"  /\\ {taken}"
                else:
                    here = f"at[self] = {_string(c.at)}"
                    yield f"  /\\ \\A self \\in Threads : {here} => ({taken})"

    def _text(self, expr: Expr) -> str:
        """Return an expression in TLA+."""
        if expr.op == "const":
            return _constant(expr.value, expr.width)
        if expr.op == "var":
            return self._named(expr)
        parts = [self._text(a) for a in expr.args]
        return _OPERATIONS[expr.op].format(*parts, width=expr.args[0].width)

    def _named(self, expr: Expr) -> str:
        if expr.name == HOLDERS.name and expr.name not in self._variables:
            return "holders"
        name = expr.name.removesuffix("'")
        if name in self._local:
            return f"{self._variables[name]}[self]"
        return self._variables[name] + expr.name[len(name) :]


_OPERATIONS: Mapping[str, str] = {
    "add": "Add({0}, {1}, {width})",
    "sub": "Sub({0}, {1}, {width})",
    "and": "({0} \\cap {1})",
    "or": "({0} \\cup {1})",
    "xor": "Xor({0}, {1})",
    "inv": "((0..({width} - 1)) \\ {0})",
    "eq": "({0} = {1})",
    "ne": "({0} # {1})",
    "ult": "Less({0}, {1})",
    "ule": "(~Less({1}, {0}))",
    "all": "({0} /\\ {1})",
    "any": "({0} \\/ {1})",
    "not": "(~{0})",
    "ite": "(IF {0} THEN {1} ELSE {2})",
}
"""How each operation of the algebra is written over sets of bits."""

_ARITHMETIC = (
    "\\* A word is the set of its bits that are 1.",
    "RECURSIVE Add(_, _, _)",
    "Xor(a, b) == (a \\ b) \\cup (b \\ a)",
    "Add(a, b, width) ==",
    "  IF b = {} THEN a",
    "  ELSE Add(Xor(a, b), {i + 1 : i \\in (a \\cap b) \\ {width - 1}}, width)",
    "Sub(a, b, width) == Add(Add(a, (0..(width - 1)) \\ b, width), {0}, width)",
    "Less(a, b) == \\E i \\in b \\ a : \\A j \\in a \\ b : j < i",
    "Number(n) == {i \\in 0..15 : (n \\div 2^i) % 2 = 1}",
    "",
)


def _type(variable: Variable) -> str:
    return "BOOLEAN" if variable.width == BOOL else f"SUBSET (0..{variable.width - 1})"


def _constant(value: int, width: int) -> str:
    """Return a constant: its set of ones, runs of them as intervals."""
    if width == BOOL:
        return "TRUE" if value else "FALSE"
    ones = [i for i in range(width) if value >> i & 1]
    runs: list[list[int]] = []
    for i in ones:
        if runs and runs[-1][-1] == i - 1:
            runs[-1].append(i)
        else:
            runs.append([i])
    single = [str(i) for run in runs if len(run) < 3 for i in run]
    parts = [f"({run[0]}..{run[-1]})" for run in runs if len(run) >= 3]
    if single or not parts:
        parts.insert(0, _set(single))
    return parts[0] if len(parts) == 1 else "(" + " \\cup ".join(parts) + ")"


def _set(elements: Iterable[str]) -> str:
    return "{" + ", ".join(elements) + "}"


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _line(text: str) -> str:
    return " ".join(text.split())


def _comment(text: str) -> Iterator[str]:
    yield f"\\* {_line(text)}"
