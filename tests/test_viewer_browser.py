"""The viewer of scenes in a real browser, on a scene of its own: what is drawn and read out is what the arrays say."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from jaxmask.colour import CLEAR, CLOUD, ONLY_LABEL, ONLY_MASK
from jaxmask.report import ReportConfig, main
from jaxmask.scene_page import write_scene_page
from jaxmask.seen import SeenScene
from jaxmask.seen_scene import read_seen_scene
from jaxmask.viewer_content import quantities
from preprocess.colour import NO_DATA
from preprocess.errors import EXIT_DONE
from preprocess.level1 import CONFIDENCE_BITS
from tests.browsing import opened
from tests.run_folder import product_name, write_run

READY = "#viewer-frame[aria-busy=false]"
SCREEN = {"viewport": {"width": 1000, "height": 800}}
COLUMNS = 72


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three products, reported."""
    folder = write_run(tmp_path_factory.mktemp("viewed") / "run", products=3, height=64, width=COLUMNS)
    assert main(ReportConfig(folder, scenes=0, workers=0)) == EXIT_DONE
    return folder


@pytest.fixture(scope="module")
def seen(run: Path) -> SeenScene:
    """A scene by day whose top rows hold no data, and one pixel no S3; in some rows the mask differs everywhere."""
    name = product_name(1)
    return spoilt(read_seen_scene(next((run / "hdf").rglob(f"{name}.hdf")), run / "predictions" / f"{name}.h5"))


def spoilt(scene: SeenScene) -> SeenScene:
    scene.valid[:3], scene.label_valid[:3], scene.measured[:3] = False, False, 0
    scene.measured[10, 10] &= ~np.uint16(1 << 2)  # S3
    scene.latitude[:3] = scene.longitude[:3] = np.nan
    scene.probability[30:45] = 1 - scene.probability[30:45]
    scene.flags[20, 30] = CONFIDENCE_BITS["coastline"] | CONFIDENCE_BITS["sun_glint"]
    scene.flags[20, 31] = 0
    return scene


@pytest.fixture(scope="module")
def full(run: Path, seen: SeenScene) -> Path:
    path = run / "scenes" / "full.html"
    write_scene_page(path, seen)
    return path


@pytest.fixture
def page(browser: Browser, full: Path) -> Iterator[Page]:
    with opened(browser, full, **SCREEN) as seen_page:
        seen_page.page.wait_for_selector(READY)
        yield seen_page.page


def drawn(page: Page) -> NDArray[np.uint8]:
    """The picture as the screen shows it, without what lies over it, once it has come to rest."""
    page.add_style_tag(
        content=".viewer-cross, .viewer-side, .viewer-divider::before, .viewer-divider::after { visibility: hidden }"
    )
    last = None
    for _ in range(20):
        page.wait_for_timeout(60)
        shot = page.locator("#viewer-frame").screenshot()
        if shot == last:
            break
        last = shot
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))


def expected(seen: SeenScene, layer: str) -> NDArray[np.uint8]:
    """Slowly, from the meaning of the arrays."""
    picture = np.empty((*seen.valid.shape, 3), np.uint8)
    for at in np.ndindex(seen.valid.shape):
        label, cloud = bool(seen.label[at]), bool(seen.probability[at] > seen.threshold)
        if layer == "mask":
            picture[at] = NO_DATA if not seen.valid[at] else CLOUD if cloud else CLEAR
        elif not (seen.valid[at] and seen.label_valid[at]):
            picture[at] = NO_DATA
        elif layer == "label" or label == cloud:
            picture[at] = CLOUD if label else CLEAR
        else:
            picture[at] = ONLY_LABEL if label else ONLY_MASK
    return picture


def on_the_grid(picture: NDArray[np.uint8], seen: SeenScene) -> NDArray[np.uint8]:
    """The colour on the screen at the middle of each pixel of a scene that is fitted into the frame."""
    height, width = picture.shape[0] - 2, picture.shape[1] - 2  # within the border
    rows, columns = seen.valid.shape
    size = min(height / rows, width / columns)
    top, left = 1 + (height - size * rows) / 2, 1 + (width - size * columns) / 2
    y = (top + size * (np.arange(rows) + 0.5)).astype(int)
    x = (left + size * (np.arange(columns) + 0.5)).astype(int)
    return picture[y[:, None], x]


def choose(page: Page, layer: str, opacity: int = 100) -> None:
    page.check(f"[name=viewer-layer][value={layer}]")
    page.locator("#viewer-opacity").fill(str(opacity))


