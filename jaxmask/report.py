"""Edge: the command that shows a run as one HTML page without any other file, and its scenes as one picture."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from jaxmask.report_inputs import check_folder, check_run, read_run
from jaxmask.report_live import LEAST_SECONDS, follow
from jaxmask.report_write import write_report
from jaxmask.run_record import Places
from preprocess.command import Failure, finish, run
from preprocess.files import writable_folder
from preprocess.flags import Parallel, check

# A full scene's page is 3 MB of a smooth simulated scene (benchmarks/measured/report.json), 10 MB of a measured one,
# and half a second of work: so many are 80 to 240 MB, enough to look through a run's worst masks; 971 are 3 to 10 GB.
DEFAULT_SCENES = 24


@dataclass(frozen=True)
class ReportConfig(Parallel):
    """Show a run as RUN/report.html, one page that needs no other file and no network, and RUN/scenes.png."""

    folder: Positional[Annotated[Path, arg(metavar="RUN")]]
    """Folder of the run, with archive/, extracted/, hdf/, model/ and predictions/ in it; what is missing is named."""
    archive: Path | None = None
    """Folder of the zips, if it is not RUN/archive."""
    hdf: Path | None = None
    """Folder of the shards, if it is not RUN/hdf."""
    model: Path | None = None
    """Model folder, if it is not RUN/model."""
    predictions: Path | None = None
    """Folder of the masks and statistics, if it is not RUN/predictions."""
    scenes: int | Literal["all"] = DEFAULT_SCENES
    """So many products get a page of their full scene, RUN/scenes/NAME.html, that the table links to: those held out
    first, then by disagreement; all, or 0 for none."""
    live: Annotated[int | None, arg(metavar="SECONDS")] = None
    """Follow a training: write the page again whenever what it shows has changed, looked at every SECONDS, until the
    training ends or Ctrl-C. The open page refreshes itself."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.scenes == "all" or self.scenes >= 0, "scenes", "0 or more, or all", self.scenes)
        check(self.live is None or self.live >= LEAST_SECONDS, "live", f"{LEAST_SECONDS} or more", self.live)


def main(config: ReportConfig) -> int:
    """Read the run, draw it, write the page; returns 3 if a file of the run could not be read."""
    found, scenes = places(config), None if config.scenes == "all" else config.scenes
    check_folder(found)
    if config.live is None:
        check_run(found)
    writable_folder(config.folder)
    if config.live is not None:
        written = follow(found, scenes, config, config.live)
    else:
        written = write_report(read_run(found), scenes, config)
    message = f"the report: {written.page}"
    if written.absent:
        message += f" (without {', '.join(written.absent)}: the page names the commands that make them)"
    summary = {
        "message": message,
        "written": [str(path) for path in written.files],
        "absent": sorted(written.absent),
        "products": written.products,
        "drawn": written.drawn,
        "full_scenes": written.full_scenes,
    }
    return finish(config, summary, [Failure(entry.item, entry.reason) for entry in written.unread], config.folder)


def places(config: ReportConfig) -> Places:
    """Where the parts of the run lie: the flags' folders, else those of the run's layout."""
    root = config.folder
    return Places(
        run=root,
        archive=config.archive or root / "archive",
        extracted=root / "extracted",
        hdf=config.hdf or root / "hdf",
        model=config.model or root / "model",
        predictions=config.predictions or root / "predictions",
    )


if __name__ == "__main__":
    sys.exit(run("jaxmask.report", ReportConfig, main))
