"""The report in a real browser, opened from the file: as a person sees and uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from jaxmask.report import ReportConfig, main, places
from jaxmask.report_live import follow
from jaxmask.report_numbers import DASH
from preprocess.errors import EXIT_DONE
from tests.browsing import opened
from tests.run_folder import product_name, write_model, write_run

FAILED = product_name(7)
NARROW = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}

SECONDS = 4  # between two refreshes of a followed page: more than a busy machine takes to press its button


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with every stage, one product that was not inferred, and one that could not be unpacked."""
    folder = write_run(tmp_path_factory.mktemp("browsed") / "run")
    (folder / "predictions" / f"{product_name(0)}.h5").unlink()
    failure = {"item": f"{folder}/archive/{FAILED}.zip", "error": "not a whole zip; fetch it again"}
    (folder / "extracted" / "failures.json").write_text(json.dumps([failure]))
    assert main(ReportConfig(folder, workers=0, scenes=2)) == EXIT_DONE
    return folder / "report.html"


def column(page: Page, number: int) -> list[str]:
    """What the shown rows say in one column, the first being 1."""
    cells = page.locator(f"#product-table tbody tr:not([hidden]) > :nth-child({number})")
    return [cell.strip() for cell in cells.all_inner_texts()]


def shown(page: Page) -> str:
    return page.locator("#product-count").inner_text()


@pytest.mark.quick
def test_the_page_opens_without_complaint_or_request(browser: Browser, report: Path) -> None:
    with opened(browser, report) as seen:
        assert seen.page.locator("h1").inner_text() == "Cloud masks of run"
        assert shown(seen.page) == "7 of 7 products shown"
        assert seen.page.locator("#product-table img").count() == 5


def test_a_heading_sorts_numbers_as_numbers_and_what_is_missing_last(browser: Browser, report: Path) -> None:
    with opened(browser, report) as seen:
        page = seen.page
        starts = column(page, 3)
        assert starts == sorted(starts), "as they come: by sensing start"
        heading = page.locator("th[data-key=disagreement]")
        heading.get_by_role("button").click()
        # write_run's disagreement of product n is n + 1 %; product 0 has no mask but was evaluated, 7 was neither
        assert column(page, 8) == ["6.0", "5.0", "4.0", "3.0", "2.0", "1.0", f"{DASH} no shard"]
        assert heading.get_attribute("aria-sort") == "descending"
        heading.get_by_role("button").click()
        assert column(page, 8) == ["1.0", "2.0", "3.0", "4.0", "5.0", "6.0", f"{DASH} no shard"]
        assert heading.get_attribute("aria-sort") == "ascending"
        page.locator("th[data-key=name] button").click()
        names = column(page, 2)
        assert names == sorted(names)
        assert page.locator("[aria-sort]").count() == 1


def test_filters_narrow_the_rows_and_the_count_is_announced(browser: Browser, report: Path) -> None:
    with opened(browser, report) as seen:
        page = seen.page
        page.get_by_label("failures only").check()
        assert column(page, 2) == [FAILED]
        assert column(page, 10) == ["extract: not a whole zip; fetch it again"]
        assert shown(page) == "1 of 7 products shown"
        page.get_by_role("button", name="Show all").click()
        assert shown(page) == "7 of 7 products shown"
        page.get_by_role("combobox", name="Part").select_option("test")
        assert set(column(page, 4)) == {"test"}
        page.get_by_role("combobox", name="Light").select_option("night")
        assert column(page, 2) == [product_name(5)]
        page.get_by_role("button", name="Show all").click()
        page.get_by_role("searchbox", name="Search").fill("s3a 20170302t")
        assert column(page, 2) == [product_name(1)]
        page.get_by_role("searchbox", name="Search").fill("nothing of this name")
        assert shown(page) == "0 of 7 products shown"
        status = page.locator("#product-count")
        assert (status.get_attribute("role"), status.get_attribute("aria-live")) == ("status", "polite")


def test_the_keyboard_alone_does_it_all(browser: Browser, report: Path) -> None:
    with opened(browser, report) as seen:
        page = seen.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.locator("#filter-text").focus()
        page.keyboard.type("S3A")
        reached = []
        for _ in range(16):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id"))
        keys = ("name", "start", "part", "light", "label", "mask", "disagreement", "matchups", "failures")
        assert reached[:5] == ["filter-part", "filter-light", "filter-failed", "filter-none", "product-scroll"]
        assert reached[5:14] == [f"sort-{key}" for key in keys]
        page.locator("#sort-matchups").focus()
        page.keyboard.press("Enter")
        assert page.locator("th[data-key=matchups]").get_attribute("aria-sort") == "descending"
        page.keyboard.press("Space")
        assert page.locator("th[data-key=matchups]").get_attribute("aria-sort") == "ascending"
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", "where the focus is must be seen"


def test_a_link_leads_to_the_full_scene(browser: Browser, report: Path) -> None:
    with opened(browser, report) as seen:
        links = seen.page.locator("#product-table a")
        assert links.count() == 2
        name = links.first.inner_text()
        links.first.click()
        seen.page.wait_for_url(f"**/scenes/{name}.html")
        assert name in seen.page.content()


