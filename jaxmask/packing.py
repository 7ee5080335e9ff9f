"""Images of numbers as texts that a page unpacks: rounded, told from their neighbours, deflated, in base64.

Rounded to a quantum q, a value v is the integer k = round(v / q), and k q is no further from v than q / 2. Of k is kept
the code c = k - lowest + 1, or 0 where nothing is known; of c its difference r from what the pixels before it foretell;
of r, folded to z = 2 r or -2 r - 1, its bytes, lowest first, each as an image of its own. viewer.js undoes it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Literal

import deflate
import numpy as np
from numpy.typing import NDArray

# From what a code is foretold: nothing; the pixel on the left; the mean of left and upper one; their plane with the
# one between. Outside the image codes are 0.
Predictor = Literal["none", "left", "mean", "plane"]
LEVEL = 6  # of libdeflate: 9 takes three times as long to save 2 %
MOST_QUANTA = 2**24  # beyond it is no measurement; with it codes and what foretells them stay within 32 bits


@dataclass(frozen=True)
class Packed:
    """An image packed; `lowest`: k of code 1; `planes`: bytes a pixel."""

    data: str
    lowest: int
    planes: int
    predictor: Predictor

    def as_json(self) -> dict[str, Any]:
        """What templates/viewer.js unpacks."""
        return {"data": self.data, "lowest": self.lowest, "planes": self.planes, "predictor": self.predictor}


def quanta(
    values: NDArray[np.floating], known: NDArray[np.bool_], quantum: float
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Values as whole numbers of quanta, and where they are known: finite, and below MOST_QUANTA.

    values: (H, W) in the unit of `quantum`; known: (H, W) bool. Returns (H, W) int32, 0 where unknown, and (H, W) bool.
    """
    scaled = np.rint(values.astype(np.float64) / quantum)
    usable = known & (np.abs(scaled) < MOST_QUANTA)  # of NaN this is False
    return np.where(usable, scaled, 0).astype(np.int32), usable


def pack(numbers: NDArray[np.integer], known: NDArray[np.bool_], predictor: Predictor) -> Packed:
    """Whole numbers (H, W), each below 2 MOST_QUANTA, where `known` (H, W) bool."""
    wide = numbers.astype(np.int32)
    lowest = int(wide[known].min()) if known.any() else 0
    codes = np.where(known, wide - np.int32(lowest - 1), np.int32(0))
    rest = codes - foretold(codes, predictor)
    folded = ((rest << 1) ^ (rest >> 31)).view(np.uint32)
    planes = max(1, -(-int(folded.max(initial=0)).bit_length() // 8))
    parts = [(folded >> np.uint32(8 * index)).astype(np.uint8).tobytes() for index in range(planes)]
    data = base64.b64encode(deflate.zlib_compress(b"".join(parts), LEVEL)).decode()
    return Packed(data, lowest, planes, predictor)


def foretold(codes: NDArray[np.int32], predictor: Predictor) -> NDArray[np.int32]:
    """What the codes (H, W) before each code foretell of it, (H, W)."""
    if predictor == "none":
        return np.zeros_like(codes)
    framed = np.pad(codes, ((1, 0), (1, 0)))
    left, upper, between = framed[1:, :-1], framed[:-1, 1:], framed[:-1, :-1]
    if predictor == "left":
        return left
    return (left + upper) >> 1 if predictor == "mean" else left + upper - between
