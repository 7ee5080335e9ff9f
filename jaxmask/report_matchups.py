"""The match-ups of a run as charts: satellite minus buoy under each mask."""

from __future__ import annotations

from jaxmask.figures import difference_histogram
from jaxmask.matchups import BAYES_THRESHOLD
from jaxmask.report_numbers import DEFAULT_THRESHOLD, Chart, Record, histogram_algorithm, histogram_samples
from jaxmask.run_record import Run


def matchup_charts(run: Run, records: tuple[Record, ...]) -> tuple[Chart, ...]:
    """Satellite minus buoy where Bayes and where the U-Net say clear."""
    algorithm = histogram_algorithm(records)
    if run.matchups is None or algorithm is None:
        return ()
    judged = run.sst or {}
    threshold = judged.get("threshold") or run.mask_attributes.get("threshold", DEFAULT_THRESHOLD)
    bayes_threshold = judged.get("bayes_threshold", BAYES_THRESHOLD)
    samples = histogram_samples(run.matchups, algorithm, threshold, bayes_threshold)
    what = f"Satellite ({algorithm.name}, {algorithm.time_of_day}) minus buoy temperature"
    title = f"{what}. A tail to the left is missed cloud."
    svg = difference_histogram("matchups", title, samples, "satellite minus buoy, K")
    return (Chart(svg, title),)
