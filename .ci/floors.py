"""What the tests take of the code and of the model, held to floors that only rise.

    floors.py lines COVERAGE.json       coverage.py's report: lines and branches
    floors.py transitions RESULT.json   a result of `lastref verify`: the commands of each design's
                                        table that real processes took, of those that they could

The floors are in floors.json, in percent.  Below one is a failure.  Clearly above one is a reason
to raise it: with --raise it is, never lowered; a floor below one that was ever committed is a
failure.
Exit code 0: as it should be; 1: below; 2: the report says nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

from lastref.model.designs import get
from lastref.model.explore import explore
from lastref.model.system import System, scenario
from lastref.model.table import Table

FILE = Path(__file__).with_name("floors.json")
CALLS = {"wait", "kill", "signal", "release"}
MARGIN = {"lines": 0.5, "transitions": 0.0}
"""How far a floor stays below what was measured: a few lines run on some machines only."""


def lines(report: dict[str, Any]) -> tuple[float, str]:
    """Return how many percent of lines and branches ran, and where the most are missing."""
    worst = sorted(report["files"].items(), key=lambda f: -len(f[1].get("missing_lines", ())))[:3]
    told = ", ".join(f"{name} ({len(f['missing_lines'])} lines)" for name, f in worst)
    return float(report["totals"]["percent_covered"]), f"most are missing in {told}"


def transitions(result: dict[str, Any]) -> tuple[float, str]:
    """Return how many percent of the commands that can be taken were, and which were not."""
    taken: dict[tuple[str, str], set[str]] = {}
    for check in result["checks"]:
        if "coverage" in check:
            real = {command for command, times in check["coverage"].items() if times}
            taken.setdefault((check["design"], check["platform"]), set()).update(real)
    possible = {name: possible_commands(get(*name)) for name in taken}
    never = [f"{d}/{p} {c}" for d, p in taken for c in sorted(possible[d, p] - taken[d, p])]
    count = sum(map(len, possible.values()))
    if not count:
        raise ValueError("no replay in it")
    shown = ", ".join(never[:5]) + (", …" if len(never) > 5 else "")
    return 100 * (1 - len(never) / count), f"{count - len(never)} of {count}; never: {shown}"


def possible_commands(table: Table) -> set[str]:
    """Return the commands that two calls beside each other can take, from a usual start."""
    pairs = combinations_with_replacement(sorted(table.methods.keys() & CALLS), 2)
    system = System(table, scenario(next(iter(table.methods))))
    found = [explore(system.under(scenario(*pair))) for pair in pairs]
    return set().union(*(f.covered for f in found)) & table.by_name.keys()


def committed(kind: str) -> float:
    """Return the highest floor of a kind that git knows of, as far back as it goes."""
    said = subprocess.run(
        ["git", "log", "--format=%H", "--", FILE.name],
        cwd=FILE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    highest = 0.0
    for commit in said.stdout.split():
        shown = subprocess.run(
            ["git", "show", f"{commit}:./{FILE.name}"],
            cwd=FILE.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        if shown.returncode == 0:
            highest = max(highest, float(json.loads(shown.stdout).get(kind, 0.0)))
    return highest


def main(arguments: list[str]) -> int:
    """Compare a report with its floor."""
    parser = argparse.ArgumentParser(description="Hold a report to its floor.")
    parser.add_argument("kind", choices=("lines", "transitions"))
    parser.add_argument("report", type=Path)
    parser.add_argument("--raise", dest="raises", action="store_true")
    asked = parser.parse_args(arguments)
    try:
        report = json.loads(asked.report.read_text(encoding="utf-8"))
        percent, told = (lines if asked.kind == "lines" else transitions)(report)
    except (OSError, ValueError, KeyError) as error:
        print(f"floors: {asked.report} is no report: {error!r}", file=sys.stderr)
        return 2
    floors = json.loads(FILE.read_text(encoding="utf-8"))
    floor, before = float(floors[asked.kind]), committed(asked.kind)
    reached = int((percent - MARGIN[asked.kind]) * 10) / 10
    if asked.raises and reached > floor:
        floors[asked.kind] = floor = reached
        FILE.write_text(json.dumps(floors, indent=2) + "\n", encoding="utf-8")
    print(f"{asked.kind}: {percent:.1f} %, floor {floor:.1f} % ({told})")
    if floor < before:
        print(f"floors: the floor was {before:.1f} % before, and only rises", file=sys.stderr)
        return 1
    if percent < floor:
        print(f"floors: {asked.kind} are below the floor: test what is new", file=sys.stderr)
        return 1
    if reached > floor + 0.5:
        print(f"floors: raise the floor to {reached:.1f} with --raise", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
