"""The pages in a real browser: Chromium driven by Playwright, and nothing else of the system's.

Both are looked for where a person would have them.  Where one is missing the tests are skipped and
say how to get it; set ``LASTREF_BROWSER`` to the path of a browser of your own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lastref.conformance.tables_document import tables_document
from lastref.reports.explorer import render

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox",  # as root, as most containers run, the sandbox refuses to start
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> str | None:
    """Return the path of a browser, or None."""
    given = os.environ.get("LASTREF_BROWSER")
    return given or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the browser once, without a window, on a profile of its own that is thrown away."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright: pip install playwright")
    path = executable()
    if path is None:
        pytest.skip("no Chromium on PATH: install the package chromium, or set LASTREF_BROWSER")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path, headless=True, args=list(QUIET), timeout=PATIENCE
        )
        yield started
        started.close()


PATIENCE = 240_000
"""How many milliseconds a page has for what is asked of it, on however busy a machine."""


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a tab of its own, with Playwright's options of a context."""
    contexts = []

    def opened(**options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_tab: Callable[..., Page]) -> Iterator[Page]:
    """Open a tab that fails the test on a script error and on any request but for its own file."""
    tab = open_tab(viewport={"width": 1280, "height": 900})
    amiss: list[str] = []
    tab.on("pageerror", lambda error: amiss.append(f"script: {error}"))
    tab.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith(("file:", "data:", "blob:"))
            else amiss.append(f"request: {asked.url}")
        ),
    )
    yield tab
    assert not amiss


@pytest.fixture(scope="session")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write the explorer of all designs and return its address."""
    path = tmp_path_factory.mktemp("explorer") / "index.html"
    path.write_text(render(tables_document()), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where screenshots go: ``LASTREF_PICTURES``, to look at them, or a folder to forget."""
    given = os.environ.get("LASTREF_PICTURES")
    folder = Path(given) if given else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


AXE = "axe-core@4.10.3"
MOST_SECONDS = 60
"""How long npm may try to fetch it: where there is no network it tries for minutes."""


def fetch_axe(script: Path) -> str | None:
    """Fetch axe-core's one file to ``script``; return why that cannot be done, or None.

    Workers of one run may do so at once, so the file comes to its place whole.
    """
    npm = shutil.which("npm")
    if npm is None:
        return f"no npm on PATH to fetch {AXE} with: install the package npm"
    with tempfile.TemporaryDirectory(dir=script.parent) as folder:
        argv = [npm, "install", "--no-save", "--ignore-scripts", "--prefix", folder, AXE]
        try:
            ended = subprocess.run(
                argv, capture_output=True, text=True, check=False, timeout=MOST_SECONDS
            )
        except subprocess.TimeoutExpired:
            return f"npm could not fetch {AXE} within {MOST_SECONDS} s"
        fetched = Path(folder, "node_modules", "axe-core", "axe.min.js")
        if not fetched.is_file():
            said = (ended.stderr.strip() or "no reason given").splitlines()[-1]
            return f"npm could not fetch {AXE}: {said}"
        fetched.replace(script)
    return None


@pytest.fixture(scope="session")
def audit(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Page], list[str]]:
    """Return a function that lists what axe finds serious or critical on a page.

    axe-core is MPL-2.0 and not part of this project: npm fetches it once, into pytest's cache.
    """
    cache = getattr(request.config, "cache", None)  # none under -p no:cacheprovider
    folder = tmp_path_factory.mktemp("axe") if cache is None else cache.mkdir(AXE.replace("@", "-"))
    script = Path(folder, "axe.min.js")
    if not script.is_file() and (reason := fetch_axe(script)) is not None:
        pytest.skip(reason)
    source = script.read_text(encoding="utf-8")

    def look(tab: Page) -> list[str]:
        tab.evaluate(source)
        found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{v['id']} ({v['impact']}): {v['nodes'][0]['html'][:120]}"
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
        ]

    return look
