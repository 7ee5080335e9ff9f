"""Edge: the whole chain on a simulated archive, as the commands that a user would type."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from preprocess.command import log, print_summary, run
from preprocess.errors import EXIT_DONE, EXIT_SOME_FAILED
from preprocess.files import writable_folder
from preprocess.flags import Output, check

LEAST_PRODUCTS = 4
TOLD_MASKS = ("none", "bayes", "unet", "truth")  # of all that sst.json judges


@dataclass(frozen=True)
class DemoConfig(Output):
    """Simulate an archive, then extract, convert, train, infer, judge and report: every command is printed."""

    folder: Positional[Annotated[Path, arg(metavar="FOLDER")]]
    """Folder for everything that the demo makes; a second run goes on with what is there."""
    products: int = 24
    """Products to simulate."""
    size: Literal["small", "full"] = "small"
    """Small (about 258 x 384 pixels) or full (about 1200 x 1500 pixels) products."""
    epochs: int = 30
    """Epochs of training."""
    features: int = 8
    """Features of the U-Net's first level (the published model has 32)."""
    patch_size: int = 128
    """Rows and columns of a training patch, pixels."""
    batch_size: int = 4
    """Patches per training step and device."""
    learning_rate: float = 0.002
    """Adam's learning rate."""
    seed: int = 0
    """Seed of the archive, the split and the training."""

    def __post_init__(self) -> None:
        check(self.products >= LEAST_PRODUCTS, "products", f"{LEAST_PRODUCTS} or more", self.products)


def stages(config: DemoConfig) -> list[list[str]]:
    """The commands of the demo, in order, as a user would type them after `python -m`."""
    folder = config.folder
    archive, extracted, hdf = str(folder / "archive"), str(folder / "extracted"), str(folder / "hdf")
    model, predictions = str(folder / "model"), str(folder / "predictions")
    matchups = f"{archive}/sst_matchups.h5"
    seed = ["--seed", str(config.seed)]
    shape = ["--shape", "native"] if config.size == "small" else []
    label = ["--label", "single_moderate"]  # the nadir view's own: the oblique view sees clouds elsewhere
    size = ["--products", str(config.products), "--size", config.size]
    network = ["--features", str(config.features), "--patch-size", str(config.patch_size)]
    pace = ["--learning-rate", str(config.learning_rate), "--batch-size", str(config.batch_size)]
    # The archive shows products of collections 002, 004 and 005; simulated, their radiances and labels are of one kind.
    mix = ["--mix", "baselines"]
    return [
        ["preprocess.simulate", archive, *size, *seed],
        ["preprocess.extract", f"{archive}/file_list.txt", extracted],
        ["preprocess.convert", extracted, hdf, *shape, *label],
        ["jaxmask.train", hdf, model, "--epochs", str(config.epochs), *network, *pace, *mix, *seed],
        ["jaxmask.infer", model, hdf, predictions, "--overwrite"],
        ["jaxmask.sst", matchups, predictions],
        ["jaxmask.evaluate", hdf, predictions, "--model", model, "--truth", f"{archive}/truth", "--matchups", matchups],
        ["jaxmask.report", str(folder)],
    ]


def main(config: DemoConfig) -> int:
    """Run every stage in its own process; return 0, 3 if a stage left items out, or the code of one that failed."""
    writable_folder(config.folder)
    seconds, worst = {}, EXIT_DONE
    for number, (module, *arguments) in enumerate(commands := stages(config), start=1):
        told = f"\n[{number}/{len(commands)}] python -m {module} {shlex.join(arguments)}"
        log.info("%s", told, extra={"continuation": " \\"})
        begun = time.monotonic()
        quiet = ["--quiet"] if config.quiet else []
        code = subprocess.run([sys.executable, "-m", module, *arguments, *quiet], stdout=sys.stderr).returncode
        seconds[module] = round(time.monotonic() - begun, 1)
        if code not in (EXIT_DONE, EXIT_SOME_FAILED):
            log.error("the demo stops here: python -m %s ended with exit code %d, its message is above", module, code)
            return code
        worst = max(worst, code)
    summary = results(config.folder) | {"seconds": seconds}
    print_summary(config, summary | {"message": closing_lines(config.folder, summary)})
    return worst


def results(folder: Path) -> dict[str, Any]:
    """The demo's figures, read from the files that its stages left."""
    evaluation = json.loads((folder / "predictions" / "evaluation.json").read_text())
    sst = json.loads((folder / "predictions" / "sst.json").read_text())
    overall = [r for r in evaluation["records"] if r["stratum"] == "all" and r["part"] == "test"]
    return {"held_out": overall, "matchups": sst["statistics"] + evaluation["matchups"]}


def closing_lines(folder: Path, summary: dict[str, Any]) -> str:
    """The demo's last words: agreement, accuracy, the match-up table, and where everything lies."""
    lines = ["", "Held-out products, share of pixels:"]
    for record in summary["held_out"]:
        name = {"unet": "U-Net", "bayes": "Bayes label"}.get(record["mask"], record["mask"])
        score = record["agreement"] if record["against"] == "label" else record["accuracy"]
        what = "agrees with the Bayes label" if record["against"] == "label" else "is right (hidden truth)"
        majority = f"(majority {record['majority']:.3f}, {record['count']:,} pixels)"
        lines.append(f"  {name:11} {what:27} {score:.3f} {majority}")
    lines += ["", "Satellite minus buoy over the pixels that each mask calls clear, K:"]
    lines.append(f"  {'mask':8} {'algorithm':10} {'count':>6} {'coverage':>9} {'median':>8} {'RSD':>7}")
    for row in sorted(summary["matchups"], key=lambda row: (row["algorithm"], row.get("time_of_day", ""))):
        if row["mask"] not in TOLD_MASKS:
            continue
        numbers = (_number(row["coverage"], "9.3f"), _number(row["median"], "8.3f"), _number(row["rsd"], "7.3f"))
        group = f"{row['algorithm']} {row.get('time_of_day', '')}"
        lines.append(f"  {row['mask']:8} {group:10} {row['count']:6d} {' '.join(numbers)}")
    return "\n".join([*lines, "", f"The report: {folder / 'report.html'} (everything else is beside it)"])


def _number(value: float | None, width: str) -> str:
    return format(value, width) if value is not None else format("-", ">" + width.split(".")[0])


if __name__ == "__main__":
    sys.exit(run("jaxmask.demo", DemoConfig, main))
