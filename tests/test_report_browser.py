"""The report in a real browser, opened from the file: as a person sees and uses it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from jaxmask.report import ReportConfig, main
from preprocess.errors import EXIT_DONE
from tests.browsing import opened
from tests.run_folder import write_run


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with every stage."""
    folder = write_run(tmp_path_factory.mktemp("browsed") / "run")
    assert main(ReportConfig(folder, workers=0)) == EXIT_DONE
    return folder / "report.html"


def test_the_page_opens_without_complaint_or_request(browser: Browser, report: Path) -> None:
    with opened(browser, report) as seen:
        assert seen.page.locator("h1").inner_text() == "Cloud masks of run"
