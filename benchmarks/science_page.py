"""science.py's report as the sentences and tables of docs/science.md; pure."""

from __future__ import annotations

from typing import Any

from measure import on_what

from preprocess.calibration import NOTICE_FACTORS
from preprocess.level1 import SOLAR_CHANNELS

NAMES = ("run", "sun", "fill", "rows", "cosmetic", "labels", "loss", "calibration", "outputs", "matchups", "granules")
NOTHING = "**Not measured yet.**"
MASKS = {"none": "no mask", "bayes": "Bayes", "unet": "U-Net"}

Numbers = dict[str, Any]


def texts(report: Numbers | None) -> dict[str, str]:
    """The texts by the names of their marks, "science sun" and so on."""
    if report is None:
        return {f"science {name}": NOTHING for name in NAMES}
    product, run = report["product"], report["run"]
    made = (
        f"{on_what(report)}. The measured product: `{product['name']}`.",
        _sun(product["sun"]),
        _fill(product["fill"]),
        _rows(product["rows"], run["decisions_moved"]),
        _cosmetic(product["cosmetic"]),
        _labels(product["labels"]),
        _loss(product["loss"]),
        _calibration(),
        _outputs(run["outputs"]),
        _matchups(run["matchups"]),
        _granules(run["granules"]),
    )
    return {f"science {name}": text for name, text in zip(NAMES, made, strict=True)}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _interval(ends: list[float] | None, sign: str = "") -> str:
    return f" ({ends[0]:{sign}.3f} to {ends[1]:{sign}.3f})" if ends else ""


def _sun(found: Numbers) -> str:
    first, last = found["track_first_row_deg"], found["track_last_row_deg"]
    means, spread = found["first_row_mean_deg"], found["ratio_5_95"]
    return (
        f"In the measured product the sun's zenith angle on the track goes from {first[0]:.1f} degrees in the first "
        f"row to {last[0]:.1f} in the last; the original takes {first[1]:.1f} for all rows. Over the first row the "
        f"mean is {means[0]:.1f} degrees and becomes {means[1]:.1f}; over the product the angle is wrong by "
        f"{found['mean_difference_deg']:.1f} degrees on average. Where the sun is 2 degrees up or more "
        f"({_percent(found['up_share'])} of the pixels) the original's reflectance is {found['median_ratio']:.2f} of "
        f"the right one in the median, and {spread[0]:.2f} to {spread[1]:.2f} from the 5th to the 95th percentile. "
        f"{_percent(found['down_share'])} of the pixels have the sun below the horizon, and the original takes "
        f"{_percent(found['down_taken_as_up_share'])} of these for lit. {found['missing_tie_columns']} of the "
        f"{found['tie_columns']} tie-point columns hold no angle."
    )


def _fill(found: Numbers) -> str:
    return (
        f"{_percent(found['filled_share'])} of the measured product's pixels are unfilled; the original makes them "
        f"{_percent(found['colder_than_150_k_share'])} of its S8 image, at 0 K: -12.3 after normalising, where the "
        f"coldest cloud is about -4. Beside them {found['part_fill_s1']:,} pixels of its S1 image and "
        f"{found['part_fill_s8']} of its S8 image are part fill, part data: the gaps of this product lie at its left "
        "and right edges, and only S1 to S6 are resized across the track."
    )


def _rows(found: Numbers, moved: dict[str, float]) -> str:
    return (
        f"The measured product has {found['rows']} rows. Stretched to 1200, a row lies up to "
        f"{found['greatest_shift_rows']:.1f} rows (kilometres) further down, {found['mean_shift_rows']:.1f} on "
        f"average; {_percent(found['other_row_share'])} of the rows are nearest to another row's place. S8 read at the "
        f"product's row and column is then wrong by {found['rms_k']:.2f} K (root mean square). In the simulated run "
        f"{_percent(moved['1 rows'])} of the U-Net's decisions are other ones a row further down, and "
        f"{_percent(moved['2 rows'])} two rows down."
    )


