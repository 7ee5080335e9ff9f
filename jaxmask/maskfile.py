"""Edge: mask files `NAME.h5`: the network's output for one product, where it is valid, and how it came to be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from preprocess.errors import UserError
from preprocess.hdf import new_hdf

MASK_SUFFIX = ".h5"
PREDICTIONS_NAME = "sst_predictions.h5"
DEFAULT_THRESHOLD = 0.5
# What a mask may hold beside `mask` and `valid`, (H, W) each: where its pixels lie and what is known of them.
PIXEL_FIELDS = {"latitude": np.float32, "longitude": np.float32, "flags": np.uint16, "measured": np.uint16}
PLAIN = (str, int, float)  # of attributes
DAMAGED = (OSError, RuntimeError, KeyError, TypeError, ValueError)  # what h5py raises of a damaged file


@dataclass(frozen=True)
class Mask:
    """One product's mask.

    name: the product's name without `.SEN3`; probability: (H, W) float32, the network's sigmoid output q, or P(cloud)
    where `attributes["quantity"]` says "P"; valid: (H, W) bool; attributes: plain str, int, float, bool
    (`model` digest, `convention`, `threshold`, ...), empty for the original's files.
    latitude, longitude: (H, W) float32, degrees north and east, NaN outside; flags: (H, W) uint16, confidence_in;
    measured: (H, W) uint16, bit c - 1 set where channel Sc is a measurement; each None where unknown.
    """

    name: str
    probability: np.ndarray
    valid: np.ndarray
    attributes: dict[str, Any] = field(default_factory=dict)
    latitude: np.ndarray | None = None
    longitude: np.ndarray | None = None
    flags: np.ndarray | None = None
    measured: np.ndarray | None = None

    @property
    def threshold(self) -> float:
        """A pixel is cloud where `probability` exceeds this."""
        return float(self.attributes.get("threshold", DEFAULT_THRESHOLD))


def write_mask(path: Path, mask: Mask) -> None:
    """Write `mask` (1,H,W,1) float32, `valid` (1,H,W,1) uint8 and PIXEL_FIELDS (H,W), whole or not at all.

    All lie uncompressed and in one piece, as the original's: single pixels are then read without the rest.
    Raises ValueError if shapes differ or a probability is not finite.
    """
    if mask.probability.ndim != 2 or mask.probability.shape != mask.valid.shape:
        raise ValueError(f"mask and valid must be (H, W); found {mask.probability.shape} and {mask.valid.shape}")
    if not np.isfinite(mask.probability).all():
        raise ValueError(f"{mask.name}: the mask holds values that are not finite")
    with new_hdf(path) as file:
        file["mask"] = mask.probability.astype(np.float32)[None, :, :, None]
        file["valid"] = mask.valid.astype(np.uint8)[None, :, :, None]
        for name, dtype in PIXEL_FIELDS.items():
            if (values := getattr(mask, name)) is not None:
                file[name] = values.astype(dtype)
        for name, value in mask.attributes.items():
            if isinstance(value, str):  # of fixed length, as only such lie where HDF5 keeps a checksum
                text = value.encode()
                file.attrs.create(name, text, dtype=h5py.string_dtype("utf-8", max(1, len(text))))
            else:
                file.attrs[name] = value


def read_mask(path: Path) -> Mask:
    """Read a mask file of ours or of the original (float64, no `valid`, no attributes: then valid everywhere).

    Values that are not finite count as invalid and read as 0.5, no decision. Raises UserError naming the file,
    the dataset, what was expected and found.
    """
    with opened_mask(path) as file:
        values = mask_dataset(path, file, "mask")[0, :, :, 0].astype(np.float32)
        valid = np.isfinite(values)
        if "valid" in file:
            valid &= mask_dataset(path, file, "valid", values.shape)[0, :, :, 0] > 0
        return Mask(path.stem, np.nan_to_num(values, nan=0.5, posinf=0.5, neginf=0.5), valid, _attributes(file))


def read_attributes(path: Path) -> dict[str, Any]:
    """The attributes of a mask file, after a check that its datasets are whole; UserError as `read_mask`."""
    with opened_mask(path) as file:
        shape = mask_dataset(path, file, "mask").shape[1:3]
        if "valid" in file:
            mask_dataset(path, file, "valid", shape)
        return _attributes(file)


def find_masks(folder: Path) -> list[Path]:
    """The mask files directly in `folder`, sorted by name; UserError if the folder is missing or has none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected the folder of masks that jaxmask.infer wrote")
    masks = sorted(path for path in folder.glob(f"*{MASK_SUFFIX}") if _is_mask_name(path))
    if not masks:
        raise UserError(f"{folder} holds no masks (NAME{MASK_SUFFIX}); run jaxmask.infer first")
    return masks


def product_info(mask: Mask) -> dict[str, Any]:
    """The product's information that `infer` stored with the mask as JSON; empty for the original's files."""
    return dict(json.loads(mask.attributes.get("product", "{}")))


def _is_mask_name(path: Path) -> bool:
    return path.name != PREDICTIONS_NAME and not path.name.startswith(".")


@contextmanager
def opened_mask(path: Path) -> Iterator[h5py.File]:
    """Yield the mask file, open to be read; UserError naming it where it is missing or broken, wherever that shows."""
    if not path.is_file():
        raise UserError(f"{path}: no such mask file")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DAMAGED as error:
        raise UserError(f"{path} is not a whole HDF5 file ({error}); remove it and run jaxmask.infer again") from error


def mask_dataset(path: Path, file: h5py.File, name: str, size: tuple[int, ...] | None = None) -> h5py.Dataset:
    """A dataset (1, H, W, 1) of a mask file, of `size` (H, W) if given; UserError if there is no such one."""
    data = file.get(name)
    if not isinstance(data, h5py.Dataset):
        raise UserError(f"{path}: expected a dataset '{name}' (1,H,W,1), found {sorted(file) or 'none'}")
    fits = data.ndim == 4 and data.shape == (1, *(size or data.shape[1:3]), 1)
    if not fits or data.dtype.kind not in "fiub":
        wanted = f"(1, {size[0]}, {size[1]}, 1)" if size else "(1, H, W, 1)"
        raise UserError(f"{path}: '{name}' should be numbers of shape {wanted}, found {data.dtype} {data.shape}")
    return data


def _attributes(file: h5py.File) -> dict[str, Any]:
    """Plain values; UserError if they are of other kinds than any mask has."""
    found = {name: _plain(value) for name, value in file.attrs.items()}
    others = [name for name, value in found.items() if not isinstance(value, PLAIN)]
    threshold = found.get("threshold", DEFAULT_THRESHOLD)
    if others or not isinstance(threshold, float) or not 0 < threshold < 1:
        told = f"'{others[0]}' is no single number or text" if others else f"its threshold is {threshold}"
        raise UserError(
            f"{file.filename}: what it says of itself is no mask's ({told}); remove it and run jaxmask.infer again"
        )
    return found


def _plain(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return plain.decode() if isinstance(plain, bytes) else plain
