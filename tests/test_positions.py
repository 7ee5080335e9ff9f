"""Reading where pixels and orphans lie from a small product, value by value, and every way it can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from preprocess.errors import UserError
from preprocess.level1 import Positions
from preprocess.neighbours import neighbour_channels
from preprocess.product import read_product
from tests.products import (
    BITS,
    CONFIDENCE,
    COSMETIC,
    DAY,
    EXCEPTIONS,
    FILL,
    SATURATION,
    UNFILLED_PIXEL,
    Files,
    product_files,
    write_product,
    zip_product,
)

ROWS, COLUMNS, PLACES = 4, 6, 2
SOLAR = ("S1", "S2", "S3", "S4", "S5", "S6")


def positioned_files() -> Files:
    """A product of 4 x 6 pixels with everything that regridding by neighbours reads; x of 500 m cells is packed."""
    files = product_files(ROWS, COLUMNS)
    y, x = np.mgrid[:ROWS, :COLUMNS] * 1000.0
    fine_y, fine_x = np.mgrid[: 2 * ROWS, : 2 * COLUMNS] * 500.0
    nan = {"_FillValue": np.float32(np.nan)}
    packed = {"_FillValue": np.int32(-(2**31)), "scale_factor": 0.1, "add_offset": 1000.0}
    counts = np.round((2000 - fine_x) / 0.1).astype(np.int32)
    counts[0, 0] = -(2**31)
    orphan_x = np.full((2 * ROWS, PLACES), np.nan, np.float32)
    orphan_x[3, 0] = 1234
    files["cartesian_in.nc"] = {"x_in": ((3000 - x).astype(np.float32), nan), "y_in": (1e7 + y, {"_FillValue": np.nan})}
    files["cartesian_an.nc"] = {
        "x_an": (counts, packed),
        "y_an": ((1e7 + fine_y).astype(np.float32), nan),
        "x_orphan_an": (orphan_x, nan),
        "y_orphan_an": (orphan_x + np.float32(1e7), nan),
    }
    exception = {"flag_masks": np.array(BITS, np.uint8), "flag_meanings": EXCEPTIONS}
    for number, channel in enumerate(SOLAR):
        orphan = np.full((2 * ROWS, PLACES), FILL, np.int16)
        orphan[3, 0] = 1000 + number
        status = np.full((2 * ROWS, PLACES), UNFILLED_PIXEL, np.uint8)
        status[3, 0] = SATURATION
        files[f"{channel}_radiance_an.nc"] |= {
            f"{channel}_radiance_orphan_an": (orphan, {"_FillValue": np.int16(FILL), "scale_factor": 0.02}),
            f"{channel}_exception_orphan_an": (status, exception),
        }
    confidence = np.full((2 * ROWS, 2 * COLUMNS), DAY, np.uint16)
    confidence[5, 7] |= COSMETIC
    masks = {"flag_masks": np.array([2**bit for bit in range(16)], np.uint16), "flag_meanings": CONFIDENCE}
    files["flags_an.nc"] = {"confidence_an": (confidence, masks)}
    files["flags_in.nc"]["confidence_in"][0][1, 2] |= COSMETIC
    return files


def positions_of(tmp_path: Path, files: Files) -> Positions:
    positions = read_product(write_product(tmp_path, files), positions=True).positions
    assert positions is not None
    return positions


@pytest.mark.quick
def test_value_by_value(tmp_path: Path) -> None:
    """Positions in metres whatever their packing, orphans with their own, cosmetic cells of flags_an alone."""
    positions = positions_of(tmp_path, positioned_files())
    y, x = np.mgrid[:ROWS, :COLUMNS] * 1000.0
    fine_y, fine_x = np.mgrid[: 2 * ROWS, : 2 * COLUMNS] * 500.0
    expected_x = 3000 - fine_x
    expected_x[0, 0] = np.nan
    for found, expected in (
        (positions.x_1km, 3000 - x),
        (positions.y_1km, 1e7 + y),
        (positions.x_500m, expected_x),
        (positions.y_500m, 1e7 + fine_y),
    ):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
    assert np.argwhere(positions.cosmetic_500m).tolist() == [[5, 7]]
    assert np.argwhere(np.isfinite(positions.orphan_x)).tolist() == [[3, 0]]
    assert (positions.orphan_x[3, 0], positions.orphan_y[3, 0]) == (1234, 1e7 + 1234)
    assert positions.orphan_exception.shape == (6, 2 * ROWS, PLACES)
    for number, (packed, exception) in enumerate(
        zip(positions.orphan_radiances, positions.orphan_exception, strict=True)
    ):
        assert np.argwhere(packed.known()).tolist() == [[3, 0]]
        assert packed.values()[3, 0] == np.float32((1000 + number) * 0.02)
        assert exception[3, 0] == SATURATION
        assert (np.delete(exception.ravel(), 3 * PLACES) == UNFILLED_PIXEL).all()
    assert positions.orphan_detector is None


def test_a_zip_gives_the_same(tmp_path: Path) -> None:
    folder = write_product(tmp_path, positioned_files())
    zipped = read_product(zip_product(folder, tmp_path / "product.zip"), positions=True).positions
    plain = read_product(folder, positions=True).positions
    assert zipped is not None
    assert plain is not None
    np.testing.assert_array_equal(zipped.x_500m, plain.x_500m)
    np.testing.assert_array_equal(zipped.orphan_radiances[5].counts, plain.orphan_radiances[5].counts)


def test_positions_are_read_only_where_they_are_asked_for(tmp_path: Path) -> None:
    path = write_product(tmp_path, positioned_files())
    (path / "cartesian_an.nc").unlink()
    assert read_product(path).positions is None


def test_without_flags_at_500_m_all_four_cells_of_a_cosmetic_pixel_are(tmp_path: Path) -> None:
    files = positioned_files()
    del files["flags_an.nc"]
    cosmetic = positions_of(tmp_path, files).cosmetic_500m
    assert np.argwhere(cosmetic).tolist() == [[2, 4], [2, 5], [3, 4], [3, 5]]


def test_without_positions_of_orphans_there_are_none(tmp_path: Path) -> None:
    """Whatever the radiance files hold: the completed real product has radiances of orphans, but no exceptions."""
    files = positioned_files()
    for axis in "xy":
        del files["cartesian_an.nc"][f"{axis}_orphan_an"]
    for channel in SOLAR:
        del files[f"{channel}_radiance_an.nc"][f"{channel}_exception_orphan_an"]
    product = read_product(write_product(tmp_path, files), positions=True)
    positions = product.positions
    assert positions is not None
    assert positions.orphan_x.shape == positions.orphan_y.shape == (2 * ROWS, 0)
    assert positions.orphan_exception.shape == (6, 2 * ROWS, 0)
    assert [packed.counts.shape for packed in positions.orphan_radiances] == [(2 * ROWS, 0)] * 6
    channels = list(neighbour_channels(product, texture=True))
    assert all(np.array_equal(channel.radiance, np.full((ROWS, COLUMNS), 10, np.float32)) for channel in channels)


def test_detectors_of_orphans_where_irradiances_differ(tmp_path: Path) -> None:
    files = positioned_files()
    files["S1_quality_an.nc"]["S1_solar_irradiance_an"][0][1] = 101
    detector = {"_FillValue": np.uint8(255)}
    orphan = np.full((2 * ROWS, PLACES), 255, np.uint8)
    orphan[3, 0] = 1
    files["indices_an.nc"] = {
        "detector_an": (np.zeros((2 * ROWS, 2 * COLUMNS), np.uint8), detector),
        "detector_orphan_an": (orphan, detector),
    }
    found = positions_of(tmp_path / "with", files).orphan_detector
    assert found is not None
    np.testing.assert_array_equal(found, orphan)
    del files["indices_an.nc"]["detector_orphan_an"]
    with pytest.raises(
        UserError, match=r"indices_an.nc: no variable detector_orphan_an; found detector_an: .* --regrid mean"
    ):
        positions_of(tmp_path / "without", files)


def without(file: str, variable: str) -> Callable[[Files], object]:
    return lambda files: files[file].pop(variable)


def cut(file: str, variable: str) -> Callable[[Files], None]:
    """The last column is missing."""

    def change(files: Files) -> None:
        data, attributes = files[file][variable]
        files[file][variable] = data[:, :-1], attributes

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: files.pop("cartesian_in.nc"), "cartesian_in.nc is missing; fetch the product again"),
        (lambda files: files.pop("cartesian_an.nc"), "cartesian_an.nc is missing; fetch the product again"),
        (without("cartesian_in.nc", "y_in"), "cartesian_in.nc: no variable y_in; found x_in: fetch the product again"),
        (without("cartesian_an.nc", "x_an"), "cartesian_an.nc: no variable x_an; found x_orphan_an, y_an, y_orphan_an"),
        (
            cut("cartesian_in.nc", "x_in"),
            r"cartesian_in.nc: variable x_in must be \(4, 6\) as S7_BT_in; found \(4, 5\)",
        ),
        (
            cut("cartesian_an.nc", "y_an"),
            r"cartesian_an.nc: variable y_an must be \(8, 12\), twice the 1 km grid \(4, 6\); found \(8, 11\)",
        ),
        (cut("cartesian_an.nc", "y_orphan_an"), r"y_orphan_an must be \(8, 2\), a row of places .*; found \(8, 1\)"),
        (
            without("S4_radiance_an.nc", "S4_radiance_orphan_an"),
            r"S4_radiance_an.nc: variable S4_radiance_orphan_an must be \(8, 2\) as x_orphan_an; found none: fetch",
        ),
        (
            without("S4_radiance_an.nc", "S4_exception_orphan_an"),
            r"S4_radiance_an.nc: variable S4_exception_orphan_an must be \(8, 2\) as x_orphan_an; found none: fetch",
        ),
        (
            cut("S2_radiance_an.nc", "S2_radiance_orphan_an"),
            r"S2_radiance_orphan_an must be \(8, 2\) .*; found \(8, 1\)",
        ),
        (
            cut("flags_an.nc", "confidence_an"),
            r"flags_an.nc: variable confidence_an must be \(8, 12\); found \(8, 11\)",
        ),
        (
            lambda files: files["flags_an.nc"]["confidence_an"][1].update(flag_meanings=" ".join("abcdefghijklmnop")),
            "flags_an.nc: the flag_meanings of confidence_an must include cosmetic; found a b c",
        ),
    ],
)
def test_what_is_wrong_is_named_with_the_way_out(
    tmp_path: Path, change: Callable[[Files], object], message: str
) -> None:
    files = positioned_files()
    change(files)
    path = write_product(tmp_path, files)
    with pytest.raises(UserError, match=rf"{message}.*, or do without positions: --regrid mean$"):
        read_product(path, positions=True)
    assert read_product(path).positions is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = write_product(tmp_path, positioned_files())
    data = (path / "cartesian_an.nc").read_bytes()
    (path / "cartesian_an.nc").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"cartesian_an.nc can't be read: truncated or damaged .*--regrid mean$"):
        read_product(path, positions=True)
