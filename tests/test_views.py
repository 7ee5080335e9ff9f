"""The oblique view on the nadir grid: moves by hand, slow loops, values by hand, and simulated edges where they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from preprocess.errors import UserError
from preprocess.level1 import FlagField, Grid, Oblique, Packed, Product
from preprocess.views import Offset, as_product, oblique_arrays, offset_between, place
from tests.products import COSMETIC, DAY, START_OFFSET, TIE_TRACK, TIES, flag_fields, make_product

ONES = np.ones(6)


@pytest.mark.quick
def test_offsets_by_hand() -> None:
    """The measured manifest: track in column 998 of nadir and 450 of oblique, so oblique column 0 is nadir column 548.

    An oblique image that starts two rows of the orbit earlier has its row 2 on nadir's row 0.
    """
    nadir, oblique = Grid(1000, 1000, 998, 9607), Grid(1000, 1000, 450, 9607)
    assert offset_between(oblique, nadir) == Offset(down=0, right=548)
    assert offset_between(replace(oblique, start_offset=9605), nadir) == Offset(down=-2, right=548)
    assert offset_between(replace(oblique, track_offset=452), nadir).right == 546


@pytest.mark.quick
def test_placing_by_hand() -> None:
    """4 x 4 nadir pixels, an oblique image of 3 x 2 that starts a row earlier and two columns to the right."""
    image = np.array([[1, 2], [3, 4], [5, 6]], np.int16)
    expected = [[0, 0, 3, 4], [0, 0, 5, 6], [0, 0, 0, 0], [0, 0, 0, 0]]
    placed = place(image, (4, 4), Offset(down=-1, right=2), 0)
    assert placed.tolist() == expected
    assert placed.dtype == np.int16
    # Three rows down and one column to the left: only its first row and its second column remain.
    assert place(image, (4, 4), Offset(3, -1), 9).tolist() == [[9] * 4] * 3 + [[2, 9, 9, 9]]


@pytest.mark.parametrize("at", [(0, 0), (2, -3), (-4, 5), (1, 1), (7, 0), (-7, 0), (0, -9), (0, 9)])
def test_placing_is_as_a_loop_does_it(at: tuple[int, int]) -> None:
    draws = np.random.default_rng(3)
    image = draws.random((6, 8, 3), np.float32)
    expected = np.full((7, 9, 3), -1, np.float32)
    for row in range(6):
        for column in range(8):
            if 0 <= row + at[0] < 7 and 0 <= column + at[1] < 9:
                expected[row + at[0], column + at[1]] = image[row, column]
    assert np.array_equal(place(image, (7, 9), Offset(*at), -1), expected)


def make_oblique(rows: int = 3, columns: int = 2, **changes: Any) -> Oblique:
    """Radiance 100, 280 K, sun at 60 degrees, E = 200 pi, over the places of `make_product`, its row 1 column 2 on."""
    fine, shape = (2 * rows, 2 * columns), (rows, columns)
    flags = flag_fields(np.full(shape, DAY, np.uint16), np.zeros(shape, np.uint8))
    fields: dict[str, Any] = {
        "radiances": tuple(Packed(np.full(fine, 100, np.float32)) for _ in range(6)),
        "radiance_exception": np.zeros((6, *fine), np.uint8),
        "bt": np.full((3, *shape), 280, np.float32),
        "bt_exception": np.zeros((3, *shape), np.uint8),
        "confidence": flags["confidence"],
        "solar_zenith": np.full((rows, TIES), 60.0),
        "irradiance": np.full((6, 4), 200 * np.pi),
        "detector": None,
        "latitude": np.full(shape, 50, np.float32),
        "longitude": np.full(shape, 10, np.float32),
        "grid_500m": Grid(500, 500, 0, START_OFFSET + 1),
        "grid_1km": Grid(1000, 1000, 0, START_OFFSET + 1),
        "grid_tie": Grid(16000, 1000, TIE_TRACK, START_OFFSET + 1),
    }
    return Oblique(**(fields | changes))


def seen(oblique: Oblique, factors: np.ndarray = ONES) -> dict[str, np.ndarray]:
    """Of a nadir product of 4 x 4 whose track runs in column 2."""
    return oblique_arrays(make_product(oblique=oblique), factors)


COVERED = np.zeros((4, 4), bool)
COVERED[1:4, 2:4] = True


@pytest.mark.quick
def test_values_by_hand_and_nothing_outside() -> None:
    """pi 100 / (200 pi cos 60) = 1; a pixel of counts 10, 30, fill, 20 has mean 20: 0.2, times the factor 0.95."""
    counts = np.full((6, 4), 100, np.int16)
    counts[0:2, 0:2] = [[10, 30], [-32768, 20]]
    one = make_oblique()
    radiances = (*one.radiances[:2], Packed(counts, fill=-32768), *one.radiances[3:])
    bt = one.bt.copy()
    bt[1, 2, 1] = 251.5
    bt[2, 0, 0] = np.nan
    arrays = seen(replace(one, radiances=radiances, bt=bt), np.array([1, 1, 0.95, 1, 1, 1]))
    refs, bts = arrays["oblique_refs"], arrays["oblique_bts"]
    assert {name: (array.shape, str(array.dtype)) for name, array in arrays.items()} == {
        "oblique_refs": ((4, 4, 6), "float32"),
        "oblique_bts": ((4, 4, 3), "float32"),
        "oblique_valid": ((4, 4, 1), "uint8"),
        "oblique_measured": ((4, 4), "uint16"),
    }
    assert refs[1, 2, 2] == pytest.approx(0.19, rel=1e-6)
    assert refs[1, 3, 2] == pytest.approx(0.95, rel=1e-6)
    assert refs[COVERED][:, 0] == pytest.approx(1.0, rel=1e-6)
    assert not refs[~COVERED].any()
    assert (bts[~COVERED] == 270).all()
    assert bts[3, 3].tolist() == [280.0, 251.5, 280.0]
    assert bts[1, 2].tolist() == [280.0, 280.0, 270.0]
    valid = COVERED.copy()
    valid[1, 2] = False
    assert np.array_equal(arrays["oblique_valid"][..., 0], valid)
    assert arrays["oblique_measured"][1, 2] == 0b011111111
    assert (arrays["oblique_measured"][valid] == 0b111111111).all()
    assert not arrays["oblique_measured"][~COVERED].any()


def test_its_own_flags_exceptions_and_detectors_count() -> None:
    """Cosmetic in confidence_io: nothing measured. Saturation is measured, pixel_absent is not. A detector whose
    irradiance is twice the other's sees twice the radiance of the same scene.
    """
    one = make_oblique()
    confidence = one.confidence.values.copy()
    confidence[0, 1] |= COSMETIC
    exceptions = one.bt_exception.copy()
    exceptions[0, 1, 0], exceptions[2, 1, 0] = 16, 2
    irradiance = one.irradiance.copy()
    irradiance[0] = np.pi * np.array([150, 300, np.nan, np.nan])
    detector = np.zeros((6, 4), np.uint8)
    detector[1::2, 1::2] = 1
    s1 = np.where(detector == 1, 200, 100).astype(np.float32)
    changed = replace(
        one,
        confidence=FlagField(confidence, one.confidence.masks, one.confidence.meanings),
        bt_exception=exceptions,
        irradiance=irradiance,
        detector=detector,
        radiances=(Packed(s1), *one.radiances[1:]),
    )
    arrays = seen(changed)
    assert arrays["oblique_measured"][1, 3] == 0
    assert arrays["oblique_measured"][2, 2] == 0b011111111
    assert arrays["oblique_refs"][COVERED][:, 0] == pytest.approx(np.pi * 100 / (150 * np.pi * 0.5), rel=1e-6)


def test_the_sun_is_that_of_the_oblique_tie_points_row_for_row() -> None:
    """Tie points that start a row after the image: its row 0 has none, row r has the angles of tie row r - 1."""
    zenith = np.repeat([[60.0], [45.0], [91.0]], TIES, axis=1)
    ties = Grid(16000, 1000, TIE_TRACK, START_OFFSET + 2)
    arrays = seen(make_oblique(rows=3, solar_zenith=zenith, grid_tie=ties))
    assert not arrays["oblique_refs"][1, 2:].any()
    assert arrays["oblique_refs"][2, 2:] == pytest.approx(1.0, rel=1e-6)
    assert arrays["oblique_refs"][3, 2:] == pytest.approx(0.5 / np.cos(np.pi / 4), rel=1e-6)
    assert arrays["oblique_measured"][1:, 2].tolist() == [0b111000000, 0b111111111, 0b111111111]
    late = seen(make_oblique(rows=3, solar_zenith=zenith))
    assert not late["oblique_refs"][3].any()  # the sun is down


def test_an_image_without_tie_points_keeps_its_temperatures() -> None:
    far = Grid(16000, 1000, TIE_TRACK, START_OFFSET + 100)
    arrays = seen(make_oblique(grid_tie=far))
    assert not arrays["oblique_refs"].any()
    assert (arrays["oblique_bts"][COVERED] == 280).all()


def test_the_nadir_product_is_left_as_it_was() -> None:
    product = make_product(oblique=make_oblique())
    own = as_product(product)
    assert own.bt.shape == (3, 3, 2)
    assert own.oblique is None
    assert product.bt.shape == (3, 4, 4)


def test_a_product_read_without_it_says_so() -> None:
    with pytest.raises(UserError, match=r"no oblique view was read.*--views nadir"):
        oblique_arrays(make_product(), ONES)


@pytest.mark.parametrize(("track", "start"), [(1, START_OFFSET + 1), (0, START_OFFSET)])
def test_a_500_m_grid_that_does_not_halve_the_1_km_grid_is_refused(track: int, start: int) -> None:
    with pytest.raises(UserError, match=r"twice that of 1 km.*--views nadir"):
        seen(make_oblique(grid_500m=Grid(500, 500, track, start)))


@pytest.mark.parametrize("change", [{"start_offset": START_OFFSET - 3}, {"track_offset": 10}])
def test_an_image_beside_nadirs_is_refused(change: dict[str, int]) -> None:
    one = make_oblique()
    grid = replace(one.grid_1km, **change)
    fine = replace(one.grid_500m, start_offset=grid.start_offset, track_offset=2 * grid.track_offset)
    with pytest.raises(UserError, match=r"lies outside the nadir one.*--views nadir"):
        seen(replace(one, grid_1km=grid, grid_500m=fine))


@pytest.mark.parametrize(
    ("north_deg", "east_deg", "refused"),
    [(0.0, 0.0, False), (0.005, 0.0, False), (0.009, 0.0, True), (0, -0.014, True)],
)
def test_views_that_do_not_meet_where_their_offsets_say_are_refused(
    north_deg: float, east_deg: float, refused: bool
) -> None:
    """0.009 degrees of latitude are 1.0 km, one row; 0.014 of longitude at 50 north too; half of that is let pass."""
    one = make_oblique()
    moved = replace(one, latitude=one.latitude + np.float32(north_deg), longitude=one.longitude + np.float32(east_deg))
    if refused:
        with pytest.raises(
            UserError, match=r"\(1 rows down, 2 columns to the right\).* lies 1\.0 km off the nadir view"
        ):
            seen(moved)
    else:
        assert seen(moved)["oblique_valid"].any()


def test_positions_are_compared_across_the_date_line() -> None:
    """179.9999 and -179.9999 are neighbours."""
    west = make_oblique(longitude=np.full((3, 2), -179.9999, np.float32))
    product: Product = make_product(oblique=west, longitude=np.full((4, 4), 179.9999, np.float32))
    assert oblique_arrays(product, ONES)["oblique_valid"].any()
