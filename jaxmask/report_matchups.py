"""The match-ups of a run as charts: satellite minus buoy under each mask, where, upon what it depends, at what cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from jaxmask.figures import difference_histogram, histogram_range_k
from jaxmask.figures_matchups import (
    Binned,
    CoverageCurve,
    Difference,
    MapPoints,
    coverage_chart,
    dependence_chart,
    difference_map,
    forest,
)
from jaxmask.matchups import BAYES_THRESHOLD, Algorithm, differences
from jaxmask.report_numbers import (
    DEFAULT_THRESHOLD,
    MASK_NAMES,
    MINUS,
    Chart,
    Record,
    eligible_rows,
    histogram_algorithm,
    histogram_samples,
    number,
    spoken,
)
from jaxmask.run_record import Run
from preprocess.map_lines import wrapped

MASKS = ("bayes", "unet")
AXES = {
    "latitude": ("latitude", "latitude, degrees north"),
    "zenith_angle": ("the zenith angle of the satellite", "zenith angle of the satellite, degrees"),
    "local_solar_time": ("local solar time", "local solar time, hours"),
    "wind_speed": ("wind speed", "wind speed, m/s"),
}
# Of a median of n normal values of standard deviation s: sqrt(pi / 2) s / sqrt(n); 1.96 of them hold 95 %.
HALF_OF_RSD = 1.96 * np.sqrt(np.pi / 2)
AT = {"native": "own thresholds", "equal_coverage": "as many kept"}
PAIRED = ("rsd", "cold_tail")


def matchup_charts(run: Run, records: tuple[Record, ...]) -> tuple[Chart, ...]:
    """All charts that the run's rows and statistics suffice for, of the algorithm with the published figures or, where
    it has no match-up, of the one with most; the paired differences of all algorithms."""
    algorithm, sst = histogram_algorithm(records), run.sst or {}
    if algorithm is None:
        return ()
    return (
        *_of_rows(run, sst, algorithm),
        *_coverage(sst, records, algorithm),
        *_paired(sst),
        *_dependence(sst, algorithm),
    )


def seen_note(sst: Record) -> str:
    """That masks of products seen in training are among those judged, with how many; "" where none is known to be."""
    made = [entry for entry in sst.get("masks") or () if isinstance(entry.get("masks"), int)]
    seen, judged = (sum(entry["masks"] for entry in some) for some in ([e for e in made if _is_seen(e)], made))
    if not seen:
        return ""
    return (
        f"Of {judged:,} masks that are judged here {seen:,} {'is of a product' if seen == 1 else 'are of products'} "
        "that the model was trained or chosen with, which may flatter the U-Net."
    )


def _is_seen(entry: Record) -> bool:
    return entry.get("part") in ("train", "validation")


def _of_rows(run: Run, sst: Record, algorithm: Algorithm) -> Iterator[Chart]:
    """The histogram and the map, from the rows that the statistics are of."""
    if run.matchups is None:
        return
    threshold = sst.get("threshold") or run.mask_attributes.get("threshold", DEFAULT_THRESHOLD)
    bayes_threshold = sst.get("bayes_threshold", BAYES_THRESHOLD)
    samples = histogram_samples(run.matchups, algorithm, threshold, bayes_threshold)
    what = f"Satellite ({algorithm.name}, {algorithm.time_of_day}) minus buoy temperature"
    title = f"{what}. A tail to the left is missed cloud."
    svg = difference_histogram("matchups", title, samples, "satellite minus buoy, K")
    yield Chart(svg, f"{title} RSD: robust standard deviation; intervals and tails are in the table below.")
    rows = eligible_rows(run.matchups, algorithm)
    places = [np.asarray(run.matchups[name], np.float64) for name in ("latitude_an", "longitude_an")]
    difference = np.asarray(differences(run.matchups, algorithm), np.float64)
    rows = rows & np.isfinite(difference) & np.isfinite(places[0]) & np.isfinite(places[1])
    if rows.any():
        kept = run.matchups["model_mask"][rows] < threshold
        yield _map(MapPoints(places[0][rows], wrapped(places[1][rows]), difference[rows], kept), what)


def _map(points: MapPoints, what: str) -> Chart:
    limit = histogram_range_k([points.difference_k])[1]
    beyond = int((np.abs(points.difference_k) > limit).sum())
    title = f"{what}: where, and what the U-Net keeps"
    caption = (
        f"{title}. {len(points.kept):,} match-ups, {int(points.kept.sum()):,} kept; the greatest differences lie on "
        f"top; {beyond:,} are beyond the colours. Equirectangular, without coast lines, which no library brings along."
    )
    return Chart(difference_map("matchup-map", title, points, limit, caption), caption)


def _named(records: Sequence[Record], algorithm: Algorithm) -> list[Record]:
    """The record of each of MASKS under this algorithm at its own time of day, in their order."""
    own = [r for r in records if (r["algorithm"], r["time_of_day"]) == (algorithm.name, algorithm.time_of_day)]
    return [record for mask in MASKS for record in own if record["mask"] == mask]


def _with_interval(record: Record, key: str) -> str:
    text = spoken(number(record[key], 3, "none kept"), " K")
    interval = (record.get("intervals") or {}).get(key)
    return text if not interval else f"{text} ({number(interval[0], 3).text} to {number(interval[1], 3).text})"


def coverage_curves(sst: Record, records: Sequence[Record], algorithm: Algorithm) -> list[CoverageCurve]:
    """The curve of each of MASKS that has points, in per cent, with its native point where `records` tell it."""
    own = {record["mask"]: record for record in _named(records, algorithm)}
    curves = []
    for found in _named(sst.get("coverage_curves", ()), algorithm):
        points = [point for point in found["points"] if point["count"]]
        native = own.get(found["mask"])
        place = None
        if native and native["count"] and native.get("cold_tail") is not None and native["rsd"] is not None:
            place = (100 * native["coverage"], native["rsd"], 100 * native["cold_tail"])
        kept, tails = ([100 * point[key] for point in points] for key in ("coverage", "cold_tail"))
        if points:
            rsds = [point["rsd"] for point in points]
            curves.append(CoverageCurve(MASK_NAMES[found["mask"]], kept, rsds, tails, place))
    return curves


def _coverage(sst: Record, records: Sequence[Record], algorithm: Algorithm) -> Iterator[Chart]:
    curves = coverage_curves(sst, records, algorithm)
    if not curves:
        return
    eligible = max(found["eligible"] for found in _named(sst["coverage_curves"], algorithm))
    equal = [
        f"{MASK_NAMES[record['mask']]}, N = {record['count']:,}: RSD {_with_interval(record, 'rsd')}"
        for record in _named(sst.get("equal_coverage", ()), algorithm)
    ]
    title = f"Quality against coverage ({algorithm.name}, {algorithm.time_of_day})"
    caption = (
        f"{title}: each mask keeps its surest rows of {eligible:,}. Lower is better; a mask that keeps fewer has the "
        f"easier task. Cold tail: colder than {MINUS}1 K."
        + (f" At equal coverage: {'; '.join(equal)}." if equal else "")
    )
    yield Chart(coverage_chart("coverage", title, curves, caption), caption)


def _paired(sst: Record) -> Iterator[Chart]:
    found = [r for r in sst.get("paired", ()) if (r["mask"], r["minus"]) == ("unet", "bayes") and r["at"] in AT]
    rows, told = [], []
    for record in found:
        differences_there, intervals = record["differences"], record.get("intervals") or {}
        values = [differences_there.get("rsd"), differences_there.get("cold_tail")]
        bounds = [intervals.get(key) for key in PAIRED]
        scaled = [values[0], None if values[1] is None else 100 * values[1]]
        ends = [bounds[0] and (bounds[0][0], bounds[0][1]), bounds[1] and (100 * bounds[1][0], 100 * bounds[1][1])]
        if all(value is None for value in scaled):
            continue
        name = f"{record['algorithm']} {record['time_of_day']}, {AT[record['at']]}"
        rows.append(Difference(name, scaled, ends))
        why = record.get("no_interval_because")
        of = f"of {record['eligible']:,} match-ups in {record['scenes']:,} scenes"
        told.append(f"{name}, {of}: RSD {_with_interval(dict(differences_there, intervals=intervals), 'rsd')}"
                    + (f" (no interval: {why})" if why else ""))  # fmt: skip
    if not rows:
        return
    title = "U-Net minus Bayes on the same match-ups, with 95 % intervals"
    counts = "; ".join(dict.fromkeys(f"{r['algorithm']} {r['time_of_day']}, N = {r['eligible']:,}" for r in found))
    why = " no interval, for want of scenes" if any(None in row.intervals for row in rows) else ""
    caption = (
        f"{title}: left of zero the U-Net is better. {f'Hollow:{why}. ' if why else ''}Of {counts}. As many kept: each "
        f"mask keeps its surest rows, as many as Bayes. Cold tail: colder than {MINUS}1 K, in percentage points."
    )
    yield Chart(forest("paired", title, rows, ("RSD, K", "cold tail, points"), "; ".join(told)), caption)


def _dependence(sst: Record, algorithm: Algorithm) -> Iterator[Chart]:
    records = _named(sst.get("dependence", ()), algorithm)
    for by, (words, label) in AXES.items():
        series = [_binned(mask, [r for r in records if (r["by"], r["mask"]) == (by, mask)]) for mask in MASKS]
        shown = [each for each in series if any(each.counts)]
        if not shown:
            continue
        title = f"Median difference by {words} ({algorithm.name}, {algorithm.time_of_day})"
        counts = "; ".join(f"{each.name}, N = {sum(each.counts):,}" for each in shown)
        caption = (
            f"{title}: {counts}. Bars: 95 % of the median if match-ups were independent, "
            f"2.46 RSD / \N{SQUARE ROOT}N; those of a scene are not quite. Below: match-ups of each bin."
        )
        yield Chart(dependence_chart(f"dependence-{by.replace('_', '-')}", title, shown, label, caption), caption)


def _binned(mask: str, records: Sequence[Record]) -> Binned:
    ordered = sorted(records, key=lambda record: record["from"])
    halves = [
        float(HALF_OF_RSD * record["rsd"] / np.sqrt(record["count"])) if record["count"] > 1 else None
        for record in ordered
    ]
    low, high = [record["from"] for record in ordered], [record["to"] for record in ordered]
    medians = [record["median"] for record in ordered]
    return Binned(MASK_NAMES[mask], low, high, medians, halves, [record["count"] for record in ordered])
