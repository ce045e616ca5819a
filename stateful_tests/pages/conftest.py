"""The pages in a real browser: Chromium driven by Playwright, and nothing else of the system's.

Both are looked for where a person would have them.  Where one is missing the tests are skipped and
say how to get it; set ``LASTREF_BROWSER`` to the path of a browser of your own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lastref.conformance.export import tables_document
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
        started = playwright.chromium.launch(executable_path=path, headless=True, args=list(QUIET))
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a tab that fails the test on a script error and on any request but for its own file."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
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
    context.close()
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
