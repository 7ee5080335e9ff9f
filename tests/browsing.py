"""A page opened in a real browser as a person opens it, from the file, with what it complains of and asks for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless; skips the test where there is none."""
    found = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Opened:
    """An open page, and what it did that it must not: console errors, exceptions, requests that leave the files."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def opened(browser: Browser, path: Path, **options: object) -> Iterator[Opened]:
    """`path` opened from the disk; `options` are those of a Playwright context: viewport, color_scheme, media...

    On leaving, raises AssertionError if the page complained in the console or asked for anything but files.
    """
    context = browser.new_context(**options)  # type: ignore[arg-type]
    seen = Opened(context.new_page())
    seen.page.on("console", lambda m: seen.complaints.append(m.text) if m.type in ("error", "warning") else None)
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    try:
        seen.page.goto(path.resolve().as_uri())
        yield seen
        assert not seen.complaints, seen.complaints
        left = [url for url in seen.requests if not url.startswith(("file:", "data:", "blob:"))]
        assert not left, left
    finally:
        context.close()
