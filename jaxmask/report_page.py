"""A run as the content of its page: headline numbers, charts and tables, and what is absent with the command for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxmask.report_agreement import agreement_charts
from jaxmask.report_cards import data_cards, score_cards, speed_cards, sst_cards
from jaxmask.report_failures import FailureGroup, group_failures
from jaxmask.report_matchups import matchup_charts, seen_note
from jaxmask.report_numbers import (
    Card,
    Cell,
    Chart,
    Record,
    TableText,
    evaluation_tables,
    number,
    statistics_of,
    statistics_table,
)
from jaxmask.report_products import ProductTable
from jaxmask.report_scores import confusion_tables
from jaxmask.report_training import training_charts, training_table
from jaxmask.run_record import Run, StageFailure
from jaxmask.scene_view import SceneView


@dataclass(frozen=True)
class Absent:
    """What the page can't show, and the command that makes it."""

    what: str
    command: str


@dataclass(frozen=True)
class Live:
    """How far a training is that the page follows; seconds until the page is looked at again, 0: never."""

    text: str
    seconds: int


@dataclass(frozen=True)
class Page:
    """All that the template shows, in the order of the page."""

    name: str
    cards: tuple[Card, ...]
    stages: TableText
    training: tuple[Chart, ...]
    training_table: TableText | None
    matchup_charts: tuple[Chart, ...]
    matchup_table: TableText | None
    matchup_note: str
    evaluation: tuple[TableText, ...]
    evaluation_charts: tuple[Chart, ...]
    settings: TableText | None
    failures: tuple[FailureGroup, ...]
    absent: dict[str, Absent]
    products: ProductTable
    scenes: tuple[SceneView, ...] = field(default=())
    colour_bar: str = ""
    live: Live | None = None


def make_page(
    run: Run,
    products: ProductTable,
    scenes: tuple[SceneView, ...],
    colour_bar: str,
    unread: tuple[StageFailure, ...],
    live: Live | None = None,
) -> Page:
    """Put the page together; `products` and `scenes` come ready drawn, `unread` are files that could not be read."""
    records = statistics_of(run.sst, run.evaluation)
    return Page(
        name=run.places.run.resolve().name,
        cards=(
            *data_cards(run),
            *score_cards(run),
            *sst_cards(records, (run.sst or {}).get("paired", ())),
            *speed_cards(run),
        ),
        stages=stages_table(run),
        training=training_charts(run.history),
        training_table=training_table(run.history[-1]) if run.history else None,
        matchup_charts=matchup_charts(run, records),
        matchup_table=statistics_table(records) if records else None,
        matchup_note=seen_note(run.sst or {}),
        evaluation=(*evaluation_tables(run.evaluation), *confusion_tables(run.evaluation)) if run.evaluation else (),
        evaluation_charts=agreement_charts(run.evaluation) if run.evaluation else (),
        settings=settings_table(run.config) if run.config else None,
        failures=group_failures((*run.failures, *unread)),
        absent=absences(run),
        products=products,
        scenes=scenes,
        colour_bar=colour_bar,
        live=live,
    )


def stages_table(run: Run) -> TableText:
    """What lies in the run's folders."""
    shard_note = f"{sum(info.day for info in run.infos.values())} wholly by day" if run.infos else ""
    rows = (
        ("zip archives", run.archived, ""),
        ("unpacked products", run.extracted, ""),
        ("shards", len(run.shards) or None, shard_note),
        ("epochs of training", len(run.history) or None, ""),
        ("masks", len(run.masks) or None, ""),
        (
            "match-ups with a mask that pass the filters",
            len(run.matchups["isst"]) if run.matchups is not None else None,
            "",
        ),
    )
    cells = tuple((Cell(what), number(count, 0, "none here"), Cell(note)) for what, count, note in rows)
    return TableText("What the stages left", ("what", "how many", "of these"), cells)


def settings_table(config: Record) -> TableText:
    """How the model was trained: its flags, what it was fed, and the versions that computed."""
    inputs = {
        k: config[k] for k in ("convention", "calibration", "label_rule", "features", "patch_size") if k in config
    }
    groups = (("input", inputs), ("flag", config.get("flags", {})), ("version", config.get("versions", {})))
    rows = tuple(
        (Cell(group), Cell(name.replace("_", " ")), Cell("none" if value is None else str(value)))
        for group, values in groups
        for name, value in values.items()
    )
    return TableText("How the model was made", ("kind", "name", "value"), rows)


def absences(run: Run) -> dict[str, Absent]:
    """By section of the page: what is not there, and the command that makes it."""
    p = run.places
    missing = {
        "training": (run.history, "no history of training", f"jaxmask.train {p.hdf} {p.model}"),
        "scenes": (run.shards and run.masks, *_scene_absence(run)),
        "matchups": (run.sst, "no match-up statistics", f"jaxmask.sst {p.archive / 'sst_matchups.h5'} {p.predictions}"),
        "evaluation": (run.evaluation, "no evaluation of the masks",
                       f"jaxmask.evaluate {p.hdf} {p.predictions} --model {p.model}"),
    }  # fmt: skip
    return {key: Absent(what, f"python -m {command}") for key, (there, what, command) in missing.items() if not there}


def _scene_absence(run: Run) -> tuple[str, str]:
    p = run.places
    if not run.shards:
        return "no shards to show", f"preprocess.convert {p.extracted} {p.hdf}"
    return "no masks to show", f"jaxmask.infer {p.model} {p.hdf} {p.predictions}"
