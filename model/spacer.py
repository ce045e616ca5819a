"""Invariants that nobody wrote down: z3's Horn-clause engine finds them, or a run to a broken law.

``find`` asks Spacer (PDR with global guidance) about the clauses of :mod:`~lastref.model.horn`.

    proved     it returns an invariant; :func:`recheck` puts that into plain queries again (it holds
               at the start, every command keeps it, it excludes every broken law), so that nothing
               rests on the engine itself
    refuted    it returns the clauses along a run; :func:`concrete` gives them to threads with names
               and walks the real table's system through them

What Spacer finds depends on what the process has asked z3 before, so the questions are put in a
process of their own, by :func:`in_fresh_process`.

Source: Komuravelli, Gurfinkel, Chaki, SMT-based model checking for recursive programs (2014);
global guidance: Vediramana Krishnan et al. (2020).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from time import process_time

import z3

from lastref.model.conserve import conserved, solved
from lastref.model.fields import FD_MUTEX, HANDLE_WORD, SAFE_HANDLE, SIGNED, Layout
from lastref.model.fuse import fuse
from lastref.model.horn import MERGED, SLICED, Clause, Horn
from lastref.model.proof import PROVED, REFUTED, UNKNOWN
from lastref.model.smt import Term
from lastref.model.system import KERNEL, Scenario, State, System, Thread
from lastref.model.table import Law, Table

CONSERVED = "conserved"
"""The law that the equations of :mod:`~lastref.model.conserve` are never broken."""
START = "start:"
"""What the name of a clause about a start begins with."""
LAYOUTS: dict[str, dict[int, Layout]] = {
    "go-2024": {64: HANDLE_WORD},
    "go-2025-double": {64: HANDLE_WORD, 32: SIGNED},
    "go-2025": {32: SIGNED},
    "dotnet-safehandle": {32: SAFE_HANDLE},
    "go-fdmutex": {64: FD_MUTEX},
}
"""How the words of each design are read, by width; all others are plain numbers."""


@dataclass(frozen=True)
class Found:
    """What Spacer answered, in so many ``seconds`` of the processor.

    ``invariant`` is the invariant as text, ``rechecked`` how many plain queries confirmed it, and
    ``laws`` those that it implies.
    ``trace`` are the names of the commands along a run that breaks a law from ``start``; ``law``
    is that law.
    """

    verdict: str
    crowding: str
    seed: int
    seconds: float
    invariant: str = ""
    rechecked: int = 0
    trace: tuple[str, ...] = ()
    start: Mapping[str, int] = field(default_factory=dict)
    law: str = ""
    laws: tuple[str, ...] = ()


def find(
    table: Table,
    laws: Iterable[Law] | None = None,
    *,
    crowding: str = MERGED,
    starts: Iterable[Mapping[str, int]] = (),
    keep: Iterable[str] = (),
    limit: int | None = None,
    seed: int = 0,
    timeout_ms: int = 300_000,
) -> Found:
    """Ask Spacer whether ``table`` keeps ``laws`` from ``starts`` (by default all, from all).

    ``limit`` assumes that fewer threads hold at once.
    """
    began = process_time()
    horn = Horn(
        table,
        table.laws if laws is None else laws,
        crowding=crowding,
        layouts=LAYOUTS.get(table.id),
        starts=starts,
        keep=keep,
        limit=limit,
    )
    engine = _engine(crowding, seed, timeout_ms)
    equations = conserved(horn) if crowding == MERGED else []
    lemma, derived = z3.And(*equations), solved(horn, equations)
    slots = [i for i, t in enumerate(horn.state) if derived is None or not t.eq(derived[0])]
    state = [horn.state[i] for i in slots]

    def without_derived(term: Term) -> Term:
        return term if derived is None else z3.substitute(term, derived)

    reach = z3.Function("reach", *(t.sort() for t in state), z3.BoolSort())
    broken = z3.Function("broken", z3.BoolSort())
    engine.register_relation(reach, broken)
    engine.declare_var(*state, *horn.free)
    for number, start in enumerate(horn.starts()):
        engine.rule(reach(*(start[i] for i in slots)), [], f"{START}{number}")
    asked = _with_lemma(horn, lemma) if equations else horn.clauses()
    clauses = {f"{i}": c for i, c in enumerate(asked)}
    for name, c in clauses.items():
        head = broken() if c.law else reach(*(without_derived(c.after[i]) for i in slots))
        body = without_derived(z3.And(lemma, c.body))
        engine.rule(head, [reach(*state), body], name)
    answer = _ask(engine, broken())
    seconds = process_time() - began
    if answer == z3.unsat:
        found = z3.substitute_vars(engine.get_cover_delta(-1, reach), *state)
        invariant = z3.And(lemma, found)
        rechecked = recheck(horn, invariant)
        verdict = PROVED if rechecked else UNKNOWN
        shown = tuple(law.id for law in horn.laws)
        return Found(verdict, crowding, seed, seconds, str(invariant), rechecked, laws=shown)
    if answer == z3.sat:
        return _refuted(engine, horn, clauses, Found(REFUTED, crowding, seed, seconds))
    return Found(UNKNOWN, crowding, seed, seconds)


def _with_lemma(horn: Horn, lemma: Term) -> Iterator[Clause]:
    """Yield the clauses, and for each that it must not break the lemma either."""
    for c in horn.clauses():
        if not c.law:
            after = z3.substitute(lemma, *zip(horn.state, c.after, strict=True))
            if not z3.is_true(z3.simplify(z3.Implies(lemma, after))):
                yield replace(c, body=z3.And(c.body, z3.Not(after)), after=(), law=CONSERVED)
        yield c


def _ask(engine: z3.Fixedpoint, query: Term) -> z3.CheckSatResult:
    try:
        return engine.query(query)
    except z3.Z3Exception as error:  # how the engine says that its time is up, or that it is lost
        if any(word in str(error) for word in ("canceled", "unreachable")):
            return z3.unknown
        raise


def _engine(crowding: str, seed: int, timeout_ms: int) -> z3.Fixedpoint:
    engine = z3.Fixedpoint()
    engine.set(engine="spacer")
    for option, value in (
        ("spacer.global", True),
        # Where a law is broken, the way there is found sooner by pushing on with what breaks it.
        ("spacer.push_pob", crowding != MERGED),
        ("spacer.random_seed", seed),
        ("timeout", timeout_ms),
        # Keep the clauses as they were given, so that a run names them.
        ("xform.slice", False),
        ("xform.inline_linear", False),
        ("xform.inline_eager", False),
    ):
        engine.set(option, value)
    return engine


def _refuted(
    engine: z3.Fixedpoint, horn: Horn, clauses: Mapping[str, Clause], found: Found
) -> Found:
    """Return ``found`` with the run: from a start, command by command, to the law it breaks."""
    names = [str(n) for n in reversed(engine.get_rule_names_along_trace())]
    number = next(int(n.removeprefix(START)) for n in names if n.startswith(START))
    along = [clauses[n] for n in names if n in clauses]
    commands = tuple(c.command.name for c in along if c.command is not None)
    return replace(found, start=horn.started[number], trace=commands, law=along[-1].law)


def recheck(horn: Horn, invariant: Term) -> int:
    """Return how many plain queries confirmed the invariant; 0 if one did not."""
    solver = z3.SimpleSolver()

    def follows(given: Iterable[Term], claim: Term) -> bool:
        solver.push()
        solver.add(*given, z3.Not(claim))
        answer = solver.check()
        solver.pop()
        return bool(answer == z3.unsat)

    def of(state: Iterable[Term]) -> Term:
        return z3.substitute(invariant, *zip(horn.state, state, strict=True))

    queries: list[tuple[list[Term], Term]] = [([], of(start)) for start in horn.starts()]
    for c in horn.clauses():
        queries.append(([invariant, c.body], z3.BoolVal(False) if c.law else of(c.after)))
    return len(queries) if all(follows(given, claim) for given, claim in queries) else 0


def search(
    table: Table,
    law: Law,
    start: Mapping[str, int],
    *,
    seed: int = 0,
    timeout_ms: int = 300_000,
) -> tuple[Found, Run | None]:
    """Ask Spacer for a run that breaks ``law``, at first in a state with few variables.

    A run that no threads can take tells which of the forgotten variables matter: those that the
    command looks at which cannot be taken (if they are known, those that any of its commands looks
    at) are kept, and Spacer is asked again (counterexample-guided refinement).
    """
    keep: frozenset[str] = frozenset()
    while True:
        found = find(
            table,
            [law],
            crowding=SLICED,
            starts=[start],
            keep=keep,
            seed=seed,
            timeout_ms=timeout_ms,
        )
        if found.verdict != REFUTED:
            return found, None
        walk = _Walk(table, found)
        run = walk.run()
        looked_at = [_looks_at(table, name) for name in walk.names]
        missing = looked_at[walk.stuck] - keep or frozenset[str]().union(*looked_at) - keep
        if run is not None or not missing:
            return found, run
        keep |= missing


def _looks_at(table: Table, name: str) -> frozenset[str]:
    shared = {v.name for v in table.shared}
    return table.by_name[name].reads & shared


@dataclass(frozen=True)
class Run:
    """A run of named threads on a table that ends by breaking ``law``."""

    scenario: Scenario
    schedule: tuple[tuple[str, str], ...]
    law: str


def concrete(table: Table, found: Found) -> Run | None:
    """Return the run that Spacer found, given to threads with names, or ``None`` if there is none.

    It is walked through the system that the explorer searches, command by command, so a run that
    only a crowd could take is not returned.  Steps of the kernel that Spacer did not see, because
    they change nothing that it kept, are put in where the next command needs them.
    """
    return _Walk(table, found).run()


def _threads(fused: Table, found: Found) -> Scenario:
    """Return a thread for every command of the run that begins a method."""
    begins = {at: method for method, at in fused.methods.items()}
    methods = [
        begins[c.at]
        for c in (fused.by_name[name] for name in found.trace)
        if c.at is not None and c.at in begins
    ]
    counted = Counter(m[:1].upper() for m in methods)
    threads = []
    for method in reversed(methods):
        letter = method[:1].upper()
        threads.append(Thread(f"{letter}{counted[letter]}", (method,)))
        counted[letter] -= 1
    return Scenario(tuple(reversed(threads)), dict(found.start))


UNSEEN = 3
"""How many steps of the kernel may come before one command."""


class _Walk:
    """A walk through the system of ``table`` along the commands (``names``) that Spacer found.

    After it, ``stuck`` is the number of the first command that was never taken, or the last one.
    """

    def __init__(self, table: Table, found: Found) -> None:
        fusion = fuse(table)
        halves = {r.fused.name: (r.load.name, r.exchange.name) for r in fusion.rounds if r.fused}
        self.names = [name for fused in found.trace for name in halves.get(fused, (fused,))]
        self.stuck = 0
        self._law = found.law
        self._scenario = _threads(fusion.fused, found)
        self._system = System(table, self._scenario)

    def run(self) -> Run | None:
        """Return the run if threads can take it."""
        schedule = self._from(self._system.initial, 0, UNSEEN)
        return None if schedule is None else Run(self._scenario, schedule, self._law)

    def _from(self, state: State, at: int, unseen: int) -> tuple[tuple[str, str], ...] | None:
        """Return who takes which command so that all happen and the last step breaks the law."""
        if at == len(self.names):
            return ()
        self.stuck = max(self.stuck, at)
        steps = self._system.steps(state)
        for step in (s for s in steps if s.name == self.names[at]):
            if at == len(self.names) - 1 and step.broken != self._law:
                continue
            rest = self._from(step.state, at + 1, UNSEEN)
            if rest is not None:
                return ((step.actor, step.name), *rest)
        for step in (s for s in steps if s.actor == KERNEL and unseen):
            rest = self._from(step.state, at, unseen - 1)
            if rest is not None:
                return ((step.actor, step.name), *rest)
        return None
