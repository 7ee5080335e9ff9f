"""Edge: the attributes of a shard: what is known of its scene, and what wrote it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from preprocess.errors import UserError
from preprocess.scene import SceneInfo

FORMAT = "jaxmask shard 1"


def write_info(file: h5py.File, info: SceneInfo) -> None:
    """Put `info` beside the format and the writer.

    Texts are of fixed length, as only they lie where HDF5 keeps a checksum; h5py returns them as bytes.
    """
    writer = f"jaxmask {importlib.metadata.version('jaxmask')}"
    for name, value in {"format": FORMAT, "writer": writer, **dataclasses.asdict(info)}.items():
        if isinstance(value, str):
            text = value.encode()
            file.attrs.create(name, text, dtype=h5py.string_dtype("utf-8", max(1, len(text))))
        else:
            file.attrs[name] = value


def read_info(file: h5py.File, path: Path) -> SceneInfo:
    """What write_info wrote, now or in an earlier version; raises UserError for another format or a lack."""
    found = _plain(file.attrs["format"])
    if found != FORMAT:
        raise UserError(f"{path}: expected the format '{FORMAT}'; found '{found}': convert it again")
    values = {}
    for field in dataclasses.fields(SceneInfo):
        if field.name in file.attrs:
            values[field.name] = _plain(file.attrs[field.name])
            if field.name == "verified" and isinstance(values["verified"], bool):
                values["verified"] = "md5" if values["verified"] else ""  # as versions wrote that knew no other sums
        elif field.default is dataclasses.MISSING:
            raise UserError(f"{path}: no attribute '{field.name}'; convert it again")
    return SceneInfo(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    plain = value.item() if isinstance(value, np.generic) else value
    return plain.decode() if isinstance(plain, bytes) else plain
