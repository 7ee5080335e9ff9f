"""Edge: what is right where the original is wrong, measured: docs/science.md's figures and pictures.

    python benchmarks/science.py PRODUCT.SEN3 RUN --output benchmarks/measured/science.json --figures docs

PRODUCT is a measured product (../shared/tools/complete_product.py OUT completes the one at hand: its sun angles, flags
and temperatures are measured, its radiances are not, and nothing here rests on their values). RUN is what `make demo`
leaves.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import measure
import science_figures
import science_product
import science_run

from preprocess.compose import make_scene
from preprocess.product import read_product


def main(argv: list[str] | None = None) -> int:
    """Measure, write the report and the pictures where they are asked for, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("product", type=Path, help="a measured .SEN3 folder")
    parser.add_argument("run", type=Path, help="a finished run on a simulated archive")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    parser.add_argument("--figures", type=Path, help="folder for the pictures")
    options = parser.parse_args(argv)
    report = measure.machine() | {"product": of_product(options.product), "run": of_run(options.run)}
    measure.tell(report, [], options.output)
    if options.figures:
        science_figures.save_all(report, options.figures)
    return 0


def of_product(folder: Path) -> dict[str, Any]:
    """What one measured product shows."""
    product = read_product(folder)
    original, ours = make_scene(product, convention="reference"), make_scene(product)
    return {
        "name": product.name,
        "sun": science_product.sun(product),
        "fill": science_product.fill(product, original),
        "rows": science_product.rows_moved(product, original),
        "cosmetic": science_product.cosmetic(product, ours),
        "labels": science_product.labels(original, ours),
        "loss": science_product.loss(original, ours),
    }


def of_run(run: Path) -> dict[str, Any]:
    """What a run on a simulated archive shows."""
    settings = json.loads((run / "model" / "config.json").read_text())
    found = list(science_run.products(run))
    tested = science_run.held_out(run)
    return {
        "outputs": science_run.outputs([one for one in found if one.product in tested], settings["positive_weight"]),
        "decisions_moved": science_run.decisions_moved(found),
        "matchups": science_run.matchups(run),
        "granules": science_run.granules([one.product for one in found]),
    }


if __name__ == "__main__":
    sys.exit(main())
