"""Factors of the product notices, and who gets them."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.calibration import calibration_factors
from preprocess.errors import UserError


@pytest.mark.quick
def test_notice_factors_count_below_collection_005_only() -> None:
    notice = [0.97, 0.98, 0.98, 1.0, 1.11, 1.13]
    for collection, expected in (("002", notice), ("004", notice), ("005", [1.0] * 6), ("006", [1.0] * 6)):
        np.testing.assert_array_equal(calibration_factors("notice", collection), expected)
        np.testing.assert_array_equal(calibration_factors("none", collection), [1.0] * 6)


def test_unknown_calibration_is_refused() -> None:
    with pytest.raises(UserError, match="--calibration must be one of none, notice; found vicarious"):
        calibration_factors("vicarious", "002")
