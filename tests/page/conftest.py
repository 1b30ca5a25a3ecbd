"""A real Chromium, and the page in it.

One browser, one tab and one server serve all tests here: starting them costs more than what is tested. After each test
the tab is empty, and no cookie is left.
"""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.page.fake_api import FakeApi, SwappableApi, running_server

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZE: Any = {"width": 1100, "height": 900}


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Chromium, without a window. Where there is none the tests are skipped, and say so.

    It ends with the last test of this package: its event loop runs as long as it does, and other tests need theirs.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: run make setup")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium on this machine: install it (apt-get install chromium), or name it with CHROMIUM")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="package")
def server() -> Iterator[SwappableApi]:
    """The server of all tests."""
    with running_server() as server:
        yield server


@pytest.fixture
def api(server: SwappableApi) -> Iterator[FakeApi]:
    """The page, with a fake API of this test."""
    api = server.use(FakeApi())
    yield api
    api.events = None


@pytest.fixture(scope="package")
def tab(browser: Any) -> Any:
    """The tab of all tests. Nothing moves in it, which is cheaper."""
    context = browser.new_context(viewport=SIZE, locale="en-GB", timezone_id="UTC", reduced_motion="reduce")
    context.set_default_timeout(10_000)
    tab = context.new_page()
    # From the beginning: a chooser that opens just after the first listener was added may be missed.
    tab.on("filechooser", lambda _: None)
    return tab


@pytest.fixture
def page(tab: Any, server: SwappableApi) -> Iterator[Any]:
    """The tab, empty; whatever the page throws, or its Content-Security-Policy forbids, fails the test."""
    complaints: list[str] = []
    thrown = lambda error: complaints.append(str(error))  # noqa: E731 - a listener has to be taken away again
    written = lambda line: complaints.append(line.text) if "Content Security Policy" in line.text else None  # noqa: E731
    tab.on("pageerror", thrown)
    tab.on("console", written)
    yield tab
    # An empty page of the same site: for one of another site Chromium starts another process.
    tab.goto(f"{server.url}/favicon.svg")
    tab.remove_listener("pageerror", thrown)
    tab.remove_listener("console", written)
    tab.context.clear_cookies()
    tab.set_viewport_size(SIZE)
    tab.emulate_media(color_scheme="light", reduced_motion="reduce")
    assert complaints == []
