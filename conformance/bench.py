"""Our searches and Spin, side by side in one run: processor time, memory, states, verdicts.

    ours    python -m lastref.conformance.bench_rows ROW ──▶ JSON, resource usage
    peer    spin -a; cc -O3; ./pan                       ──▶ what pan prints, resource usage

Both run on this machine, one after the other, as processes of their own.  Times are of the
processor, for the clock mostly says how busy a shared machine is.  They are reported as ratios and
never asserted; what is asserted is that both answers agree: the verdict, and, where the question
is about the same states, their number.  Spin may have a few more, made by the environment process
of its model: after all is over it takes one step to its end.

Memory is the most that the process ever had resident; as Linux counts, it is never below what the
command itself had when it started the process.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lastref.conformance.bench_rows import EXPORT, LONG, PROOF, QUICK, ROWS, Answer, Row, exported
from lastref.conformance.results import Check, Verdict

TOOLS = ("spin", "cc")
OWN_STATES = 16
"""How many states the environment process of a peer model may add: one or two for each end."""
PEER_LIMIT = 600.0
_COMPILE = ("cc", "-O3", "-march=native", "-w", "-DSAFETY", "-DNOFAIR")
_RUN = ("./pan", "-m10000", "-w24")
_FEW = ("./pan", "-m10000", "-w20")  # a short run would only wait for a larger hash table


class Failed(Exception):
    """A program of the comparison did not do its work; says which, and what it said."""


@dataclass(frozen=True)
class Usage:
    """What a finished process printed and used: seconds of processor and clock, bytes resident."""

    said: str
    seconds: float
    wall: float
    memory: int
    ended: bool


@dataclass(frozen=True)
class Peer:
    """What Spin found, and the seconds that generating and compiling its verifier took."""

    states: int
    errors: int
    usage: Usage
    build: float


def missing(tools: Sequence[str] = TOOLS) -> str:
    """Return why Spin cannot be asked on this machine, or nothing."""
    lacking = [tool for tool in tools if shutil.which(tool) is None]
    return f"no {' and no '.join(lacking)} here; install spin and gcc" if lacking else ""


def rows(size: int) -> tuple[Row, ...]:
    """Return the rows of a quick, a usual or a long run."""
    return tuple(r for r in ROWS if r.size <= size)


def measured(arguments: Sequence[str], folder: Path, limit: float | None = None) -> Usage:
    """Run a program to its end, or end it after ``limit`` seconds, and return what it used.

    Raises :class:`Failed` if it ends with another exit code than 0.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        start = time.perf_counter()
        process = subprocess.Popen(arguments, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        ended = _ends(process.pid, limit)
        if not ended:
            process.kill()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)  # reaped here, for its usage
        wall = time.perf_counter() - start
        said.seek(0)
        text = said.read()
    if ended and process.returncode != 0:
        lines = text.strip().splitlines()
        raise Failed(f"{arguments[0]} failed: {lines[-1] if lines else 'it said nothing'}")
    seconds = used.ru_utime + used.ru_stime
    return Usage(text, seconds, wall, used.ru_maxrss * 1024, ended)


def _ends(pid: int, limit: float | None) -> bool:
    """Wait without reaping until the child has ended, at the most ``limit`` seconds."""
    if limit is None:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return True
    handle = os.pidfd_open(pid)
    try:
        return bool(select.select([handle], [], [], limit)[0])
    finally:
        os.close(handle)


def ours(row: Row) -> tuple[Answer, Usage]:
    """Answer a row in a process of its own."""
    module = "lastref.conformance.bench_rows"
    used = measured([sys.executable, "-m", module, row.id], Path.cwd())
    said = json.loads(used.said)
    return Answer(**{**said, "broken": tuple(said["broken"])}), used


def peer(row: Row, models: Path | None, limit: float) -> Peer:
    """Ask Spin the question of a row; ``models`` are other models than our own.

    ``limit`` is in seconds.  Raises :class:`Failed` if Spin gives no complete answer.
    """
    with tempfile.TemporaryDirectory(prefix="lastref-bench-") as name:
        folder = Path(name)
        with _model(row, models) as text:
            (folder / "model.pml").write_text(text, encoding="utf-8")
        defines = [f"-DN={row.threads}", *(["-DMIXED"] if row.mixed else [])]
        reduction = [] if row.reduced else ["-DNOREDUCE"]
        build = measured(["spin", "-a", *defines, "model.pml"], folder).seconds
        build += measured([*_COMPILE, *reduction, "-o", "pan", "pan.c"], folder).seconds
        run = _FEW if max(row.size, row.peer_size) == QUICK else _RUN
        used = measured(run, folder, limit)
        for _ in range(2):
            if used.seconds < 0.5:
                used = min(used, measured(run, folder, limit), key=lambda u: u.seconds)
    if not used.ended:
        return Peer(0, 0, used, build)
    states = re.search(r"(\d+) states, stored", used.said)
    errors = re.search(r"errors: (\d+)", used.said)
    if states is None or errors is None:
        raise Failed("Spin's verifier printed no count of states")
    if "max search depth too small" in used.said:
        raise Failed("Spin's search was cut off at its depth")
    return Peer(int(states.group(1)), int(errors.group(1)), used, build)


