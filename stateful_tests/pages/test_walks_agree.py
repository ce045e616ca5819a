"""The page runs the model: on random schedules it shows the states that Python computes."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lastref.conformance.tables_document import tables_document
from lastref.conformance.trace import record, show_state
from lastref.model import designs
from lastref.model.explore import DEADLOCK
from lastref.model.system import Scenario, State, Step, System, scenario
from lastref.model.table import Table
from lastref.reports import page as pages

if TYPE_CHECKING:
    from playwright.sync_api import Page

TABLES = designs.all_tables()
WALKS, LONGEST = 20, 40

# What the page computes of a schedule, in the form in which Python computes it below.
FOLLOW = """
(tables, schedules) => schedules.map((schedule) => {
  const { system, actors } = Machine.parse(tables, schedule);
  const look = (state, before, broken) => ({
    state: system.showState(state),
    threads: state[1].map((t) => t.map((value) => String(value))),
    enabled: system.steps(state).map((s) => `${s.actor} ${s.command.name}`),
    violated: [...new Set(system.violated(state, before, broken))].sort(),
    holders: system.holders(state),
    rest: system.atRest(state),
  });
  const { steps, refusal } = system.walk(actors);
  const seen = [look(system.initial, null, null)];
  let before = system.initial;
  for (const step of steps) {
    seen.push(look(step.state, before, step.broken));
    before = step.state;
  }
  return { schedule: system.schedule(steps), refusal, seen };
})
"""


def walk(table: Table, choose: random.Random) -> tuple[System, list[Step]]:
    """Take random steps of random threads from a random start."""
    methods = list(table.methods)
    calls = [
        ";".join(choose.choices(methods, k=choose.choice((1, 1, 2))))
        for _ in range(choose.randint(1, 4))
    ]
    system = System(table, _started(table, calls, choose))
    state, taken = system.initial, list[Step]()
    while len(taken) < LONGEST and (steps := system.steps(state)):
        taken.append(choose.choice(steps))
        state = taken[-1].state
    return system, taken


def _started(table: Table, calls: list[str], choose: random.Random) -> Scenario:
    """Return a scenario from one of the table's starts, or from any 64-bit word at all."""
    initial = dict(choose.choice(list(table.starts.values()) or [{}]))
    if "word" in table.variables and choose.random() < 0.3:
        edge = choose.choice((0, 1, (1 << 62) - 2, 1 << 62, 3 << 62, choose.getrandbits(64)))
        initial["word"] = (edge + choose.randint(-1, 1)) % (1 << 64)
    return scenario(*calls, initial=initial)


def look(system: System, state: State, before: State | None, broken: str | None) -> dict[str, Any]:
    """Return what is to be seen of a state and of the step into it."""
    laws = system.table.laws
    broken_laws = {broken} if broken else set[str]()
    broken_laws |= {*system.law_checker(x for x in laws if x.kind == "always")(state, state)}
    if before is not None:
        broken_laws |= {*system.law_checker(x for x in laws if x.kind == "step")(before, state)}
    if system.at_rest(state):
        broken_laws |= {*system.law_checker(x for x in laws if x.kind == "rest")(state, state)}
    elif not system.steps(state):
        broken_laws.add(DEADLOCK)
    return {
        "state": show_state(system, state),
        "threads": [[str(int(value)) for value in thread] for thread in state[1]],
        "enabled": [f"{s.actor} {s.name}" for s in system.steps(state)],
        "violated": sorted(broken_laws),
        "holders": system.holders(state),
        "rest": system.at_rest(state),
    }


def expected(system: System, steps: list[Step]) -> dict[str, Any]:
    """Return what the page must make of the schedule of ``steps``."""
    seen, before = [look(system, system.initial, None, None)], system.initial
    for step in steps:
        seen.append(look(system, step.state, before, step.broken))
        before = step.state
    return {"schedule": record(system, steps).schedule, "refusal": None, "seen": seen}


def walks(table: Table) -> list[dict[str, Any]]:
    """Return the walks of one table; the same in every run."""
    choose = random.Random(f"{table.id}/{table.platform}")
    runs = (walk(table, choose) for _ in range(WALKS))
    return [expected(system, steps) for system, steps in runs if steps]


@pytest.fixture(scope="module")
def all_walks() -> list[dict[str, Any]]:
    """Return the walks of every table."""
    found = [run for table in TABLES for run in walks(table)]
    assert len(found) > 10 * len(TABLES)
    return found


def test_the_walks_take_most_commands_of_every_table(all_walks: list[dict[str, Any]]) -> None:
    """The comparison is about something: the walks see broken laws, ends, and most commands."""
    enabled = {
        name.split()[1] for run in all_walks for seen in run["seen"] for name in seen["enabled"]
    }
    commands = {name for table in TABLES for name in table.by_name}
    assert len(enabled & commands) > 0.6 * len(commands)
    assert any(seen["violated"] for run in all_walks for seen in run["seen"])
    assert any(seen["rest"] for run in all_walks for seen in run["seen"])


def test_node_and_python_walk_the_same_states(
    all_walks: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The page's engine, in node, agrees with the model on every state of every walk."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on PATH: install the package nodejs")
    script = tmp_path / "walk.js"
    script.write_text(
        f"{pages.static('machine.js')}\n"
        "const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n"
        f"const follow = {FOLLOW};\n"
        "process.stdout.write(JSON.stringify(follow(given.tables, given.schedules)));\n",
        encoding="utf-8",
    )
    asked = {
        "tables": tables_document()["tables"],
        "schedules": [run["schedule"] for run in all_walks],
    }
    ended = subprocess.run(
        [node, str(script)], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    compare(json.loads(ended.stdout), all_walks)


def test_the_page_and_python_walk_the_same_states(
    page: Page, explorer: str, all_walks: list[dict[str, Any]]
) -> None:
    """The page itself, in Chromium, agrees with the model on every state of every walk."""
    page.goto(explorer)
    told = page.evaluate(
        "(schedules) => (" + FOLLOW + ")"
        "(JSON.parse(document.getElementById('tables').textContent).tables, schedules)",
        [run["schedule"] for run in all_walks],
    )
    compare(told, all_walks)


def compare(told: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Compare walk by walk and step by step, so that a difference is small and has its schedule."""
    assert len(told) == len(wanted)
    for ours, theirs in zip(wanted, told, strict=True):
        for number, (mine, other) in enumerate(zip(ours["seen"], theirs["seen"], strict=False)):
            assert other == mine, f"after step {number} of {ours['schedule']}"
        assert theirs == ours
