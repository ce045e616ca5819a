"""``lastref replay``: run one trace on the real implementation and the real kernel."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from lastref.conformance.cli import completing
from lastref.conformance.cli.gate import replay_record
from lastref.conformance.cli.output import (
    JsonTarget,
    conclude,
    console_for,
    json_option,
    progress,
    standard_output,
)
from lastref.conformance.errors import UserError
from lastref.conformance.gate.record import read_file
from lastref.conformance.named_cases import named_cases
from lastref.conformance.replay import Replay, replay
from lastref.conformance.replays import replay_inside
from lastref.conformance.replays_windows import replay_on_windows
from lastref.conformance.results import Check, Result, Verdict
from lastref.conformance.sandbox import Sandbox, unavailable
from lastref.conformance.stage import Stage
from lastref.conformance.subjects import SUBJECTS
from lastref.conformance.subjects_windows import WINDOWS_SUBJECTS
from lastref.conformance.trace import Trace, load, parse

PORTION = 25
"""So many replays go to the sandbox at once; then the progress is told."""


@click.command(
    name="replay",
    epilog="""\b
    Examples:
      lastref replay 'go-2024/linux:release:R1.R1.R1'
      lastref replay 'go-2023-pidfd/linux:kill,release:K1.K1.R1.R1.reopen.K1' --times 100
      lastref replay go-67641 --times 100
      lastref replay trace.json
      lastref replay failure.json --adapter java-process --times 100
    """,
)
@click.argument("trace", metavar="SCHEDULE|CASE|FILE", shell_complete=completing.cases)
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
    """Replay a trace, and compare every step.

    It is given as a schedule string, as the id of a named case, or as a JSON file. A trace that
    breaks a law passes if the real system breaks it in the same way: then the check says so, names
    the law, and shows what became of the process and the bystander. It runs in a PID namespace of
    its own where the system allows one; a design that gives pids to the kernel runs nowhere else.
    A trace of Windows runs on Windows, or under Wine: .ci/windows-lane lastref replay TRACE.
    """
    if adapter is not None:
        replay_record(read_file(Path(trace)), adapter, times, json_target)
        return
    wanted = _trace(trace)
    if (wanted.design, wanted.platform) not in {*SUBJECTS, *WINDOWS_SUBJECTS}:
        known = ", ".join(f"{d}/{p}" for d, p in (*SUBJECTS, *WINDOWS_SUBJECTS))
        raise UserError(
            f"{wanted.design}/{wanted.platform} cannot be replayed",
            "no implementation of it is here",
            f"replay one of {known}",
            3,
        )
    if written is not None:
        written.write_text(json.dumps(wanted.document(), indent=2) + "\n", encoding="utf-8")
    start = time.perf_counter()
    with progress("replay", total=times) as advance:
        runs = _replayed(wanted, times, advance)
    console = console_for(json_target)
    with standard_output():
        for line in _before_and_after(runs[0]):
            console.print(line, highlight=False)
    conclude(Result("replay", (_check(wanted, runs, time.perf_counter() - start),)), json_target)


def _trace(given: str) -> Trace:
    """Return the trace of a schedule string, of a named case, or in a file."""
    if ":" in given:
        return parse(given)
    case = named_cases().get(given)
    return load(Path(given)) if case is None else case.trace()


def _replayed(trace: Trace, times: int, advance: Callable[[int], None]) -> list[Replay]:
    portions = [min(PORTION, times - done) for done in range(0, times, PORTION)]
    if (trace.design, trace.platform) in WINDOWS_SUBJECTS:
        return _in_turn(portions, advance, lambda n: replay_on_windows(trace, n))
    if not hasattr(os, "pidfd_open"):
        raise UserError(
            f"{trace.design}/{trace.platform} cannot be replayed here",
            f"this is {sys.platform}, which has no pidfds",
            "run it on Linux 5.4 or later",
            3,
        )
    without = unavailable()
    if without is None:
        with Sandbox() as sandbox:
            return _in_turn(portions, advance, lambda n: replay_inside(sandbox, trace, n))
    if "pid" in trace.start:
        raise UserError(
            f"{trace.design}/{trace.platform} is not replayed here",
            f"it gives pids to the kernel, and there is no PID namespace of our own: {without}",
            "run it as root, or where user namespaces are allowed",
            3,
        )
    factory = SUBJECTS[trace.design, trace.platform]
    with Stage() as stage:
        return _in_turn([1] * times, advance, lambda _: [replay(trace, factory, stage)])


def _in_turn(
    portions: list[int], advance: Callable[[int], None], some: Callable[[int], list[Replay]]
) -> list[Replay]:
    """Replay a portion at a time, and tell of each when it is done."""
    runs: list[Replay] = []
    for portion in portions:
        runs += some(portion)
        advance(portion)
    return runs


def _before_and_after(run: Replay) -> Iterator[str]:
    """Yield what was seen of our process, its numbers and the bystanders, first and last."""
    first, last = run.log[0].seen, {**run.log[0].seen, **run.log[-1].seen}
    for name, text in _SEEN.items():
        if name in first:
            change = "" if first[name] == last[name] else f" → {last[name]}"
            yield f"{text:<34} {first[name]}{change}"
    for thread, returned in run.outcomes.items():
        yield f"{thread + ' returned':<34} {', '.join(returned) or 'nothing: it never does'}"


_SEEN = {
    "exited": "our process has ended",
    "reaped": "our process was reaped",
    "handle": "the handle's number is",
    "pid_owner": "our process's number is",
    "bystander": "the bystander, a child of ours, is",
    "stranger": "a stranger's process is",
}
"""The variables that tell the processes and their numbers, in words."""


def _check(trace: Trace, runs: list[Replay], seconds: float) -> Check:
    """Return the check of one trace, replayed some times: any divergence breaks it."""
    divergence = next((r.divergence for r in runs if r.divergence is not None), None)
    hits = sum(r.hit for r in runs)
    said = f"it breaks {trace.broken}, as the model has it; " if trace.broken else ""
    said += f"{hits} of {len(runs)} hit a process that nobody named"
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