@contextmanager
def _model(row: Row, models: Path | None) -> Iterator[str]:
    if row.peer == EXPORT:
        yield exported(row)
    elif models is not None:
        yield (models / row.peer).read_text(encoding="utf-8")
    else:
        own = resources.files("lastref.conformance") / "peers" / row.peer
        yield own.read_text(encoding="utf-8")


def check(row: Row, size: int, models: Path | None = None, limit: float = PEER_LIMIT) -> Check:
    """Measure a row, both sides where there are two, and compare the answers."""
    asked = bool(row.peer) and size >= row.peer_size
    unable = missing() if asked else ""
    try:
        answer, used = ours(row)
        theirs = peer(row, models, limit) if asked and not unable else None
    except (Failed, OSError) as error:
        return Check(f"bench/{row.id}", "bench", Verdict.INCOMPLETE, 0, 0.0, str(error))
    verdict, reason = _compare(row, answer, theirs)
    if verdict is Verdict.PASS:
        if unable:
            verdict, reason = Verdict.UNABLE, f"{reason}; the peer was not asked: {unable}"
        elif not asked:
            reason = f"{reason}; {row.why_no_peer}"
    wall = used.wall + (theirs.usage.wall + theirs.build if theirs else 0.0)
    return Check(
        f"bench/{row.id}",
        "bench",
        verdict,
        answer.states,
        wall,
        reason,
        row.design,
        row.platform,
        _figures(row, answer, used, theirs),
    )


def _figures(row: Row, answer: Answer, used: Usage, theirs: Peer | None) -> dict[str, object]:
    figures: dict[str, object] = {
        "group": row.group,
        "threads": row.threads or None,
        "mixed": row.mixed,
        "engine": row.engine,
        "ours_s": answer.seconds,
        "ours_process_s": used.seconds,
        "ours_bytes": used.memory,
        "ours_states": None if row.group == PROOF else answer.states,
        "peer": f"spin, {row.peer}" if theirs else None,
        "peer_s": None,
        "ratio": None,
    }
    if theirs is not None:
        figures |= {
            "peer_s": theirs.usage.seconds,
            "peer_finished": theirs.usage.ended,
            "peer_build_s": theirs.build,
            "peer_bytes": theirs.usage.memory,
            "peer_states": theirs.states if theirs.usage.ended else None,
            "ratio": theirs.usage.seconds / answer.seconds,
            "memory_ratio": theirs.usage.memory / used.memory,
        }
    return figures


def _compare(row: Row, answer: Answer, theirs: Peer | None) -> tuple[Verdict, str]:
    """Return the verdict on the answers, never on the times, and the row in a line."""
    if bool(answer.broken) != row.faulty or not (row.faulty or answer.complete):
        return Verdict.BROKEN, f"ours: {', '.join(answer.broken) or 'no law broken'}"
    said = f"ours {readable(answer.seconds)}"
    if theirs is None:
        return Verdict.PASS, said
    if not theirs.usage.ended:
        used = theirs.usage
        return Verdict.PASS, (
            f"{said}; Spin had found no end after {used.seconds:.0f} s of the processor"
            f" ({used.wall:.0f} s by the clock) and {used.memory / 2**20:,.0f} MB:"
            f" more than {used.seconds / answer.seconds:,.1f} times as long"
        )
    if bool(theirs.errors) != row.faulty:
        return Verdict.BROKEN, f"Spin finds {theirs.errors} errors, we {len(answer.broken)}"
    extra = theirs.states - answer.states
    if not row.reduced and not 0 <= extra <= OWN_STATES:
        return Verdict.BROKEN, f"Spin has {theirs.states:,} states, we {answer.states:,}"
    same = "" if row.reduced else f"; the same states (Spin {extra} more, its environment's)"
    ratio = theirs.usage.seconds / answer.seconds
    memory = theirs.usage.memory / 2**20
    return Verdict.PASS, (
        f"{said}, Spin {readable(theirs.usage.seconds)} and {memory:,.0f} MB:"
        f" {ratio:,.1f} times as long{same}"
    )


def readable(seconds: float) -> str:
    """Return a time as it is shown to people."""
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds:.2f} s"


__all__ = [
    "LONG",
    "ROWS",
    "Failed",
    "check",
    "measured",
    "missing",
    "ours",
    "peer",
    "readable",
    "rows",
]
