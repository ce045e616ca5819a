"""Every single-point mutation of a table, made systematically from its expressions and fields.

A checker that has never said no proves little.  So each table is spoilt in every small way that a
programmer might spoil it, one way at a time, and the engines are run on the result:

    guards      dropped, negated, a conjunct dropped, a constant off by one, == for !=, < for <=
    status      done for released, one of the two bits ignored
    updates     dropped, off by one, the reason left out
    outcomes    another of the table's
    the round   a failed exchange taken for a success, the exchange left out, refs tested against
                another number, the close before the exchange
    the way     a step left out, the close skipped, a holder that leaves without releasing, another
                branch's way, a panic that is not raised

What follows from the table alone: an operator yields an :class:`Edit` for each of its places, in
the order of the table, so a mutant's id (``go-2024/linux/signal.load/guard-dropped/1``) stays what
it is as long as the table does.  Two edits that come to the same table are one mutant, and an edit
that changes nothing is none.  Of the answers to a system call only what the design makes of them is
mutated, the outcome and the way on: when the kernel gives which, and the adversary, are no design.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from lastref.model.algebra import BOOL, TRUE, Expr, conjunction, const, key, show
from lastref.model.fuse import EXCHANGE, simplify, substitute
from lastref.model.table import BLOCKED, END, PANICKED, Command, Table
from lastref.model.word import DONE, RELEASED, STATUS_MASK

CLOSES = frozenset({"close", "CloseHandle"})
"""The operations that close a handle."""
ANSWERED = CLOSES | {
    *("waitid", "wait4", "kill", "pidfd_send_signal", "pidfd_open"),
    *("WaitForSingleObject", "GetExitCodeProcess", "GetProcessTimes", "OpenProcess"),
    *("DuplicateHandle", "TerminateProcess", "WaitProcess", "write_note"),
    *("ReleaseHandle", "semacquire", "semrelease", "use"),
}
"""The operations that the system answers: when it gives which answer is not the design's to say."""
_COMPARISONS = {"eq": "ne", "ne": "eq", "ult": "ule", "ule": "ult"}


@dataclass(frozen=True, eq=False)
class Edit:
    """One change: the command it is about, what it does, and the commands of the table after it.

    ``holding`` are further locations at which a thread holds a reference, where it adds any.
    """

    command: str
    text: str
    commands: tuple[Command, ...]
    holding: frozenset[str] = frozenset()


Operator = Callable[[Table], Iterator[Edit]]


@dataclass(frozen=True, eq=False)
class Mutant:
    """A table with one thing wrong: where, by which operator, and in words what."""

    id: str
    original: Table
    command: str
    operator: str
    text: str
    table: Table

    @cached_property
    def commands(self) -> tuple[Command, ...]:
        """The commands that are not what they were: as they were, then as they are."""
        return tuple(
            c for t in (self.original, self.table) for c in t.commands if c.name in self.changed
        )

    @cached_property
    def locations(self) -> frozenset[str]:
        """The locations that these commands leave."""
        return frozenset(c.at for c in self.commands if c.at is not None)

    @cached_property
    def changed(self) -> frozenset[str]:
        """The names of the commands that are not what they were, new and lost ones included."""
        old, new = (
            {c.name: _command_key(c) for c in t.commands} for t in (self.original, self.table)
        )
        return frozenset(n for n in old.keys() | new.keys() if old.get(n) != new.get(n))


def mutants(table: Table) -> tuple[Mutant, ...]:
    """Return every mutant of ``table``, each once, in a fixed order."""
    keys = _Keys()
    seen = {keys.of(table.commands)}
    found = []
    for name, operator in OPERATORS.items():
        count: Counter[str] = Counter()
        for edit in operator(table):
            known = keys.of(edit.commands)
            if known in seen:
                continue
            seen.add(known)
            count[edit.command] += 1
            changed = replace(table, commands=edit.commands, holding=table.holding | edit.holding)
            where = f"{table.id}/{table.platform}/{edit.command}/{name}/{count[edit.command]}"
            found.append(Mutant(where, table, edit.command, name, edit.text, changed))
    return tuple(found)


