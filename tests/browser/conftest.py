"""A headless Chromium for the tests of this folder. Where there is no browser, or no Playwright, all are skipped."""

import os
import shutil
from pathlib import Path

import pytest

from tests.browser.lab import Lab

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def browser():
    reason = "Playwright is not installed: make test-browser, or pip install -c constraints.txt -e '.[browser]'"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    with playwright.sync_playwright() as driver:
        found = next(filter(None, map(shutil.which, NAMES)), driver.chromium.executable_path)
        if not Path(found).is_file():
            pytest.skip(f"No browser: none of {', '.join(NAMES)} on the path, nor after `playwright install chromium`")
        root = hasattr(os, "geteuid") and os.geteuid() == 0  # for whom Chromium has no sandbox
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"] if root else [])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    """JupyterLab, asked for only where there is a browser."""
    server = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("settings"))
    try:
        server.wait()
        yield server
    finally:
        server.close()


@pytest.fixture
def open_page(browser):
    """A function that opens an address in a tab of its own. No error may have reached a tab's console at the end."""
    pages, errors = [], []

    def opened(address: str, width: int = 1000, height: int = 900, **options):
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        pages.append(page)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(address)
        return page

    yield opened
    for page in pages:
        page.close()
    assert errors == []


@pytest.fixture
def shoot(request):
    """A function that keeps what a page looks like, in the folder ``DMLBOOK_SCREENSHOTS``, if that is set."""
    folder = os.environ.get("DMLBOOK_SCREENSHOTS")

    def shot(page, name: str = "page") -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            test = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
            page.screenshot(path=Path(folder) / f"{test}-{name}.png", full_page=True)

    return shot
