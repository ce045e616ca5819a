"""The report of a real run in Chromium: it opens, filters, links, prints, and is fit to be read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from lastref.conformance.against_laws import law_tasks
from lastref.conformance.cli import main
from lastref.conformance.trace import parse

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

RACE = "go-2023-pidfd/linux:kill,release:K1.K1.R1.R1.reopen.K1"
IMPLEMENTATIONS, CASES = 18, 420
STATUSES = ("pass",) * 20 + ("deviates", "not supported", "crash", "timeout", "pass")


def status_of(implementation: int, case: int) -> str:
    """Return what a full matrix has in a cell: in three of four cases all pass."""
    return "pass" if case % 4 else STATUSES[(implementation * 7 + case * 11) % len(STATUSES)]


FAILED = sum(
    status_of(a, c) in ("deviates", "crash", "timeout")
    for a in range(IMPLEMENTATIONS)
    for c in range(CASES)
)
EXPLORED = ("go-2016", "go-2024", "go-2025-double")
MEGABYTES = 3
ELEMENTS = 30_000
"""So many are ready within a second: 24,600, of 19 implementations, took 0.3 to 0.8 s of CPU."""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Check our own implementation for real, and return the result with the path of its page.

    With it on the page: what this machine can do, and one race replayed for real.
    """
    folder = tmp_path_factory.mktemp("real")
    files = [folder / name for name in ("check.json", "doctor.json", "replay.json")]
    check, doctor, raced = map(str, files)
    if main(["doctor", "--json", doctor]) == 3:
        pytest.skip("this machine cannot replay on real processes: see lastref doctor")
    main(["check", "lastref-go-2024", "--case", "overlap/*", "--json", check])
    assert main(["replay", RACE, "--json", raced]) == 0
    assert main(["report", check, doctor, raced, "-o", str(folder)]) == 0
    document: dict[str, Any] = json.loads(files[0].read_text(encoding="utf-8"))
    return {**document, "page": folder / "index.html"}


@pytest.fixture(scope="module")
def real(checked: dict[str, Any]) -> Path:
    """Return the page of the real runs."""
    page: Path = checked["page"]
    return page


def full_matrix() -> dict[str, Any]:
    """Return a result as large as the full matrix, with failures of every kind and traces.

    It stands for a run of all adapters, which takes minutes: its size and what is in it matter.
    """
    trace = parse(RACE).document()
    verdicts = {"pass": "pass", "not supported": "skipped"}
    checks = []
    for a in range(IMPLEMENTATIONS):
        for c in range(CASES):
            status = status_of(a, c)
            check = {
                "id": f"implementation-{a}/case/{c:03}",
                "kind": "conformance",
                "verdict": verdicts.get(status, "broken"),
                "count": int(status != "not supported"),
                "seconds": 0.01 * c,
                "reason": "" if status == "pass" else f"what was seen in case {c}",
                "design": "go-2024",
                "platform": "linux",
                "adapter": f"implementation-{a}",
                "case": f"case/{c:03}",
                "status": status,
                "history": ["start?", "start → ok", "wait?", "kill?", "exit", "wait → ok"],
            }
            checks.append({**check, "trace": trace} if status == "deviates" else check)
    return {
        "schema": "lastref-result-1",
        "command": "matrix",
        "verdict": "broken",
        "checks": checks,
    }


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of a full matrix and return its path."""
    folder = tmp_path_factory.mktemp("matrix")
    (folder / "matrix.json").write_text(json.dumps(full_matrix()), encoding="utf-8")
    assert main(["report", str(folder / "matrix.json"), "-o", str(folder)]) == 0
    return folder / "index.html"


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a page with the sections that the others lack, and return its path.

    Designs against laws as they are explored now; the mutants and timings stand for long runs.
    """
    folder = tmp_path_factory.mktemp("every")
    common: dict[str, Any] = {"verdict": "pass", "reason": "", "count": 1}
    common |= {"design": "go-2024", "platform": "linux", "seconds": 0.5}
    timed = [
        {**common, "id": f"bench/{n}", "kind": "bench", "peer": "Spin, its own model of it"}
        for n in range(4)
    ]
    for n, check in enumerate(timed):
        check |= {"ours_s": 0.1, "peer_s": 0.02 * 10**n}
    mutants = {"mutants": 20, "killed_by": {"proof": 12, "explorer": 7}, "equivalent": 5}
    checks = [
        *(t.run(lambda _: None).document() for t in law_tasks() if t.design in EXPLORED),
        *timed,
        {**common, "id": "m", "kind": "mutants", **mutants, "survivors": ["release-skipped 3"]},
    ]
    result = {"schema": "lastref-result-1", "command": "try", "verdict": "pass", "checks": checks}
    (folder / "every.json").write_text(json.dumps(result), encoding="utf-8")
    assert main(["report", str(folder / "every.json"), "-o", str(folder)]) == 0
    return folder / "index.html"


