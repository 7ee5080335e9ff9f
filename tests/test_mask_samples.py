"""Masks at match-ups: by index and by position, why rows have no decision, which mask stands for which product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxmask.granules import Stand, assign_masks
from jaxmask.image_points import cloud_at
from jaxmask.mask_samples import sample_masks
from jaxmask.maskfile import Mask, find_masks, write_mask
from jaxmask.pixel_decisions import CODES, DAY, DECIDED, NIGHT, UNKNOWN, day_by_flags, day_by_sun, night_rows, undecided
from jaxmask.place_offset import is_displaced, offset_lines, offset_summary
from jaxmask.sampling_notes import warn_of_seen
from jaxmask.sun import product_time_s
from preprocess.errors import UserError
from preprocess.level1 import CONFIDENCE_BITS

HEIGHT, WIDTH = 40, 50
KM_DEG = 180 / np.pi / 6371
DAYLIGHT, DARK, COSMETIC = (CONFIDENCE_BITS[name] for name in ("day", "twilight", "cosmetic"))


def product(processed: str = "20170315T135348", start: str = "20170315T113420") -> str:
    return f"S3A_SL_1_RBT____{start}_20170315T113720_{processed}_0179_015_237_1439_SVL_O_NR_002"


def positions() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (20 - y * KM_DEG).astype(np.float32), (-30 + x * KM_DEG / np.cos(np.radians(20))).astype(np.float32)


def write(folder: Path, name: str, **changes: Any) -> Mask:
    """A native mask whose values count its pixels."""
    latitude, longitude = positions()
    attributes = {"convention": "native", "rows": HEIGHT, "columns": WIDTH, **changes.pop("attributes", {})}
    fields: dict[str, Any] = {
        "latitude": latitude,
        "longitude": longitude,
        "flags": np.full((HEIGHT, WIDTH), DAYLIGHT, np.uint16),
        "measured": np.full((HEIGHT, WIDTH), 0b111111111, np.uint16),
    }
    value = np.arange(HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH) / (HEIGHT * WIDTH)
    valid = changes.pop("valid", np.ones(value.shape, bool))
    mask = Mask(name, value, valid, attributes, **(fields | changes))
    write_mask(folder / f"{name}.h5", mask)
    return mask


def table(name: str, rows: list[int], columns: list[int], at: list[tuple[int, int]] | None = None) -> dict[str, Any]:
    """Match-ups that count (rows, columns) and lie at the pixels `at`, by default the same."""
    latitude, longitude = positions()
    there = tuple(np.array(at or list(zip(rows, columns, strict=True))).T)
    return {
        "cems_path": np.array([f"/x/{name}.SEN3"] * len(rows)),
        "y_cems": np.array(rows),
        "x_cems": np.array(columns),
        "latitude_an": latitude[there].astype(np.float64),
        "longitude_an": longitude[there].astype(np.float64),
        "sst_algorithm_type": np.full(len(rows), 4),
    }


def counted(excluded: dict[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in excluded.items() if count}


@pytest.mark.quick
def test_native_masks_are_read_by_position_and_the_offset_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mask = write(tmp_path, product())
    rows = table(product(), [10, 20, 39], [5, 6, 7], at=[(12, 5), (20, 7), (39, 7)])
    samples = sample_masks(rows, find_masks(tmp_path))
    np.testing.assert_array_equal(samples.value, mask.probability[[12, 20, 39], [5, 7, 7]].astype(np.float64))
    np.testing.assert_array_equal(samples.indexed, mask.probability[[10, 20, 39], [5, 6, 7]].astype(np.float64))
    assert (samples.rows.tolist(), samples.columns.tolist()) == ([12, 20, 39], [5, 7, 7])
    assert samples.located == {"position": 1, "index": 0}
    offset = samples.offset
    assert (offset["count"], offset["above_half"]) == (3, 2)
    # float32 positions: 0.0002 of a pixel
    assert (offset["median"], offset["greatest"]) == (pytest.approx(1, abs=1e-3), pytest.approx(2, abs=1e-3))
    assert (offset["median_rows"], offset["median_columns"]) == (pytest.approx(0, abs=1e-3), pytest.approx(0, abs=1e-3))
    wanted = "lie 1.00 pixels (median; greatest 2.00) from latitude_an, longitude_an, 2 of 3 more than half a pixel"
    assert wanted in caplog.text
    by_index = sample_masks(rows, find_masks(tmp_path), locate="index")
    np.testing.assert_array_equal(by_index.value, samples.indexed)
    assert by_index.offset == offset
    cloud, known = cloud_at({product(): mask.probability > 0.4}.get, rows, (samples.rows, samples.columns))
    np.testing.assert_array_equal(cloud, samples.value > 0.4)
    assert known.all()


def test_masks_of_another_convention_or_without_positions_are_read_by_index(tmp_path: Path) -> None:
    rows = table(product(), [10], [5], at=[(12, 5)])
    write(tmp_path, product(), attributes={"convention": "reference"})
    assert sample_masks(rows, find_masks(tmp_path)).rows.tolist() == [10]
    assert sample_masks(rows, find_masks(tmp_path), locate="position").rows.tolist() == [12]
    write(tmp_path, product(), latitude=None, longitude=None)
    samples = sample_masks(rows, find_masks(tmp_path))
    assert (samples.rows.tolist(), samples.located, samples.offset["count"]) == ([10], {"position": 0, "index": 1}, 0)
    asked = sample_masks(rows, find_masks(tmp_path), locate="position")
    assert counted(asked.excluded) == {"mask_unreadable": 1}
    assert "doesn't hold where its pixels lie; make it again" in asked.failures[0].error


def test_each_row_without_a_decision_counts_under_its_first_reason(tmp_path: Path) -> None:
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[:, 1] = False
    flags = np.full((HEIGHT, WIDTH), DAYLIGHT, np.uint16)
    flags[:, 2] |= COSMETIC
    flags[:, 1] |= COSMETIC
    measured = np.full((HEIGHT, WIDTH), 0b111111111, np.uint16)
    measured[:, 3] &= ~np.uint16(0b100000000)  # S9
    measured[:, 4] = 0b110000000  # S8 and S9 alone, as by night
    mask = write(tmp_path, product(), valid=valid, flags=flags, measured=measured, attributes={"rows": 30})
    rows = table(product(), [5] * 5 + [35, 6, 7], [0, 1, 2, 3, 4, 0, 0, 0])
    rows["latitude_an"][6] = np.nan
    rows["latitude_an"][7] += 3 * KM_DEG * 40
    expected = {"invalid_pixel": 1, "cosmetic_pixel": 2, "padded_pixel": 1, "without_position": 1, "outside_mask": 1}
    samples = sample_masks(rows, find_masks(tmp_path))
    assert counted(samples.excluded) == expected
    assert samples.valid.tolist() == [True, False, False, False, True, False, False, False]
    assert samples.clear.tolist() == samples.valid.tolist()
    assert np.isfinite(samples.indexed).all()
    assert sum(samples.excluded.values()) + samples.valid.sum() == len(rows["y_cems"])
    by_index = sample_masks(rows, find_masks(tmp_path), locate="index")
    np.testing.assert_array_equal(by_index.value[-2:], mask.probability[[6, 7], [0, 0]].astype(np.float64))
    assert counted(by_index.excluded) == {"invalid_pixel": 1, "cosmetic_pixel": 2, "padded_pixel": 1}


def test_copies_of_a_granule_stand_for_one_another(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    older, newer, other = product("20180101T000000"), product("20190101T000000"), product("20200101T000000")
    write(tmp_path, older)
    write(tmp_path, newer, attributes={"threshold": 0.9})
    samples = sample_masks(table(other, [3], [4]), find_masks(tmp_path))
    assert samples.valid.all()
    assert samples.threshold.tolist() == [0.9]
    assert np.isnan(samples.indexed).all(), "the original takes no mask of another name"
    assert f"such as {other} by {newer}" in caplog.text
    assert f"the last by name is taken, for {other} of 2" in caplog.text
    two = {name: np.concatenate([values, values]) for name, values in table(other, [3], [4]).items()}
    two["cems_path"][1] = f"/x/{older}.SEN3"
    both = sample_masks(two, find_masks(tmp_path))
    assert both.threshold.tolist() == [0.9, 0.5]
    assert both.scene.tolist() == [0, 0], "one granule is one scene"


def test_masks_of_two_runs_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = product(start="20170315T113720")
    write(tmp_path, product(), attributes={"model": "ab", "quantity": "q", "threshold": 0.5})
    write(tmp_path, other, attributes={"model": "cd", "quantity": "q", "threshold": 0.5})
    one, two = table(product(), [3], [4]), table(other, [3], [4])
    samples = sample_masks({name: np.concatenate([one[name], two[name]]) for name in one}, find_masks(tmp_path))
    common = {"quantity": "q", "threshold": 0.5, "part": "", "masks": 1}
    assert samples.made == [{"model": "ab"} | common, {"model": "cd"} | common]
    assert "these masks are of more than one model; statistics mix them" in caplog.text
    caplog.clear()
    sample_masks(one, find_masks(tmp_path))
    assert not caplog.text


def test_products_that_the_model_was_trained_on_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = product(start="20170315T113720")
    write(tmp_path, product(), attributes={"part": "train"})
    write(tmp_path, other, attributes={"part": "test"})
    one, two = table(product(), [3], [4]), table(other, [3], [4])
    made = sample_masks({name: np.concatenate([one[name], two[name]]) for name in one}, find_masks(tmp_path)).made
    assert [(record["part"], record["masks"]) for record in made] == [("test", 1), ("train", 1)]
    assert not caplog.text, "parts differ, as they do of one run"
    warn_of_seen(made[:1])
    assert not caplog.text
    warn_of_seen(made)
    assert "trained on the products of 1 of these 2 masks" in caplog.text


def test_a_mask_whose_attributes_are_damaged_is_a_failure(tmp_path: Path) -> None:
    write(tmp_path, product(), attributes={"threshold": "half"})
    samples = sample_masks(table(product(), [3], [4]), find_masks(tmp_path))
    assert counted(samples.excluded) == {"mask_unreadable": 1}
    assert "could not convert string to float" in samples.failures[0].error


def test_assigning_masks_is_by_name_then_by_granule() -> None:
    later = product(start="20170315T113720")
    assigned, stands = assign_masks([product("1" * 8 + "T" + "1" * 6), later, "A", "B"], [product(), "B"])
    assert assigned == [product(), None, None, "B"]
    assert stands == [Stand(product("1" * 8 + "T" + "1" * 6), product(), 1)]


def test_day_and_night_by_flags_by_the_sun_by_the_algorithm(tmp_path: Path) -> None:
    flags = np.full((HEIGHT, WIDTH), DARK, np.uint16)
    flags[:, 1], flags[:, 2] = DAYLIGHT | COSMETIC, 0
    write(tmp_path, product(), flags=flags)
    samples = sample_masks(table(product(), [5, 5, 5], [0, 1, 2]), find_masks(tmp_path))
    # 11:36 UTC, 30 degrees west in March: the sun is up
    assert samples.night.tolist() == [True, False, False]
    assert samples.time_of_day == {"flags": 2, "sun": 1, "algorithm": 0}
    assert samples.local_hours[0] == pytest.approx(11 + 35 / 60 + 50 / 3600 - 2, abs=1e-4)
    (tmp_path / "P").mkdir()
    write(tmp_path / "P", "A", flags=None)
    rows = table("A", [5, 5], [0, 1]) | {"sst_algorithm_type": np.array([5, 4])}
    unknown = sample_masks(rows, find_masks(tmp_path / "P"))
    assert unknown.night.tolist() == [True, False]
    assert unknown.time_of_day == {"flags": 0, "sun": 0, "algorithm": 2}
    assert np.isnan(unknown.local_hours).all()


def test_decisions_and_days_of_arrays() -> None:
    value, valid = np.array([0.5, np.nan, 0.5, 0.5]), np.array([1, 1, 0, 1])
    reasons = undecided(value, valid, np.array([False, False, True, False]))
    assert reasons.tolist() == [DECIDED, CODES["invalid_pixel"], CODES["padded_pixel"], DECIDED]
    assert undecided(value, None, np.zeros(4, bool)).tolist() == [DECIDED, CODES["invalid_pixel"], DECIDED, DECIDED]
    assert day_by_flags(np.array([0, DAYLIGHT, DARK, 2], np.uint16)).tolist() == [UNKNOWN, DAY, NIGHT, NIGHT]
    time_s = np.full(3, product_time_s(product()))
    assert day_by_sun(time_s, np.array([0, 0, np.nan]), np.array([0.0, 180, 0])).tolist() == [DAY, NIGHT, UNKNOWN]
    night, _ = night_rows(np.array([UNKNOWN] * 4), np.array([UNKNOWN] * 4), np.array([1, 3, 4, 5]))
    assert night.tolist() == [False, True, False, True]


def test_offsets_in_numbers() -> None:
    rows, columns = np.array([0.3, -3.0, np.nan, 0.0]), np.array([0.4, 4.0, 0.0, 0.6])
    found = offset_summary(rows, columns)
    assert (found["count"], found["median"], found["greatest"]) == (3, pytest.approx(0.6), 5.0)
    assert (found["median_rows"], found["median_columns"], found["above_half"]) == (0.0, 0.6, 2)
    assert offset_lines(found)[1].endswith("2 of 3 more than half a pixel (medians +0.00 rows, +0.60 columns)")
    assert is_displaced(found)
    assert not is_displaced(found | {"count": 300})
    nothing = offset_summary(np.array([np.nan]), np.array([1.0]))
    assert not is_displaced(nothing)
    assert (nothing["count"], nothing["median"], offset_lines(nothing)) == (0, None, [])


def test_no_granule_in_common_is_an_error_with_examples(tmp_path: Path) -> None:
    write(tmp_path, product())
    with pytest.raises(UserError, match=r"no match-up names a mask: the table names B \(1 in all\).*\(1 in all\); run"):
        sample_masks(table("B", [1], [1]), find_masks(tmp_path))
