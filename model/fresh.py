"""Questions to Spacer in a process of their own.

What the engine finds, and how soon, depends on what the process has asked z3 before.  So every
question is put to a new interpreter, which answers with one line of JSON: whoever asks the same
with the same seed gets the same answer.

    python -m lastref.model.fresh '{"design": "go-2024", "platform": "linux", "seed": 0}'
    python -m lastref.model.fresh '{"case": "go-67641", "seed": 0}'

A case without a name of its own is given by what it consists of.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

from lastref.model.cases import Case, case
from lastref.model.designs import get
from lastref.model.fuse import only
from lastref.model.horn import MERGED
from lastref.model.invariants import SOUND
from lastref.model.spacer import Found, Run, find, search
from lastref.model.system import Scenario, Thread
from lastref.model.table import DesignError

TIMEOUT_MS = 1_200_000
"""By the clock, which is all that the engine knows: ample, for a machine may be busy."""
METHODS = {("go-fdmutex", "any"): ("use", "close")}
"""The methods that Spacer is asked about, where not all: with the locks it finds no invariant."""


@dataclass(frozen=True)
class Answer:
    """What came of a question: what Spacer found and, for a case, the run in named threads."""

    found: Found
    run: Run | None = None


def prove(design: str, platform: str, *, seed: int = 0) -> Answer:
    """Ask for an invariant of a sound design, in a process of its own."""
    return _ask({"design": design, "platform": platform, "seed": seed})


def refute(named: Case | str, *, seed: int = 0) -> Answer:
    """Ask for a run of a case, or of the one of that name, in a process of its own."""
    given = named if isinstance(named, str) else asdict(named)
    return _ask({"case": given, "seed": seed})


def answer(question: dict[str, Any]) -> Answer:
    """Answer a question in this process; DesignError if it is about nothing that there is."""
    seed = int(question.get("seed", 0))
    if "case" in question:
        given = question["case"]
        named = case(given) if isinstance(given, str) else _case(given)
        table = only(named.table, named.methods)
        law = table.law(named.law)
        found, run = search(table, law, named.initial, seed=seed, timeout_ms=TIMEOUT_MS)
        return Answer(found, run)
    key = (question["design"], question["platform"])
    if key not in SOUND:
        raise DesignError(
            f"{key[0]} on {key[1]} is not claimed to be sound",
            f"sound are {', '.join(f'{d} on {p}' for d, p in SOUND)}",
            "ask for the named cases of the others",
        )
    table = only(get(*key), METHODS.get(key, tuple(get(*key).methods)))
    laws = [law for law in table.laws if law.kind == "must" or key not in METHODS]
    starts = [table.starts["start"]]
    limit = SOUND[key].limit if key in METHODS else None
    found = find(
        table,
        laws,
        crowding=MERGED,
        starts=starts,
        limit=limit,
        seed=seed,
        timeout_ms=TIMEOUT_MS,
    )
    return Answer(found)


def _case(given: dict[str, Any]) -> Case:
    return Case(**{**given, "calls": tuple(given["calls"])})


def _ask(question: dict[str, Any]) -> Answer:
    command = [sys.executable, "-m", "lastref.model.fresh", json.dumps(question)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise DesignError(
            "Spacer's process ended without an answer",
            last,
            f"run it by hand: {' '.join(command[1:3])} '{command[3]}'",
        )
    return _read(json.loads(done.stdout.splitlines()[-1]))


def _read(told: dict[str, Any]) -> Answer:
    said = told["found"]
    found = Found(**{**said, "trace": tuple(said["trace"]), "laws": tuple(said["laws"])})
    if told["run"] is None:
        return Answer(found)
    run, plan = told["run"], told["run"]["scenario"]
    threads = tuple(Thread(t["name"], tuple(t["calls"])) for t in plan["threads"])
    schedule = tuple((actor, name) for actor, name in run["schedule"])
    return Answer(found, Run(Scenario(threads, plan["initial"]), schedule, run["law"]))


def _told(given: Answer) -> dict[str, Any]:
    run = given.run
    threads = [] if run is None else [asdict(t) for t in run.scenario.threads]
    return {
        "found": {**asdict(given.found), "start": dict(given.found.start)},
        "run": run
        and {
            "scenario": {"threads": threads, "initial": dict(run.scenario.initial)},
            "schedule": run.schedule,
            "law": run.law,
        },
    }


if __name__ == "__main__":
    print(json.dumps(_told(answer(json.loads(sys.argv[1])))))
