"""The page, the Markdown and the terminal: nothing is trusted, nothing loaded, nothing left out."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lastref.reports import explorer, markdown, page, terminal
from lastref.reports.errors import ReportError
from lastref.reports.reading import Report, read

Check = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
HOSTILE = "<script>alert(1)</script>\"'&|`*"


class Elements(HTMLParser):
    """The elements of a page: how many of each, their ids, and what their links lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element."""
        self.tags.append(tag)
        given = {k: v or "" for k, v in attrs}
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given.get("href", ""))
        self.loaded += [given[k] for k in ("src", "srcset", "data") if k in given]
        self.loaded += [given["href"]] if tag == "link" else []


@pytest.fixture
def report(write: Write, check: Check, data: Path) -> Report:
    """Return a report with something for every section, part of it from real runs."""
    path = write(
        check("go/race", status="pass", implementation="go"),
        check("py/race", "broken", status="deviates", implementation="CPython", case="race"),
        check("late", "incomplete", status="timeout", implementation="CPython", case="race-2"),
        check("m", kind="mutants", mutants=3, killed_by={"proof": 2}, survivors=["lost retry"]),
        check("b", kind="bench", ours_s=0.5, peer_s=5.0, peer="Spin", ratio=10),
        check("s", "skipped", reason="no Java here"),
    )
    return read([path, data / "verify.json", data / "replay.json", data / "go-67641.json"])


def test_designs_against_laws_are_on_the_page_in_markdown_and_in_the_terminal(
    write: Write, check: Check
) -> None:
    """A broken law leads to the run that breaks it; one that breaks none is told as well."""
    run = "go-2016/linux:kill,wait:K1.W1"
    report = read(
        [
            write(
                check("a", kept_laws=["no-hang"]),
                check("b", design="go-2016", broken_laws={"no-hang": run}),
            )
        ]
    )
    elements = Elements(page.render(report))
    assert "against" in elements.ids
    assert elements.links.count("#history-1") >= 1
    text = markdown.render(report)
    assert "No law is broken by go-2024/linux." in text
    assert "| go-2016/linux | `no-hang` |" in text
    out = io.StringIO()
    terminal.show(report, Console(file=out, width=120, no_color=True))
    assert re.search(r"go-2016/linux +no-hang", out.getvalue())


def test_the_page_loads_nothing(report: Report) -> None:
    """No element names another file, and no style imports one."""
    text = page.render(report)
    assert Elements(text).loaded == ["data:,"]
    names = text.replace("http://www.w3.org/2000/svg", "")  # a namespace, not an address
    assert not re.search(r"@import|url\(|https?:", names)


def test_every_link_of_the_page_leads_somewhere_in_it(report: Report) -> None:
    """Each link is to an id of the page, and no id is there twice."""
    elements = Elements(page.render(report))
    assert len(elements.ids) == len(set(elements.ids))
    assert len(elements.links) > 30
    assert {link.removeprefix("#") for link in elements.links} <= set(elements.ids)


def test_the_page_has_every_check_and_every_section(report: Report) -> None:
    """The id and the reason of each check, and a heading for each kind of thing."""
    text = page.render(report)
    elements = Elements(text)
    for check in report.checks:
        assert check.id in text
        assert check.reason in text
    wanted = {
        "standing",
        "matrix",
        "histories",
        "coverage",
        "mutants",
        "timings",
        "skipped",
        "checks",
    }
    assert wanted <= set(elements.ids)
    assert "svg" in elements.tags


def test_what_a_result_says_is_shown_and_never_run(write: Write, check: Check) -> None:
    """Markup in ids, reasons and names is text on the page."""
    path = write(
        check(HOSTILE, "broken", reason=HOSTILE, design=HOSTILE, kind=HOSTILE),
        check("x", status=HOSTILE, implementation=HOSTILE, case=HOSTILE),
        check("y", kind="mutants", mutants=1, survivors=[HOSTILE], laws={HOSTILE: 1}),
    )
    text = page.render(read([path]))
    assert HOSTILE not in text
    assert Elements(text).tags.count("script") == 1


def test_markdown_keeps_what_a_result_says_as_text(write: Write, check: Check) -> None:
    """No markup of a result survives outside of code, and no table row is broken by it."""
    path = write(
        check("x", "broken", reason=f"a\nb {HOSTILE}", implementation=HOSTILE, status="crash")
    )
    text = markdown.render(read([path]))
    assert "<script>" not in re.sub(r"`[^`]*`", "", text.replace("\\`", ""))
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(cells) == 1, table


def test_markdown_begins_with_the_verdict_and_then_says_what_failed(report: Report) -> None:
    """A reader of a pull request sees the verdict, the failure and how to replay it at once."""
    lines = markdown.render(report).splitlines()
    assert lines[0] == "## ✕ lastref: broken"
    assert lines[4].startswith("- **deviates** `py/race` on CPython")


def test_markdown_shows_only_the_cases_that_differ(report: Report) -> None:
    """A case that passes everywhere is in the score and not in the table."""
    text = markdown.render(report)
    assert "| `race` | ✓ | ✕ |" in text
    assert "| CPython | 0 | 2 |" in text


def test_a_backquote_in_code_gets_a_longer_fence() -> None:
    """Inline code holds any text, backquotes included."""
    assert markdown.code("a`b``c") == "```a`b``c```"
    assert markdown.code("`") == "`` ` ``"


def test_the_terminal_says_the_same(report: Report) -> None:
    """The verdict, each failure, the matrix and the reasons of what was skipped."""
    out = io.StringIO()
    terminal.show(report, Console(file=out, width=120, no_color=True))
    text = out.getvalue()
    assert text.startswith("✕ broken")
    for said in (
        "deviates py/race on CPython",
        "no Java here",
        "10 times faster than Spin",
        "lost retry",
    ):
        assert said in text


def test_a_pass_says_so_first(data: Path) -> None:
    """The page of a real run that passed begins with that, and lists no failure."""
    report = read([data / "verify.json"])
    text = page.render(report)
    assert '<h1 class="verdict">Pass</h1>' in text
    assert 'class="failures"' not in text


def test_the_explorer_refuses_what_is_no_table() -> None:
    """A document of another schema, or without tables, is refused in words."""
    with pytest.raises(ReportError, match="their schema is None"):
        explorer.render({})
    with pytest.raises(ReportError, match="or there are none"):
        explorer.render({"schema": explorer.TABLES, "tables": []})
