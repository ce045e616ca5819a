"""The parts of one run, put together: all of them, or the whole is incomplete."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lastref.reports.reading import read

Check = Callable[..., dict[str, Any]]
Part = Callable[..., Path]


@pytest.fixture
def part(tmp_path: Path, check: Check) -> Part:
    """Return a function that writes the result of one shard and returns its path."""

    def write(shard: str, *, seed: int = 0, adapter: str = "x") -> Path:
        document = {
            "schema": "lastref-result-1",
            "command": "check",
            "verdict": "pass",
            "checks": [check(f"{adapter}/{shard}/{seed}")],
            "adapters": [{"name": adapter}],
            "patterns": [],
            "shard": shard,
            "seed": seed,
        }
        path = tmp_path / f"{adapter}-{shard.replace('/', '-of-')}-{seed}.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return write


def test_all_shards_together_are_a_whole(part: Part) -> None:
    """Nothing is amiss with three parts of three, nor with one that is looked at by itself."""
    whole = read([part("1/3"), part("2/3"), part("3/3")])
    assert (whole.verdict, whole.notes) == ("pass", ())
    assert read([part("2/3")]).verdict == "pass"


def test_one_shard_is_too_few_where_the_whole_is_asked_for(part: Part) -> None:
    """A lost machine leaves one file of two, which must not be taken for all of it."""
    report = read([part("1/2")], whole=True)
    assert report.verdict == "incomplete"
    assert report.notes == ("of a run in 2 shards not all are there: 2/2 is missing",)
    assert read([part("1/2"), part("2/2")], whole=True).verdict == "pass"


def test_a_shard_that_is_not_there_makes_the_whole_incomplete(part: Part) -> None:
    """Two parts of three are no pass, and the one that is missing is named."""
    report = read([part("1/3"), part("3/3")])
    assert report.verdict == "incomplete"
    assert report.notes == ("of a run in 3 shards not all are there: 2/3 is missing",)


@pytest.mark.parametrize("other", [{"seed": 1}, {"adapter": "y"}])
def test_a_shard_of_another_run_does_not_stand_in(part: Part, other: dict[str, Any]) -> None:
    """What was shuffled otherwise, or run on something else, is a part of another run."""
    report = read([part("1/3"), part("3/3"), part("2/3", **other)])
    assert report.verdict == "incomplete"


def test_fewer_cases_than_the_heading_promises_are_incomplete(tmp_path: Path, check: Check) -> None:
    """A run that was ended between two lines left nothing half; the count still shows it."""
    heading = {"schema": "lastref-result-1", "command": "check", "cases": 3}
    path = tmp_path / "run.ndjson"

    def written(*names: str) -> Path:
        lines = [heading, *(check(name) for name in names)]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return path

    report = read([written("a", "b")])
    assert report.verdict == "incomplete"
    assert report.notes == ("run.ndjson has 2 of 3 cases: the run was cut short",)
    assert read([written("a", "b", "c")]).verdict == "pass"
