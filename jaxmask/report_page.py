"""A run as the content of its page: headline numbers, charts and tables, and what is absent with the command for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxmask.figures import Line, curves, difference_histogram
from jaxmask.matchups import BAYES_THRESHOLD
from jaxmask.report_cards import data_cards, score_cards, speed_cards, sst_cards
from jaxmask.report_numbers import (
    DEFAULT_THRESHOLD,
    PART_NAMES,
    Card,
    Cell,
    Record,
    TableText,
    evaluation_tables,
    histogram_algorithm,
    histogram_samples,
    number,
    share,
    spoken,
    statistics_of,
    statistics_table,
)
from jaxmask.run_record import Run, StageFailure


@dataclass(frozen=True)
class Chart:
    """An inline SVG and the sentence under it."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Absent:
    """What the page can't show, and the command that makes it."""

    what: str
    command: str


@dataclass(frozen=True)
class Panel:
    """One picture of a scene, as a data URI."""

    title: str
    source: str
    description: str


@dataclass(frozen=True)
class SceneView:
    """One scene: its product, why it was chosen, what is known of it, and its pictures."""

    product: str
    reason: str
    facts: tuple[tuple[str, str], ...]
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Page:
    """All that the template shows, in the order of the page."""

    name: str
    cards: tuple[Card, ...]
    stages: TableText
    training: tuple[Chart, ...]
    training_table: TableText | None
    matchup_chart: Chart | None
    matchup_table: TableText | None
    evaluation: tuple[TableText, ...]
    settings: TableText | None
    failures: tuple[StageFailure, ...]
    absent: dict[str, Absent]
    scenes: tuple[SceneView, ...] = field(default=())
    colour_bar: str = ""


def make_page(run: Run, scenes: tuple[SceneView, ...], colour_bar: str, unread: tuple[StageFailure, ...]) -> Page:
    """Put the page together; `scenes` come ready drawn, `unread` are the files that could not be read."""
    records = statistics_of(run.sst, run.evaluation)
    return Page(
        name=run.places.run.resolve().name,
        cards=(*data_cards(run), *score_cards(run), *sst_cards(records), *speed_cards(run)),
        stages=stages_table(run),
        training=training_charts(run.history),
        training_table=training_table(run.history[-1]) if run.history else None,
        matchup_chart=matchup_chart(run, records),
        matchup_table=statistics_table(records) if records else None,
        evaluation=evaluation_tables(run.evaluation) if run.evaluation else (),
        settings=settings_table(run.config) if run.config else None,
        failures=(*run.failures, *unread),
        absent=absences(run),
        scenes=scenes,
        colour_bar=colour_bar,
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


def training_charts(history: tuple[Record, ...]) -> tuple[Chart, ...]:
    """Loss and accuracy by epoch, of each part there is."""
    if not history:
        return ()
    epochs = [epoch["epoch"] for epoch in history]
    charts = []
    for key, label in (("loss", "loss, nats"), ("accuracy", "accuracy, share of pixels")):
        lines = [
            Line(name, [(epoch.get(part) or {}).get(key) for epoch in history])
            for part, name in PART_NAMES.items()
            if any(epoch.get(part) for epoch in history)
        ]
        first, last = spoken(number(lines[0].values[0], 3)), spoken(number(lines[0].values[-1], 3))
        title = f"{key.capitalize()} by epoch, {epochs[0]} to {epochs[-1]}; on the training part from {first} to {last}"
        charts.append(Chart(curves(f"training-{key}", title, epochs, lines, "epoch", label), title))
    return tuple(charts)


def training_table(epoch: Record) -> TableText:
    """The last epoch's scores."""
    names = ("loss", "accuracy", "precision", "recall", "f1", "iou")
    rows = []
    for part, name in PART_NAMES.items():
        scores = epoch.get(part) or {}
        if part == "validation" and not scores:
            continue
        why = "undefined" if scores else "no test part"
        rows.append(
            (Cell(name), number(scores.get("loss"), 3, why), *(share(scores.get(key), why) for key in names[1:]))
        )
    headings = ("part", "loss, nats", "accuracy, %", "precision, %", "recall, %", "F1, %", "IoU, %")
    scored = "mean weighted cross entropy, and scores against the Bayes label, on patches less their border"
    caption = f"Epoch {epoch['epoch']}: {scored}"
    return TableText(caption, headings, tuple(rows))


def matchup_chart(run: Run, records: tuple[Record, ...]) -> Chart | None:
    """Satellite minus buoy where Bayes and where the U-Net say clear."""
    algorithm = histogram_algorithm(records)
    if run.matchups is None or algorithm is None:
        return None
    judged = run.sst or {}
    threshold = judged.get("threshold") or run.mask_attributes.get("threshold", DEFAULT_THRESHOLD)
    bayes_threshold = judged.get("bayes_threshold", BAYES_THRESHOLD)
    samples = histogram_samples(run.matchups, algorithm, threshold, bayes_threshold)
    what = f"Satellite ({algorithm.name}, {algorithm.time_of_day}) minus buoy temperature"
    title = f"{what}. A tail to the left is missed cloud."
    svg = difference_histogram("matchups", title, samples, "satellite minus buoy, K")
    return Chart(svg, title)


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
