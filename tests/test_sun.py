"""The sun's place against published examples, and the times that names tell."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from jaxmask.sun import local_solar_hours, product_time_s, sun_zenith_deg

NAME = "S3A_SL_1_RBT____20170315T113420_20170315T113720_20170315T135348_0179_015_237_1439_SVL_O_NR_002"


def at(*when: int) -> float:
    year, month, day, hour, minute, second = (*when, *(0,) * (6 - len(when)))
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()


@pytest.mark.quick
def test_the_worked_example_of_spa() -> None:
    # Reda and Andreas 2004 (NREL/TP-560-34302, table A5.1): elevation 39.872046 degrees, of which parallax takes 0.002
    found = sun_zenith_deg(at(2003, 10, 17, 19, 30, 30), np.array([39.742476]), np.array([-105.1786]))
    assert found == pytest.approx([90 - 39.872046], abs=0.02)  # the formulas' 0.01 degrees, and the parallax


def test_solstices_equinox_and_poles() -> None:
    noon = sun_zenith_deg(at(2017, 6, 21, 12, 2), np.array([23.44, 90.0, -90.0]), np.zeros(3))
    assert noon == pytest.approx([0, 66.56, 113.44], abs=0.15)  # equation of time: 1.8 minutes, 0.4 degrees, squared
    equinox = sun_zenith_deg(at(2017, 3, 20, 10, 29), np.array([90.0, -90.0]), np.array([0.0, 77.0]))
    assert equinox == pytest.approx([90, 90], abs=0.02)
    antipodes = sun_zenith_deg(at(2019, 9, 1, 3), np.array([10.0, -10.0]), np.array([20.0, -160.0]))
    assert antipodes.sum() == pytest.approx(180, abs=1e-9)
    assert np.isnan(sun_zenith_deg(at(2019, 9, 1), np.array([np.nan]), np.array([0.0]))).all()


def test_times_of_names_and_places() -> None:
    assert product_time_s(NAME) == at(2017, 3, 15, 11, 35, 50)
    assert np.isnan(product_time_s("A"))
    assert np.isnan(product_time_s(NAME.replace("20170315T1134", "20171315T1134")))
    hours = local_solar_hours(at(2017, 3, 15, 11, 30), np.array([0.0, 90.0, -180.0, 187.5, np.nan]))
    np.testing.assert_allclose(hours, [11.5, 17.5, 23.5, 0.0, np.nan], atol=1e-9)
