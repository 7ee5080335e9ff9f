"""Edge: a training followed by its report: the page is written again when what it is made of has changed.

The page refreshes itself from the files that training writes anyway: that needs no server, no port and no further
package, so it works on a login node's file system and wherever the page is opened; TensorBoard, which has all of
these and more curves, stays a flag of training.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from jaxmask.history import HISTORY_NAME
from jaxmask.record import RECORD_NAME
from jaxmask.report_inputs import Known, read_run
from jaxmask.report_page import Live
from jaxmask.report_write import DrawnScenes, Written, draw_scenes, write_report
from jaxmask.results_row import RESULTS_NAME
from jaxmask.run_record import Places, Run
from preprocess.command import Terminated, log
from preprocess.flags import Parallel

LEAST_SECONDS = 1
PATTERNS = ("*.json", "*.jsonl", "*.csv", "*.h5", "*.hdf", "*.zip", "*.SEN3")  # of what the page is made of

State = dict[Path, tuple[int, int]]  # time of change in ns, and size in bytes


def follow(
    places: Places, scenes: int | None, flags: Parallel, seconds: int, sleep: Callable[[float], None] = time.sleep
) -> Written:
    """Write the page now and whenever something has changed, until the training has ended or Ctrl-C; then a last time.

    scenes: as write_report; seconds: between two looks. What has not changed is not read, nor drawn, again. The last
    page doesn't refresh itself.
    """
    known: Known = {}
    draw = _drawing_what_is_new()

    def write_last() -> Written:
        record = read_run(places, known)
        return write_report(record, scenes, flags, live=last_notice(record), draw=draw)

    before: State | None = None
    log.info("following %s every %d s until the training ends; Ctrl-C ends it before", places.model, seconds)
    try:
        while not has_ended(places.model):
            state = state_of(places)
            if state != before:
                record = read_run(places, known)
                notice = live_notice(record, seconds)
                write_report(record, scenes, flags, live=notice, draw=draw)
                log.info("%s", notice.text)
                before = state
            sleep(seconds)
    except KeyboardInterrupt:
        log.info("no longer following")
    except Terminated:
        write_last()
        raise
    return write_last()


def has_ended(model: Path) -> bool:
    """Whether the training of a model folder has ended: its results are written after its last epoch."""
    try:
        ended = (model / RESULTS_NAME).stat().st_mtime_ns
        return ended >= max((model / name).stat().st_mtime_ns for name in (HISTORY_NAME, RECORD_NAME))
    except OSError:
        return False


def live_notice(record: Run, seconds: int) -> Live:
    """What a page says at its top while it follows a training."""
    if not record.history:
        begun = "Training has begun" if record.config else "Training has not begun"
        return Live(f"{begun}: there is no epoch yet.", seconds)
    return Live(f"Training is under way: {_epochs(record)}.", seconds)


def last_notice(record: Run) -> Live | None:
    """What the last page says; nothing where the training has ended, as the rest of the page then says all."""
    if has_ended(record.places.model):
        return None
    so_far = _epochs(record) if record.history else "there was no epoch yet"
    return Live(f"No longer followed before the training ended: {so_far}.", 0)


def state_of(places: Places) -> State:
    """Everything the page is made of, with when it last changed."""
    found: State = {}
    for path in _files(places):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue  # replaced meanwhile: the next look sees it
        found[path] = (state.st_mtime_ns, state.st_size)
    return found


def _files(places: Places) -> Iterator[Path]:
    day_and_night = (places.hdf / "day", places.hdf / "night")
    for folder in (places.archive, places.extracted, places.hdf, *day_and_night, places.model, places.predictions):
        for pattern in PATTERNS:
            yield from folder.glob(pattern)


def _epochs(record: Run) -> str:
    planned = (record.config or {}).get("flags", {}).get("epochs")
    written = (record.places.model / HISTORY_NAME).stat().st_mtime
    of = f" of {planned}" if planned is not None else ""
    when = datetime.fromtimestamp(written, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"epoch {record.history[-1]['epoch']}{of} is done, written {when}"


def _drawing_what_is_new() -> Callable[[Run], DrawnScenes]:
    """`draw_scenes`, that draws only where shards, masks or their evaluation are others than the last time."""
    last: tuple[object, DrawnScenes] | None = None

    def draw(record: Run) -> DrawnScenes:
        nonlocal last
        files = [path for name, path in record.shards.items() if name in record.masks]
        state = [(path, path.stat().st_mtime_ns) for path in (*files, *record.masks.values()) if path.exists()]
        made_of = (state, record.evaluation, record.config)
        if last is None or last[0] != made_of:
            last = (made_of, draw_scenes(record))
        return last[1]

    return draw
