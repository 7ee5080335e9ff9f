"""Product names, by the measured product's and by what is none."""

from __future__ import annotations

import pytest

from preprocess.names import ProductName, parse_name

REAL = "S3A_SL_1_RBT____20170315T113420_20170315T113720_20170315T135348_0179_015_237_1439_SVL_O_NR_002"


@pytest.mark.quick
def test_the_measured_product() -> None:
    expected = ProductName("S3A", "2017-03-15T11:34:20Z", "002")
    assert parse_name(REAL) == expected
    assert parse_name(f"{REAL}.SEN3") == expected
    assert parse_name(REAL.replace("S3A", "S3B").replace("NR_002", "NT_005")) == ProductName(
        "S3B", "2017-03-15T11:34:20Z", "005"
    )


@pytest.mark.parametrize(
    "name",
    ["", "S3A", REAL.replace("SL_1_RBT___", "OL_1_EFR___"), REAL + ".zip", REAL[:-4], REAL.replace("002", "XYZ")],
)
def test_other_names_say_nothing(name: str) -> None:
    assert parse_name(name) == ProductName("", "", "")
