"""The documents' site: what its configuration does to docstrings, and that it builds unwarned."""

from __future__ import annotations

import doctest
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def conf() -> ModuleType:
    """Return the site's configuration."""
    spec = importlib.util.spec_from_file_location("documents_conf", DOCS / "conf.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_configuration_does_what_its_examples_say(conf: ModuleType) -> None:
    """The examples in its docstrings hold."""
    found = doctest.testmod(conf)
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (["One.", "", "    a", "", "    b"], ["One.", "", "::", "", "    a", "", "    b"]),
        (["A   first", "    more"], ["::", "", "    A   first", "        more"]),
        (["- an item", "  of two lines"], ["- an item", "  of two lines"]),
        (["without their ERROR_ (h)."], [r"without their ERROR\_ (h)."]),
    ],
)
def test_a_table_in_a_docstring_is_kept_as_it_is(
    conf: ModuleType, lines: list[str], kept: list[str]
) -> None:
    """Indented lines are a literal block, lists stay lists, and no word becomes a link."""
    assert list(conf.kept_as_they_are(lines)) == kept


def test_every_document_is_in_the_table_of_contents() -> None:
    """Each Markdown file of docs is named in the index, but for the index itself."""
    index = (DOCS / "index.md").read_text(encoding="utf-8").split()
    written = {p.relative_to(DOCS).with_suffix("").as_posix() for p in DOCS.rglob("*.md")}
    assert written - {"index"} <= set(index)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """The builder makes a page for every public module and warns of nothing."""
    for name in ("sphinx", "furo", "myst_parser"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: .ci/docs builds the site in its own environment")
    for part in ("docs", "README.md", "conformance/PROTOCOL.md"):
        copy, source = tmp_path / "source" / part, ROOT / part
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("api"))
        else:
            shutil.copy(source, copy)
    builder = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    site = tmp_path / "site"
    ended = subprocess.run(
        [*builder, str(tmp_path / "source" / "docs"), str(site)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    for package in ("model", "impl", "conformance", "reports"):
        for path in (ROOT / package).rglob("[a-z]*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if "tests" not in parts:
                assert (site / "api" / f"lastref.{'.'.join(parts)}.html").is_file()
    assert (site / "lessons" / "1-the-word.html").is_file()
