"""A real Chromium, and the page in it."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.page.fake_api import FakeApi, served

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, without a window. Where there is none the tests are skipped, and say so.

    It ends with each file: Playwright's event loop runs as long as it does, and other tests need their own.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: run make setup")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium on this machine: install it (apt-get install chromium), or name it with CHROMIUM")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """The page before an API that answers as the test likes."""
    with served(FakeApi()) as api:
        yield api


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """An empty tab; whatever the page throws, or its Content-Security-Policy forbids, fails the test."""
    context = browser.new_context(viewport={"width": 1100, "height": 900}, locale="en-GB", timezone_id="UTC")
    context.set_default_timeout(10_000)
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda line: complaints.append(line.text) if "Content Security Policy" in line.text else None)
    # From the beginning: a chooser that opens just after the first listener was added may be missed.
    tab.on("filechooser", lambda _: None)
    yield tab
    context.close()
    assert complaints == []
