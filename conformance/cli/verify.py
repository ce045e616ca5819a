"""``lastref verify``: the main job."""

from __future__ import annotations

import os
import shlex
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import click
from rich.console import Console

from lastref.conformance.against_laws import law_tasks
from lastref.conformance.cli import completing
from lastref.conformance.cli.explore import print_counterexample
from lastref.conformance.cli.output import (
    JsonTarget,
    conclude,
    console_for,
    json_option,
    progress,
)
from lastref.conformance.cli.report import html_option, write_html
from lastref.conformance.computing import Computing
from lastref.conformance.doctor import PROBES, Capability
from lastref.conformance.errors import UserError
from lastref.conformance.faults import fault_tasks
from lastref.conformance.kernel_facts_windows import windows_kernel_tasks
from lastref.conformance.kernel_tasks import kernel_tasks
from lastref.conformance.lanes import Lanes
from lastref.conformance.lanes_windows import WindowsLanes
from lastref.conformance.own_design import load
from lastref.conformance.replays import Campaign
from lastref.conformance.replays_windows import windows_tasks
from lastref.conformance.results import Check, Result, Verdict
from lastref.conformance.trace import record
from lastref.conformance.verify import (
    SHORT,
    Finding,
    Task,
    all_model_tasks,
    campaigns,
    check,
    own_exploration,
    own_proof,
    per_design,
    planned,
    replay_task,
    sequences_task,
    vacuity,
    without_find,
)
from lastref.model.designs import named
from lastref.model.explore import Counterexample
from lastref.model.outcomes import LONGEST
from lastref.model.system import System, scenario

Which = frozenset[tuple[str, str]]
"""The designs and platforms that are asked about."""

REQUIRED_FOR_REPLAY = ("pidfd-open", "pidfd-send-signal", "waitid-pidfd")


@click.command(
    epilog="""\b
    Examples:
      lastref verify                      prove, explore, replay every inequivalent interleaving
      lastref verify --quick              replay runs that take every transition
      lastref verify go-2024              this design alone, and the kernel that it relies on
      lastref verify --json result.json   the table, and the result in a file
      lastref verify --html site          and as a page, site/index.html
      lastref verify --design mine.py     a design of your own: proved, explored, drawn
    """
)
@click.argument(
    "chosen",
    metavar="[DESIGN[/PLATFORM]|all]",
    default="all",
    shell_complete=completing.designs,
)
@click.option("--quick", is_flag=True, help="Replay runs that take every transition.")
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1),
    default=os.cpu_count() or 1,
    show_default=True,
    help="How many processes compute, and sandboxes replay, side by side.",
)
@click.option(
    "--design",
    metavar="FILE.py",
    type=click.Path(path_type=Path),
    help="Verify the TABLE in a Python file, in the model alone, instead of what ships.",
)
@html_option
@json_option
def verify(
    chosen: str,
    quick: bool,
    jobs: int,
    design: Path | None,
    html: Path | None,
    json_target: JsonTarget | None,
) -> None:
    """Prove the designs, explore them, and replay their interleavings on real processes.

    Of two that differ only in which of two equal threads is which it takes one. Where some calls
    leave more than 480,000 (of a faulty design 250,000) it takes the fused ones (a load and its
    compare-and-swap as one step) and every transition of the fine steps, and says how many fine
    ones there are.

    Beside that, what the model assumes of the kernel is checked on this one, and every design is
    put under real faults (refused system calls, limits, interrupts, other reapers).

    Exits with 0 if every law holds, 1 if one is broken, 2 if the run is incomplete, 3 if the
    machine cannot; whatever is skipped is listed with its reason.
    """
    if design is not None:
        if chosen != "all":
            raise UserError(
                f"'{chosen}' and a file are both to be verified",
                "the file is verified instead of what ships",
                "name one of the two",
            )
        checks = _of_your_own(design, console_for(json_target))
    else:
        which = frozenset((table.id, table.platform) for table in named(chosen))
        checks = [
            *_in_the_model(which, jobs),
            *_on_the_kernel(which),
            *_for_real(which, quick, jobs),
            *_on_windows(which, quick, jobs),
        ]
    extra = {"designs": per_design(checks)} if design is None else {}
    result = Result("verify", tuple(checks), extra)
    write_html(result, html)
    conclude(result, json_target, joined=design is None)


