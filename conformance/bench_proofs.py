"""What the proofs take, and the model part of `lastref verify`: rows of `lastref bench` of our own.

    induction   the laws of a design for any number of threads, from its table to the verdict
    spacer      the invariant of go-2024 found without hints and checked again, or the run of 2023
    verify      all that `lastref verify` does in the model, for all designs

No other program answers these questions, so there is nobody to be faster than.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lastref.conformance.against_laws import law_tasks
from lastref.conformance.results import Verdict
from lastref.conformance.verify import all_model_tasks
from lastref.model import fresh
from lastref.model.designs import get
from lastref.model.induct import prove_any
from lastref.model.proof import PROVED, REFUTED

Outcome = tuple[int, tuple[str, ...], bool]
"""How many cases were decided, which laws are broken, and whether all were decided."""


def induction(design: str, platform: str) -> Outcome:
    """Prove the laws of a design for any number of threads."""
    proofs = prove_any(get(design, platform))
    broken = tuple(p.id for p in proofs if p.verdict == REFUTED)
    return sum(p.cases for p in proofs), broken, all(p.holds for p in proofs)


def invariant(design: str, platform: str, seed: str) -> Outcome:
    """Have Spacer find an invariant, in this process: ask for nothing else here."""
    found = fresh.answer({"design": design, "platform": platform, "seed": int(seed)}).found
    return found.rechecked, (), found.verdict == PROVED


def counterexample(_design: str, _platform: str, case: str) -> Outcome:
    """Have Spacer find the run of a named case, and give it to threads, in this process."""
    told = fresh.answer({"case": case})
    found = told.run is not None
    return len(told.found.trace), (told.found.law,) if found else (), found


def verify() -> Outcome:
    """Do the model part of `lastref verify`, for all designs."""
    checks = [task.run(lambda _: None) for task in (*all_model_tasks(), *law_tasks())]
    broken = tuple(c.id for c in checks if c.verdict is Verdict.BROKEN)
    return sum(c.count for c in checks), broken, all(c.verdict is Verdict.PASS for c in checks)


_ENGINES: Mapping[str, Callable[..., Outcome]] = {
    "induction": induction,
    "invariant": invariant,
    "counterexample": counterexample,
    "verify": verify,
}


def answer(engine: str, about: Sequence[str]) -> Outcome:
    """Answer the question of a row; :class:`KeyError` if there is no such engine."""
    return _ENGINES[engine](*about)
