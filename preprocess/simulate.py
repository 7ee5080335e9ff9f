"""Edge: the command `simulate`: an archive of format-faithful products whose cloud truth is known."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from preprocess.command import Parallel, check, finish, log, run, sort_out
from preprocess.errors import UserError
from preprocess.files import clear_leftovers, whole_file, writable_folder, write_json
from preprocess.pool import map_items
from preprocess.simulation.geometry import make_geometry
from preprocess.simulation.manifest import MANIFEST
from preprocess.simulation.matchups import MATCHUPS_PER_PRODUCT, matchup_rows
from preprocess.simulation.plan import ProductPlan, plan_archive
from preprocess.simulation.product import write_product
from preprocess.simulation.quality import IRRADIANCES
from preprocess.simulation.scene import DEFAULT, HELD_OUT, simulate_scene
from preprocess.simulation.tables import (
    label_error_lines,
    plan_text,
    write_label_errors,
    write_matchups,
    write_truth,
    written_plan,
)

SIMULATOR = 3
"""Raised when the same parameters come to mean other products."""
HELD_OUT_SEED = 2**31
"""Added to the seed of a held-out archive: it shows other places at other times than any archive of a usual seed."""
MATCHUPS = {"small": MATCHUPS_PER_PRODUCT, "full": 4 * MATCHUPS_PER_PRODUCT}


@dataclass(frozen=True)
class SimulateConfig(Parallel):
    """Simulate an archive of SLSTR products: zips, a list of them, their cloud truth and buoy match-ups."""

    archive: Positional[Annotated[Path, arg(metavar="ARCHIVE")]]
    """Folder to write; a run that was interrupted goes on where it ended."""
    products: int = 24
    """Products in the archive; eight show every kind."""
    size: Literal["small", "full"] = "small"
    """Pixels of 1 km in a product: small about 258 x 384, full about 1200 x 1500."""
    seed: int = 0
    """Seed of everything; the same gives the same archive, whatever the number of workers."""
    views: Annotated[Literal["nadir", "nadir,oblique"], arg(metavar="nadir|nadir,oblique")] = "nadir"
    """Views whose files a product holds; nadir's are the same either way."""
    held_out: bool = False
    """Draw clouds, aerosol and the label's prior from other distributions than usual, at other places: to judge on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.products >= 1, "products", "1 or more", self.products)
        check(0 <= self.seed < HELD_OUT_SEED, "seed", "0 to 2147483647", self.seed)


@dataclass(frozen=True)
class Job:
    """One product to make, and where."""

    plan: ProductPlan
    archive: Path
    size: str
    held_out: bool
    views: str = "nadir"


def main(config: SimulateConfig) -> int:
    """Make what is missing, then the tables over all that is there."""
    archive = writable_folder(config.archive if config.scheduler is None else config.archive.absolute())
    _claim(archive, _parameters(config))
    truth = writable_folder(archive / "truth")
    plans = plan_archive(config.products, config.size, config.seed + HELD_OUT_SEED * config.held_out)
    wanted = [plan for plan in plans if not _is_made(plan, archive)]
    jobs = [Job(plan, archive, config.size, config.held_out, config.views) for plan in wanted]
    outcomes = map_items(
        make_product,
        jobs,
        workers=config.workers,
        scheduler=config.scheduler,
        label="simulate",
        unit="products",
        quiet=config.quiet,
    )
    _, failures = sort_out(outcomes, lambda job: job.plan.name)
    for folder in (archive, truth):
        clear_leftovers(folder)  # of workers that died
    made = [plan for plan in plans if plan.name not in {failure.item for failure in failures}]
    return finish(config, _write_tables(archive, made, reused=len(plans) - len(jobs)), failures, archive)


def make_product(job: Job) -> str:
    """Simulate one product and write its zip, then its truth: the truth's presence says that both are there."""
    parameters = HELD_OUT if job.held_out else DEFAULT
    scene = simulate_scene(make_geometry(job.plan), IRRADIANCES, parameters, job.views.split(","))
    write_product(scene, job.archive)
    # A copy sees the same sea with the same buoys: its rows would count them twice.
    rows = {} if job.plan.copy_of else matchup_rows(scene, MATCHUPS[job.size])
    write_truth(scene, rows, _truth_path(job.archive, job.plan))
    return job.plan.name


def _parameters(config: SimulateConfig) -> dict[str, Any]:
    parameters = {
        "products": config.products,
        "size": config.size,
        "seed": config.seed,
        "held_out": config.held_out,
        "simulator": SIMULATOR,
    }
    return parameters if config.views == "nadir" else parameters | {"views": config.views}


def _claim(archive: Path, parameters: dict[str, Any]) -> None:
    """Note the parameters in archive.json; raises UserError if the folder holds an archive of others."""
    path = archive / "archive.json"
    if not path.exists():
        write_json(path, parameters)
        return
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read ({error}); remove it, or choose another folder") from error
    if found != parameters:
        raise UserError(
            f"{archive} holds an archive simulated with {_words(found)}; this run asks for {_words(parameters)}: "
            "give the same flags, choose another folder, or remove this one"
        )


def _words(parameters: object) -> str:
    if not isinstance(parameters, dict):
        return repr(parameters)
    return ", ".join(f"{name} {value}" for name, value in parameters.items())


def _is_made(plan: ProductPlan, archive: Path) -> bool:
    if written_plan(_truth_path(archive, plan)) != plan_text(plan):
        return False
    try:
        with zipfile.ZipFile(archive / f"{plan.name}.zip") as bundle:
            return f"{plan.name}.SEN3/{MANIFEST}" in bundle.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _truth_path(archive: Path, plan: ProductPlan) -> Path:
    return archive / "truth" / f"{plan.name}.h5"


def _write_tables(archive: Path, plans: Sequence[ProductPlan], reused: int) -> dict[str, Any]:
    """file_list.txt, sst_matchups.h5 and label_errors.json over the products that are there; the summary."""
    truths = [_truth_path(archive, plan) for plan in plans]
    with whole_file(archive / "file_list.txt") as partial:
        partial.write_text("".join(f"{plan.name}.zip\n" for plan in plans))
    matchups = write_matchups(truths, archive / "sst_matchups.h5")
    errors = write_label_errors(truths, archive / "label_errors.json")
    log.info("where the label errs against the truth (also in %s):", archive / "label_errors.json")
    for line in label_error_lines(errors):
        log.info("%s", line)
    return {
        "message": f"{len(plans)} products in {archive} ({reused} of them reused), {matchups} match-ups",
        "products": len(plans),
        "reused": reused,
        "matchups": matchups,
        "file_list": str(archive / "file_list.txt"),
    }


if __name__ == "__main__":
    sys.exit(run("preprocess.simulate", SimulateConfig, main))
