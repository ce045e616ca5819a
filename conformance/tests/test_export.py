"""`lastref export`: what other tools read of it agrees with the explorer."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from lastref.conformance.cli import main
from lastref.conformance.results import validate
from lastref.model.designs import get
from lastref.model.explore import Exploration, explore
from lastref.model.system import System, scenario


def lacks(*tools: str) -> bool:
    """Return whether one of the programs is not on this machine."""
    return any(shutil.which(tool) is None for tool in tools)


needs_spin = pytest.mark.skipif(
    lacks("spin", "cc"), reason="Spin is not here; install spin and gcc"
)
needs_dot = pytest.mark.skipif(lacks("dot"), reason="Graphviz is not here; install graphviz")
MIXED = "signal|wait|release"
AGREES: dict[str, tuple[str, tuple[str, ...], dict[str, int]]] = {
    "two of three": ("go-2024/linux", (MIXED, MIXED), {"exited": 1}),
    "three of three": ("go-2024/linux", (MIXED, MIXED, MIXED), {"exited": 1}),
    "apart": ("go-2024/linux", ("wait", "kill", "release"), {}),
    "in turn": ("go-2024/linux", ("wait;release;wait", "kill;kill"), {}),
    "a settled word": ("go-2024/linux", ("signal", "release"), {"word": 1 << 63, "handle": 1}),
    "windows": ("go-2024/windows", ("wait", "kill", "release"), {}),
    "two words": ("go-2025/linux", ("wait", "kill", "release"), {}),
    "32 bits": ("dotnet-safehandle/any", ("use", "dispose", "use"), {}),
    "three counters": ("go-fdmutex/any", ("read", "write", "close"), {}),
    "waiters": ("go-fdmutex/any", ("read", "read", "use", "close"), {}),
}
BREAKS = {
    "go-2023-pidfd/linux": ("kill", "release"),
    "go-2016/linux-pid": ("kill", "release"),
    "pid-naive/linux-pid": ("wait", "kill"),
    "go-2025-double/linux": ("wait", "release"),
}


def arguments(design: str, calls: tuple[str, ...], initial: dict[str, int]) -> list[str]:
    """Return the command line's words for a scenario."""
    threads = [word for call in calls for word in ("--thread", call)]
    return [design, *threads, *(w for k, v in initial.items() for w in ("--set", f"{k}={v}"))]


def explored(design: str, calls: tuple[str, ...], initial: dict[str, int]) -> Exploration:
    """Return what our own search finds."""
    return explore(System(get(*design.split("/")), scenario(*calls, initial=initial)))


@dataclass(frozen=True)
class Spin:
    """What Spin's verifier found, all reductions off."""

    states: int
    errors: int
    said: str