def _cosmetic(found: Numbers) -> str:
    return (
        f"{_percent(found['cosmetic_share'])} of the measured product's pixels are cosmetic. Of those with data "
        f"{_percent(found['equal_to_a_neighbour_share'])} hold exactly the S8 of one of their eight neighbours, of the "
        f"others {_percent(found['others_equal_to_a_neighbour_share'])} (a pixel that was copied equals its copy). S8 "
        f"is a measurement of the pixel itself in {_percent(found['s8_measured_share'])} of the product."
    )


def _labels(found: Numbers) -> str:
    return (
        f"The measured product's `bayes_in` is 255 everywhere: the original trains on it as "
        f"{_percent(found['original_cloud_share'])} cloud (the processor's own summary says "
        f"{_percent(found['summary_cloud_share'])}); ours "
        f"{'labels it' if found['labelled'] else 'calls it unlabelled, and its weight in training is 0'}."
    )


def _loss(found: Numbers) -> str:
    return (
        f"The original's patches, less 15 pixels a side, are {_percent(found['counted_share'])} of a scene. Of these, "
        f"in the measured product, {_percent(found['fill_share'])} are fill (its unfilled pixels lie outside the "
        f"crop), {_percent(found['copies_share'])} are no measurement of S8 at that pixel, and "
        f"{_percent(found['weightless_share'])} have a weight of 0 with us, as the label was never computed."
    )


def _calibration() -> str:
    lines = [f"| | {' | '.join(SOLAR_CHANNELS)} |", "|---|" + "---|" * len(SOLAR_CHANNELS)]
    lines += [f"| {view} | {' | '.join(f'{value:.2f}' for value in NOTICE_FACTORS[view])} |" for view in NOTICE_FACTORS]
    return "\n".join(lines)


def _outputs(found: Numbers) -> str:
    return (
        f"In the simulated run ({found['products']} held-out products, {found['pixels']:,} pixels) the label says "
        f"cloud in {_percent(found['cloud_where_q_near_half'])} of the pixels where q is 0.45 to 0.55. Over all of "
        f"them it says cloud in {_percent(found['label_cloud_share'])}; the mean of q is {found['q_mean']:.3f}, that "
        f"of P by theory {found['p_mean']:.3f}. The expected calibration error is {found['q_error']:.3f} for q taken "
        f"as a probability, and {found['p_error']:.3f} for P by theory; the rest is not the loss weight's, and is "
        "what `evaluate --calibrate` fits."
    )


def _matchups(found: Numbers) -> str:
    lines = ["| D2 by day | kept | of all | median, K | RSD, K | below -1 K |", "|---|---|---|---|---|---|"]
    equal = [row for row in found["equal"] if row["mask"] == "unet"]
    for at, rows in (("its own threshold", found["native"]), ("as many as Bayes", equal)):
        for row in rows:
            name = MASKS[row["mask"]] + ("" if row["mask"] == "none" else f", {at}")
            lines.append(
                f"| {name} | {row['count']:,} | {_percent(row['coverage'])} | {row['median']:+.3f} "
                f"| {row['rsd']:.3f}{_interval(row['rsd_interval'])} | {_percent(row['cold_tail'])} |"
            )
    paired = found["paired"]
    told = [
        f"{paired[at]['rsd']:+.3f} K{_interval(paired[at]['rsd_interval'], '+')} {words}"
        for at, words in (("native", "at their own thresholds"), ("equal_coverage", "at equal coverage"))
    ]
    told_alone = found["reference"]
    lines += [
        "",
        f"The original would print RSDs of {told_alone['bayes_RSD']:.3f} K (Bayes) and {told_alone['unet_RSD']:.3f} K "
        f"(U-Net), and not that they are of {told_alone['bayes_count']:,} and {told_alone['unet_count']:,} match-ups.",
    ]
    lines += ["", f"RSD, U-Net minus Bayes, in the same resamples of scenes: {told[0]}; {told[1]}."]
    return "\n".join(lines)


def _granules(found: Numbers) -> str:
    return (
        f"Of the simulated run's {found['products']} products the original's pattern `S3A*` leaves out "
        f"{found['not_s3a']} (Sentinel-3B), in silence; {found['copies']} is another processing of a granule that is "
        "there already, which its split may put on the other side."
    )
