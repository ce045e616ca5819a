"""Proves of a mutant what its change can have touched, and stops at the first refutation.

Both provers decide one obligation for a location or a command at a time.  The obligations that read
nothing which the mutant changed are word for word those of its design; so if the design is proved,
only the others are left:

    bit by bit     of the changed commands' locations, and of those that they go to (what a thread
                   may have loaded on the way there is a part of these)
    any number     of the changed commands after fusion; all, if threads can now stand elsewhere
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

from lastref.model.algebra import key
from lastref.model.counting import Move
from lastref.model.explore import DEADLOCK
from lastref.model.fuse import Fusion, fuse
from lastref.model.induct import Induction
from lastref.model.invariant import Invariant
from lastref.model.proof import REFUTED, Proof
from lastref.model.prove import WORD_WIDTH, Prover
from lastref.model.refine import prove_refinement
from lastref.model.smt import translate
from lastref.model.table import RESTING, Command, DesignError, Table
from lastref.model.word_spec import SPECIFICATIONS

NO_PROOF = "no-proof"
"""The law of a proof that cannot even be attempted."""


def first_refuted(proofs: Iterable[Proof]) -> Proof | None:
    """Return the first of ``proofs`` that is refuted; none after it is made."""
    return next((p for p in proofs if p.verdict == REFUTED), None)


def bit_level(mutant: Table, changed: Iterable[Command]) -> Iterator[Proof]:
    """Yield the bit-level obligations that ``changed`` commands, old and new, have a part in."""
    specification = SPECIFICATIONS.get((mutant.id, mutant.platform))
    prover = Prover(mutant, specification)
    words = {v.name for v in mutant.shared if v.width >= WORD_WIDTH}
    changed = tuple(changed)
    touched = dict.fromkeys([*(c.at for c in changed if c.at), *(c.to for c in changed if c.to)])
    for at in touched:
        commands = mutant.leaving.get(at, ())
        if specification is not None:
            yield from prover.same_as(at, commands, specification.cases.get(at, ()))
        if commands:
            yield from prover.determined(at, commands)
        for c in commands:
            given = [translate(c.guard, prover.before), *prover.loaded(c)]
            yield prover.decider.possible("possible", c.name, given, prover.before)
            if c.writes & words:
                yield from prover.keeps_laws(c)
    names = {c.name for c in changed}
    for fact in specification.facts if specification is not None else ():
        if fact.command in names:
            yield prover.holds_fact(fact.law, mutant.by_name.get(fact.command), fact.claim)


def whole(invariant: Invariant | None) -> bool:
    """Return whether there is an invariant, of all methods, each called as often as one likes."""
    return invariant is not None and invariant.methods is None and not invariant.once


class Unbounded:
    """The proof of a design for any number of threads, and what becomes of it under a mutation."""

    def __init__(self, table: Table, invariant: Invariant) -> None:
        self.table, self.invariant = table, invariant
        self.induction = Induction(table, invariant)
        self.fusion = self.induction.counting.fusion
        self.commands = {fused_key(c): c for c in (*self.fusion.fused.commands, *table.kernel)}
        self._rounds = _rounds(self.fusion)
        self._locations = {location for location, _ in self.induction.counting.places}

    def changed(self, mutant: Table) -> tuple[Command, ...]:
        """Return the fused commands that only the mutant has.

        Raises :class:`DesignError` if its rounds cannot be fused, or stand at places of their own.
        """
        fusion = fuse(mutant)
        if fusion.forgotten != self.fusion.forgotten:
            raise DesignError(
                "the rounds of the mutant cannot be fused",
                "a loaded value is used outside of its round",
                "prove the fine table by other means",
            )
        new = tuple(c for c in fusion.fused.commands if fused_key(c) not in self.commands)
        known = {*self._locations, *RESTING}
        strange = next((x for c in new for x in (c.at, c.to) if x not in known), None)
        if strange is not None:
            raise DesignError(
                f"the mutant has threads at {strange}",
                "the invariant does not speak of them",
                "find another invariant",
            )
        return new

    def moves(self, c: Command) -> Iterator[Move]:
        """Yield ``c`` from every place at its location."""
        counting = self.induction.counting
        return (counting.move(c, p) for p in counting.places if p[0] == c.at)

    def rounds(self, mutant: Table) -> Iterator[Proof]:
        """Yield the lemma that the rounds of ``mutant`` may be fused, unless they are as before."""
        if _rounds(fuse(mutant)) != self._rounds:
            yield from prove_refinement(mutant)

    def prove(self, mutant: Table) -> Iterator[Proof]:
        """Yield the obligations that the mutation has a part in.

        One whose rounds cannot be fused has no such proof: what is missing is called refuted.
        """
        try:
            new = self.changed(mutant)
        except DesignError as error:
            yield self.induction.decider.result(NO_PROOF, str(error), REFUTED, 0.0)
            return
        part = copy.copy(self.induction)
        part.moves = tuple(m for c in new for m in self.moves(c))
        for move in part.moves:
            yield part.consecution(move)
        for law in self.table.laws:
            if law.id in self.invariant.broken:
                continue
            if law.kind == "must":
                yield from part.must(law)
            elif law.kind == "step":
                yield from part.step(law)
        yield from self.rounds(mutant)
        kept = {fused_key(c) for c in fuse(mutant).fused.commands} | {
            fused_key(c) for c in mutant.kernel
        }
        part.moves += tuple(m for m in self.induction.moves if fused_key(m.command) in kept)
        if DEADLOCK not in self.invariant.broken:
            yield from part.nobody_is_stuck()


def fused_key(c: Command) -> tuple[object, ...]:
    """Return what a command is, name and obligations included."""
    update = tuple((name, key(value)) for name, value in c.update)
    must = tuple((m.law, key(m.holds)) for m in c.must)
    return (c.name, c.op, c.at, c.to, c.outcome, key(c.guard), update, must)


def _rounds(fusion: Fusion) -> set[tuple[object, ...]]:
    return {(fused_key(r.load), fused_key(r.exchange)) for r in fusion.rounds}