def readings(page: Page) -> dict[str, str]:
    names, texts = (page.locator(f"#viewer-values {tag}").all_inner_texts() for tag in ("dt", "dd"))
    return dict(zip(names, texts, strict=True))


def go_to(page: Page, row: int, column: int) -> None:
    """By keyboard, from wherever it is."""
    page.focus("#viewer-stage")
    at = [int(number) for number in readings(page)["row, column"].split(", ")]
    for now, wanted, less, more in ((at[0], row, "ArrowUp", "ArrowDown"), (at[1], column, "ArrowLeft", "ArrowRight")):
        for _ in range(abs(wanted - now)):
            page.keyboard.press(more if wanted > now else less)


@pytest.mark.parametrize("layer", ["label", "mask", "disagreement"])
def test_a_layer_is_drawn_as_the_arrays_say(page: Page, seen: SeenScene, layer: str) -> None:
    choose(page, layer)
    found = on_the_grid(drawn(page), seen)
    # a canvas scaled by no whole number rounds its channels, by 1 of 255 at most
    assert np.abs(found.astype(int) - expected(seen, layer)).max() <= 1


def test_the_slider_of_opacity_fades_the_layer(page: Page, seen: SeenScene) -> None:
    choose(page, "none")
    base = on_the_grid(drawn(page), seen).astype(float)
    over = expected(seen, "disagreement").astype(float)
    for opacity in (0, 50, 100):
        choose(page, "disagreement", opacity)
        found = on_the_grid(drawn(page), seen)
        # rounded twice: the layer's weight to 1 / 255, the sum to a whole number
        assert np.abs(found - (base + opacity / 100 * (over - base))).max() <= 2
    assert page.locator("#viewer-opacity-value").inner_text() == "100 %"


def test_the_swipe_shows_the_label_left_and_the_prediction_right(page: Page, seen: SeenScene) -> None:
    choose(page, "swipe")
    label, mask = expected(seen, "label"), expected(seen, "mask")
    assert (label != mask).any()
    divider = page.locator("#viewer-divider")

    def check(share: float) -> None:
        found = on_the_grid(drawn(page), seen).astype(int)
        edge = share * COLUMNS
        left, right = slice(0, max(0, int(edge) - 1)), slice(int(edge) + 2, None)  # the column that is cut is left out
        assert np.abs(found[:, left] - label[:, left]).max(initial=0) <= 1
        assert np.abs(found[:, right] - mask[:, right]).max(initial=0) <= 1

    check(0.5)
    divider.focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    assert divider.get_attribute("aria-valuenow") == "80"
    check(0.8)
    page.keyboard.press("Home")
    check(0.0)
    page.keyboard.press("End")
    box = page.locator("#viewer-frame").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 6, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 1 + 0.25 * (box["width"] - 2), box["y"] + 60, steps=3)
    page.mouse.up()
    assert divider.get_attribute("aria-valuenow") == "25"
    check(0.25)


@pytest.mark.parametrize(("row", "column"), [(1, 5), (10, 10), (20, 30), (20, 31), (63, 71)])
def test_the_values_are_those_of_the_arrays(page: Page, seen: SeenScene, row: int, column: int) -> None:
    go_to(page, row, column)
    found = readings(page)
    assert found["row, column"] == f"{row}, {column}"
    for quantity, values, known in quantities(seen):
        text = found[quantity.label + (f", {quantity.unit}" if quantity.unit else "")]
        if not known[row, column]:
            assert text == "no data", quantity.name
        else:
            value = float(text.replace("\N{MINUS SIGN}", "-"))
            # half a quantum, and what float64 rounds
            assert abs(value - float(values[row, column])) <= quantity.quantum / 2 + 1e-9, quantity.name
    label = "no data" if not seen.label_valid[row, column] else "cloud" if seen.label[row, column] else "clear"
    cloud = "no data" if not seen.valid[row, column] else "cloud" if seen.cloud[row, column] else "clear"
    assert (found["Bayes label"], found["U-Net (> 0.5)"]) == (label, cloud)
    names = [name.replace("_", " ") for name, bit in CONFIDENCE_BITS.items() if seen.flags[row, column] & bit]
    assert found["flags"] == (", ".join(names) or "none set")


def test_the_pointer_reads_the_pixel_under_it_and_the_screen_reader_hears_the_keyboard(page: Page) -> None:
    box = page.locator("#viewer-frame").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2 + 2, box["y"] + box["height"] / 2 + 2)
    assert readings(page)["row, column"] == "32, 36"
    page.focus("#viewer-stage")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#viewer-status")).to_contain_text("row, column: 31, 46;")


