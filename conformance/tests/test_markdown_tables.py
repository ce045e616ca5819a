"""The programs that make tables of results: what they print, and how they end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lastref.conformance import bench_table, proof_table
from lastref.conformance.markdown_tables import table
from lastref.conformance.results import Check, Result, Verdict

PROGRAMS = [bench_table, proof_table]
MEASURED = {"group": "same", "ours_states": 7, "ours_s": 2.5, "ours_bytes": 2**26, "ratio": None}


def run(module: ModuleType, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program as its docstring says."""
    command = [sys.executable, "-m", module.__name__, *arguments]
    settings = {"stdout": subprocess.PIPE, **options}
    return subprocess.run(
        command, stderr=subprocess.PIPE, encoding="utf-8", check=False, **settings
    )


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of a result as `lastref bench` and `lastref prove` write one."""
    checks = (
        Check("bench/same-3", "bench", Verdict.PASS, 7, 2.5, extra=MEASURED),
        Check("bits", "bits", Verdict.PASS, 3, 0.1, "", "go-2024", "linux"),
    )
    path = tmp_path_factory.mktemp("result") / "result.json"
    path.write_text(Result("try", checks).to_json(), encoding="utf-8")
    return str(path)


def test_the_first_column_is_text_and_the_others_are_figures() -> None:
    """As Markdown aligns them."""
    assert table(["a", "b"], [["c", "1"]]) == ["| a | b |", "| --- | ---: |", "| c | 1 |"]


@pytest.mark.parametrize(
    ("module", "row", "rows"),
    [(bench_table, "| `same-3` | 7 |", 2), (proof_table, "| go-2024/linux | 2 |", 1)],
)
def test_a_table_is_made_of_all_files(module: ModuleType, row: str, rows: int, result: str) -> None:
    """A benchmark's rows follow each other, proofs of one table are counted together."""
    done = run(module, result, result)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(row) == rows


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX pipes")
@pytest.mark.parametrize("module", PROGRAMS)
def test_a_reader_that_has_seen_enough_is_no_error(module: ModuleType, result: str) -> None:
    """Into a pipe that nobody reads any more: exit code 2, as everywhere, and no traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    done = run(module, result, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (2, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "no file is named"), ("{", "is no result"), ("{}", "'schema' is a required property")],
)
def test_what_is_no_result_is_refused_in_a_line(
    text: str | None, said: str, tmp_path: Path
) -> None:
    """No file, no JSON, and JSON of another kind."""
    path = tmp_path / "other.json"
    path.write_text(text or "", encoding="utf-8")
    done = run(bench_table, *([] if text is None else [str(path)]))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
