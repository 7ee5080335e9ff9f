"""One product and its mask as a person can be shown them: colours, label, decision, values; no files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.scene import SceneInfo


@dataclass(frozen=True, eq=False)
class SeenScene:
    """What a person can be shown of a product; arrays (H, W) unless said otherwise; only positions hold NaN."""

    info: SceneInfo
    base: NDArray[np.uint8]  # (H, W, 3), preprocess.colour.scene_look
    refs: NDArray[np.float32]  # (H, W, 6), 1
    bts: NDArray[np.float32]  # (H, W, 3), K
    measured: NDArray[np.uint16]  # bit c-1 set where channel Sc is a measurement
    label: NDArray[np.bool_]  # cloud
    label_valid: NDArray[np.bool_]  # where the label was computed
    probability: NDArray[np.float32]  # the mask's value, 0 to 1
    valid: NDArray[np.bool_]  # where scene and mask hold data
    flags: NDArray[np.uint16]  # confidence_in
    latitude: NDArray[np.float32]  # degrees north, NaN outside
    longitude: NDArray[np.float32]  # degrees east, NaN outside
    threshold: float
    quantity: str  # "q" or "P"

    @property
    def cloud(self) -> NDArray[np.bool_]:
        """Where the mask says cloud."""
        return self.probability > self.threshold

    @property
    def compared(self) -> NDArray[np.bool_]:
        """Where label and mask both decide."""
        return self.label_valid & self.valid

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Of what a share of the mask's cloud is: where it can be compared, or all that is valid where it can't."""
        return self.compared if self.compared.any() else self.valid


def share_of(true: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    """The share 0..1 of the pixels `among` that are `true`, both (H, W) bool; None if there are none."""
    return float(true[among].mean()) if among.any() else None
