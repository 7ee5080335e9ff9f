"""The headline numbers of a run: products, agreement, accuracy, temperatures under the masks, speed."""

from __future__ import annotations

from statistics import median

from jaxmask.report_numbers import (
    MASK_NAMES,
    Card,
    Cell,
    Record,
    find_record,
    histogram_algorithm,
    number,
    score,
    share,
    spoken,
)
from jaxmask.run_record import Run


def data_cards(run: Run) -> tuple[Card, ...]:
    """How many products there are, how many of them labelled, and how they are split."""
    labelled = sum(info.labelled for info in run.infos.values())
    split = (run.config or {}).get("split", {})
    products = number(len(run.shards) or None, 0, "not converted yet")
    parts = number(len(split["train"]), 0).text if split else ""
    note = f"{number(len(split.get('test', ())), 0).text} held out for testing" if split else ""
    if split.get("validation"):
        note += f", {number(len(split['validation']), 0).text} for validation"
    return (
        Card("Products", products, note=f"{labelled} with a Bayes label" if run.infos else ""),
        Card("Trained on", Cell(parts, "not trained yet"), "products" if parts else "", note),
    )


def score_cards(run: Run) -> tuple[Card, ...]:
    """Agreement with the label, and accuracy where the truth is known."""
    cards = []
    agreement = find_record(run.evaluation, "unet", "label")
    if agreement:
        note = f"always the commoner class: {spoken(share(agreement.get('majority')), ' %')}; {_pixels(agreement)}"
        cards.append(Card("Agreement with Bayes", share(score(agreement), "no pixels"), "%", note))
    truths = [(mask, find_record(run.evaluation, mask, "truth")) for mask in ("unet", "bayes")]
    for mask, record in truths:
        if record:
            note = f"against the hidden truth; {_pixels(record)}"
            cards.append(Card(f"Accuracy of {MASK_NAMES[mask]}", share(score(record), "no pixels"), "%", note))
    return tuple(cards)


def _pixels(record: Record) -> str:
    part = {"test": "held-out ", "validation": "validation ", "train": "training "}.get(record["part"], "")
    return f"{spoken(number(record['count'], 0))} {part}pixels"


def sst_cards(records: tuple[Record, ...]) -> tuple[Card, ...]:
    """The robust standard deviation of satellite minus buoy under each mask, for the algorithm of the histogram."""
    algorithm = histogram_algorithm(records)
    if algorithm is None:
        return ()
    own = (algorithm.name, algorithm.time_of_day)
    found = {record["mask"]: record for record in records if (record["algorithm"], record["time_of_day"]) == own}
    return tuple(
        Card(
            f"SST RSD, clear by {MASK_NAMES[mask]}",
            number(found[mask]["rsd"], 3, "none kept"),
            "K",
            f"{algorithm.name}, {spoken(number(found[mask]['count'], 0))} match-ups",
        )
        for mask in ("bayes", "unet", "truth")
        if mask in found
    )


def speed_cards(run: Run) -> tuple[Card, ...]:
    """Throughput and duration of the training."""
    if not run.history:
        return ()
    later = run.history[1:] or run.history
    rate = median(epoch["patches_per_second"] for epoch in later)
    wait = median(epoch.get("wait_share") or 0 for epoch in later)
    seconds = sum((epoch["train_seconds"] or 0) + (epoch["test_seconds"] or 0) for epoch in run.history)
    which = "median epoch after the first" if len(run.history) > 1 else "one epoch, compilation included"
    note = f"{which}; {share(wait).text} % of it waiting for data"
    return (
        Card("Training speed", number(rate, 1), "patches/s", note),
        Card("Training time", number(seconds, 0), "s", f"{len(run.history)} epochs, testing included"),
    )
