"""S1..S6 from the nearest measurements: by hand, against a k-d tree, and on a coast that a plain mean misplaces."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from preprocess.compose import make_scene
from preprocess.errors import UserError
from preprocess.grid import mean_channels
from preprocess.level1 import Packed, Positions, Product
from preprocess.nearest import NEAREST, RADIUS_M
from preprocess.neighbours import average, neighbour_channels
from preprocess.product import read_product
from preprocess.simulation.geometry import SAW_TOOTH_COLUMNS, SAW_TOOTH_ROWS, pixel_positions
from preprocess.simulation.product import write_folder
from preprocess.simulation.regrid import gridded, make_regridding, orphans
from preprocess.simulation.schema import FILL_I2, packed
from tests.coast import LAND, SEA, Coast, shift_m
from tests.products import COSMETIC, SATURATION, UNFILLED_PIXEL, make_product
from tests.real import complete_product
from tests.simulate_cases import small_geometry
from tests.simulated import random_scene, small_plan

SCALE, OFFSET = 0.5, -3.0
FILL = -32768


def by_hand() -> Product:
    """2 x 2 pixels of 1 km over 4 x 4 cells of 500 m in their nominal places, counts 0, 1, 2 .. 15; and two orphans.

    Pixels lie in the middle of their cells but for (0, 0), which lies 100 m right of and 50 m below it (x falls with
    the column): its nearest are cells 5, 1, 4, 0, 6 as numbered by counts. The orphans have 100 and 200 counts and lie
    on pixels (1, 0) and (1, 1).
    """
    y, x = np.mgrid[:4, :4] * 500.0 + 250.0
    y_1km, x_1km = np.mgrid[:2, :2] * 1000.0 + 500.0
    y_1km[0, 0] += 50
    x_1km[0, 0] += 100
    orphan_x, orphan_y = (np.full((4, 1), np.nan, np.float32) for _ in range(2))
    orphan_x[2:, 0], orphan_y[2:, 0] = (-500, -1500), 1500
    orphan = np.array([[FILL], [FILL], [100], [200]], np.int16)
    counts = np.arange(16, dtype=np.int16).reshape(4, 4)
    return make_product(
        2,
        2,
        radiances=(Packed(counts, SCALE, OFFSET, FILL),) * 6,
        positions=Positions(
            *(values.astype(np.float32) for values in (-x_1km, y_1km, -x, y)),
            np.zeros((4, 4), bool),
            orphan_x,
            orphan_y,
            (Packed(orphan, SCALE, OFFSET, FILL),) * 6,
            np.zeros((6, 4, 1), np.uint8),
        ),
    )


def one_channel(product: Product, channel: int = 0, *, texture: bool = True) -> Any:
    return list(neighbour_channels(product, texture=texture))[channel]


@pytest.mark.quick
def test_by_hand() -> None:
    """(0, 0): 5, 1, 4, 0, 6 have mean 16/5 and variance (25 + 1 + 16 + 0 + 36)/5 - (16/5)^2 = 134/25. (1, 0): the
    orphan, and the four cells about it: 100, 8, 9, 12, 13.
    """
    channels = list(neighbour_channels(by_hand(), texture=True))
    assert len(channels) == 6
    for channel in channels:
        assert channel.radiance.dtype == channel.deviation.dtype == np.float32
        assert channel.radiance[0, 0] == np.float32(16 / 5 * SCALE + OFFSET)
        assert channel.radiance[1, 0] == np.float32((100 + 8 + 9 + 12 + 13) / 5 * SCALE + OFFSET)
        np.testing.assert_allclose(channel.deviation[0, 0], np.sqrt(134 / 25) * SCALE, rtol=1e-6)
        assert channel.measured.all()
        assert channel.equalised is None
    assert all(channel.deviation is None for channel in neighbour_channels(by_hand(), texture=False))


def test_what_a_channel_lacks_is_left_out_of_its_mean_and_saturation_is_not() -> None:
    """Of 5, 1, 4, 0, 6 S1 lacks 5 (fill) and 1 (an exception), while 4 is saturated; its sixth nearest isn't sought.
    S2 has all. The orphan on (1, 0) has an exception in S1.
    """
    product = by_hand()
    assert product.positions is not None
    counts = product.radiances[0].counts.copy()
    counts[1, 1] = FILL
    exception = product.radiance_exception.copy()
    exception[0, 0, 1], exception[0, 1, 0] = UNFILLED_PIXEL, SATURATION
    orphan_exception = product.positions.orphan_exception.copy()
    orphan_exception[0, 2] = 32 | SATURATION
    product = replace(
        product,
        radiances=(replace(product.radiances[0], counts=counts), *product.radiances[1:]),
        radiance_exception=exception,
        positions=replace(product.positions, orphan_exception=orphan_exception),
    )
    first, second = one_channel(product, 0), one_channel(product, 1)
    assert first.radiance[0, 0] == np.float32((4 + 0 + 6) / 3 * SCALE + OFFSET)
    assert first.radiance[1, 0] == np.float32((8 + 9 + 12 + 13) / 4 * SCALE + OFFSET)
    assert second.radiance[0, 0] == np.float32(16 / 5 * SCALE + OFFSET)


def test_cosmetic_cells_make_room_for_others() -> None:
    product = by_hand()
    assert product.positions is not None
    cosmetic = product.positions.cosmetic_500m.copy()
    cosmetic[1, 1] = True
    product = replace(product, positions=replace(product.positions, cosmetic_500m=cosmetic))
    assert one_channel(product).radiance[0, 0] == np.float32((1 + 4 + 0 + 6 + 2) / 5 * SCALE + OFFSET)


@pytest.mark.quick
def test_a_cosmetic_pixel_among_measurements_is_measured_by_them_and_not_by_its_own_copies() -> None:
    """Pixel (0, 0) and its four cells are copies: the mean of 2 x 2 finds nothing but those, the neighbours cells 2, 6,
    8 and 9 and an orphan within 1000 m of it. In S1 alone these have exceptions.
    """
    product = by_hand()
    assert product.positions is not None
    cosmetic, exception = np.zeros((4, 4), bool), product.radiance_exception.copy()
    cosmetic[:2, :2] = cosmetic[2, 2] = True
    exception[0, [0, 1, 2, 2], [2, 2, 0, 1]] = UNFILLED_PIXEL
    orphan_exception = product.positions.orphan_exception.copy()
    orphan_exception[0] = UNFILLED_PIXEL
    product.flags["confidence"].values[0, 0] |= COSMETIC
    positions = replace(product.positions, cosmetic_500m=cosmetic, orphan_exception=orphan_exception)
    product = replace(product, radiance_exception=exception, positions=positions)
    near, by_mean = make_scene(product, regrid="neighbours"), make_scene(product)
    assert near.measured[0, 0] == 0b000111110
    assert by_mean.measured[0, 0] == 0
    assert (near.measured[1] == by_mean.measured[1]).all()
    np.testing.assert_allclose(near.refs[0, 0, 1], ((2 + 6 + 8 + 9 + 100) / 5 * SCALE + OFFSET) / 100, rtol=1e-6)


def test_no_neighbour_no_radiance_one_neighbour_no_deviation() -> None:
    """Without cells, only the two orphans are left, 1000 m apart, which is not within the radius: (0, 1) has nothing,
    (0, 0) the first at 955 m.
    """
    product = by_hand()
    assert product.positions is not None
    product = replace(product, positions=replace(product.positions, cosmetic_500m=np.ones((4, 4), bool)))
    found = one_channel(product)
    expected = np.array([[100, np.nan], [100, 200]]) * SCALE + OFFSET
    np.testing.assert_array_equal(found.radiance, expected)
    np.testing.assert_array_equal(found.deviation, [[0, np.nan], [0, 0]])
    assert found.measured.tolist() == [[True, False], [True, True]]


def test_counts_that_fall_as_radiance_rises_deviate_no_less() -> None:
    product = by_hand()
    falling = replace(product, radiances=tuple(replace(packed, scale=-SCALE) for packed in product.radiances))
    found = one_channel(falling)
    np.testing.assert_allclose(found.deviation[0, 0], np.sqrt(134 / 25) * SCALE, rtol=1e-6)
    assert found.radiance[0, 0] == np.float32(16 / 5 * -SCALE + OFFSET)


def test_orphans_packed_in_another_way() -> None:
    product = by_hand()
    assert product.positions is not None
    stored = Packed(np.array([[FILL], [FILL], [470], [970]], np.int16), 0.1, 0.0, FILL)  # 47 and 97, as before
    other = replace(product, positions=replace(product.positions, orphan_radiances=(stored,) * 6))
    # f4 holds the orphan's counts, no longer whole numbers, to 24 bits.
    np.testing.assert_allclose(one_channel(other).radiance, one_channel(product).radiance, rtol=1e-6)


def test_each_measurement_by_the_irradiance_of_its_own_detector() -> None:
    """Rows take turns at detectors 0 (irradiance 1) and 1 (3): the mean irradiance is 2, the ratios 2 and 2/3. The
    first orphan was seen by detector 1; nobody knows who saw the second.
    """
    product = by_hand()
    assert product.positions is not None
    detector = np.repeat(np.array([[0], [1], [0], [1]], np.uint8), 4, axis=1)
    orphan_detector = np.array([[255], [255], [1], [255]], np.uint8)
    irradiance = np.full((6, 2), 2.0)
    irradiance[0] = 1, 3
    positions = replace(product.positions, orphan_detector=orphan_detector)
    product = replace(product, detector=detector, irradiance=irradiance, positions=positions)
    found, even = one_channel(product, 0), one_channel(product, 1)
    radiance = np.arange(201) * SCALE + OFFSET
    by_cell = {5: 2 / 3, 1: 2, 4: 2 / 3, 0: 2, 6: 2 / 3}
    assert found.equalised.dtype == np.float32
    np.testing.assert_allclose(
        found.equalised[0, 0], np.mean([radiance[cell] * ratio for cell, ratio in by_cell.items()]), rtol=1e-6
    )
    by_cell = {100: 2 / 3, 8: 2, 9: 2, 12: 2 / 3, 13: 2 / 3}
    np.testing.assert_allclose(
        found.equalised[1, 0], np.mean([radiance[cell] * ratio for cell, ratio in by_cell.items()]), rtol=1e-6
    )
    np.testing.assert_allclose(
        found.equalised[1, 1],
        np.mean([radiance[200], radiance[10] * 2, radiance[11] * 2, radiance[14] * 2 / 3, radiance[15] * 2 / 3]),
        rtol=1e-6,
    )
    np.testing.assert_array_equal(found.radiance, one_channel(by_hand()).radiance)
    assert even.equalised is None  # its detectors are equal


def test_averages_in_blocks() -> None:
    """More pixels than a block holds, against numpy's own mean and standard deviation, in float64."""
    draws = np.random.default_rng(0)
    values = draws.integers(-32767, 32768, 5000).astype(np.float32)
    values[draws.random(5000) < 0.4] = np.nan
    values[-1] = np.nan
    nearest = draws.integers(0, 5000, (5, 150, 120)).astype(np.int32)
    nearest[:, :2, :2] = 4999
    found = np.ma.masked_invalid(values[nearest].astype(np.float64))
    mean, deviation = average(values, nearest, texture=True)
    np.testing.assert_allclose(mean, found.mean(axis=0).filled(np.nan), rtol=1e-15)
    assert deviation is not None
    # The mean is subtracted in float32, which holds it to 0.002 counts.
    np.testing.assert_allclose(deviation, found.std(axis=0).filled(np.nan), rtol=1e-6, atol=4e-3)
    assert np.isnan(mean[:2, :2]).all()


