"""The comparison with Spin compares answers, and says so where it cannot ask."""

import json
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from lastref.conformance import bench
from lastref.conformance.bench_plot import growth, series
from lastref.conformance.bench_rows import LONG, PROVED, QUICK, ROWS, USUAL, Answer, answer, row
from lastref.conformance.cli.app import app
from lastref.conformance.results import Result, Verdict, validate
from lastref.model.invariants import SOUND

needs_spin = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in bench.TOOLS),
    reason="the comparison needs spin and a C compiler; install spin and gcc",
)
SMALL = replace(row("same-mixed-4"), threads=3)


def test_every_row_has_a_name_of_its_own_and_a_peer_or_a_reason() -> None:
    """A row without Spin says why, and longer runs measure more."""
    assert len({r.id for r in ROWS}) == len(ROWS)
    assert all(r.peer or r.why_no_peer for r in ROWS)
    assert all(r.why_no_peer for r in ROWS if r.peer_size > r.size)
    assert set(bench.rows(QUICK)) < set(bench.rows(USUAL)) < set(bench.rows(LONG)) == set(ROWS)


def test_our_side_counts_what_was_counted_before() -> None:
    """Known numbers: go-2024, all mixed, load and exchange apart and fused."""
    assert answer(SMALL).states == 11_009
    assert answer(row("verdict-5")).states == 2_701
    assert answer(row("verdict-5")).broken == ()


def test_the_fault_of_2023_is_found() -> None:
    """The search stops at the use of a closed handle."""
    assert "no-use-after-close" in answer(row("fault-2023")).broken


def test_every_sound_design_has_a_row_of_its_induction() -> None:
    """The rows name them without the prover, so a design that is added is missed nowhere else."""
    assert set(PROVED) == set(SOUND)


@pytest.mark.parametrize("name", ["induction-dotnet-safehandle-any", "spacer-0"])
def test_a_proof_is_measured_and_has_no_peer(name: str) -> None:
    """What was decided is counted, and nobody is said to be slower."""
    done = bench.check(row(name), QUICK)
    assert done.verdict is Verdict.PASS, done.reason
    assert done.count > 10
    assert done.extra["ours_s"] > 0
    assert done.extra["peer"] is done.extra["ratio"] is None
    assert "no other program" in done.reason
    assert series({"checks": [done.document()]}, "ours_s", "peer_s") == []


def test_spacer_finds_the_run_of_2023() -> None:
    """The row is about a faulty design, and passes because its law is broken."""
    found = answer(row("spacer-2023"))
    assert found.broken == ("no-wrong-process",)


def test_a_peer_that_is_given_up_bounds_the_ratio_from_below() -> None:
    """The seconds that it had used up, by the processor, and what it had found is not compared."""
    given_up = bench.Peer(0, 0, bench.Usage("", 30.0, 60.0, 2**30, False), 1.0)
    verdict, reason = bench._compare(row("verdict-6"), Answer(6, 9, True, (), 0.5), given_up)
    assert verdict is Verdict.PASS
    assert "no end after 30 s of the processor (60 s by the clock) and 1,024 MB" in reason
    assert "more than 60.0 times as long" in reason


def test_our_side_runs_in_a_process_of_its_own() -> None:
    """Its memory and its time are its own, and the answer comes back whole."""
    found, used = bench.ours(row("verdict-4"))
    assert (found.states, found.complete, found.broken) == (1_059, True, ())
    assert used.ended
    assert used.memory > 0
    assert used.seconds >= found.seconds


@needs_spin
def test_spin_on_our_model_stores_the_same_states() -> None:
    """Nothing reduced: Spin's states are ours and a few of its environment's."""
    theirs = bench.peer(SMALL, None, 60)
    assert theirs.errors == 0
    assert 0 <= theirs.states - answer(SMALL).states <= bench.OWN_STATES


@needs_spin
@pytest.mark.parametrize("name", ["counter-mixed-8", "fault-2023", "same-one-5"])
def test_a_row_with_both_sides_passes_and_has_its_figures(name: str) -> None:
    """The figures that readers are promised are there."""
    done = bench.check(row(name), QUICK)
    assert done.verdict is Verdict.PASS, done.reason
    assert done.extra["ratio"] == done.extra["peer_s"] / done.extra["ours_s"]
    assert done.extra["peer"].startswith("spin")
    validate(Result("bench", (done,)).document())


@needs_spin
def test_a_peer_model_with_other_states_is_reported(tmp_path: Path) -> None:
    """A model of something else fails the row: the comparison would be worth nothing."""
    model = "byte n = 0; active proctype P() { end: do :: n < 200 -> n++ od }"
    (tmp_path / "handle_word_fine.pml").write_text(model, encoding="utf-8")
    done = bench.check(row("same-one-5"), QUICK, tmp_path)
    assert done.verdict is Verdict.BROKEN
    assert "93,510" in done.reason


