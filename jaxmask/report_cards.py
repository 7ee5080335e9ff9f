"""The headline numbers of a run: products, agreement, accuracy, temperatures under the masks, speed."""

from __future__ import annotations

from collections.abc import Sequence
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
from jaxmask.report_scores import part_words
from jaxmask.run_record import Run
from jaxmask.split import PARTS


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
    """Agreement and IoU with the label, and accuracy where the truth is known."""
    cards = []
    agreement = find_record(run.evaluation, "unet", "label")
    if agreement:
        counted = _pixels(run.evaluation, agreement)
        note = f"always the commoner class: {spoken(share(agreement.get('majority')), ' %')}; {counted}"
        cards.append(Card("Agreement with Bayes", share(score(agreement), "no pixels"), "%", note))
        judged = "intersection over union of cloud"
        note = f"{judged}; all called cloud: {_all_cloud(agreement)}; {counted}"
        cards.append(Card("IoU with Bayes", share(agreement.get("iou"), _why(agreement)), "%", note))
    truths = [(mask, find_record(run.evaluation, mask, "truth")) for mask in ("unet", "bayes")]
    for mask, record in truths:
        if record:
            note = f"against the hidden truth; {_pixels(run.evaluation, record)}"
            cards.append(Card(f"Accuracy of {MASK_NAMES[mask]}", share(score(record), "no pixels"), "%", note))
    return tuple(cards)


def _all_cloud(record: Record) -> str:
    """The IoU of a mask that is all cloud: its share right."""
    return spoken(share(record.get("all_cloud")), " %")


def _why(record: Record) -> str:
    return "no cloud in either" if "iou" in record else "not judged"


def _pixels(evaluation: Record | None, record: Record) -> str:
    counted = f"{spoken(number(record['count'], 0))} {part_words(record['part'])}pixels"
    judged = [
        row
        for row in (evaluation or {}).get("products", ())
        if row["part"] in (record["part"], "all") or record["part"] == "all"
    ]
    products = sum(1 for row in judged if row.get("count", 1))
    return f"{counted} of {products:,} product{'s' * (products != 1)}" if products else counted


def sst_cards(records: tuple[Record, ...], paired: Sequence[Record] = ()) -> tuple[Card, ...]:
    """The robust standard deviation of satellite minus buoy under each mask, and U-Net minus Bayes.

    All are of the algorithm that the histogram shows; each with its 95 % interval, or why it has none.
    paired: of sst.json, differences of two masks on the same resamples; older files have none.
    """
    algorithm = histogram_algorithm(records)
    if algorithm is None:
        return ()
    own = (algorithm.name, algorithm.time_of_day)
    found = {record["mask"]: record for record in records if (record["algorithm"], record["time_of_day"]) == own}
    cards = [
        Card(
            f"SST RSD, clear by {MASK_NAMES[mask]}",
            number(found[mask]["rsd"], 3, "none kept"),
            "K",
            f"{algorithm.name}, {spoken(number(found[mask]['count'], 0))} match-ups{_after(_interval(found[mask]))}",
        )
        for mask in ("bayes", "unet", "truth")
        if mask in found
    ]
    pairs = [pair for pair in paired if (pair["algorithm"], pair["time_of_day"]) == own and _is_unet_minus_bayes(pair)]
    return (*cards, *(_difference_card(algorithm.name, pair) for pair in pairs[:1]))


def _is_unet_minus_bayes(pair: Record) -> bool:
    return (pair["mask"], pair["minus"], pair["at"]) == ("unet", "bayes", "native")


def _difference_card(algorithm: str, pair: Record) -> Card:
    value = pair["differences"].get("rsd")
    bounds = (pair.get("intervals") or {}).get("rsd")
    verdict = ""
    if bounds and None not in bounds:
        verdict = "; it holds 0: no difference shown" if bounds[0] <= 0 <= bounds[1] else "; 0 lies outside"
    told = _interval(pair) or "no interval"
    counted = f", {spoken(number(pair['eligible'], 0))} match-ups eligible" if "eligible" in pair else ""
    return Card(
        "SST RSD, U-Net minus Bayes",
        signed(value, 3, "none kept"),
        "K",
        f"{algorithm}{counted}; below 0 the U-Net is better; {told}{verdict}",
    )


def signed(value: float | None, digits: int, reason: str) -> Cell:
    """A difference: as `number`, with its sign, whatever it is."""
    cell = number(value, digits, reason)
    positive = value is not None and value > 0 and bool(cell.text)
    return Cell("+" + cell.text, number=True) if positive else cell


def _interval(record: Record) -> str:
    """The 95 % interval of the RSD in words, or why there is none; "" of files that don't say."""
    bounds = (record.get("intervals") or {}).get("rsd")
    if bounds and None not in bounds:
        low, high = (number(bound, 3).text for bound in bounds)
        return f"95 % interval {low} to {high} K, {record['scenes']} scenes resampled"
    why = record.get("no_interval_because")
    return f"no interval: {why}" if why else ""


def _after(words: str) -> str:
    return f"; {words}" if words else ""


def speed_cards(run: Run) -> tuple[Card, ...]:
    """Throughput and duration of the training, and throughput of the inference."""
    return (*_training_cards(run), *_inference_cards(run.inference))


def _inference_cards(records: Sequence[Record]) -> tuple[Card, ...]:
    """The rate of all processes of the last inference together, which each had its own scenes."""
    if not records:
        return ()
    masks, seconds = sum(record["masks"] for record in records), max(record["seconds"] for record in records)
    per_minute = sum(60 * record["masks"] / record["seconds"] for record in records)
    megapixels = sum(record["pixels"] / record["seconds"] for record in records) / 1e6
    first = records[0]
    counted = (
        f"{masks:,} mask{'s' * (masks != 1)} in {spoken(number(seconds, 1))} s, loading, reading and writing included"
    )
    on = f"{first['backend']} {first['precision']} on {first['devices']} x {first['device']}"
    among = f" in each of {len(records)} processes" if len(records) > 1 else ""
    note = f"{counted}; {spoken(number(megapixels, 2))} megapixels/s; {on}{among}"
    return (Card("Inference speed", number(per_minute, 1), "products/min", note),)


def _training_cards(run: Run) -> tuple[Card, ...]:
    if not run.history:
        return ()
    later = run.history[1:] or run.history
    rate = _median(later, "patches_per_second")
    wait = _median(later, "wait_share")
    which = "median epoch after the first" if len(run.history) > 1 else "one epoch, compilation included"
    waited = f"{share(wait).text} % of it waiting for data" if wait is not None else "waiting not recorded"
    parts = [[epoch.get(f"{part}_seconds") or 0 for part in PARTS] for epoch in run.history]
    epochs = f"{len(run.history)} epoch{'s' * (len(run.history) != 1)}, testing included"
    return (
        Card("Training speed", number(rate, 1), "patches/s", f"{which}; {waited}"),
        Card("Training time", number(sum(map(sum, parts)), 0), "s", epochs),
    )


def _median(history: Sequence[Record], name: str) -> float | None:
    values = [epoch[name] for epoch in history if epoch.get(name) is not None]
    return median(values) if values else None