def test_named_errors() -> None:
    with pytest.raises(UserError, match=r"S3A_SL_1_RBT.* read without the positions of its pixels, which --regrid nei"):
        next(neighbour_channels(make_product(), texture=False))
    _, product, _, _ = coast_product()
    assert product.positions is not None
    far = product.positions.y_1km.copy()
    far[20, ::2] += 1e6
    product = replace(product, positions=replace(product.positions, y_1km=far))
    with pytest.raises(UserError, match=r"S3A_SL_1_RBT.*: cartesian_in.nc: pixels must lie within 1500 m"):
        next(neighbour_channels(product, texture=False))


def slow(product: Product, channel: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of one channel by a k-d tree over all measurements, pixel by pixel, in float64."""
    positions, packed = product.positions, product.radiances[channel]
    assert positions is not None
    own = ~positions.cosmetic_500m
    where = np.concatenate(
        [
            np.stack([positions.x_500m[own], positions.y_500m[own]], axis=1),
            np.stack([positions.orphan_x.ravel(), positions.orphan_y.ravel()], axis=1),
        ]
    ).astype(np.float64)
    radiance = np.concatenate([packed.values("f8")[own], positions.orphan_radiances[channel].values("f8").ravel()])
    exception = [product.radiance_exception[channel][own], positions.orphan_exception[channel].ravel()]
    radiance[~np.isin(np.concatenate(exception), (0, SATURATION))] = np.nan
    known = np.isfinite(where).all(axis=1)
    pixels = np.stack([positions.x_1km.ravel(), positions.y_1km.ravel()], axis=1).astype(np.float64)
    _, found = cKDTree(where[known]).query(pixels, k=NEAREST, distance_upper_bound=RADIUS_M)
    values = np.ma.masked_invalid(np.append(radiance[known], np.nan)[found])
    shape = positions.x_1km.shape
    return (
        np.ma.filled(values.mean(axis=1), np.nan).reshape(shape),
        np.ma.filled(values.std(axis=1), np.nan).reshape(shape),
    )


def test_a_simulated_product_as_a_k_d_tree_finds_it(tmp_path: Path) -> None:
    """Written, read and regridded: cosmetic cells, orphans, unfilled edges. Positions, which come in steps of 167 m,
    are jittered by up to 10 m, so that no two measurements are equally near.
    """
    product = read_product(write_folder(random_scene(small_plan(rows=32, columns=48)), tmp_path), positions=True)
    positions, draws = product.positions, np.random.default_rng(1)
    assert positions is not None
    assert np.isfinite(positions.orphan_x).mean() > 0.2
    assert positions.cosmetic_500m.mean() > 0.02
    jittered = {
        name: (values + draws.uniform(-10, 10, values.shape)).astype(np.float32)
        for name, values in vars(positions).items()
        if name.startswith(("x_", "y_")) or name in ("orphan_x", "orphan_y")
    }
    product = replace(product, positions=replace(positions, **jittered))
    for channel, found in enumerate(neighbour_channels(product, texture=True)):
        mean, deviation = slow(product, channel)
        # One in 65,000 of a distance decides which of two is nearer: a few pixels in a thousand may differ.
        same = np.isclose(found.radiance, mean, rtol=1e-6, equal_nan=True)
        assert same.mean() > 0.995
        assert np.isclose(found.deviation, deviation, rtol=1e-4, atol=1e-4, equal_nan=True).mean() > 0.995
        assert np.array_equal(found.measured, np.isfinite(found.radiance))
        assert 0.9 < found.measured.mean() < 1


def test_the_real_product_where_rows_are_missing_from_it(
    complete_product_tool: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its track coordinate, measured, jumps by three rows at one place. 40 rows about it as a k-d tree has them, where
    the fifth and the sixth nearest differ: the stand-in positions come in steps, so that distances are often equal.
    """
    product = read_product(
        complete_product(complete_product_tool, tmp_path_factory, "--seed", "0", "--labels", "cloud"), positions=True
    )
    positions = product.positions
    assert positions is not None
    steps = np.diff(positions.y_1km[:, 0])
    gap = int(np.argmax(steps))
    assert steps[gap] > 2500
    rows, fine = slice(gap - 20, gap + 20), slice(2 * gap - 80, 2 * gap + 80)
    own = ~positions.cosmetic_500m[fine]
    measured = np.stack([positions.x_500m[fine][own], positions.y_500m[fine][own]], axis=1).astype(np.float64)
    pixels = np.stack([positions.x_1km[rows].ravel(), positions.y_1km[rows].ravel()], axis=1).astype(np.float64)
    distance, found = cKDTree(measured).query(pixels, k=NEAREST + 1, distance_upper_bound=RADIUS_M)
    clear = (distance[:, NEAREST] > distance[:, NEAREST - 1] * (1 + 1e-4)) | np.isinf(distance[:, NEAREST - 1])
    assert clear.mean() > 0.2
    radiance = np.append(product.radiances[2].values("f8")[fine][own], np.nan)
    values = np.ma.masked_invalid(radiance[found[clear, :NEAREST]])
    result = one_channel(product, 2)
    np.testing.assert_allclose(
        result.radiance[rows].ravel()[clear], np.ma.filled(values.mean(axis=1), np.nan), rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(
        result.deviation[rows].ravel()[clear], np.ma.filled(values.std(axis=1), np.nan), rtol=1e-4, atol=1e-4
    )


@cache
def coast_product() -> tuple[Coast, Product, np.ndarray, np.ndarray]:
    """A sharp coast seen by the saw-toothed pixels of a simulated product far off the track, where 44 % of the 500 m
    cells are cosmetic; and the positions of its 1 km pixels.
    """
    plan = small_geometry("coast", "day").plan
    (x, y), (x_500m, y_500m) = pixel_positions(plan, "in"), pixel_positions(plan, "an")
    coast = Coast(float(x.mean()), float(y.mean()))
    cells = make_regridding(plan, "an", np.random.default_rng(1))
    counts = packed(coast.radiance(x_500m, y_500m, 500.0), 0.01, 0.0)
    positions = Positions(
        *(values.astype(np.float32) for values in (x, y, x_500m, y_500m)),
        cells.cosmetic,
        *(orphans(cells, values.astype(np.float32), np.nan) for values in (x_500m, y_500m)),
        (Packed(orphans(cells, counts, FILL_I2), 0.01, 0.0, FILL_I2),) * 6,
        np.zeros((6, *cells.orphan_column.shape), np.uint8),
    )
    image = Packed(gridded(cells, counts, FILL_I2), 0.01, 0.0, FILL_I2)
    return coast, make_product(plan.rows, plan.columns, radiances=(image,) * 6, positions=positions), x, y


def coast_shifts(image: np.ndarray) -> list[float]:
    """By how far (m) `image` misplaces the coast along the track, for each of the rows of the saw-tooth."""
    coast, _, x, y = coast_product()
    rows, columns = np.indices(x.shape)
    tooth = (rows + columns // SAW_TOOTH_COLUMNS) % SAW_TOOTH_ROWS
    return [shift_m(coast, image[tooth == t], x[tooth == t], y[tooth == t], 1000.0) for t in range(SAW_TOOTH_ROWS)]


@pytest.mark.quick
def test_a_coast_stays_where_it_is_and_a_plain_mean_moves_it_by_half_a_pixel() -> None:
    """Measured here: the mean moves the coast by 580, 590, 240 and 160 m on the four rows of the saw-tooth, as its four
    cells lie 450 to 50 m off the pixel on average and cosmetic cells repeat others; the neighbours by -50, 110, -50 and
    130 m. They can't do better than about a quarter of a 500 m cell, as five cells of a lattice are seldom centred
    on a point; 150 m is that and the 10 m that shifts are found to.
    """
    coast, product, x, y = coast_product()
    plain, found = next(iter(mean_channels(product))).radiance, one_channel(product)
    truth = coast.radiance(x, y, 1000.0)
    assert coast_shifts(truth) == [0, 0, 0, 0]
    by_mean, by_neighbours = coast_shifts(plain), coast_shifts(found.radiance)
    assert max(by_mean) >= 500
    assert max(by_mean) - min(by_mean) >= 300
    assert max(np.abs(by_neighbours)) <= 150
    edge = (truth > SEA) & (truth < LAND) & np.isfinite(plain) & np.isfinite(found.radiance)
    misfits = [float(np.sqrt(np.mean((image - truth)[edge] ** 2))) for image in (plain, found.radiance)]
    assert misfits[1] < 0.5 * misfits[0]  # 16 against 35 mW m-2 sr-1 nm-1


def test_texture_finds_the_coast() -> None:
    """Within a pixel of the coast the deviation is a large part of the step, away from it nothing but rounding."""
    coast, product, x, y = coast_product()
    deviation = one_channel(product).deviation
    truth = coast.radiance(x, y, 1000.0)
    middle = np.abs(truth - (SEA + LAND) / 2) < 0.2 * (LAND - SEA)
    assert np.nanmin(deviation[middle]) > 0.2 * (LAND - SEA)
    away = np.isin(coast.radiance(x, y, 3000.0), (SEA, LAND))
    assert np.nanmax(deviation[away]) < 0.01
