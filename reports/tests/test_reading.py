"""What a report takes in, and what it refuses: bad input is named, and nothing is no result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lastref.reports.errors import ReportError
from lastref.reports.reading import read

Check = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


def test_the_verdict_of_several_files_is_that_of_all_their_checks(
    write: Write, check: Check
) -> None:
    """Broken outranks incomplete, that unable, that pass; skipped does not count."""
    passed = write(check("a"), name="a.json")
    skipped = write(check("b"), check("c", "skipped"), name="b.json")
    unable = write(check("d", "unable"), name="c.json")
    broken = write(check("e", "broken"), name="d.json")
    assert read([passed, skipped]).verdict == "pass"
    assert read([passed, unable]).verdict == "unable"
    assert read([unable, broken, passed]).verdict == "broken"


def test_a_result_and_the_same_checks_line_by_line_read_the_same(
    write: Write, check: Check
) -> None:
    """NDJSON as it is written while running holds what the result at the end holds."""
    checks = [check("a"), check("b", "broken", implementation="cpython", status="deviates")]
    heading = {"schema": "lastref-result-1", "command": "check"}
    whole, lines = read([write(*checks)]), read([write(heading, *checks, name="r.ndjson")])
    told = [[(c.id, c.verdict, c.extra, c.command) for c in r.checks] for r in (whole, lines)]
    assert told[0] == told[1]


def test_a_run_that_was_cut_short_is_incomplete_and_loses_nothing_else(
    write: Write, check: Check
) -> None:
    """Half a last line is what a crash leaves: the checks before it count, nothing passes."""
    path = write(check("a"), check("b"), name="r.ndjson")
    path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    report = read([path])
    assert [c.id for c in report.checks] == ["a"]
    assert report.verdict == "incomplete"
    assert "r.ndjson ends in the middle of line 2" in report.notes[0]


def test_a_trace_beside_the_result_is_found(write: Write, check: Check, data: Path) -> None:
    """A check may name the file of its trace, relative to the result."""
    trace = json.loads((data / "go-67641.json").read_text(encoding="utf-8"))
    path = write(check("a", "broken", trace="t.json"))
    (path.parent / "t.json").write_text(json.dumps(trace), encoding="utf-8")
    assert read([path]).named == {"t.json": trace}


BAD = {
    "empty": ("", "is empty"),
    "no JSON": ("{", "line 1 is no JSON"),
    "half-way": ('{"id": 1', "line 1 is no JSON"),
    "no object": ("3", "it is no JSON object"),
    "another schema": ('{"schema": "junit"}', "its schema is 'junit'"),
    "no schema": ("{}", "its schema is None"),
    "no checks": ('{"schema": "lastref-result-1", "command": "x"}', "no check was written there"),
    "checks no list": ('{"schema": "lastref-result-1", "checks": 3}', "'checks' is no list"),
    "no check ran": (
        '{"schema": "lastref-result-1", "verdict": "incomplete", "checks": []}',
        "no check was written there",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_result_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """The file is named, with the fault, the reason and the remedy on one line."""
    text, said = BAD[name]
    path = tmp_path / "given.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReportError) as refused:
        read([path])
    assert said in str(refused.value)
    assert "given.json" in refused.value.fault
    assert refused.value.remedy
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    """What cannot be opened is named, with the system's reason."""
    with pytest.raises(ReportError, match=r"gone\.json cannot be read: No such file"):
        read([tmp_path / "gone.json"])


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("verdict", "fine", "has the verdict 'fine'"),
        ("count", 0, "passes with no case"),
        ("count", "3", "has count '3'"),
        ("seconds", None, "has seconds None"),
        ("reason", None, "has reason None"),
        ("design", 3, "has design 3"),
        ("id", None, "a check without an id has id None"),
    ],
)
def test_a_malformed_check_is_refused(
    write: Write, check: Check, field: str, value: object, said: str
) -> None:
    """A check with a wrong field, or one that passes though nothing ran, stops the report."""
    path = write({**check("a"), field: value}, name="r.ndjson")
    with pytest.raises(ReportError, match=r"r\.ndjson is malformed|is no result") as refused:
        read([path])
    assert said in str(refused.value) or value is None


def test_a_verdict_that_does_not_follow_from_the_checks_is_refused(
    write: Write, check: Check
) -> None:
    """A file that says pass and holds a broken check is not believed."""
    path = write(check("a", "broken"))
    path.write_text(path.read_text("utf-8").replace('"broken"', '"pass"', 1), encoding="utf-8")
    with pytest.raises(ReportError, match="says 'pass' and its checks come to 'broken'"):
        read([path])
