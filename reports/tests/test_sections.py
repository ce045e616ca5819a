"""What is counted: evidence by design, the matrix, coverage, mutants, timings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lastref.reports.histories import histories
from lastref.reports.matrix import matrix
from lastref.reports.reading import read
from lastref.reports.sections import (
    against,
    coverage,
    failures,
    gist,
    laws,
    mutants,
    skipped,
    standing,
    stated,
)
from lastref.reports.timings import timings

Check = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


def test_a_cell_is_as_bad_as_its_worst_check_and_counts_all_cases(
    write: Write, check: Check
) -> None:
    """Checks of one design and kind are one cell; all skipped is skipped, never a pass."""
    path = write(
        check("a", count=3),
        check("b", "broken", count=4),
        check("c", "skipped", kind="proof"),
    )
    grid = standing(read([path]))
    replay, proof = grid.cell("go-2024/linux", "replay"), grid.cell("go-2024/linux", "proof")
    assert replay is not None
    assert (replay.verdict, replay.count) == ("broken", 7)
    assert proof is not None
    assert proof.verdict == "skipped"


def test_checks_of_single_laws_are_laws_against_designs(write: Write, check: Check) -> None:
    """What an exploration says of each law stands beside the other designs', not among evidence."""
    path = write(
        check("go-2024/linux/no-panic", kind="must"),
        check("go-2016/unix/no-panic", "broken", kind="must", design="go-2016", platform="unix"),
    )
    report = read([path])
    grid = stated(report)
    assert (grid.rows, grid.columns) == (("no-panic",), ("go-2024/linux", "go-2016/unix"))
    broken = grid.cell("no-panic", "go-2016/unix")
    assert broken is not None
    assert broken.verdict == "broken"
    assert standing(report).rows == ()


def test_designs_stand_against_laws_with_the_run_that_breaks_one(
    write: Write, check: Check
) -> None:
    """Kept, broken with its run, or not about the design; a law that is broken stands first."""
    run = "go-2016/unix:kill,wait:K1.W1"
    report = read(
        [
            write(
                check("a", kept_laws=["no-panic"]),
                check("b", design="go-2016", kept_laws=["x"], broken_laws={"no-hang": run}),
            )
        ]
    )
    found = against(report)
    assert found.laws == ("no-hang", "no-panic", "x")
    assert found.designs == ("go-2024/linux", "go-2016/linux")
    assert found.broken == {("no-hang", "go-2016/linux"): run}
    assert found.kept == {("no-panic", "go-2024/linux"), ("x", "go-2016/linux")}
    assert found.broken_by("go-2016/linux") == ("no-hang",)
    assert [h.schedule for h in histories(report)] == [run]


def test_obligations_are_added_up_by_law_and_design(data: Path) -> None:
    """The laws of a real run's proof, with as many obligations as its check counts."""
    report = read([data / "verify.json"])
    (proof,) = (c for c in report.checks if c.kind == "proof")
    assert sum(laws(report).proved.values()) == proof.count


def test_coverage_adds_up_and_names_what_was_never_taken(write: Write, check: Check) -> None:
    """A command that one check took and another did not is taken."""
    path = write(
        check("a", coverage={"load": 2, "cas": 0, "close": 0}),
        check("b", coverage={"load": 1, "cas": 3, "close": 0}),
    )
    (one,) = coverage(read([path]))
    assert one.taken == {"load": 3, "cas": 3, "close": 0}
    assert one.missed == ("close",)
    assert one.share == pytest.approx(2 / 3)


def test_a_real_run_takes_every_command_that_does_not_panic_or_kill(data: Path) -> None:
    """The coverage of `verify --quick`: the replayed methods, and nothing that breaks a law."""
    (one,) = coverage(read([data / "verify.json"]))
    assert one.taken["free.close"] > 0
    assert one.taken["free.load.zero"] == 0


def test_every_mutant_is_killed_equivalent_or_a_survivor(write: Write, check: Check) -> None:
    """The counts add up, whether survivors are listed or counted."""
    path = write(
        check(
            "a",
            mutants=11,
            same=["z"],
            killed_by={"proof": 5, "explore": 2},
            equivalent=1,
            survivors=["x", "y"],
        ),
        check("b", mutants=4, killed_by={"proof": 4}, equivalent=[], survivors=0),
    )
    first, second = mutants(read([path]))
    assert (first.killed, first.survivors) == (7, ("x", "y"))
    assert (second.killed, second.survivors) == (4, ())


def test_the_matrix_has_a_cell_for_each_case_and_implementation(write: Write, check: Check) -> None:
    """A case is the check's id without its implementation, or the field `case`."""
    path = write(
        check("go/race", status="pass", implementation="go"),
        check("py/race", "broken", status="deviates", implementation="py"),
        check("any", status="pass", implementation="py", case="sequence"),
        check("no status"),
    )
    table = matrix(read([path]))
    assert table is not None
    assert table.cases == ("race", "sequence")
    assert table.implementations == ("go", "py")
    assert [getattr(table.at("race", i), "status", None) for i in ("go", "py")] == [
        "pass",
        "deviates",
    ]
    assert table.at("sequence", "go") is None
    assert table.score("py") == (1, 2)


def test_an_expected_deviation_is_neither_a_pass_nor_broken(write: Write, check: Check) -> None:
    """It passes by the expectations, and still has a sign of its own."""
    path = write(check("x/a", status="deviates", implementation="x"))
    table = matrix(read([path]))
    assert table is not None
    assert [s.word for s in table.signs] == ["deviates, as expected"]
    assert table.score("x") == (0, 1)


def test_an_unexpected_pass_does_not_look_like_a_pass(write: Write, check: Check) -> None:
    """A check that breaks because it passed has a sign of its own."""
    path = write(check("x/a", "broken", status="pass", implementation="x"))
    table = matrix(read([path]))
    assert table is not None
    assert [s.word for s in table.signs] == ["pass, and listed as something else"]


def test_twice_as_fast_and_half_as_fast_lie_as_far_from_the_middle(
    write: Write, check: Check
) -> None:
    """The scale is logarithmic: faster is right of 1×, slower left, on equal terms."""
    path = write(
        check("a", ours_s=1.0, peer_s=2.0, peer="Spin"),
        check("b", ours_s=2.0, peer_s=1.0, peer="Spin"),
    )
    plot = timings(read([path]))
    faster, slower = plot.comparisons
    assert faster.at - plot.scale.even == pytest.approx(plot.scale.even - slower.at)
    assert faster.at > plot.scale.even
    assert (faster.ratio, slower.ratio) == (2.0, 0.5)


def test_what_was_skipped_is_grouped_by_its_reason(write: Write, check: Check) -> None:
    """Each reason once, the most frequent first."""
    path = write(
        check("a"),
        check("b", "skipped", reason="no Java"),
        check("c", "skipped", reason="no Go"),
        check("d", "skipped", reason="no Go"),
    )
    assert [(reason, len(checks)) for reason, checks in skipped(read([path]))] == [
        ("no Go", 2),
        ("no Java", 1),
    ]


def test_the_gist_counts_every_check_once(write: Write, check: Check) -> None:
    """The sentence at the head: how many checks came to what, and how many cases ran."""
    path = write(check("a", count=1200), check("b", "skipped"), check("c", "broken"))
    report = read([path])
    assert (
        gist(report) == "Of 3 checks, 1 broke a law, 1 passed and 1 was skipped; 1,201 cases ran."
    )
    assert [c.id for c in failures(report)] == ["c"]
