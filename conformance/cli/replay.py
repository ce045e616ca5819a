"""``lastref replay``: run one trace on the real implementation and the real kernel."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from lastref.conformance.cli.gate import replay_record
from lastref.conformance.cli.output import JsonTarget, conclude, json_option
from lastref.conformance.errors import UserError
from lastref.conformance.gate.record import read_file
from lastref.conformance.replay import Replay, replay
from lastref.conformance.results import Check, Result, Verdict
from lastref.conformance.stage import Stage
from lastref.conformance.subjects import SUBJECTS
from lastref.conformance.trace import Trace, load, parse


@click.command(
    name="replay",
    epilog="""\b
    Examples:
      lastref replay 'go-2024/linux:release:R1.R1.R1'
      lastref replay 'go-2023-pidfd/linux:kill,release:K1.K1.R1.R1.reopen.K1' --times 100
      lastref replay trace.json
      lastref replay failure.json --adapter java-process --times 100
    """,
)
@click.argument("trace", metavar="SCHEDULE|FILE")
@click.option("--times", default=1, show_default=True, type=click.IntRange(1), help="Repetitions.")
@click.option(
    "--trace",
    "written",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the trace as a JSON document.",
)
@click.option("--adapter", help="For a gate trace: the implementation, by name or command.")
@json_option
def replay_command(
    trace: str,
    times: int,
    written: Path | None,
    adapter: str | None,
    json_target: JsonTarget | None,
) -> None:
    """Replay a trace, given as a schedule string or a JSON file, and compare every step.

    A trace that breaks a law passes if the real system breaks it in the same way: then the check
    says so, and names the law.
    """
    if adapter is not None:
        replay_record(read_file(Path(trace)), adapter, times, json_target)
        return
    wanted = parse(trace) if ":" in trace else load(Path(trace))
    factory = SUBJECTS.get((wanted.design, wanted.platform))
    if factory is None:
        known = ", ".join(f"{d}/{p}" for d, p in SUBJECTS)
        raise UserError(
            f"{wanted.design}/{wanted.platform} cannot be replayed",
            "no implementation of it is here",
            f"replay one of {known}",
            3,
        )
    if written is not None:
        written.write_text(json.dumps(wanted.document(), indent=2) + "\n", encoding="utf-8")
    start = time.perf_counter()
    with Stage() as stage:
        runs = [replay(wanted, factory, stage) for _ in range(times)]
    conclude(Result("replay", (_check(wanted, runs, time.perf_counter() - start),)), json_target)


def _check(trace: Trace, runs: list[Replay], seconds: float) -> Check:
    """Return the check of one trace, replayed some times: any divergence breaks it."""
    divergence = next((r.divergence for r in runs if r.divergence is not None), None)
    hits = sum(r.hit for r in runs)
    said = f"it breaks {trace.broken}, as the model has it; " if trace.broken else ""
    said += f"{hits} of {len(runs)} hit the bystander"
    return Check(
        id=trace.schedule,
        kind="replay",
        verdict=Verdict.PASS if divergence is None else Verdict.BROKEN,
        count=len(runs),
        seconds=seconds,
        reason=said if divergence is None else str(divergence),
        design=trace.design,
        platform=trace.platform,
        extra={"breaks": trace.broken, "wrong_process": hits, "steps": runs[-1].steps},
    )
