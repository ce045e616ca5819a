"""The bit-level proofs: every command of a table, over every word and every loaded value.

z3 decides, with nothing bounded and nothing abstracted:

    disjoint        no two commands of a location are enabled at once: the code does not choose
    exhaustive      some command is enabled, except where a thread may have to wait
    possible        every command is enabled in some state, so the rest is not vacuous
    as-specified    a command does what its case of the specification says, and happens only then
    covered         whenever a case of the specification says so, a command does it
    panics-exactly  the same two, for the commands that panic
    keeps-<law>     a step from a legal word leads to a legal one, and the status never changes
    agrees          z3's terms and the explorer's Python compute the same

A location that swaps a loaded value is judged for every value that some command could have loaded
on the way there, from any legal word, however stale.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter

import z3

from lastref.model.algebra import BOOL, Expr, key, python_source, variables, walk
from lastref.model.kernel import NO_UNOPENED, UNOPENED, handle
from lastref.model.proof import PROVED, REFUTED, Decider, Progress, Proof
from lastref.model.smt import (
    Term,
    Terms,
    concrete,
    constant,
    declare,
    domain,
    expression_of,
    number,
    translate,
    updated,
)
from lastref.model.specification import Case, Specification
from lastref.model.table import PANICKED, Command, Table
from lastref.model.word_spec import SPECIFICATIONS

KERNEL_CHOOSES = frozenset({"wait4"})
"""System calls for which the kernel may choose: wait4(-1) reaps whichever child it likes."""
WORD_WIDTH = 32
"""A shared variable of so many bits or more is a word of the design, not a state of the kernel."""


class Prover:
    """The obligations of one table, and the solver that decides them."""

    def __init__(self, table: Table, specification: Specification | None = None) -> None:
        self.table = table
        self.variables = (*table.shared, *table.local)
        self.before = declare(self.variables)
        self.specification = specification
        self.decider = Decider(table.id, table.platform)
        self.decider.assume(*self.domain(self.before))
        self._guards = {
            c.name: translate(c.guard, self.before) for c in (*table.commands, *table.kernel)
        }
        words = {v.name for v in table.shared if v.width >= WORD_WIDTH}
        self._legal = [x for x in table.laws if x.kind == "always" and variables(x.holds) <= words]
        primed = words | {f"{w}'" for w in words}
        self._step = [x for x in table.laws if x.kind == "step" and variables(x.holds) <= primed]
        self._words = words

    def run(self) -> Iterator[Proof]:
        """Decide every obligation, one after another."""
        for at, commands in self.table.leaving.items():
            if commands:
                yield from self.determined(at, commands)
        for c in self.table.commands:
            given = [self._guards[c.name], *self.loaded(c)]
            yield self.decider.possible("possible", c.name, given, self.before)
            if c.writes & self._words:
                yield from self.keeps_laws(c)
        if self.specification is not None:
            yield from self.specified(self.specification)
        yield from agreement(self.table, self.decider)

    def domain(self, names: Terms) -> list[Term]:
        """Return the values that the variables can have at all.

        A number that was never opened here is met only by designs that say what becomes of it.
        """
        bounds = domain(self.variables, names)
        if handle.name in names and all(law.id != NO_UNOPENED for law in self.table.laws):
            bounds.append(names[handle.name] != UNOPENED)
        return bounds

    def determined(self, at: str, commands: Sequence[Command]) -> Iterator[Proof]:
        """The guards of a location exclude each other and leave nothing out."""
        guards = [self._guards[c.name] for c in commands]
        if not any(c.op in KERNEL_CHOOSES for c in commands):
            pairs = [z3.And(a, b) for a, b in itertools.combinations(guards, 2)]
            none = z3.Not(z3.Or(*pairs)) if pairs else z3.BoolVal(True)
            yield self.decider.decide("disjoint", at, none, self.before)
        if at not in self.table.blocking:
            yield self.decider.decide("exhaustive", at, z3.Or(*guards), self.before)

    def keeps_laws(self, c: Command) -> Iterator[Proof]:
        """A command that writes the word keeps the laws that speak of the word alone."""
        after = updated(c.update, self.before)
        given = [
            self._guards[c.name],
            *(translate(law.holds, self.before) for law in self._legal),
            *self.loaded(c),
        ]
        both = {**self.before, **{f"{n}'": t for n, t in after.items()}}
        shown = self.shown(after)
        for law in self._legal:
            claim = translate(law.holds, after)
            yield self.decider.decide(f"keeps-{law.id}", c.name, claim, shown, given=given)
        for law in self._step:
            claim = translate(law.holds, both)
            yield self.decider.decide(f"keeps-{law.id}", c.name, claim, shown, given=given)

    def loaded(self, c: Command) -> list[Term]:
        """Return what is known of the locals that ``c`` reads: a command on the way set them so."""
        names = [v.name for v in self.table.local if v.name in c.reads]
        if not names or c.at is None:
            return []
        ways = []
        for i, entering in enumerate(e for e in self.table.commands if e.to == c.at):
            then = declare(self.variables, f"^{i}")
            values = updated(entering.update, then)
            ways.append(
                z3.And(
                    translate(entering.guard, then),
                    *(translate(law.holds, then) for law in self._legal),
                    *self.domain(then),
                    *(self.before[n] == values[n] for n in names),
                )
            )
        if c.at in self.table.methods.values():
            ways.append(z3.And(*(self.before[n] == 0 for n in names)))
        return [z3.Or(*ways)]

    def shown(self, after: Terms) -> Terms:
        """Return the terms that a counterexample tells: all before, and what changed after."""
        changed = {f"{n}'": t for n, t in after.items() if t is not self.before[n]}
        return {**self.before, **changed}

    def specified(self, specification: Specification) -> Iterator[Proof]:
        """The commands and the cases of the specification are the same, in both directions."""
        for at in dict.fromkeys((*specification.cases, *self.table.leaving)):
            commands = self.table.leaving.get(at, ())
            yield from self.same_as(at, commands, specification.cases.get(at, ()))
        kernel = {c.name: c for c in self.table.kernel}
        for name in dict.fromkeys((*specification.kernel, *kernel)):
            commands = (kernel[name],) if name in kernel else ()
            yield from self.same_as(name, commands, specification.kernel.get(name, ()))
        for fact in specification.facts:
            yield self.holds_fact(fact.law, self.table.by_name.get(fact.command), fact.claim)

    def same_as(
        self, at: str, commands: Sequence[Command], cases: Sequence[Case]
    ) -> Iterator[Proof]:
        """The ``commands`` of a location do what its ``cases`` say, and all of it."""
        for c in commands:
            yield self.does_as_specified(c, [x for x in cases if matches(x, c)])
        for i, x in enumerate(cases):
            yield self.is_covered(f"{at}#{i}", x, [c for c in commands if matches(x, c)])

    def does_as_specified(self, c: Command, cases: Sequence[Case]) -> Proof:
        """Wherever the command is enabled, one of ``cases`` allows exactly this."""
        after = updated(c.update, self.before)
        allowed = [
            z3.And(
                x.when(self.before),
                z3.Implies(x.limit(self.before), x.then(self.before, after)),
                *(
                    after[n] == self.before[n]
                    for n in self.before
                    if n not in x.writes and after[n] is not self.before[n]
                ),
            )
            for x in cases
        ]
        law = "panics-exactly" if c.to == PANICKED else "as-specified"
        return self.decider.decide(
            law,
            c.name,
            z3.Or(*allowed),
            self.shown(after),
            given=[self._guards[c.name], *self.loaded(c)],
            premise="; ".join(dict.fromkeys(x.limit_text for x in cases if x.limit_text)),
        )

    def is_covered(self, name: str, case: Case, commands: Sequence[Command]) -> Proof:
        """Wherever the case says so, one of ``commands`` is enabled."""
        law = "panics-exactly" if case.to == PANICKED else "covered"
        enabled = z3.Or(*(self._guards[c.name] for c in commands))
        given = [case.when(self.before)]
        return self.decider.decide(law, name, enabled, self.before, given=given)

    def holds_fact(
        self, law: str, c: Command | None, claim: Callable[[Terms, Terms], Term]
    ) -> Proof:
        """The claim about a command holds; a command that is missing refutes it."""
        if c is None:
            return self.decider.result(law, "", REFUTED, 0.0)
        after = updated(c.update, self.before)
        given = [self._guards[c.name], *self.loaded(c)]
        return self.decider.decide(
            law, c.name, claim(self.before, after), self.shown(after), given=given
        )


def matches(case: Case, c: Command) -> bool:
    """Return whether the command and the case do the same call, go the same way, say the same."""
    return (case.op, case.to, case.outcome) == (c.op, c.to, c.outcome)


def agreement(table: Table, decider: Decider, *, samples: int = 24) -> Iterator[Proof]:
    """z3 and Python compute the same for every guard, update, obligation and law.

    Each expression is translated, read back and compared as a tree; then both evaluate it at the
    boundary values of its variables and at ``samples`` random ones.
    """
    seen: set[object] = set()
    owners: list[tuple[str, list[Expr]]] = [
        (c.name, [c.guard, *(e for _, e in c.update), *(m.holds for m in c.must)])
        for c in (*table.commands, *table.kernel)
    ]
    owners += [(law.id, [law.holds]) for law in table.laws]
    for owner, expressions in owners:
        new = [e for e in expressions if e.op != "const" and key(e) not in seen]
        seen |= {key(e) for e in new}
        if new:
            yield _agree(owner, new, decider, samples)


def _agree(owner: str, expressions: Sequence[Expr], decider: Decider, samples: int) -> Proof:
    started, cases = perf_counter(), 0
    for expr in expressions:
        names = sorted({(e.name, e.width) for e in walk(expr) if e.op == "var"})
        terms = {name: constant(name, width) for name, width in names}
        term = translate(expr, terms)
        python = _compiled(expr, [name for name, _ in names])
        differs: dict[str, int] | None = None if _reads_back(term, expr) else {}
        for values in _samples(expr, names, samples, random.Random(owner)):
            cases += 1
            if _evaluated(term, terms, names, values) != int(python(*values)):
                differs = {name: int(v) for (name, _), v in zip(names, values, strict=True)}
                break
        if differs is not None:
            seconds = perf_counter() - started
            return decider.result("agrees", owner, REFUTED, seconds, differs, cases=cases)
    return decider.result("agrees", owner, PROVED, perf_counter() - started, cases=cases)


def _reads_back(term: Term, expr: Expr) -> bool:
    try:
        return shape(expression_of(term)) == shape(expr)
    except KeyError:
        return False


def shape(expr: Expr) -> tuple[object, ...]:
    """Return the tree up to the order of the two sides of an equality, which z3 may exchange."""
    args = [shape(a) for a in expr.args]
    if expr.op in ("eq", "ne"):
        args.sort(key=repr)
    return (expr.op, expr.width, expr.value, expr.name, *args)


def _compiled(expr: Expr, names: Sequence[str]) -> Callable[..., int]:
    spelled = {name: f"v{i}" for i, name in enumerate(names)}
    source = f"lambda {', '.join(spelled.values())}: {python_source(expr, spelled)}"
    compiled: Callable[..., int] = eval(source)  # our own generated source
    return compiled


def _evaluated(
    term: Term, terms: Terms, names: Sequence[tuple[str, int]], values: Sequence[int]
) -> int:
    model = z3.Model()
    for (name, width), value in zip(names, values, strict=True):
        model.update_value(terms[name], number(value, width))
    return concrete(model, term)


def _samples(
    expr: Expr, names: Sequence[tuple[str, int]], count: int, chance: random.Random
) -> Iterator[tuple[int, ...]]:
    """Yield boundary values for all variables at once, each variable alone, then random ones."""
    edges = {width: _edges(expr, width) for _, width in names}
    widest = max((len(e) for e in edges.values()), default=0)
    for i in range(widest):
        yield tuple(edges[width][i % len(edges[width])] for _, width in names)
    for _ in range(count * len(names)):
        yield tuple(
            chance.choice(edges[w]) if chance.random() < 0.5 else _random(chance, w)
            for _, w in names
        )


def _edges(expr: Expr, width: int) -> list[int]:
    """Return the values of ``width`` bits at which a comparison or a carry turns over."""
    if width == BOOL:
        return [False, True]
    turns = {0, *(1 << k for k in {0, 1, 2, width // 2, width - 2, width - 1, width} if k >= 0)}
    turns |= {e.value for e in walk(expr) if e.op == "const" and e.width == width}
    top = (1 << width) - 1
    return sorted({n for t in turns for n in (t - 1, t, t + 1) if 0 <= n <= top})


def _random(chance: random.Random, width: int) -> int:
    return bool(chance.getrandbits(1)) if width == BOOL else chance.getrandbits(width)


def prove_table(table: Table, *, progress: Progress | None = None) -> tuple[Proof, ...]:
    """Decide every bit-level obligation of ``table``.

    Designs without a specification of their own get all obligations but those against one.
    """
    proofs = []
    specification = SPECIFICATIONS.get((table.id, table.platform))
    for proof in Prover(table, specification).run():
        proofs.append(proof)
        if progress is not None:
            progress(proof)
    return tuple(proofs)
