"""The files of the oblique view: described as nadir's are, with `o` for `n`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from preprocess.simulation.schema import ProductFile

NADIR_ENDING = re.compile(r"_([ait])n$")
IMAGE_FILE = re.compile(r"_[ai]n\.nc$")
NOT_OBLIQUE = ("time_in.nc",)
"""The measured manifest lists no oblique file of times: time_in.nc holds those of both views."""


def is_image_file(file: ProductFile) -> bool:
    """Whether the file is one view's own, on its image grid."""
    return IMAGE_FILE.search(file.name) is not None and file.name not in NOT_OBLIQUE


def as_oblique(file: ProductFile) -> ProductFile:
    """The file under the oblique view's names: S8_BT_in.nc becomes S8_BT_io.nc, and its variables likewise.

    So the measured manifest names files, and satpy's reader slstr_l1b their variables; no measured file was at hand.
    """
    variables = tuple(
        variable._replace(name=_renamed(variable.name), attributes=_about(variable.attributes))
        for variable in file.variables
    )
    return replace(file, name=_renamed(file.name.removesuffix(".nc")) + ".nc", variables=variables)


def _renamed(name: str) -> str:
    return NADIR_ENDING.sub(r"_\1o", name)


def _about(attributes: dict[str, Any]) -> dict[str, Any]:
    texts = {key: text.replace("nadir view", "oblique view") for key, text in attributes.items() if type(text) is str}
    return attributes | texts
