"""How fast the report of many products is drawn and opens, and how large it is.

    python benchmarks/report.py [--products 500 971] [--rounds 5] [--output FILE]

A run is made of small products whose thumbnails have the size of a full product's, and three of 1200 x 1500 that are
held out, so that the page's viewer shows these. It is opened from the file in Debian's Chromium, headless: from the
start of the navigation to the end of loading, and from a click on a heading to the next frame.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import ROOT, machine
from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(ROOT))

from jaxmask.maskfile import write_mask
from jaxmask.report import ReportConfig
from jaxmask.report import main as write_report
from jaxmask.report_drawing import Job, draw
from preprocess.shard import write_shard
from tests.run_folder import make_mask, make_scene, write_model, write_statistics

FULL, SMALL = (1200, 1500), (200, 250)  # a thumbnail's half is 125 columns of either
HELD_OUT = 3
TO_LOADED = "() => { const [n] = performance.getEntriesByType('navigation'); return n.loadEventEnd / 1000; }"
TO_SORTED = """() => new Promise((done) => {
  const begun = performance.now();
  document.getElementById('sort-disagreement').click();
  requestAnimationFrame(() => setTimeout(() => done((performance.now() - begun) / 1000)));
})"""


def main(argv: list[str] | None = None) -> int:
    """Measure, print the figures as JSON, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, nargs="+", default=[500, 971])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, nargs=2, default=FULL, help="of the products held out")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as place:
        report = measured(Path(place), options.products, options.rounds, tuple(options.size))
    text = json.dumps(report, indent=2)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")
    return 0


def measured(place: Path, counts: list[int], rounds: int, size: tuple[int, int]) -> dict[str, Any]:
    """All figures; runs are made in `place`."""
    pages = []
    chromium = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for count in counts:
            folder = write_run(place / str(count), count, size)
            write_report(ReportConfig(folder, quiet=True, scenes=0))
            page = folder / "report.html"
            opened = [open_once(browser, page) for _ in range(rounds)]
            pages.append(
                {
                    "products": count,
                    "mb": page.stat().st_size / 1e6,
                    "opened_s": statistics.median(found[0] for found in opened),
                    "sorted_s": statistics.median(found[1] for found in opened),
                }
            )
        version = f"Chromium {browser.version}"
        browser.close()
    drawn = {name: draw_one(folder, rounds, full=name == "scene") for name in ("line", "scene")}
    return {**machine(), "browser": version, "rounds": rounds, "size": list(size), "pages": pages, "drawn": drawn}


def open_once(browser: Browser, page: Path) -> tuple[float, float]:
    """Seconds to loaded, and from a click to sorted."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        seen = context.new_page()
        seen.goto(page.resolve().as_uri(), wait_until="load")
        seen.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
        return seen.evaluate(TO_LOADED), seen.evaluate(TO_SORTED)
    finally:
        context.close()


def draw_one(folder: Path, rounds: int, *, full: bool) -> dict[str, float]:
    """The least processor time of drawing one held-out product, and the kB that it leaves."""
    name = name_of(0)
    job = Job(
        folder / "hdf" / "day" / f"{name}.hdf", folder / "predictions" / f"{name}.h5", folder / "scenes", name, full
    )
    seconds = []
    for _ in range(rounds):
        begun = time.process_time()
        draw(job)
        seconds.append(time.process_time() - begun)
    path = folder / "scenes" / f"{name}{'.html' if full else '.json'}"
    return {"cpu_s": min(seconds), "kb": path.stat().st_size / 1000}


def write_run(run: Path, count: int, size: tuple[int, int]) -> Path:
    """A run of `count` products, the first three of `size` and held out."""
    names = [name_of(number) for number in range(count)]
    (run / "predictions").mkdir(parents=True)
    (run / "hdf" / "day").mkdir(parents=True)
    (run / "scenes").mkdir()
    made = {}
    for number, name in enumerate(names):
        shape = size if number < HELD_OUT else SMALL
        key = number if number < HELD_OUT else HELD_OUT + number % 24  # so many different pictures
        if key not in made:
            scene = make_scene(key, True, *shape)
            shard, mask = run / f"{key}.hdf", run / f"{key}.h5"
            write_shard(shard, scene)
            write_mask(mask, make_mask(scene))
            made[key] = (shard, mask)
        for source, target in zip(made[key], files_of(run, name), strict=True):
            target.hardlink_to(source)
    write_model(run / "model", names[HELD_OUT:], names[:HELD_OUT])
    write_statistics(run / "predictions", names[HELD_OUT:], names[:HELD_OUT])
    return run


def files_of(run: Path, name: str) -> tuple[Path, Path]:
    """Shard and mask of a product."""
    return run / "hdf" / "day" / f"{name}.hdf", run / "predictions" / f"{name}.h5"


def name_of(number: int) -> str:
    """A product name of the mission's form, a different one for each number."""
    start = f"2017{1 + number // 480:02d}{1 + number // 24 % 20:02d}T{number % 24:02d}0000"
    return f"S3A_SL_1_RBT____{start}_{start}_{start}_0179_015_{number:03d}_1439_SVL_O_NR_004"


if __name__ == "__main__":
    sys.exit(main())
