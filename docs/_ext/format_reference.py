"""Tables of the formats, made from the code's own constants when the site is built: `<!-- table: NAME -->`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmask.cf_mask import DIMENSIONS, FILL, TIME, VARIABLES
from jaxmask.maskfile import PIXEL_FIELDS
from jaxmask.matchups import REQUIRED_COLUMNS, TEXT_COLUMNS
from jaxmask.results_row import COLUMNS
from preprocess.level1 import CONFIDENCE_BITS
from preprocess.scene import SceneInfo
from preprocess.shard_fields import FIELDS, ShardField

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MARK = re.compile(r"<!-- table: ([a-z ]+) -->")
OPTIONAL = {"rads": "--rads", "texture": "--texture"}  # the flag that stores a dataset; else the oblique view's


def shard_datasets() -> str:
    """Datasets of a shard."""
    rows = [(f"`{each.name}`", _shape(each), each.dtype, each.units, _told(each)) for each in FIELDS]
    return _table(("dataset", "shape", "type", "units", "what"), rows)


def shard_attributes() -> str:
    """Attributes of a shard, with the words that stand beside each in the code."""
    pattern = re.compile(r"^    (\w+): ([\w\[\], .]+?)(?: = [^#]*?)?(?:  # (.*))?$", re.MULTILINE)
    found = {name: (kind, text or "") for name, kind, text in pattern.findall(inspect.getsource(SceneInfo))}
    rows = [("`format`", "str", "`jaxmask shard 1`"), ("`writer`", "str", "jaxmask and its version")]
    kinds = {"tuple[float, ...]": "floats", "tuple[int, ...]": "ints"}
    for name in SceneInfo.__dataclass_fields__:
        kind, text = found[name]
        rows.append((f"`{name}`", kinds.get(kind, kind), _plain(text)))
    return _table(("attribute", "type", "what"), rows)


def flag_bits() -> str:
    """The bits of `flags`."""
    return _table(("bit", "value", "flag"), [(value.bit_length() - 1, value, f"`{name}`") for name, value in BITS])


BITS = sorted(CONFIDENCE_BITS.items(), key=lambda item: item[1])


def mask_pixels() -> str:
    """The datasets that a mask may hold beside `mask` and `valid`."""
    rows = [(f"`{name}`", "(H, W)", np.dtype(kind).name) for name, kind in PIXEL_FIELDS.items()]
    return _table(("dataset", "shape", "type"), rows)


def netcdf_variables() -> str:
    """Variables of NAME_cloud.nc."""
    rows: list[tuple[object, ...]] = [("`time`", "", TIME["long_name"], TIME["units"], "", "")]
    for name, attributes in VARIABLES.items():
        flags = attributes.get("flag_values")
        meanings = str(attributes.get("flag_meanings", "")).split()
        values = ", ".join(
            f"{value} {word}" for value, word in zip(() if flags is None else flags, meanings, strict=True)
        )
        size = ", ".join(DIMENSIONS)
        rows.append(
            (f"`{name}`", size, attributes["long_name"], attributes.get("units", ""), values, FILL.get(name, ""))
        )
    return _table(("variable", "dimensions", "what", "units", "values", "missing"), rows)


def results_columns() -> str:
    """Columns of results.csv, in their order."""
    return ", ".join(f"`{name}`" for name in COLUMNS)


def matchup_columns() -> str:
    """Columns that a match-up table must have."""
    return _table(
        ("column", "holds"),
        [(f"`{name}`", "text" if name in TEXT_COLUMNS else "numbers") for name in REQUIRED_COLUMNS],
    )


TABLES = {
    "shard datasets": shard_datasets,
    "shard attributes": shard_attributes,
    "flag bits": flag_bits,
    "mask pixels": mask_pixels,
    "netcdf variables": netcdf_variables,
    "results columns": results_columns,
    "matchup columns": matchup_columns,
}


def filled_in(text: str) -> str:
    """The page's text with its tables; KeyError for a name that is none of TABLES."""
    return MARK.sub(lambda match: TABLES[match[1]](), text)


def _shape(field: ShardField) -> str:
    shape = f"(H, W, {field.channels})" if field.channels else "(H, W)"
    return shape.replace(" ", "\N{NO-BREAK SPACE}")


def _told(field: ShardField) -> str:
    if not field.optional:
        return _plain(field.long_name)
    return f"{_plain(field.long_name)}; only with `{OPTIONAL.get(field.name, '--views nadir,oblique')}`"


def _plain(text: str) -> str:
    return re.sub(r"([*_<>\[\]|$])", r"\\\1", text)


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    source[0] = filled_in(source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("source-read", _fill_in)
    return {"parallel_read_safe": True}
