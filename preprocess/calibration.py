"""What the radiances of S1 to S6 are multiplied by, before anything else."""

from __future__ import annotations

import numpy as np

from preprocess.errors import UserError

# Nadir factors of S1..S6 from the product notices S3.PN-SLSTR-L1.08 and .10; the processor applies
# them itself from baseline collection 005, so they must not be applied again from there.
NOTICE_FACTORS = (0.97, 0.98, 0.98, 1.0, 1.11, 1.13)
FIRST_CALIBRATED_COLLECTION = 5

CALIBRATIONS = ("none", "notice")


def calibration_factors(calibration: str, collection: str) -> np.ndarray:
    """What the radiances of S1..S6 are multiplied by: (6,) f8, all 1 for "none" and from collection 005.

    Raises UserError for an unknown calibration.
    """
    if calibration not in CALIBRATIONS:
        raise UserError(f"--calibration must be one of {', '.join(CALIBRATIONS)}; found {calibration}")
    if calibration == "none" or int(collection) >= FIRST_CALIBRATED_COLLECTION:
        return np.ones(len(NOTICE_FACTORS))
    return np.array(NOTICE_FACTORS)