def test_what_was_chosen_outlives_a_reload(browser: Browser, report: Path) -> None:
    with opened(browser, report, viewport=NARROW) as seen:
        page = seen.page
        page.locator("#sort-disagreement").click()
        page.get_by_role("combobox", name="Part").select_option("test")
        page.get_by_role("searchbox", name="Search").fill("S3A")
        page.evaluate("document.getElementById('product-scroll').scrollLeft = 120")
        page.evaluate("scrollTo(0, 500)")
        before = column(page, 2)
        page.reload()
        assert column(page, 2) == before
        assert page.locator("th[data-key=disagreement]").get_attribute("aria-sort") == "descending"
        assert page.get_by_role("combobox", name="Part").input_value() == "test"
        assert page.evaluate("document.activeElement.id") == "filter-text"
        assert page.evaluate("document.getElementById('product-scroll').scrollLeft") == 120
        page.wait_for_function("scrollY === 500")


def test_colours_follow_the_system_until_the_button_is_pressed_and_are_remembered(
    browser: Browser, report: Path
) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, report, color_scheme="dark") as seen:
        assert seen.page.evaluate(background) == "rgb(18, 22, 27)"
        button = seen.page.locator("#theme")
        assert button.inner_text() == "Light colours"
        button.click()
        assert seen.page.evaluate(background) == "rgb(255, 255, 255)"
        assert button.inner_text() == "Dark colours"
        seen.page.reload()
        assert seen.page.evaluate(background) == "rgb(255, 255, 255)"
        seen.page.emulate_media(media="print", color_scheme="dark")
        assert seen.page.evaluate(background) == "rgb(255, 255, 255)"


def test_on_paper_the_whole_table_is_there_without_controls(browser: Browser, report: Path) -> None:
    with opened(browser, report, color_scheme="dark") as seen:
        page = seen.page
        page.locator("#theme").click()
        page.locator("#theme").click()
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        for hidden in ("#product-filters", "#theme", "nav"):
            assert not page.locator(hidden).is_visible()
        height = "document.getElementById('product-scroll')"
        assert page.evaluate(f"{height}.scrollHeight <= {height}.clientHeight + 1")
        assert page.locator("#product-table tbody tr").last.is_visible()


def test_without_scripts_everything_can_be_read(browser: Browser, report: Path) -> None:
    with opened(browser, report, java_script_enabled=False) as seen:
        page = seen.page
        assert page.locator("#product-table tbody tr").count() == 7
        assert page.locator("#product-table").is_visible()
        assert "not a whole zip" in page.locator("#product-table").inner_text()
        for control in ("#product-filters", "#theme", "#product-table button"):
            assert page.locator(control).count() == 0 or not page.locator(control).is_visible()


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(WIDE, "light"), (WIDE, "dark"), (NARROW, "light")], ids=["light", "dark", "narrow"]
)
def test_axe_finds_nothing_and_the_page_is_no_wider_than_the_screen(
    browser: Browser, report: Path, viewport: dict[str, int], scheme: str
) -> None:
    with opened(browser, report, viewport=viewport, color_scheme=scheme) as seen:
        found = Axe().run(seen.page)
        assert found.violations_count == 0, found.generate_report()
        assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_on_a_wide_screen_no_column_of_the_products_is_cut_off(browser: Browser, report: Path) -> None:
    """With a failure in its column; only narrower screens scroll sideways."""
    with opened(browser, report, viewport=WIDE) as seen:
        width, place = seen.page.evaluate("(({scrollWidth, clientWidth}) => [scrollWidth, clientWidth])"
                                          "(document.getElementById('product-scroll'))")  # fmt: skip
        assert width <= place


def test_a_followed_training_refreshes_its_page_unless_paused(browser: Browser, tmp_path: Path) -> None:
    write_model(tmp_path / "model", ["a"], ["b"])
    (tmp_path / "model" / "results.csv").unlink()
    last = (tmp_path / "model" / "history.jsonl").read_text()
    found, flags = places(ReportConfig(tmp_path)), ReportConfig(tmp_path, workers=0)

    def look(_: float) -> None:
        with opened(browser, tmp_path / "report.html") as seen:
            page = seen.page
            assert "epoch 5 of 5 is done" in page.locator("#live").inner_text()
            page.locator("#live-pause").click()  # at once: what follows may take longer than the page is shown
            assert page.locator("#live-pause").get_attribute("aria-pressed") == "true"
            page.evaluate("window.same = true")
            assert Axe().run(page).violations_count == 0
            page.wait_for_timeout(1000 * SECONDS + 500)
            assert page.evaluate("window.same") is True
            with page.expect_navigation(timeout=10_000):
                page.locator("#live-pause").click()
        raise KeyboardInterrupt

    follow(found, 0, flags, SECONDS, look)
    assert (tmp_path / "model" / "history.jsonl").read_text() == last
    with opened(browser, tmp_path / "report.html") as seen:
        assert "No longer followed" in seen.page.locator("#live").inner_text()
