"""Edge: the datasets of a mask file as maps of the file: looking at a pixel reads no more than the page it lies on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jaxmask.maskfile import DEFAULT_THRESHOLD, PIXEL_FIELDS, mask_dataset, opened_mask
from preprocess.errors import UserError

NATIVE = "native"


@dataclass(frozen=True)
class MaskPixels:
    """What a mask file holds of its pixels, (H, W) each.

    value: the network's output, of any float type; valid: numbers, set where not 0, or None: valid wherever the value
    is finite; fields: those of PIXEL_FIELDS that are there; threshold: below it a pixel is clear; native: of the
    product's own grid; rows, columns: how many of them are the product's, the rest being padding; model, quantity,
    part: whose output it is, whether that is q or P, and of which part of the model's split, "" where unknown.
    """

    value: np.ndarray
    valid: np.ndarray | None
    fields: Mapping[str, np.ndarray]
    threshold: float
    native: bool
    rows: int
    columns: int
    model: str
    quantity: str
    part: str

    @property
    def holds_positions(self) -> bool:
        """Whether it is known where the pixels lie."""
        return "latitude" in self.fields and "longitude" in self.fields


def map_mask(path: Path) -> MaskPixels:
    """Map a mask file of ours or of the original; datasets in chunks or compressed are read whole instead.

    Raises UserError naming the file, the dataset, what was expected and found.
    """
    with opened_mask(path) as file:
        mask = mask_dataset(path, file, "mask")
        height, width = mask.shape[1:3]
        names = set(file)
        valid = mask_dataset(path, file, "valid", (height, width)) if "valid" in names else None
        fields = {name: _field(path, file, name, (height, width)) for name in PIXEL_FIELDS if name in names}
        mapped = np.memmap(path, np.uint8, "r")
        native = _text(file.attrs.get("convention")) == NATIVE
        return MaskPixels(
            value=_image(path, mask, mapped),
            valid=None if valid is None else _image(path, valid, mapped),
            fields={name: _image(path, field, mapped) for name, field in fields.items()},
            threshold=_threshold(path, file),
            native=native,
            rows=min(height, int(file.attrs.get("rows", height))) if native else height,
            columns=min(width, int(file.attrs.get("columns", width))) if native else width,
            model=str(_text(file.attrs.get("model", ""))),
            quantity=str(_text(file.attrs.get("quantity", ""))),
            part=str(_text(file.attrs.get("part", ""))),
        )


def _field(path: Path, file: h5py.File, name: str, size: tuple[int, int]) -> h5py.Dataset:
    data = file[name]
    if not isinstance(data, h5py.Dataset) or data.shape != size or data.dtype.kind not in "fiu":
        found = f"{data.dtype} {data.shape}" if isinstance(data, h5py.Dataset) else "a group"
        raise UserError(
            f"{path}: '{name}' should be numbers of shape {size}, found {found}; remove it and run jaxmask.infer again"
        )
    return data


def _image(path: Path, data: h5py.Dataset, mapped: np.ndarray) -> np.ndarray:
    """The dataset as (H, W): of the map of its file where it lies there in one piece."""
    shape, dtype = data.shape, data.dtype
    height, width = shape if len(shape) == 2 else shape[1:3]
    offset = data.id.get_offset()  # None where the data are in chunks, or in another file
    if offset is None:
        return np.asarray(data[()]).reshape(height, width)
    if offset + height * width * dtype.itemsize > mapped.size:
        raise UserError(f"{path} is cut short within '{data.name[1:]}'; remove it and run jaxmask.infer again")
    return np.ndarray((height, width), dtype, mapped, offset)


def _threshold(path: Path, file: h5py.File) -> float:
    found = float(file.attrs.get("threshold", DEFAULT_THRESHOLD))
    if not 0 < found < 1:
        raise UserError(
            f"{path}: its threshold should lie between 0 and 1, found {found}; remove it and run jaxmask.infer again"
        )
    return found


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