def _of_your_own(path: Path, console: Console) -> list[Check]:
    """Prove and explore the table in ``path``, and draw the shortest run that breaks a law."""
    table, mixes = load(path)
    checks = [own_proof(table).run(lambda _: None)]
    shortest: tuple[System, Counterexample] | None = None
    with progress(f"explore {table.id}", total=len(mixes)) as advance:
        for mix in mixes:
            system = System(table, scenario(*mix))
            made, broken = own_exploration(system, ",".join(mix))
            checks.append(_drawn(made, system, broken, path))
            if broken and (shortest is None or len(broken.steps) < len(shortest[1].steps)):
                shortest = (system, broken)
            advance(1)
    checks.append(vacuity(table, checks))
    if shortest is not None:
        print_counterexample(*shortest, console)
    return checks


def _drawn(made: Check, system: System, broken: Counterexample | None, path: Path) -> Check:
    """Return the check with its counterexample's states, and the command that shows it again.

    A schedule string is enough for what ships; a table in somebody's file only that file has.
    """
    if broken is None or any(step.command is None for step in broken.steps):
        return made
    trace = record(system, broken.steps).document()
    again = f"lastref verify --design {shlex.quote(str(path))}"
    return replace(made, extra={**made.extra, "trace": trace, "replay": again})


@cache
def _model_tasks() -> dict[str, Task]:
    return {task.name: task for task in (*all_model_tasks(), *law_tasks())}


def _model_check(name: str) -> Check:
    return _model_tasks()[name].run(lambda _: None)


def _in_the_model(which: Which, jobs: int) -> list[Check]:
    todo = [n for n, task in _model_tasks().items() if (task.design, task.platform) in which]
    checks = []
    with Computing(jobs) as computing, progress("prove and explore", total=len(todo)) as advance:
        for made in computing.map(_model_check, todo):
            checks.append(made)
            advance(1)
    return checks


def _on_the_kernel(which: Which) -> list[Check]:
    """Check what the model assumes of the kernel, and the designs under real faults."""
    if sys.platform == "win32":
        todo = list(windows_kernel_tasks())
    elif sys.platform == "linux":
        faults = (t for t in fault_tasks() if (t.design, t.platform) in which)
        todo = [*kernel_tasks(), *faults]
    else:
        return []
    with progress("kernel and faults", total=len(todo)) as advance:
        checks = []
        for task in todo:
            checks.append(task.run())
            advance(1)
    return checks


def _for_real(which: Which, quick: bool, jobs: int) -> list[Check]:
    """Replay on this machine what it can replay, and say of the rest why not."""
    wanted = [c for c in campaigns(quick=quick) if (c.design, c.platform) in which]
    absent = [c for c in without_find() if (c.design, c.platform) in which]
    if not wanted:
        return absent
    lacking = next((c for c in _capabilities() if not c.available), None)
    if lacking is not None:
        reason = f"{lacking.id}: {lacking.detail}; {lacking.remedy}"
        verdict = Verdict.UNABLE if lacking.required else Verdict.SKIPPED
        return _instead(wanted, verdict, reason)
    with Lanes(jobs) as lanes:
        able = [c for c in wanted if lanes.can_replay(c.design, c.platform)]
        rest = [c for c in wanted if not lanes.can_replay(c.design, c.platform)]
        skipped = _instead(rest, Verdict.SKIPPED, f"it needs a PID namespace: {lanes.without}")
        tasks: list[Task] = []
        # A sample is planned before other processes would have been started.
        with (
            Computing(1 if quick else jobs) as computing,
            progress("plan the replays", total=len(able)) as advance,
        ):
            for work in computing.map(planned, able):
                tasks.append(replay_task(work, lanes.replay))
                advance(1)
        longest = SHORT if quick else LONGEST
        for name in dict.fromkeys((c.design, c.platform) for c in able):
            tasks.append(sequences_task(*name, longest, lanes.sequences))
        with progress("replay", total=sum(t.total or 0 for t in tasks)) as advance:
            done = {c.id: c for c in lanes.run(tasks, advance)}
    return [*(done[task.name] for task in tasks), *skipped, *absent]


def _on_windows(which: Which, quick: bool, jobs: int) -> list[Check]:
    """Replay what is there for Windows, if this is Windows, and say otherwise why not."""
    with WindowsLanes(jobs) as lanes:
        tasks = windows_tasks(lanes, quick=quick, which=which)
        with progress("replay on Windows", total=sum(t.total or 0 for t in tasks)) as advance:
            return lanes.run(tasks, advance)


def _capabilities() -> list[Capability]:
    return [p.run() for p in PROBES if p.id in REQUIRED_FOR_REPLAY]


def _instead(wanted: list[Campaign], verdict: Verdict, reason: str) -> list[Check]:
    """Return checks that say why nothing was replayed."""
    now, finding = time.perf_counter(), Finding(verdict, 0, reason)
    return [check(c.name, "replay", c.design, c.platform, finding, now) for c in wanted]