def shown(page: Page) -> int:
    """Return how many checks the list shows."""
    return page.locator("tr[data-verdict]:visible").count()


def test_the_report_of_a_real_run_opens_with_its_verdict(
    page: Page, checked: dict[str, Any]
) -> None:
    """The verdict in words, and a cell of the matrix for every case that was run."""
    page.goto(checked["page"].as_uri())
    assert page.locator("h1").inner_text() == checked["verdict"].capitalize()
    assert page.title() == f"{checked['verdict']} – lastref report"
    cases = page.locator(".matrix tbody th").all_inner_texts()
    assert cases == [c["case"] for c in checked["checks"]]
    passed = sum(c["status"] == "pass" for c in checked["checks"])
    assert page.locator(".matrix td", has_text="✓").count() == passed > 10
    kinds = page.locator("#standing table").first.locator("thead th").all_inner_texts()
    assert kinds == ["design", "capability", "replay"]


def test_the_history_of_a_real_replay_shows_the_wrong_process(page: Page, real: Path) -> None:
    """The race that was replayed is drawn, with its last step marked as breaking the law."""
    page.goto(real.as_uri())
    history = page.locator("details.history", has_text="no-wrong-process")
    drawn = history.locator("svg")
    assert drawn.locator("circle").count() == 6
    assert "kill.send.wrong" in (drawn.text_content() or "")
    assert drawn.locator("circle.hot").count() == 1
    assert history.locator(".command code").text_content() == f"lastref replay {RACE}"


def test_the_filter_hides_what_does_not_fit_and_says_how_many_are_left(
    page: Page, matrix: Path
) -> None:
    """Words and verdicts narrow the list and the matrix together; resetting shows all again."""
    page.goto(matrix.as_uri())
    every = shown(page)
    assert every == FAILED
    words = page.locator("#filter").get_by_role("searchbox")
    words.fill("implementation-3/ crash")
    crashes = shown(page)
    assert 0 < crashes < CASES
    assert page.locator("#shown").inner_text() == f"{crashes} of {every} checks shown"
    page.get_by_role("checkbox", name="broken").uncheck()
    assert shown(page) == 0
    assert page.locator("#none").is_visible()
    page.get_by_role("button", name="all", exact=True).click()
    page.wait_for_function(f"document.getElementById('shown').textContent.startsWith('{every} ')")


def test_the_matrix_shows_on_request_only_where_something_went_wrong(
    page: Page, matrix: Path
) -> None:
    """A box hides the cases in which nothing but a pass was seen, words find one case."""
    page.goto(matrix.as_uri())
    rows = page.locator(".matrix tbody tr:visible")
    assert rows.count() == CASES
    page.get_by_role("checkbox", name="only where something").check()
    amiss = rows.count()
    assert 0 < amiss < CASES
    assert page.locator("#cases-shown").inner_text() == f"{amiss} of {CASES} cases shown"
    page.get_by_role("checkbox", name="only where something").uncheck()
    page.locator("#cases").get_by_role("searchbox").fill("case/007")
    assert rows.count() == 1


def test_a_cell_that_passed_leads_to_what_was_seen_drawn(page: Page, matrix: Path) -> None:
    """Equal histories are held once, in words; the one that is asked for is drawn."""
    page.goto(matrix.as_uri())
    page.locator(".matrix td a", has_text="✓").first.click()
    seen = page.locator(".seen li:target")
    seen.locator("svg").wait_for()
    assert "start? · start → ok · wait? · kill? · exit · wait → ok" in seen.inner_text()
    assert seen.locator("circle").count() == 6
    assert seen.locator("text").all_text_contents()[:3] == ["call 1", "call 2", "kernel"]


def test_a_history_that_was_really_seen_has_the_words_bits_at_each_event(
    page: Page, real: Path
) -> None:
    """A Wait that was blocked: two references while it waits, then the one bit that says done."""
    page.goto(real.as_uri())
    row = page.locator(".matrix tbody tr", has_text="overlap/nothing/then-signal")
    row.get_by_role("link", name="✓").click()
    seen = page.locator(".seen li:target")
    seen.locator("svg").wait_for()
    words = [
        t for t in seen.locator("svg text").all_text_contents() if t.startswith(("ok", "done"))
    ]
    assert words[0] == "ok 2"
    assert words[-1] == "done 0"
    assert len(words) == seen.locator("circle").count() == seen.locator("path.bits").count()


def test_coverage_is_shown_of_an_implementation_too(page: Page, real: Path) -> None:
    """The commands that the specification must have taken in what was seen, of all that it has."""
    page.goto(real.as_uri())
    row = page.locator("#coverage tr", has_text="lastref-go-2024 · go-2024/linux")
    taken, every = map(int, row.locator("td").last.inner_text().split(" of "))
    assert 10 < taken < every


