"""A proof: one obligation that a solver decided, with the concrete values that refute it.

``proved`` means that no values break the obligation, ``refuted`` that some do (they are given),
``unknown`` that the solver gave up.  Every prover of this package returns these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter

import z3

from lastref.model.smt import Term, concrete

PROVED, REFUTED, UNKNOWN = "proved", "refuted", "unknown"
ANY = "any"
"""The ``threads`` of a proof that holds for however many there are."""


@dataclass(frozen=True)
class Proof:
    """What came of one obligation.

    ``command`` is the command or the location that it is about, empty for a whole design.
    ``premise`` is what the proof assumes about the environment, in words, empty for nothing.
    ``threads`` is a number, ``"any"``, or ``None`` where threads do not matter.  ``cases`` counts
    the values tried where the obligation was not decided by the solver but evaluated.
    """

    id: str
    design: str
    platform: str
    law: str
    command: str
    verdict: str
    seconds: float
    counterexample: dict[str, int] | None = None
    premise: str = ""
    threads: int | str | None = None
    cases: int = 0

    @property
    def holds(self) -> bool:
        """Whether the obligation was proved."""
        return self.verdict == PROVED


EFFORT = 100_000_000
"""How much z3 may do for one claim, in its own units: about half a minute of a quiet processor.

Not seconds, for a busy machine must not change what is proved.
"""


class Decider:
    """Decides claims about one design with one incremental solver.

    A claim that takes more than ``effort`` is unknown.
    """

    def __init__(
        self,
        design: str,
        platform: str,
        *,
        threads: int | str | None = None,
        effort: int = EFFORT,
    ) -> None:
        self.design, self.platform, self.threads = design, platform, threads
        self._solver = z3.SimpleSolver()
        self._solver.set("rlimit", effort)

    def assume(self, *terms: Term) -> None:
        """Take ``terms`` as given in every later claim."""
        self._solver.add(*terms)

    def decide(
        self,
        law: str,
        command: str,
        claim: Term,
        values: Mapping[str, Term],
        *,
        given: Iterable[Term] = (),
        premise: str = "",
    ) -> Proof:
        """Decide whether ``given`` imply ``claim``; a refutation tells what ``values`` are then."""
        started = perf_counter()
        solver = self._solver
        solver.push()
        solver.add(*given, z3.Not(claim))
        answer = solver.check()
        found = None
        if answer == z3.sat:
            model = solver.model()
            found = {name: concrete(model, term) for name, term in values.items()}
        solver.pop()
        verdict = PROVED if answer == z3.unsat else REFUTED if answer == z3.sat else UNKNOWN
        seconds = perf_counter() - started
        return self.result(law, command, verdict, seconds, found, premise=premise)

    def possible(
        self, law: str, command: str, given: Iterable[Term], values: Mapping[str, Term]
    ) -> Proof:
        """Decide whether ``given`` can be true at all, so that what it implies is not vacuous.

        Refuted means that it cannot; there are no values to show then.
        """
        proof = self.decide(law, command, z3.BoolVal(False), values, given=given)
        turned = {PROVED: REFUTED, REFUTED: PROVED}.get(proof.verdict, UNKNOWN)
        return self.result(law, command, turned, proof.seconds)

    def result(
        self,
        law: str,
        command: str,
        verdict: str,
        seconds: float,
        counterexample: dict[str, int] | None = None,
        *,
        premise: str = "",
        cases: int = 0,
    ) -> Proof:
        """Return the proof record for an obligation that was decided in ``seconds``."""
        parts = [self.design, self.platform, law, command]
        return Proof(
            id=".".join(p for p in parts if p),
            design=self.design,
            platform=self.platform,
            law=law,
            command=command,
            verdict=verdict,
            seconds=seconds,
            counterexample=counterexample,
            premise=premise,
            threads=self.threads,
            cases=cases,
        )


def verdict_of(proofs: Iterable[Proof]) -> str:
    """Return ``refuted`` if one is; ``unknown`` if one is or there are none; else ``proved``."""
    verdicts = {p.verdict for p in proofs}
    if REFUTED in verdicts:
        return REFUTED
    return PROVED if verdicts == {PROVED} else UNKNOWN


Progress = Callable[[Proof], None]
"""Called with every proof as it is made."""
