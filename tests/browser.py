"""A headless browser for tests that look at pages: Chromium, through Playwright; skipped where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

QUIET = [
    f"--{flag}"
    for flag in (
        "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync",
    )
]  # fmt: skip


PATIENCE = 60  # seconds for the browser to close


@dataclass
class Seen:
    """What a page asked for and complained about."""

    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser, or a skip that says what is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no browser: pip install playwright")
    path = os.environ.get("GANZOO_TEST_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no browser: install Chromium, or set GANZOO_TEST_BROWSER to one")
    stuck = Timer(PATIENCE, kill_driver)  # else a browser that does not close holds up all tests, which are over
    stuck.daemon = True
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        stuck.start()
        with suppress(playwright.Error):
            browser.close()
    stuck.cancel()


def kill_driver() -> None:
    """Kill what drives the browser, and with it the browser."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "playwright" in " ".join(process.cmdline()) or "chrom" in process.name():
                process.kill()


@contextmanager
def opened(browser: Any, address: str, width: int = 1400, scheme: str = "light") -> Iterator[tuple[Any, Seen]]:
    """Open a page; what is asked for elsewhere than there is refused, and noted."""
    home, seen = urlsplit(address), Seen()
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(60_000)  # machines may be busy
    page = context.new_page()

    def decide(route: Any) -> None:
        to = urlsplit(route.request.url)
        own = to.scheme in ("data", "blob") or (to.scheme, to.netloc) == (home.scheme, home.netloc)
        if not own or (home.scheme == "file" and to.path != home.path and to.scheme == "file"):
            seen.asked.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    context.route("**/*", decide)
    said = {"error": seen.errors, "warning": seen.warnings}
    page.on("console", lambda m: said.get(m.type, []).append(m.text))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    try:
        page.goto(address)
        yield page, seen
    finally:  # a page left open goes on asking its server
        context.close()


def keep(page: Any, name: str, tmp_path: Path) -> Path:
    """Take a picture of a whole page, into GANZOO_TEST_ARTEFACTS or a temporary folder."""
    folder = Path(os.environ.get("GANZOO_TEST_ARTEFACTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", full_page=True)
    return folder / f"{name}.png"