def test_a_broken_law_leads_to_the_shortest_run_that_breaks_it(page: Page, every: Path) -> None:
    """From the design and the law to the diagram, and the command that replays it."""
    page.goto(every.as_uri())
    row = page.locator("#against tbody tr", has_text="go-2025-double/linux").first
    row.get_by_title("go-2025-double/linux breaks no-panic").click()
    history = page.locator("details.history:target")
    history.locator("svg").wait_for()
    assert "breaks no-panic" in history.inner_text()
    assert "lastref replay go-2025-double/linux:" in history.inner_text()
    sound = page.locator("#against tbody tr", has_text="go-2024/linux").first
    assert sound.locator("td.broken").count() == 0


def test_a_cell_leads_to_its_history_and_that_to_its_check(page: Page, matrix: Path) -> None:
    """From the matrix to the drawing, opened if need be, and on to the check's own line."""
    page.goto(matrix.as_uri())
    cell = page.locator(".matrix td.broken a", has_text="†").nth(4)
    anchor = (cell.get_attribute("href") or "").removeprefix("#")
    assert page.locator(f"#{anchor}").get_attribute("open") is None
    cell.click()
    opened = page.locator(f"#{anchor}")
    opened.locator("svg").wait_for()
    assert "crash" in opened.inner_text()
    opened.locator("figcaption a").first.click()
    page.locator("tr:target").wait_for()


def test_a_link_to_a_check_that_is_filtered_away_shows_it(page: Page, matrix: Path) -> None:
    """Following a link beats the filter: the row it leads to is seen."""
    page.goto(matrix.as_uri())
    page.locator("#filter").get_by_role("searchbox").fill("nothing fits this")
    assert shown(page) == 0
    page.locator(".failures a.mono").first.click()
    page.locator("tr:target").wait_for()
    page.wait_for_function("!document.querySelector('tr:target').hidden")


def test_the_page_of_a_full_matrix_is_small_and_opens_at_once(
    page: Page, matrix: Path, record_property: Callable[[str, object], None]
) -> None:
    """Under 3 MB, and no more to lay out at once than a browser does in a second.

    How long it took is recorded with the test, for whoever compares; a busy machine is no failure.
    """
    assert matrix.stat().st_size < MEGABYTES * 1_000_000
    start = time.perf_counter()
    page.goto(matrix.as_uri(), wait_until="load")
    record_property("opened_in_s", round(time.perf_counter() - start, 3))
    assert page.locator(".matrix td").count() == IMPLEMENTATIONS * (CASES + 1)
    assert page.locator("*").count() < ELEMENTS
    late = "s => getComputedStyle(s).contentVisibility"
    assert {section.evaluate(late) for section in page.locator("main > section").all()} == {"auto"}


def test_printing_opens_every_history(page: Page, matrix: Path) -> None:
    """On paper nothing can be clicked, so nothing is folded and no control is printed."""
    page.goto(matrix.as_uri())
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("details:not([open])").count() == 0
    assert not page.locator("#filter").is_visible()


def test_without_its_script_the_page_has_everything_to_read(
    open_tab: Callable[..., Page], matrix: Path
) -> None:
    """The verdict, the matrix and every check are there; only the filter is missing."""
    tab = open_tab(java_script_enabled=False)
    tab.goto(matrix.as_uri())
    assert tab.locator("h1").inner_text() == "Broken"
    assert tab.locator("tr[data-verdict]").count() == FAILED
    assert tab.locator(".matrix tbody td").count() == IMPLEMENTATIONS * CASES
    assert not tab.locator("#filter").is_visible()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["real", "matrix", "every"])
def test_the_report_fits_its_window(
    open_tab: Callable[..., Page],
    request: pytest.FixtureRequest,
    pictures: Path,
    which: str,
    width: int,
    scheme: str,
) -> None:
    """Nothing is wider than the window, wide or narrow, light or dark; pictures are kept."""
    address = request.getfixturevalue(which)
    tab = open_tab(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab.goto(address if isinstance(address, str) else address.as_uri())
    tab.screenshot(path=pictures / f"{which}-{width}-{scheme}.png", full_page=which != "matrix")
    assert tab.evaluate("document.documentElement.scrollWidth") == width


Audit = Callable[[Any], list[str]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["real", "matrix", "every", "explorer"])
def test_axe_finds_nothing_serious(
    open_tab: Callable[..., Page],
    request: pytest.FixtureRequest,
    audit: Audit,
    which: str,
    scheme: str,
) -> None:
    """No serious or critical fault of accessibility, in light or dark, contrast included."""
    address = request.getfixturevalue(which)
    tab = open_tab(color_scheme=scheme, bypass_csp=True)
    text = address if isinstance(address, str) else address.as_uri()
    tab.goto(f"{text}#{RACE}" if which == "explorer" else text)
    # Hundreds of rows are alike: the first ones of each table are looked at.
    tab.evaluate("document.querySelectorAll('tbody tr:nth-child(n+30)').forEach((r) => r.remove())")
    assert audit(tab) == []
