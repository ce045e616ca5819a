"""``lastref prove``: the laws of a design for any number of threads, by induction."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import click

from lastref.conformance.cli import completing
from lastref.conformance.cli.output import JsonTarget, conclude, json_option, progress
from lastref.conformance.mutants import tables
from lastref.conformance.results import Check, Result, Verdict
from lastref.model.induct import prove_any
from lastref.model.proof import ANY, PROVED, REFUTED, Proof
from lastref.model.prove import prove_table
from lastref.model.table import Table


@click.command(
    epilog="""\b
    Examples:
      lastref prove                    go-2024 on Linux
      lastref prove go-2025/windows    another design, on another platform
      lastref prove all --json         every design on every platform, for a program
    """
)
@click.argument(
    "design",
    metavar="[DESIGN[/PLATFORM]|all]",
    default="go-2024",
    shell_complete=completing.designs,
)
@json_option
def prove(design: str, json_target: JsonTarget | None) -> None:
    """Prove the laws of a design with z3, bit by bit and for any number of threads.

    For each law an inductive invariant over a counter for every local state, with the word's bits
    as they are; beside it every obligation of every command over all words. What a proof assumes
    (holders below the limit of the count) is its remark. A faulty design is proved in the laws that
    it does keep.
    """
    chosen = tables(design)
    checks: list[Check] = []
    with progress("prove", total=len(chosen)) as advance:
        for table in chosen:
            checks += _bit_level(table)
            checks += _for_any(table)
            advance(1)
    conclude(Result("prove", tuple(checks)), json_target)


def _bit_level(table: Table) -> Iterator[Check]:
    """Yield one check of all obligations over words, with how many there are of each kind."""
    start = time.perf_counter()
    proofs = prove_table(table)
    worst = next((p for p in proofs if p.verdict == REFUTED), None)
    worst = worst or next((p for p in proofs if p.verdict != PROVED), None)
    yield Check(
        id=f"{table.id}/{table.platform}/bit-level",
        kind="prove",
        verdict=_verdict(worst),
        count=len(proofs),
        seconds=time.perf_counter() - start,
        reason="" if worst is None else _reason(worst),
        design=table.id,
        platform=table.platform,
        extra={"law": None, "threads": None, "laws": dict(Counter(p.law for p in proofs))},
    )


def _for_any(table: Table) -> Iterator[Check]:
    """Yield a check for every law that is proved for any number of threads."""
    for proof in prove_any(table):
        yield Check(
            id=f"{table.id}/{table.platform}/{proof.law}",
            kind="prove",
            verdict=_verdict(None if proof.verdict == PROVED else proof),
            count=1,
            seconds=proof.seconds,
            reason=proof.premise if proof.verdict == PROVED else _reason(proof),
            design=table.id,
            platform=table.platform,
            extra={"law": proof.law, "threads": proof.threads or ANY},
        )


def _verdict(failed: Proof | None) -> Verdict:
    if failed is None:
        return Verdict.PASS
    return Verdict.BROKEN if failed.verdict == REFUTED else Verdict.INCOMPLETE


def _reason(proof: Proof) -> str:
    values = ", ".join(f"{k}={v:#x}" for k, v in (proof.counterexample or {}).items())
    return f"{proof.id} is {proof.verdict}" + (f" by {values}" if values else "")