def touch(page: Page, *fingers: list[tuple[float, float]]) -> None:
    """Each finger goes through its own points of the window, all at once, and is lifted at the end."""
    session = page.context.new_cdp_session(page)
    for step, points in enumerate(zip(*fingers, strict=True)):
        touched = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(points)]
        kind = "touchMove" if step else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touched})
        page.wait_for_timeout(30)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_by_touch_a_tap_reads_a_pinch_zooms_and_the_divider_is_drawn(browser: Browser, full: Path) -> None:
    with opened(browser, full, has_touch=True, **SCREEN) as seen_page:
        page = seen_page.page
        page.wait_for_selector(READY)
        box = page.locator("#viewer-frame").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.touchscreen.tap(x + 2, y + 2)
        expect(page.locator("#viewer-values dd").first).to_have_text("32, 36")
        before = page.locator("#viewer-scale").inner_text()
        steps = range(0, 120, 20)
        touch(page, [(x - 40 - far, y) for far in steps], [(x + 40 + far, y) for far in steps])
        expect(page.locator("#viewer-scale")).not_to_have_text(before)
        page.click("#viewer-fit")
        expect(page.locator("#viewer-scale")).to_have_text(before)
        choose(page, "swipe")
        touch(page, [(x - far, y) for far in steps])
        moved = page.locator(".viewer-divider").bounding_box()
        assert moved is not None
        assert moved["x"] + moved["width"] / 2 == pytest.approx(x - steps[-1], abs=2)


def test_zoom_and_pan_by_keys_buttons_wheel_and_mouse(page: Page) -> None:
    def magnified() -> float:
        page.wait_for_timeout(500)  # until it has come to rest
        text = page.locator("#viewer-scale").inner_text()
        number = float(re.match(r"[\d.]+", text)[0])  # type: ignore[index]
        return number if "magnified" in text else number / 100

    def pixel(right: float, down: float) -> list[int]:
        page.mouse.move(box["x"] + right, box["y"] + down)
        return [int(number) for number in readings(page)["row, column"].split(", ")]

    box = page.locator("#viewer-frame").bounding_box()
    assert box is not None
    fitted = magnified()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, -100)
    assert magnified() == fitted, "the wheel is the page's until the picture has been clicked"
    page.mouse.click(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, -100)
    assert magnified() > fitted
    page.click("#viewer-fit")
    assert magnified() == fitted
    page.focus("#viewer-stage")
    page.keyboard.press("+")
    assert magnified() == pytest.approx(1.5 * fitted, abs=0.2)
    before = pixel(300, 250)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 200, steps=4)
    page.wait_for_timeout(200)
    page.mouse.up()
    assert abs(pixel(200, 200)[1] - before[1]) <= 2, "what was grasped is still under the pointer"
    page.keyboard.press("1")
    assert magnified() == 1
    page.keyboard.press("0")
    assert magnified() == fitted


@pytest.mark.parametrize("options", [SCREEN, {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}])
def test_everybody_can_use_it(browser: Browser, full: Path, options: dict[str, object]) -> None:
    with opened(browser, full, **options) as seen_page:
        page = seen_page.page
        page.wait_for_selector(READY)
        choose(page, "swipe")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        result = Axe().run(page)
        assert not result.response["violations"], result.generate_report()


def test_on_paper_and_without_scripts_the_pictures_are_shown(browser: Browser, full: Path, page: Page) -> None:
    assert page.locator(".panel img:visible").count() == 0
    page.emulate_media(media="print")
    assert page.locator(".panel img:visible").count() == 4
    assert not page.locator("#viewer").is_visible()
    with opened(browser, full, java_script_enabled=False) as plain:
        assert plain.page.locator(".panel img:visible").count() == 4
        assert not plain.page.locator("#viewer").is_visible()


def test_the_report_opens_one_scene_at_a_time(browser: Browser, run: Path) -> None:
    with opened(browser, run / "report.html", **SCREEN) as report:
        page = report.page
        page.wait_for_selector(READY)
        names = page.locator("#viewer-scene option").all_inner_texts()
        assert len(names) > 1
        page.select_option("#viewer-scene", "1")
        page.wait_for_selector(READY)
        assert page.locator("#viewer-stage").get_attribute("aria-label") == f"Scene {names[1].split(': ')[1]}"
        assert page.locator(".openseadragon-container").count() == 1
        assert page.locator(".scene:visible").count() == 1