class _Keys:
    """Tells tables apart by what their commands do; each command is looked at once."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[object, ...], int] = {}
        self._commands: dict[Command, int] = {}

    def of(self, commands: Iterable[Command]) -> frozenset[int]:
        """Return a key that is equal exactly for tables whose commands do the same."""
        return frozenset(self._number(c) for c in commands)

    def _number(self, c: Command) -> int:
        number = self._commands.get(c)
        if number is None:
            number = self._numbers.setdefault(_command_key(c), len(self._numbers))
            self._commands[c] = number
        return number


def _command_key(c: Command) -> tuple[object, ...]:
    """Return what a command does, without its name: what tells two tables apart."""
    update = sorted((name, key(simplify(_plain(value)))) for name, value in c.update)
    return (c.op, c.at or "", c.to or "", key(simplify(c.guard)), tuple(update), c.outcome or "")


def _plain(value: Expr) -> Expr:
    """Resolve an addition of 0: a constant that is off by one may leave one."""
    if value.op in ("add", "sub") and value.args[1].op == "const" and not value.args[1].value:
        return value.args[0]
    return value


def _swap(table: Table, c: Command, *instead: Command) -> tuple[Command, ...]:
    """Return the commands of ``table`` with ``instead`` in the place of ``c``."""
    return tuple(x for old in table.commands for x in (instead if old is c else (old,)))


def _single(
    change: Callable[[Table, Command], Iterator[tuple[str, Command]]],
) -> Operator:
    """Return the operator that replaces one command by each of its changes in turn."""

    def operator(table: Table) -> Iterator[Edit]:
        for c in table.commands:
            for text, new in change(table, c):
                if c.op in ANSWERED and new.outcome == c.outcome:
                    continue
                yield Edit(c.name, text, _swap(table, c, new))

    return operator


def variants(expr: Expr, change: Callable[[Expr], Iterable[Expr]]) -> Iterator[Expr]:
    """Yield ``expr`` with one node replaced by each of its changes, nodes in depth-first order."""
    yield from change(expr)
    for i, arg in enumerate(expr.args):
        for new in variants(arg, change):
            args = (*expr.args[:i], new, *expr.args[i + 1 :])
            yield Expr(expr.op, args, expr.width, expr.value, expr.name)


def conjuncts(expr: Expr) -> tuple[Expr, ...]:
    """Return the terms of a conjunction, from left to right; of anything else, itself."""
    if expr.op != "all":
        return (expr,)
    return tuple(term for arg in expr.args for term in conjuncts(arg))


# Guards.


def _guard_dropped(_table: Table, c: Command) -> Iterator[tuple[str, Command]]:
    if c.guard.op != "const":
        yield f"always, not only if {show(c.guard)}", replace(c, guard=TRUE)


def _guard_negated(_table: Table, c: Command) -> Iterator[tuple[str, Command]]:
    if c.guard.op != "const":
        yield f"unless {show(c.guard)}", replace(c, guard=~c.guard)


def _conjunct_dropped(_table: Table, c: Command) -> Iterator[tuple[str, Command]]:
    terms = conjuncts(c.guard)
    if len(terms) > 1:
        for i, term in enumerate(terms):
            rest = conjunction(*terms[:i], *terms[i + 1 :])
            yield f"without asking for {show(term)}", replace(c, guard=rest)


def _guards(
    change: Callable[[Table, Expr], Iterable[Expr]],
) -> Callable[[Table, Command], Iterator[tuple[str, Command]]]:
    def changes(table: Table, c: Command) -> Iterator[tuple[str, Command]]:
        for guard in variants(c.guard, lambda e: change(table, e)):
            yield f"if {show(guard)}, not {show(c.guard)}", replace(c, guard=guard)

    return changes


def _constant_off(table: Table, e: Expr) -> Iterator[Expr]:
    """Yield a comparison with a constant one higher and one lower, as far as there are such."""
    if e.op in _COMPARISONS:
        for i, side in enumerate(e.args):
            if side.op == "const":
                for value in _neighbours(side, _most(table, e.args[1 - i])):
                    args = (*e.args[:i], value, *e.args[i + 1 :])
                    yield Expr(e.op, args, BOOL)


def _most(table: Table, e: Expr) -> int:
    """Return the largest value of ``e``: a variable with labels has no more values than those."""
    variable = table.variables.get(e.name) if e.op == "var" else None
    labels = len(variable.labels) if variable is not None else 0
    return (labels or 1 << e.width) - 1


def _neighbours(constant: Expr, most: int) -> Iterator[Expr]:
    if constant.width == BOOL:
        yield const(not constant.value, BOOL)
        return
    for value in (constant.value + 1, constant.value - 1):
        if 0 <= value <= most:
            yield const(value, constant.width)


def _comparison_swapped(_table: Table, e: Expr) -> Iterator[Expr]:
    if e.op in _COMPARISONS:
        yield Expr(_COMPARISONS[e.op], e.args, BOOL)


# The status bits: of a 64-bit word, wherever its constants stand.


def _bit_swapped(_table: Table, e: Expr) -> Iterator[Expr]:
    if e.op == "const" and e.width == 64 and e.value in (DONE, RELEASED):
        yield const(e.value ^ STATUS_MASK, 64)


def _bit_ignored(_table: Table, e: Expr) -> Iterator[Expr]:
    if e.op == "const" and e.width == 64 and e.value == STATUS_MASK:
        yield from (const(RELEASED, 64), const(DONE, 64))


def _status_bit_ignored(table: Table) -> Iterator[Edit]:
    """One bit of the word is masked out before a whole location looks at its status."""
    for at, commands in _locations(table):
        guards = [c.guard for c in commands]
        words = {e.name: e for g in guards for e in _nodes(g) if e.op == "var" and e.width == 64}
        looks = any(e.value == STATUS_MASK for g in guards for e in _nodes(g))
        for word in words.values() if looks else ():
            for bit, name in ((DONE, "done"), (RELEASED, "released")):
                blind = {word.name: word & (bit ^ (1 << 64) - 1)}
                changed = {c: replace(c, guard=substitute(c.guard, blind)) for c in commands}
                text = f"the whole of {at} ignores {name}"
                yield Edit(at, text, tuple(changed.get(c, c) for c in table.commands))


def _nodes(e: Expr) -> Iterator[Expr]:
    yield e
    for arg in e.args:
        yield from _nodes(arg)


def _locations(table: Table) -> Iterator[tuple[str, tuple[Command, ...]]]:
    return ((at, commands) for at, commands in table.leaving.items() if commands)


# Updates.


def _update_dropped(_table: Table, c: Command) -> Iterator[tuple[str, Command]]:
    for name, value in c.update:
        rest = tuple(u for u in c.update if u[0] != name)
        yield f"without {name} := {show(value)}", replace(c, update=rest)


def _updates(
    change: Callable[[Table, str, Expr], Iterable[Expr]],
) -> Callable[[Table, Command], Iterator[tuple[str, Command]]]:
    def changes(table: Table, c: Command) -> Iterator[tuple[str, Command]]:
        for i, (name, value) in enumerate(c.update):
            for new in change(table, name, value):
                update = (*c.update[:i], (name, new), *c.update[i + 1 :])
                yield f"{name} := {show(new)}, not {show(value)}", replace(c, update=update)

    return changes


def _update_off(table: Table, name: str, value: Expr) -> Iterator[Expr]:
    """Yield the value with what is added or subtracted one more and one less, or a constant."""
    if value.op == "const":
        yield from _neighbours(value, _most(table, table.variables[name]))
        return

    def off(e: Expr) -> Iterator[Expr]:
        if e.op in ("add", "sub") and e.args[1].op == "const":
            for by in _neighbours(e.args[1], (1 << e.width) - 1):
                yield Expr(e.op, (e.args[0], by), e.width)

    yield from variants(value, off)


def _reason_left_out(_table: Table, _name: str, value: Expr) -> Iterator[Expr]:
    if value.op == "or" and value.args[1].op == "const":
        yield value.args[0]


def _update_bit(table: Table, _name: str, value: Expr) -> Iterator[Expr]:
    return variants(value, lambda e: _bit_swapped(table, e))


# Outcomes.


def _outcome_replaced(table: Table, c: Command) -> Iterator[tuple[str, Command]]:
    """Replace an outcome by the next that the table has; a call that never returns has none."""
    if c.outcome is None or c.to in (PANICKED, BLOCKED):
        return
    returning = (x for x in table.commands if x.to not in (PANICKED, BLOCKED))
    ends = [x.outcome for x in returning if x.outcome is not None]
    known = list(dict.fromkeys(ends))
    other = known[(known.index(c.outcome) + 1) % len(known)]
    if other != c.outcome:
        yield f"gives {other}, not {c.outcome}", replace(c, outcome=other)


# The round of a load and an exchange.


def _exchanges(table: Table) -> Iterator[tuple[list[Command], list[Command]]]:
    """Yield for each location of exchanges those that swap and those that go round again."""
    for at, commands in _locations(table):
        if all(c.op == EXCHANGE for c in commands):
            back = {c.at for c in table.commands if c.to == at}
            failed = [c for c in commands if c.to in back]
            yield [c for c in commands if c not in failed], failed


def _retry_left_out(table: Table) -> Iterator[Edit]:
    """A failed exchange is taken for a success: on the same way, and nothing was swapped."""
    shared = {v.name for v in table.shared}
    for swapped, failed in _exchanges(table):
        for c in failed:
            instead = []
            for i, s in enumerate(swapped):
                # What is left of the success's guard beside "the word is what was loaded".
                rest = [t for t in conjuncts(s.guard) if t.op != "eq" or not _compares_word(t, s)]
                kept = tuple(u for u in s.update if u[0] not in shared)
                guard = conjunction(c.guard, *rest)
                name = c.name if i == 0 else f"{c.name}.{i + 1}"
                instead.append(
                    replace(c, name=name, guard=guard, update=kept, to=s.to, outcome=s.outcome)
                )
            if instead:
                text = "a failed exchange goes on as if it had swapped"
                yield Edit(c.name, text, _swap(table, c, *instead))


def _compares_word(term: Expr, c: Command) -> bool:
    """Return whether ``term`` says that a variable which ``c`` writes is the one loaded."""
    names = {a.name for a in term.args if a.op == "var"}
    return len(names) == 2 and bool(names & c.writes)


def _exchange_skipped(table: Table) -> Iterator[Edit]:
    """The load goes on to where the exchange would lead, and nothing is swapped."""
    for swapped, _ in _exchanges(table):
        for s in swapped:
            for c in table.commands:
                if c.to == s.at:
                    new = replace(c, to=s.to, outcome=c.outcome or s.outcome)
                    yield Edit(c.name, f"goes to {s.to} without the exchange", _swap(table, c, new))


def _test_off(table: Table) -> Iterator[Edit]:
    """All branches of a location test something against a number that is one off."""
    for at, commands in _locations(table):
        if any(c.op in ANSWERED for c in commands):
            continue
        tests: dict[object, Expr] = {}
        times: Counter[object] = Counter()
        for c in commands:
            for test in {_test(e): e for e in _nodes(c.guard) if _test(e)}.items():
                tests.setdefault(*test)
                times[test[0]] += 1
        for known, e in tests.items():
            if times[known] < 2:
                continue
            for value in _neighbours(e.args[1], _most(table, e.args[0])):
                changed = {c: replace(c, guard=_retested(c.guard, known, value)) for c in commands}
                text = f"the whole of {at} tests {show(e.args[0])} against {show(value)}"
                yield Edit(at, text, tuple(changed.get(c, c) for c in table.commands))


def _test(e: Expr) -> object:
    if e.op in ("eq", "ne") and e.args[0].op != "const" and e.args[1].op == "const":
        return (key(e.args[0]), e.args[1].value)
    return None


def _retested(guard: Expr, known: object, value: Expr) -> Expr:
    if _test(guard) == known:
        return Expr(guard.op, (guard.args[0], value), BOOL)
    args = tuple(_retested(a, known, value) for a in guard.args)
    return Expr(guard.op, args, guard.width, guard.value, guard.name)


def _close_before_exchange(table: Table) -> Iterator[Edit]:
    """Whoever is about to take the count to zero closes first, and exchanges afterwards."""
    for swapped, _ in _exchanges(table):
        for last in swapped:
            closes = table.leaving.get(last.to or "", ())
            if not closes or any(c.op not in CLOSES for c in closes):
                continue
            for load in (c for c in table.commands if c.to == last.at):
                yield _closes_first(table, load, last, closes)


def _closes_first(table: Table, load: Command, last: Command, closes: tuple[Command, ...]) -> Edit:
    loaded = dict(load.update)
    terms = [t for t in conjuncts(last.guard) if not _compares_word(t, last)]
    zero = simplify(substitute(conjunction(*terms), loaded))
    first = f"{last.name}.first"
    early = [replace(c, name=f"{c.name}.first", at=first, to=last.at) for c in closes]
    split = (
        replace(load, guard=load.guard & ~zero),
        replace(load, name=f"{load.name}.closing", guard=load.guard & zero, to=first),
    )
    instead = {load: split, last: (replace(last, to=closes[0].to),)}
    commands = [x for c in table.commands for x in instead.get(c, (c,))]
    held = frozenset({first}) if last.at in table.holding else frozenset()
    return Edit(last.name, "closes before the exchange", (*commands, *early), held)


# The way on.


def _ways(table: Table) -> Iterator[tuple[str, Edit]]:
    """Yield every command with another destination, and which operator that is."""
    for c in table.commands:
        if c.to is None or c.to == PANICKED:
            continue
        following = table.leaving.get(c.to, ())
        siblings = [s.to for s in table.leaving[c.at or ""]]
        after = [f.to for f in following if f.to not in (c.at, c.to)]
        for to in dict.fromkeys([*after, END, *siblings]):
            if to is None or to in (c.to, PANICKED):
                continue
            text = f"goes to {to}, not to {c.to}"
            edit = Edit(c.name, text, _swap(table, c, replace(c, to=to)))
            if following and all(f.op in CLOSES for f in following) and to in after:
                yield "close-skipped", edit
            elif to == END and c.to in table.holding:
                yield "release-skipped", edit
            else:
                yield "step-skipped" if to in after else "destination-changed", edit


def _way(name: str) -> Operator:
    return lambda table: (edit for operator, edit in _ways(table) if operator == name)


def _panic_dropped(table: Table) -> Iterator[Edit]:
    """An internal check is left out: what would panic goes on like the rest."""
    for c in table.commands:
        siblings = [s for s in table.leaving[c.at or ""] if s.to != PANICKED]
        if c.to != PANICKED or not siblings:
            continue
        main = siblings[-1]
        instead = {c: (), main: (replace(main, guard=main.guard | c.guard),)}
        commands = tuple(x for old in table.commands for x in instead.get(old, (old,)))
        yield Edit(c.name, f"goes on as {main.name} and does not panic", commands)


OPERATORS: Mapping[str, Operator] = {
    "guard-dropped": _single(_guard_dropped),
    "guard-negated": _single(_guard_negated),
    "conjunct-dropped": _single(_conjunct_dropped),
    "comparison-swapped": _single(_guards(_comparison_swapped)),
    "constant-off": _single(_guards(_constant_off)),
    "test-off": _test_off,
    "bit-swapped": _single(_guards(_bit_swapped)),
    "bit-ignored": _single(_guards(_bit_ignored)),
    "status-bit-ignored": _status_bit_ignored,
    "update-dropped": _single(_update_dropped),
    "update-off": _single(_updates(_update_off)),
    "reason-left-out": _single(_updates(_reason_left_out)),
    "reason-swapped": _single(_updates(_update_bit)),
    "outcome-replaced": _single(_outcome_replaced),
    "retry-left-out": _retry_left_out,
    "exchange-skipped": _exchange_skipped,
    "close-before-exchange": _close_before_exchange,
    "close-skipped": _way("close-skipped"),
    "release-skipped": _way("release-skipped"),
    "step-skipped": _way("step-skipped"),
    "destination-changed": _way("destination-changed"),
    "panic-dropped": _panic_dropped,
}
"""Every operator by its name, in the order in which mutants are listed."""
