"""``lastref stress``: threads that nobody schedules hammer one handle."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lastref.conformance.cli.output import JsonTarget, conclude, json_option, progress
from lastref.conformance.errors import UserError
from lastref.conformance.results import Check, Result, Verdict
from lastref.conformance.stress import LAWS, SUBJECTS, Plan, Stressed, stress
from lastref.conformance.stress.history import command, document, text


@click.command(
    name="stress",
    epilog="""\b
    Examples:
      lastref stress                                  30 seconds of go-2024
      lastref stress --seconds 5 --design go-2023-pidfd   the design that signals the wrong process
      lastref stress --seed 7 --round 12              the programs of one round, again and again
    """,
)
@click.option("--design", default="go-2024", show_default=True, type=click.Choice(list(SUBJECTS)))
@click.option("--seconds", default=30.0, show_default=True, type=click.FloatRange(0, 86400))
@click.option("--threads", default=4, show_default=True, type=click.IntRange(1, 16))
@click.option("--seed", default=0, show_default=True, type=int, help="Of the threads' programs.")
@click.option("--round", "only", type=click.IntRange(0), help="Run the programs of this one only.")
@click.option(
    "--keep",
    default=Path(),
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where a broken round's history is kept (default: the current directory).",
)
@json_option
def stress_command(
    design: str,
    seconds: float,
    threads: int,
    seed: int,
    only: int | None,
    keep: Path,
    json_target: JsonTarget | None,
) -> None:
    """Hammer a design with unscheduled threads while its numbers are recycled under them.

    Every history is judged against the sequential specification; bystander and strangers must stay
    untouched, and nothing may be left behind. Stops at the first broken law and keeps the history.
    """
    plan = Plan(seconds, threads, seed, only=only)
    with progress(f"stress {design}", total=None) as advance:
        stressed = stress(plan, design, advance)
    failure = stressed.tally.failure
    if failure is not None:
        click.echo(text(failure), err=True)
        _keep(keep / f"stress-{design}-{seed}-{failure.round}.json", plan, design, stressed)
    conclude(result(plan, design, stressed), json_target)


def result(plan: Plan, design: str, stressed: Stressed) -> Result:
    """Return one check for each law; the laws that are not broken held as long as it ran."""
    tally, failure = stressed.tally, stressed.tally.failure
    checks = []
    for law in LAWS:
        count = tally.operations if law == "linearizable" else tally.rounds
        verdict, reason = Verdict.PASS, ""
        if failure is not None and failure.law == law:
            again = command(plan, design, failure)
            verdict, reason = Verdict.BROKEN, f"{failure.text}; {again}"
        elif count == 0:
            verdict, reason = Verdict.INCOMPLETE, "no round was run"
        checks.append(
            Check(f"{design}/stress/{law}", "stress", verdict, count, tally.seconds, reason, design)
        )
    checks.append(_pids(design, stressed))
    extra = {
        "seed": plan.seed,
        "threads": plan.threads,
        "rounds": tally.rounds,
        "operations": tally.operations,
        "operations_per_second": round(tally.operations / max(tally.seconds, 1e-9)),
        "fds_recycled": tally.fds_recycled,
        "pids_recycled": tally.pids_recycled,
        "outcomes": dict(sorted(tally.outcomes.items())),
    }
    return Result("stress", tuple(checks), extra)


def _pids(design: str, stressed: Stressed) -> Check:
    """Say how often a pid came back while the threads ran, or why none could."""
    name, count = f"{design}/stress/pids-recycled", stressed.tally.pids_recycled
    if stressed.without_pids is not None:
        return Check(name, "stress", Verdict.SKIPPED, 0, 0.0, stressed.without_pids, design)
    if count:
        return Check(name, "stress", Verdict.PASS, count, 0.0, "", design)
    reason = "no pid came back while the threads ran: run it longer"
    return Check(name, "stress", Verdict.INCOMPLETE, 0, 0.0, reason, design)


def _keep(path: Path, plan: Plan, design: str, stressed: Stressed) -> None:
    assert stressed.tally.failure is not None
    kept = document(plan, design, stressed.tally.failure)
    try:
        path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"cannot keep the broken round in {str(path)!r}",
            error.strerror or str(error),
            "name a directory that can be written with --keep",
        ) from error
    click.echo(f"kept in {path}", err=True)