@needs_spin
def test_a_peer_model_that_is_no_promela_leaves_the_row_incomplete(tmp_path: Path) -> None:
    """What Spin says of it is passed on."""
    (tmp_path / "handle_word_fine.pml").write_text("nonsense", encoding="utf-8")
    done = bench.check(row("verdict-4"), QUICK, tmp_path)
    assert done.verdict is Verdict.INCOMPLETE
    assert done.reason


def test_a_run_that_takes_too_long_is_ended() -> None:
    """The program is stopped and reaped, and the usage says that it did not end."""
    forever = "import signal; signal.pause()"
    used = bench.measured([sys.executable, "-c", forever], Path.cwd(), 1.0)
    assert not used.ended


def test_a_program_that_fails_is_quoted() -> None:
    """The last line that it printed is the reason."""
    with pytest.raises(bench.Failed, match="out of patience"):
        bench.measured([sys.executable, "-c", "raise SystemExit('out of patience')"], Path.cwd())


def test_without_spin_a_row_is_unable_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours is measured all the same; the row does not pass for a comparison."""
    monkeypatch.setattr(bench, "missing", lambda: "no spin here; install spin and gcc")
    done = bench.check(row("verdict-4"), QUICK)
    assert done.verdict is Verdict.UNABLE
    assert "no spin here" in done.reason
    assert done.extra["peer_s"] is None
    assert done.extra["ours_s"] > 0


def test_a_missing_tool_is_named() -> None:
    """Both the fault and the remedy."""
    assert bench.missing(("no-such-tool-of-ours",)).startswith("no no-such-tool-of-ours here")
    assert bench.missing(("python3",) if shutil.which("python3") else ()) == ""


DOCUMENT = {
    "checks": [
        {"group": "same", "mixed": True, "threads": n, "ours_states": 10**n, "ours_s": 0.1 * n}
        | ({"peer_states": 10**n + 8, "peer_s": float(n)} if n < 5 else {"peer_s": None})
        for n in (3, 4, 5)
    ]
}


def test_the_plot_has_a_line_for_each_side_and_a_point_for_each_figure() -> None:
    """What was not measured is not drawn."""
    assert series(DOCUMENT, "ours_states", "peer_states") == [
        ("same, mixed", False, [(3, 1000), (4, 10_000), (5, 100_000)]),
        ("same, mixed", True, [(3, 1008), (4, 10_008)]),
    ]
    (given_up,) = series(
        {"checks": [{**DOCUMENT["checks"][0], "peer_finished": False}]}, "ours_s", "peer_s"
    )
    assert not given_up[1]
    drawn = growth(DOCUMENT)
    ElementTree.fromstring(drawn)
    assert len(re.findall("<polyline", drawn)) == 4
    assert len(re.findall("<circle", drawn)) == 10
    assert "stroke-dasharray" in drawn


def test_a_plot_of_nothing_has_empty_axes() -> None:
    """No rows, no lines, and still a picture."""
    drawn = growth({"checks": []})
    ElementTree.fromstring(drawn)
    assert "<circle" not in drawn


def test_the_command_writes_its_result_and_its_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One JSON object with the rows' figures, and the picture beside it."""
    monkeypatch.setattr("lastref.conformance.cli.bench.rows", lambda size: (row("verdict-6"),))
    where, plot = tmp_path / "bench.json", tmp_path / "growth.svg"
    ran = CliRunner().invoke(app, ["bench", "--quick", "--json", str(where), "--plot", str(plot)])
    assert ran.exit_code == 0, ran.output
    document = json.loads(where.read_text(encoding="utf-8"))
    assert document["command"] == "bench"
    assert document["checks"][0]["ours_s"] > 0
    assert document["checks"][0]["peer_s"] is None
    assert "<polyline" in plot.read_text(encoding="utf-8")


def test_a_folder_without_the_models_is_refused(tmp_path: Path) -> None:
    """Before anything is measured."""
    ran = CliRunner().invoke(app, ["bench", "--models", str(tmp_path)])
    assert "there is no handle_word_fine.pml" in str(ran.exception)


@pytest.mark.needs("pidfd-open")  # measured is on Linux only, and this is what tells a Linux
def test_rows_are_chosen_by_name(tmp_path: Path) -> None:
    """Only the rows that were named, each once, whatever the length of the run."""
    where = tmp_path / "bench.json"
    ran = CliRunner().invoke(app, ["bench", "fault-2023", "fault-2023", "--json", str(where)])
    assert ran.exit_code in (0, 3), ran.output
    assert [c["id"] for c in json.loads(where.read_text())["checks"]] == ["bench/fault-2023"]


def test_an_unknown_row_is_refused() -> None:
    """The line says which rows there are."""
    ran = CliRunner().invoke(app, ["bench", "same-one-99"])
    assert "there is no row 'same-one-99'" in str(ran.exception)
    assert "same-one-8" in str(ran.exception)
