"""A design as a table of guarded commands: one table, many readers.

A command is one atomic action of one thread (or of the kernel): where it stands, when it may
happen, what it changes, what the caller learns, and what must hold at that step.

    name            at            guard                 update           to           outcome
    signal.refuse   signal.load   status(word) != 0                      end          EPD
    signal.load     signal.load   status(word) == 0     old := word      signal.cas
    ...

The explorer, the prover, the trace generator, Hypothesis and the exporters all read this table; no
one of them has a second description of a design.  A table is checked when it is defined: a name
that no variable has, a jump to a place that no command leaves, or two commands of one name are
refused there, with the fault, the reason and the remedy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lastref.model.algebra import TRUE, Expr, const, variables

END = "end"
"""Where a thread is whose method has returned."""
PANICKED = "panicked"
"""Where a thread is whose method has panicked."""
BLOCKED = "blocked"
"""Where a thread is that waits on a process which is not its own, for as long as that one lives."""
RESTING = (END, PANICKED, BLOCKED)

HOLDERS = Expr("var", (), 64, name="holders")
"""How many threads stand at a location of ``Table.holding``: the ghost count of holders."""


class DesignError(ValueError):
    """A table is not well formed; says what, why, and how to put it right."""

    def __init__(self, fault: str, reason: str, remedy: str) -> None:
        super().__init__(f"{fault}: {reason}; {remedy}")
        self.fault, self.reason, self.remedy = fault, reason, remedy

    def __reduce__(self) -> tuple[type[DesignError], tuple[str, str, str]]:
        return type(self), (self.fault, self.reason, self.remedy)


class Variable(Expr):
    """A state variable: an expression that also knows its initial value and how to show itself.

    ``scope`` is ``"shared"`` (one of it) or ``"local"`` (one per thread).  ``labels`` name the
    values 0, 1, … of a small variable for people and for traces.
    """

    __slots__ = ("doc", "initial", "labels", "scope")

    def __init__(
        self, scope: str, name: str, width: int, doc: str, initial: int, labels: tuple[str, ...]
    ) -> None:
        super().__init__("var", (), width, name=name)
        self.scope, self.doc, self.initial, self.labels = scope, doc, initial, labels

    def label(self, value: int) -> str:
        """Return the name of ``value``: its label, or its number."""
        return self.labels[value] if value < len(self.labels) else str(int(value))


def shared(
    name: str, width: int, doc: str, *, initial: int = 0, labels: tuple[str, ...] = ()
) -> Variable:
    """Declare a variable that all threads and the kernel share."""
    return Variable("shared", name, width, doc, initial, labels)


def local(name: str, width: int, doc: str) -> Variable:
    """Declare a variable of which each thread has its own; it starts, and is parked, at 0."""
    return Variable("local", name, width, doc, 0, ())


@dataclass(frozen=True, eq=False)
class Must:
    """What must hold when a command is taken, and the id of the law that it breaks otherwise."""

    law: str
    holds: Expr


@dataclass(frozen=True, eq=False)
class Command:
    """One atomic action.

    ``op`` names the action as an implementation performs it (``load``, ``compare_exchange``,
    ``waitid``, …), so that a trace can be run on a real one.  ``at`` is ``None`` for a command of
    the kernel.  ``outcome`` is what the call will return, fixed at this step although the call may
    return later.
    """

    name: str
    op: str
    at: str | None
    to: str | None
    guard: Expr = TRUE
    update: tuple[tuple[str, Expr], ...] = ()
    outcome: str | None = None
    must: tuple[Must, ...] = ()

    @cached_property
    def reads(self) -> frozenset[str]:
        """The variables that the guard, the updates and the obligations read."""
        exprs = [self.guard, *(e for _, e in self.update), *(m.holds for m in self.must)]
        return frozenset().union(*(variables(e) for e in exprs))

    @cached_property
    def writes(self) -> frozenset[str]:
        """The variables that the updates write."""
        return frozenset(name for name, _ in self.update)


def command(
    name: str,
    op: str,
    at: str,
    to: str,
    guard: Expr = TRUE,
    update: Mapping[Variable, Expr | int] | None = None,
    outcome: str | None = None,
    must: Iterable[Must] = (),
) -> Command:
    """Return a command of a thread; ``update`` maps variables to new values."""
    return Command(name, op, at, to, guard, _updates(update), outcome, tuple(must))


def kernel_command(
    name: str, guard: Expr, update: Mapping[Variable, Expr | int], must: Iterable[Must] = ()
) -> Command:
    """Return a command of the kernel or of the adversary; its action is its own name."""
    return Command(name, name, None, None, guard, _updates(update), None, tuple(must))


def _updates(update: Mapping[Variable, Expr | int] | None) -> tuple[tuple[str, Expr], ...]:
    if not isinstance(update or {}, Mapping):
        raise DesignError(
            f"an update is a {type(update).__name__}",
            "it maps variables to their new values",
            "write {word: word + 1}",
        )
    return tuple(_updated(v, e) for v, e in (update or {}).items())


def _updated(variable: Variable, value: Expr | int) -> tuple[str, Expr]:
    if not isinstance(variable, Variable):
        raise DesignError(
            f"an update sets {variable!r}",
            "only what shared() and local() return can be set",
            "write the variable itself, without quotes",
        )
    if not isinstance(value, Expr | int):
        raise DesignError(
            f"an update sets {variable.name} to {value!r}",
            f"a {type(value).__name__} is neither an expression nor a number",
            "write an expression over the table's variables",
        )
    return variable.name, value if isinstance(value, Expr) else const(value, variable.width)


@dataclass(frozen=True, eq=False)
class Law:
    """A property of a design.

    ``kind`` is ``"always"`` (of every state), ``"step"`` (of every step, with ``word'`` for the
    value afterwards), ``"must"`` (an obligation that commands carry), ``"rest"`` (eventually: of
    every state in which all threads are done), or ``"sometimes"`` (some run shows it, so that the
    law beside it is not vacuous).  A ``sometimes`` is shown by a state in which ``holds``, or by a
    step of one of ``shown_by``.
    """

    id: str
    kind: str
    text: str
    holds: Expr = TRUE
    shown_by: frozenset[str] = frozenset()
    beside: str = ""


@dataclass(frozen=True, eq=False)
class Table:
    """A design on a platform: its variables, methods, commands, kernel and laws.

    ``methods`` maps a method to the location where it starts.  ``holding`` are the locations at
    which a thread holds a transient reference.  ``blocking`` are the locations at which no command
    may be enabled for a while (a wait for a process that runs).  ``source`` cites the original.

    ``starts`` says how a process object comes about (``start``, ``find``, ``find-missing``,
    ``literal``, …), each with the initial values that differ.  On this platform a start may also
    make an object that works as on another one (``elsewhere``), or be refused with an outcome
    (``refuses``).
    """

    id: str
    platform: str
    title: str
    source: str
    shared: tuple[Variable, ...]
    local: tuple[Variable, ...]
    methods: Mapping[str, str]
    commands: tuple[Command, ...]
    kernel: tuple[Command, ...] = ()
    laws: tuple[Law, ...] = ()
    holding: frozenset[str] = frozenset()
    blocking: frozenset[str] = frozenset()
    faults: tuple[str, ...] = field(default=())
    starts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    refuses: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from lastref.model.wellformed import check_types  # it knows the classes of this file

        check_types(self)
        _check(self)

    @cached_property
    def locations(self) -> tuple[str, ...]:
        """Every location of a thread, in the order of the table, then the resting ones."""
        seen = dict.fromkeys(c.at for c in self.commands if c.at is not None)
        return (*seen, *RESTING)

    @cached_property
    def by_name(self) -> Mapping[str, Command]:
        """Every command, of threads and kernel, by its name."""
        return {c.name: c for c in (*self.commands, *self.kernel)}

    @cached_property
    def leaving(self) -> Mapping[str, tuple[Command, ...]]:
        """The commands that leave each location."""
        return {at: tuple(c for c in self.commands if c.at == at) for at in self.locations}

    @cached_property
    def variables(self) -> Mapping[str, Variable]:
        """Every variable by its name."""
        return {v.name: v for v in (*self.shared, *self.local)}

    def law(self, law_id: str) -> Law:
        """Return the law ``law_id``; raise :class:`KeyError` if the design does not state it."""
        return next(law for law in self.laws if law.id == law_id)


def _check(table: Table) -> None:
    where = f"design {table.id}"
    _unique([v.name for v in (*table.shared, *table.local)], where, "variable")
    _unique([c.name for c in (*table.commands, *table.kernel)], where, "command")
    _unique([law.id for law in table.laws], where, "law")
    starts = {c.at for c in table.commands}
    known = {v.name: v.width for v in (*table.shared, *table.local)}
    laws = {law.id for law in table.laws}
    for c in (*table.commands, *table.kernel):
        place = f"command '{c.name}' of {where}"
        unknown = (c.reads | c.writes) - known.keys()
        if unknown:
            raise DesignError(
                f"{place} uses {', '.join(sorted(unknown))}",
                "no variable of the table has that name",
                "declare it with shared() or local() and list it in the table",
            )
        own = {v.name for v in table.local} & (c.reads | c.writes)
        if c.at is None and own:
            raise DesignError(
                f"{place} uses {', '.join(sorted(own))}",
                "the kernel has none of the threads' own variables",
                "let it use shared ones",
            )
        for name, value in c.update:
            if value.width != known[name]:
                raise DesignError(
                    f"{place} sets {name} to a value of {value.width} bits",
                    f"{name} has {known[name]}",
                    "mask or compare to the variable's width",
                )
        if c.to is not None and c.to not in RESTING and c.to not in starts:
            raise DesignError(
                f"{place} goes to '{c.to}'",
                "no command leaves that location",
                f"add one, or go to one of {', '.join(RESTING)}",
            )
        for must in c.must:
            if must.law not in laws:
                raise DesignError(
                    f"{place} refers to the law '{must.law}'",
                    "the table does not state it",
                    "add it to the table's laws",
                )
    for method, start in table.methods.items():
        if start not in starts:
            raise DesignError(
                f"method '{method}' of {where} starts at '{start}'",
                "no command leaves that location",
                "name the location of its first command",
            )
    named = {c.name for c in (*table.commands, *table.kernel)}
    told = {v.name for v in table.shared}
    allowed = told | {f"{name}'" for name in told} | {HOLDERS.name}
    for law in table.laws:
        missing = sorted((variables(law.holds) - allowed) | (law.shown_by - named))
        if missing:
            raise DesignError(
                f"law '{law.id}' of {where} uses {', '.join(missing)}",
                "the table has neither such a shared variable nor such a command",
                "correct the name, or declare it; no law speaks of a thread's own variables",
            )


def _unique(names: list[str], where: str, what: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise DesignError(
                f"{where} has the {what} '{name}' twice",
                "a name identifies it in traces and proofs",
                "rename one of them",
            )
