"""``lastref gate``: explore the orders of an unmodified implementation's system calls.

Also the part of ``lastref replay`` that replays what was found.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from lastref.conformance.adapters.registry import Known, resolve
from lastref.conformance.cli import completing
from lastref.conformance.cli.output import JsonTarget, conclude, json_option, progress
from lastref.conformance.errors import UserError
from lastref.conformance.gate.explore import Budget, Exploration
from lastref.conformance.gate.numbers import RUN, machine
from lastref.conformance.gate.record import Record, plain
from lastref.conformance.gate.run import (
    Examination,
    Examiner,
    Replays,
    find_handle,
    program,
    replay,
)
from lastref.conformance.gate.scenario import STANDARD, Scenario
from lastref.conformance.gate.testee import Program
from lastref.conformance.gated import recipes
from lastref.conformance.results import Check, Result, Verdict


@click.command(
    name="gate",
    epilog="""\b
    Examples:
      lastref gate cpython-popen                        the standard scenarios
      lastref gate java-process 'start|wait,kill'       one of your own
      lastref gate go-1.27 two-waits --refuse pidfd_open=ENOSYS
      lastref gate cpython-popen wait-kill --line subprocess:Popen.send_signal
      lastref gate './my-adapter --flag' --traces found
    """,
)
@click.argument("adapter", shell_complete=completing.adapters)
@click.argument("scenarios", metavar="[SCENARIO]...", nargs=-1)
@click.option(
    "--refuse", "refused", metavar="CALL=ERRNO", multiple=True, help="Let a system call fail."
)
@click.option(
    "--line",
    "lines",
    metavar="MODULE:FUNCTION",
    multiple=True,
    help="Of a Python program: hold it before each line of the function, too.",
)
@click.option("--hold-close", is_flag=True, help="Hold the close of the handle of a child, too.")
@click.option("--orders", default=500, show_default=True, type=click.IntRange(1), help="At most.")
@click.option(
    "--seconds",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0),
    help="At most, for each scenario.",
)
@click.option("--every", is_flag=True, help="Also follow orders that are like another.")
@click.option(
    "--traces",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write each failure, shrunk, as a file that 'lastref replay' replays.",
)
@json_option
def gate(
    adapter: str,
    scenarios: Sequence[str],
    refused: Sequence[str],
    lines: Sequence[str],
    hold_close: bool,
    orders: int,
    seconds: float,
    every: bool,
    traces: Path | None,
    json_target: JsonTarget | None,
) -> None:
    """Explore how the system calls of an implementation can be ordered, and recycle in between.

    The program runs unmodified; its calls are held and let go one by one, in every order that the
    budget allows, shortest first; of orders that are alike only one is followed. After each, every
    pid and handle number that is free is given to a process that nobody has a reason to touch.
    Exits with 1 if one was hit.
    """
    if (here := machine().name) not in RUN:
        click.echo(f"the gate has not yet been run on {here}: its numbers are untried", err=True)
    known = resolve(adapter)
    argv = known.prepare()
    handle = _handle_of(argv, refused) if hold_close else None
    chosen = {name: name for name in scenarios} or {name: name for name in STANDARD}
    checks: list[Check] = []
    with progress("gate", total=len(chosen)) as advance:
        for name in chosen:
            scenario = Scenario.parse(STANDARD.get(name, name))
            check = _explore(
                name,
                known,
                replace(program(argv, scenario, refused, lines), handle=handle),
                scenario,
                Budget(orders, seconds, every),
                traces,
                asked_for=bool(scenarios),
            )
            checks.append(check)
            advance(1)
    conclude(Result("gate", tuple(checks)), json_target)


def replay_record(record: Record, adapter: str, times: int, json_target: JsonTarget | None) -> None:
    """Replay a recorded order on an adapter; exits with 1 if the wrong process was hit again."""
    wanted = Program(tuple(resolve(adapter).prepare()))
    start = time.perf_counter()
    replays = replay(wanted, record, times)
    check = _replayed(record, adapter, replays, time.perf_counter() - start)
    conclude(Result("replay", (check,)), json_target)


def _handle_of(argv: Sequence[str], refused: Sequence[str]) -> int:
    handle = find_handle(program(argv, Scenario.parse("start|kill"), refused))
    if handle is None:
        raise UserError(
            "there is no close to hold",
            "the program holds a child by no pidfd",
            "leave --hold-close out",
        )
    return handle


def _explore(
    name: str,
    known: Known,
    wanted: Program,
    scenario: Scenario,
    budget: Budget,
    traces: Path | None,
    *,
    asked_for: bool,
) -> Check:
    start = time.perf_counter()
    with Examiner(wanted) as examiner:
        missing = scenario.needs - examiner.ready.capabilities
        if missing and not asked_for:
            reason = f"it does not declare {', '.join(sorted(missing))}"
            return Check(f"gate/{name}", "gate", Verdict.SKIPPED, 0, reason=reason)
        found = examiner.examine(scenario, budget, recipes(str(scenario)))
    wrong = [*found.records, *(found.deviations if _promised(found) else ())]
    once: dict[str | None, Record] = {}  # an order that returns wrongly may hit somebody as well
    for record in wrong:
        once.setdefault(record.wrong, record)
    written = [_write(record, name, known, traces) for record in once.values()]
    return _explored(name, found, written, time.perf_counter() - start)


def _promised(found: Examination) -> bool:
    """Return whether the implementation named the specification by which it is judged."""
    return found.ready.declared


def _write(record: Record, name: str, known: Known, traces: Path | None) -> str:
    shown = f"{record.wrong} by {'.'.join(record.schedule)}"
    if traces is None:
        return shown
    try:
        traces.mkdir(parents=True, exist_ok=True)
        file = traces / f"{plain(f'{known.name}-{name}-{record.wrong}')}.json"
        record.write(file, known.asked)
    except OSError as error:
        raise UserError(
            f"'{traces}' cannot be written", str(error), "name another folder"
        ) from None
    return f"{shown} ({file.name})"


def _explored(name: str, found: Examination, written: Sequence[str], seconds: float) -> Check:
    exploration = found.exploration
    covered = str(exploration).partition(": ")[2] + _histories(exploration)
    if written:
        verdict, reason = Verdict.BROKEN, f"{'; '.join([*written, *found.unsteady])}; {covered}"
    elif exploration.diverged or exploration.lost or not exploration.orders:
        verdict, reason = Verdict.INCOMPLETE, f"{'; '.join(_astray(exploration))}; {covered}"
    elif not exploration.longest:
        verdict = Verdict.INCOMPLETE
        reason = "no step was taken: what the set-up makes is not there; let fewer calls fail"
    else:
        verdict, reason = Verdict.PASS, covered
    return Check(
        f"gate/{name}",
        "gate",
        verdict,
        exploration.orders,
        seconds,
        reason,
        extra={
            "scenario": str(exploration.scenario),
            "implementation": found.ready.implementation,
            "complete": exploration.complete,
            "left": exploration.left,
            "alike": exploration.alike,
            "diverged": exploration.diverged,
            "lost": len(exploration.lost),
            "unsteady": list(found.unsteady),
            "gaps": exploration.gaps,
            "recycled": dict(exploration.recycled),
            "verdicts": dict(exploration.verdicts),
            "histories": len(exploration.judged),
            "deviations": {
                wrong: ".".join(schedule) for wrong, schedule in exploration.deviations.items()
            },
            "schedules": [
                ".".join(record.schedule) for record in (*found.records, *found.deviations)
            ],
        },
    )


def _astray(exploration: Exploration) -> list[str]:
    """Say of the orders that show nothing what became of them, and what would help."""
    told = []
    if exploration.lost:
        told.append(
            f"orders in which the program was lost: {len(exploration.lost)}; "
            f"{exploration.lost[0]}; see what it says on stderr"
        )
    if exploration.diverged or not told:
        told.append(
            f"{exploration.diverged} orders went another way than before: "
            "run it again, as root if that can be"
        )
    return told


def _histories(exploration: Exploration) -> str:
    """Say how the model judges the histories; not all implementations promise its outcomes."""
    if not exploration.judged:
        return ""
    fit = sum(wrong is None for wrong in exploration.judged.values())
    said = f"; {fit} of {len(exploration.judged)} histories fit the specification"
    return said + "".join(f" ({wrong})" for wrong in sorted(exploration.deviations))


def _replayed(record: Record, adapter: str, replays: Replays, seconds: float) -> Check:
    times = replays.verdicts.total()
    hit = times - replays.verdicts[None]
    refused = times - replays.deviations[None] if record.deviation and not record.verdict else 0
    said = f"{hit} of {times} hit a wrong process"
    if record.deviation and not record.verdict:
        said = f"{refused} of {times} returned what the specification does not allow"
    if replays.skipped:
        said += f"; {len(replays.skipped)} steps of the schedule do not occur here"
    if not replays.steady:
        said += f"; {replays.different} went another way than the first"
    if hit or refused:
        kinds = replays.verdicts if hit else replays.deviations
        verdict, told = Verdict.BROKEN, next(v for v in kinds if v is not None)
        said = f"{told}: {said}"
    else:
        verdict = Verdict.PASS if replays.steady else Verdict.INCOMPLETE
    return Check(
        f"{record.scenario}:{'.'.join(record.schedule)}",
        "replay",
        verdict,
        times,
        seconds,
        said,
        extra={
            "adapter": adapter,
            "wrong_process": hit,
            "wrong_outcome": refused,
            "recorded": record.wrong,
            "different": replays.different,
            "skipped_steps": list(replays.skipped),
        },
    )
