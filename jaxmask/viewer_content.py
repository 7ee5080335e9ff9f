"""What the viewer of a scene unpacks: its values, rounded and packed, what is decided of its pixels, its colours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxmask.colour import CLEAR, CLOUD, ONLY_LABEL, ONLY_MASK, hexadecimal
from jaxmask.figures import PROBABILITY_COLOURS
from jaxmask.packing import Predictor, pack, quanta
from jaxmask.seen import SeenScene
from preprocess.colour import NO_DATA, to_bytes
from preprocess.level1 import CONFIDENCE_BITS

MINUS = "\N{MINUS SIGN}"
OUTPUT = "output"  # the name of the mask's values
# What is decided of a pixel, by bit.
LABEL_CLOUD, LABEL_KNOWN, MASK_CLOUD, MASK_KNOWN = 1, 2, 4, 8


@dataclass(frozen=True)
class Sampling:
    """Which pixels of a scene are kept: every `step`th row and column from `first`, rows x columns of them."""

    step: int
    rows: int
    columns: int

    @property
    def first(self) -> int:
        """The middle pixel of the first step x step block, whose mean colour is shown."""
        return self.step // 2

    def of(self, array: NDArray[Any]) -> NDArray[Any]:
        """The kept pixels of (H, W, ...)."""
        rows, columns = (slice(self.first, size * self.step, self.step) for size in (self.rows, self.columns))
        return np.ascontiguousarray(array[rows, columns])


def sampling(height: int, width: int, most_columns: int | None) -> Sampling:
    """The least step that leaves at most `most_columns`, as preprocess.colour.shrink takes; None: every pixel."""
    step = 1 if most_columns is None else -(-width // most_columns)
    return Sampling(step, height // step, width // step)


@dataclass(frozen=True)
class Quantity:
    """A value that the viewer shows: rounded to `quantum` of `unit`.

    relative: the quantity of the same quantum whose number of quanta is taken off before packing, as channels go
    together.
    """

    name: str
    label: str
    unit: str
    quantum: float
    predictor: Predictor
    relative: str = ""

    @property
    def decimals(self) -> int:
        """As many as tell one quantum from the next."""
        return max(0, -int(np.floor(np.log10(self.quantum) + 1e-9)))


LATITUDE = Quantity("latitude", "latitude", "°N", 0.002, "plane")
LONGITUDE = Quantity("longitude", "longitude", "°E", 0.002, "plane")
REFLECTANCES = {
    2: Quantity("S2", "S2 reflectance, 0.66 µm", "", 0.01, "mean"),
    3: Quantity("S3", "S3 reflectance, 0.87 µm", "", 0.01, "left", "S2"),
    5: Quantity("S5", "S5 reflectance, 1.61 µm", "", 0.01, "left", "S3"),
}
S7 = Quantity("S7", "S7, 3.74 µm", "K", 0.2, "mean")
S8 = Quantity("S8", "S8, 10.8 µm", "K", 0.2, "left", "S7")
S8_LESS_S9 = Quantity("S8-S9", f"S8 {MINUS} S9", "K", 0.1, "left")


def quantities(seen: SeenScene) -> Iterator[tuple[Quantity, NDArray[np.floating], NDArray[np.bool_]]]:
    """Every quantity with its values and where they are known, (H, W); one that is relative comes after its own."""
    for position, values in ((LATITUDE, seen.latitude), (LONGITUDE, seen.longitude)):
        yield position, values, np.isfinite(values)
    for channel, quantity in REFLECTANCES.items():
        yield quantity, seen.refs[..., channel - 1], _measured(seen, channel)
    s7, s8, s9 = (seen.bts[..., index].astype(np.float64) for index in range(3))
    known7, known8, known9 = (_measured(seen, channel) for channel in (7, 8, 9))
    yield S7, s7, known7
    yield S8, s8, known8
    yield S8_LESS_S9, s8 - s9, known8 & known9
    label = "P(cloud)" if seen.quantity == "P" else "network output"
    yield Quantity(OUTPUT, label, "", 0.01, "mean"), seen.probability, seen.valid


def viewer_content(seen: SeenScene, most_columns: int | None = None) -> dict[str, Any]:
    """All that templates/viewer.js needs of a scene, as JSON: at full resolution, or at most `most_columns` wide."""
    height, width = seen.valid.shape
    kept = sampling(height, width, most_columns)
    everywhere = np.ones((kept.rows, kept.columns), bool)
    return {
        "product": seen.info.product,
        "rows": kept.rows,
        "columns": kept.columns,
        "step": kept.step,
        "first": kept.first,
        "threshold": seen.threshold,
        "quantities": _packed_quantities(seen, kept),
        "decided": pack(kept.of(decided(seen)), everywhere, "none").as_json(),
        "flags": pack(kept.of(seen.flags), everywhere, "none").as_json(),
        "bits": [[bit, name.replace("_", " ")] for name, bit in CONFIDENCE_BITS.items()],
        "colours": {
            "cloud": CLOUD, "clear": CLEAR, "label": ONLY_LABEL, "mask": ONLY_MASK, "none": NO_DATA
        },
        "table": [hexadecimal(tuple(row)) for row in to_bytes(PROBABILITY_COLOURS).tolist()],
    }  # fmt: skip


def decided(seen: SeenScene) -> NDArray[np.uint8]:
    """What label and mask say of each pixel: the bits of LABEL_CLOUD to MASK_KNOWN, (H, W)."""
    parts = (
        (seen.label & seen.label_valid, LABEL_CLOUD),
        (seen.label_valid, LABEL_KNOWN),
        (seen.cloud & seen.valid, MASK_CLOUD),
        (seen.valid, MASK_KNOWN),
    )
    bits = np.zeros(seen.valid.shape, np.uint8)
    for where, bit in parts:
        bits |= where.astype(np.uint8) * np.uint8(bit)
    return bits


def _packed_quantities(seen: SeenScene, kept: Sampling) -> list[dict[str, Any]]:
    numbers: dict[str, NDArray[np.int32]] = {}
    packed = []
    for quantity, values, known in quantities(seen):
        whole, usable = quanta(kept.of(values), kept.of(known), quantity.quantum)
        numbers[quantity.name] = whole
        rest = whole - numbers[quantity.relative] if quantity.relative else whole
        told = {name: getattr(quantity, name) for name in ("name", "label", "unit", "quantum", "decimals", "relative")}
        packed.append(told | pack(rest, usable, quantity.predictor).as_json())
    return packed


def _measured(seen: SeenScene, channel: int) -> NDArray[np.bool_]:
    return (seen.measured & np.uint16(1 << (channel - 1))) != 0