def spin(folder: Path, *words: str) -> Spin:
    """Export with the command, and run Spin's verifier on the file."""
    assert main(["export", *words, "--to", "promela", "-o", str(folder / "model.pml")]) == 0
    for command in (
        ["spin", "-a", "model.pml"],
        ["cc", "-O0", "-w", "-DNOREDUCE", "-DSAFETY", "-DNOFAIR", "-o", "pan", "pan.c"],
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    ran = subprocess.run(
        ["./pan", "-m100000", "-w18"], cwd=folder, capture_output=True, text=True, check=False
    )
    states = re.search(r"(\d+) states, stored", ran.stdout)
    errors = re.search(r"errors: (\d+)", ran.stdout)
    assert states is not None, ran.stdout
    assert errors is not None, ran.stdout
    return Spin(int(states[1]), int(errors[1]), ran.stdout)


@needs_spin
@pytest.mark.parametrize("case", AGREES)
def test_spin_stores_exactly_the_states_of_the_explorer(tmp_path: Path, case: str) -> None:
    """No errors, and without reductions the same number of states."""
    found = explored(*AGREES[case])
    seen = spin(tmp_path, *arguments(*AGREES[case]))
    assert seen.errors == 0, seen.said
    assert found.holds
    assert seen.states == found.states


@needs_spin
@pytest.mark.parametrize("design", BREAKS)
def test_spin_finds_a_fault_where_the_explorer_does(tmp_path: Path, design: str) -> None:
    """A faulty design: the verdict is the same."""
    assert explored(design, BREAKS[design], {}).counterexamples
    seen = spin(tmp_path, *arguments(design, BREAKS[design], {}))
    assert seen.errors == 1, seen.said
    assert "assertion violated" in seen.said


def plain(source: str) -> list[list[str]]:
    """Return the lines of Graphviz's plain output, in words: its nodes and edges among them."""
    done = subprocess.run(
        ["dot", "-Tplain"], input=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [line.split() for line in done.stdout.splitlines()]


@needs_dot
@pytest.mark.parametrize("design", BREAKS)
def test_graphviz_draws_every_state_and_every_step(
    capsys: pytest.CaptureFixture[str], design: str
) -> None:
    """As many edges as transitions; a node a state, and one for each obligation that is broken."""
    found = explored(design, BREAKS[design], {})
    assert main(["export", *arguments(design, BREAKS[design], {}), "--to", "dot"]) == 0
    source = capsys.readouterr().out
    drawn = plain(source)
    ends = len(re.findall(r'^  "s\d+ .*label="breaks', source, re.MULTILINE))
    assert ends
    assert sum(line[0] == "edge" for line in drawn) == found.transitions
    assert sum(line[0] == "node" for line in drawn) == found.states + ends


@needs_dot
def test_graphviz_draws_where_a_thread_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    """Without threads: an edge a command, and one from each method's name to where it begins."""
    table = get("go-2024")
    assert main(["export", "go-2024", "--to", "dot"]) == 0
    drawn = plain(capsys.readouterr().out)
    edges = [[end.strip('"') for end in line[1:3]] for line in drawn if line[0] == "edge"]
    assert len(edges) == len(table.commands) + len(table.methods)
    assert ['"release.cas"', '"release.close"'] in edges or [
        "release.cas",
        "release.close",
    ] in edges


def test_tla_comes_with_its_configuration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In files of the module's name, as TLC wants them; on stdout one below the other."""
    words = ["export", "go-2024", "--to", "tla", "--wait", "1", "--release", "1"]
    assert main([*words, "-o", str(tmp_path / "Word.tla")]) == 0
    assert (tmp_path / "Word.tla").read_text().startswith("---- MODULE Word ----\n")
    configuration = (tmp_path / "Word.cfg").read_text()
    assert configuration.startswith("SPECIFICATION Spec\nINVARIANT TypeOK\n")
    capsys.readouterr()
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.startswith("---- MODULE go_2024_linux ----\n")
    assert said.endswith(configuration)


def test_json_is_the_table_and_the_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    """One object: the table as the explorer's page reads it, and who calls what."""
    assert main(["export", "go-2024", "--to", "json", "--kill", "1", "--set", "word=2"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [t["id"] for t in document["tables"]] == ["go-2024"]
    assert document["scenario"] == {"threads": {"K1": ["kill"]}, "initial": {"word": "0x2"}}


def test_a_result_can_be_written_beside(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """--json takes the result of the command itself, of the published schema."""
    result = tmp_path / "result.json"
    assert main(["export", "go-2024", "--to", "dot", "--json", str(result)]) == 0
    assert capsys.readouterr().out.startswith("digraph")
    validate(json.loads(result.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["go-2024", "--to", "promela"], "nobody calls anything"),
        (["go-2024", "--to", "tla"], "nobody calls anything"),
        (["go-2022", "--to", "dot"], "there is no design 'go-2022'"),
        (["go-2024", "--to", "dot", "--kill", "3", "--release", "1"], "more than 2,000 states"),
        (["go-2024", "--to", "promela", "--release", "61"], "has 61 threads"),
        (["go-2024", "--to", "dot", "--json"], "two things would be written"),
        (["go-2024", "--to", "tla", "--wait", "1", "-o", "no-name.tla"], "no name of a TLA"),
        (["go-2024", "--to", "dot", "-o", "nowhere/at/all.dot"], "cannot write"),
        (["go-2024", "--to", "svg"], "not understood"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    """Fault, reason and remedy, and exit code 2."""
    assert main(["export", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.count("\n") == 1
    assert err.count(";") >= 1
